"""Whether the files of one image_text source have the same columns: looked at before anything is read.

Footers and first lines are enough, a few kB a file, many files at once. What counts: a column that is used is missing in one of the
files, or has a type there that cannot be used. Columns that nobody uses may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipelines.sources import image_text
from pipelines.sources.image_columns import Columns
from pipelines.sources.image_text import Facts
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import ImageTextSource

AT_ONCE = 500
"""Files that are looked at when a source is found, spread over all of them; the rest follow before they are read."""

_THREADS = 16
_File = TypeVar("_File")  # a URL, or a path with its URL


def spread(files: Sequence[_File], most: int = AT_ONCE) -> list[_File]:
    """At most so many of the files, in order, the first and the last among them."""
    if len(files) <= most:
        return list(files)
    return [files[at * (len(files) - 1) // (most - 1)] for at in range(most)]


def look(name: str, source: ImageTextSource, urls: Sequence[str]) -> dict[str, Facts | None]:
    """What each file tells of itself.

    Args:
        name: The source's, for errors.
        source: The recipe's words.
        urls: The files, in order.

    Raises:
        SourceError: A file is not as the recipe says; the message names it, and a file that is.
    """

    def one(url: str) -> Facts | SourceError | None:
        try:
            return image_text.inspect(source, url)
        except SourceError as error:
            return error

    with ThreadPoolExecutor(max(1, min(_THREADS, len(urls)))) as pool:
        found = list(zip(urls, pool.map(one, urls), strict=True))
    good = {url: facts for url, facts in found if not isinstance(facts, SourceError)}
    for _, fault in found:
        if isinstance(fault, SourceError):
            other = next((url for url, facts in good.items() if facts is not None and facts.columns is not None), None)
            beside = f"; {other} has {_shown(good[other])}" if other is not None else ""
            raise SourceError(f"sources.{name}: {fault}{beside}") from fault
    return good


def check(name: str, source: ImageTextSource, found: dict[str, Facts | None]) -> None:
    """Holds the files against each other.

    Raises:
        SourceError: Two of them differ; the message names both.
    """
    known = [(url, facts) for url, facts in found.items() if facts is not None]
    for url, facts in known[1:]:
        if facts.photographs != known[0][1].photographs:
            pair = sorted((known[0], (url, facts)), key=lambda item: not item[1].photographs)
            raise SourceError(
                f"sources.{name}: some of its files bring photographs and some do not: {pair[0][0]} does, {pair[1][0]} does not; "
                "make two sources of them"
            )
    with_columns = [(url, facts.columns) for url, facts in known if facts.columns is not None]
    for url, columns in with_columns[1:]:
        first_url, first = with_columns[0]
        lines = image_text.file_format(source, url) == image_text.file_format(source, first_url) == "jsonl"
        if (differ := _differences(source, columns, first, sparse=lines)) is not None:
            raise SourceError(
                f"sources.{name}: its files differ in their columns: {first_url} has {_named(differ[1])} for text, {url} has "
                f"{_named(differ[0])}; name the columns in the recipe, or make two sources of them"
            )


def _differences(
    source: ImageTextSource, here: Columns, there: Columns, sparse: bool
) -> tuple[list[str], list[str]] | None:
    """The columns of texts here and there where nobody named them and they differ.

    What the recipe names was looked for in each file by itself; an address, a language or a size that it does not name may be
    missing. JSON objects may leave fields out, so of those (`sparse`) only files without a text in common differ.
    """
    if source.columns.text is not None or source.columns.texts is not None:
        return None
    texts = [column.role for column in here.texts], [column.role for column in there.texts]
    return None if texts[0] == texts[1] or (sparse and set(texts[0]) & set(texts[1])) else texts


def _named(names: list[str]) -> str:
    return ", ".join(f"column {name!r}" for name in names) or "no column"


def _shown(facts: Facts | None) -> str:
    columns = facts.columns if facts is not None else None
    pairs = [f"{role} in {'.'.join(path)!r}" for role, path in columns.paths()] if columns is not None else []
    return ", ".join(pairs)
