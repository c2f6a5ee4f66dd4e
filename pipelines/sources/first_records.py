"""Whether what a recipe names is in a source's files at all: looked at in their first records, before anything is read.

A record without the field among others that have it is a bad record, of which reading tells. A field that none of the first records
has is a wrong name, and all of the reading would end in errors. Tables of images and texts are held against each other, too, in
`agreement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines.sources import agreement, bitext, documents_fields, image_text, image_webdataset
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource, Source

MOST_FILES = 32
"""Files that are looked at, spread over all of them, while a named field has been seen in none; mostly it is one."""

_THREADS = 16


def check(source: Source, files: Sequence[str]) -> None:
    """Looks at the first records of a source's files.

    Args:
        source: The recipe's words.
        files: Their URLs, in order.

    Raises:
        SourceError: What the recipe names is in none of them, or in a file of bitext it is not; the message has what is there.
    """
    fault: SourceError | None = None
    if isinstance(source, DocumentsSource):
        fault = documents_fields.fault(source, agreement.spread(files, MOST_FILES))
    elif isinstance(source, ImageTextSource):
        tars = [url for url in files if image_text.file_format(source, url) == "webdataset"]
        fault = image_webdataset.fault(source, agreement.spread(tars, MOST_FILES))
    elif source.left is None:
        fault = _first(source, agreement.spread(files))
    if fault is not None:
        raise fault


def _first(source: BitextSource, files: Iterable[str]) -> SourceError | None:
    def one(url: str) -> SourceError | None:
        try:
            bitext.look(source, url)
        except SourceError as error:
            return error
        return None

    with ThreadPoolExecutor(_THREADS) as pool:
        return next((fault for fault in pool.map(one, files) if fault is not None), None)
