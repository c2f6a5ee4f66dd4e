"""Whether what a recipe names is in a source's files at all: looked at in their first records, before anything is read.

A record without the field among others that have it is a bad record, of which reading tells. A field that none of the first records
has is a wrong name, and all of the reading would end in errors. Tables of images and texts are held against each other, too, in
`agreement`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines import storage
from pipelines.sources import agreement, bitext, documents, documents_fields, image_text, image_webdataset
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import DocumentsSource, ImageTextSource, Source
from pipelines.sources.unpacking import ENDINGS

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
    some = agreement.spread(files, MOST_FILES)
    fault = _first(lambda url: _packed(source, url), some)
    if fault is not None:
        raise fault
    if isinstance(source, DocumentsSource):
        fault = documents_fields.fault(source, some)
    elif isinstance(source, ImageTextSource):
        tars = [url for url in files if image_text.file_format(source, url) == "webdataset"]
        fault = image_webdataset.fault(source, agreement.spread(tars, MOST_FILES))
    elif source.left is None:
        fault = _first(lambda url: bitext.look(source, url), agreement.spread(files))
    if fault is not None:
        raise fault


def _first(look: Callable[[str], object], files: Sequence[str]) -> SourceError | None:
    """The fault of the first file that has one."""

    def one(url: str) -> SourceError | None:
        try:
            look(url)
        except SourceError as error:
            return error
        return None

    with ThreadPoolExecutor(_THREADS) as pool:
        return next((fault for fault in pool.map(one, files) if fault is not None), None)


_MAGIC = (
    (b"\x1f\x8b", ".gz"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
    (b"BZh91AY&SY", ".bz2"),
    (b"\xfd7zXZ\0", ".xz"),
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OF_BYTES = ("parquet", "webdataset", "tar", "moses_zip", "tmx", "wmt_xml", "sgm", "warc", "wet")
"""Formats that say themselves how their text is written, or hold none."""


def _packed(source: Source, url: str) -> None:
    """Holds a file's first bytes against its name.

    Raises:
        SourceError: It is compressed, parquet or a zip archive, or UTF-16, and would be read as something else.
    """
    with storage.open_read(url) as file:
        head = file.read(16)
    if any(head.startswith(magic) for magic, _ in _MAGIC) and _kind(source, url) == "webdataset":
        raise SourceError(f"{url}: {image_webdataset.NOT_AT_RANDOM}")
    name = url.lower()
    if not name.endswith((*ENDINGS, ".tgz")):
        for magic, ending in _MAGIC:
            if head.startswith(magic):
                raise SourceError(
                    f"{url}: is compressed, and its name does not say so; it is unpacked where it ends in {ending}"
                )
    kind = _kind(source, url)
    if head.startswith(b"PAR1") and kind != "parquet":
        raise SourceError(
            f"{url}: is parquet, and would be read as {kind}; end its name in .parquet, or say `format: parquet`"
        )
    if head.startswith(b"PK\x03\x04") and kind != "moses_zip":
        raise SourceError(f"{url}: is a zip archive, and would be read as {kind}; unpack it, or leave it out of `path`")
    if head.startswith(_UTF_16) and kind not in _OF_BYTES:
        raise SourceError(f"{url}: is UTF-16; UTF-8 is wanted (iconv -f UTF-16 -t UTF-8)")


def _kind(source: Source, url: str) -> str:
    if isinstance(source, DocumentsSource):
        return documents.file_format(source, url)
    return (
        image_text.file_format(source, url) if isinstance(source, ImageTextSource) else bitext.file_format(source, url)
    )
