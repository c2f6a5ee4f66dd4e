"""Reads bitext: which format a file is in, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from pipelines.sources import bitext_fields, bitext_lines, bitext_tables, bitext_xml
from pipelines.sources.bitext_rows import BATCH_ROWS, ROWS, Row, batches
from pipelines.sources.reading import BOM, BrokenStreamError, Reading, SourceError, open_decompressed, pieces
from pipelines.sources.spec import BitextSource
from pipelines.sources.unpacking import ENDINGS

__all__ = ["BATCH_ROWS", "ROWS", "check", "file_format", "read", "units"]

_ENDINGS: Final = {
    ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
    ".zip": "moses_zip", ".tmx": "tmx", ".xml": "wmt_xml", ".src-tgt": "pipes",
}  # fmt: skip
_READERS: Final = {
    "tsv": bitext_tables.read_tsv,
    "pipes": bitext_tables.read_pipes,
    "jsonl": bitext_tables.read_jsonl,
    "parquet": bitext_tables.read_parquet,
    "moses_zip": bitext_lines.read_zip,
    "tmx": bitext_xml.read_tmx,
    "wmt_xml": bitext_xml.read_wmt_xml,
}
_LOOKS: Final = {
    "tsv": bitext_fields.look_at_tsv,
    "pipes": bitext_fields.look_at_pipes,
    "jsonl": bitext_fields.look_at_jsonl,
    "parquet": bitext_fields.look_at_parquet,
}  # the others have no fields to be named

_BY_LANGUAGE: Final = ("moses_zip", "tmx", "wmt_xml")
_BY_FIELD: Final = ("jsonl", "parquet")


def _plain_name(url: str) -> str:
    name = url.rsplit("/", 1)[-1].lower()
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name


def file_format(source: BitextSource, url: str) -> str:
    """The format of a file: what the recipe says, else by its name, else by its first bytes.

    Raises:
        SourceError: Neither tells, or it tells the sides apart by languages that are the same.
    """
    found = _format_of(source, url)
    if source.role == "back_translation":
        named = None not in (source.columns.left, source.columns.right)
        if found in _BY_LANGUAGE or (found in _BY_FIELD and not named):
            remedy = (
                "name both sides in `columns`" if found in _BY_FIELD else "write it as tsv, json lines or two files"
            )
            raise SourceError(f"{url}: {found} tells its sides apart by language, and these have one: {remedy}")
    return found


def _format_of(source: BitextSource, url: str) -> str:
    if source.format != "auto":
        return source.format
    name = _plain_name(url)
    if source.left is not None:
        return "sgm" if name.endswith((".sgm", ".sgml")) else "lines"
    for ending, found in _ENDINGS.items():
        if name.endswith(ending):
            return found
    try:
        with open_decompressed(url) as file:
            head = next(pieces(file), b"")[: 1 << 16].removeprefix(BOM)
    except BrokenStreamError:
        head = b""
    by_content = _by_content(head)
    if by_content is None:
        formats = ", ".join(sorted(_READERS))
        raise SourceError(f"{url}: neither its name nor its beginning tells the format; say `format`: one of {formats}")
    return by_content


def _by_content(head: bytes) -> str | None:
    if head.startswith(b"PK\x03\x04"):
        return "moses_zip"
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.replace(b"\x00", b"").lstrip(b"\xff\xfe \t\r\n")
    if text.startswith(b"<"):
        return "tmx" if b"<tmx" in text else "wmt_xml" if b"<doc" in text else None
    if text.startswith(b"{"):
        return "jsonl"
    first = head.split(b"\n", 1)[0]
    return "pipes" if b"|||" in first else "tsv" if b"\t" in first else None


def units(source: BitextSource, files: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """What to work on: a unit for each file, or for the left file with each of its references.

    Args:
        source: The recipe's words on the source.
        files: (path relative to the source, URL): the left one and then the right ones, or those of `path`, sorted.
    """
    if source.left is None:
        return [{"index": index, "url": url, "path": path} for index, (path, url) in enumerate(files)]
    (path, left), *rights = files
    several = len(rights) > 1
    return [
        {"index": index, "url": left, "right_url": right, "path": path, "mark": f":{index + 1}" if several else ""}
        for index, (_, right) in enumerate(rights)
    ]


def check(source: BitextSource, unit: Mapping[str, Any]) -> None:
    """Holds the numbers of lines of a unit's two sides against each other, before anything is taken from them.

    Raises:
        SourceError: They differ, so that pairs would be shifted; or a side is missing.
    """
    found = file_format(source, unit["url"])
    if found == "lines":
        bitext_lines.check(unit["url"], unit["right_url"])
    elif found == "moses_zip":
        bitext_lines.check_zip(unit["url"], source.languages)


def look(source: BitextSource, url: str) -> None:
    """Looks for what the recipe names in the first records of a file with both sides, before anything is read.

    Raises:
        SourceError: It is not there; the message has what is.
    """
    look_at = _LOOKS.get(file_format(source, url))
    if look_at is not None:
        look_at(source, url)


def read(source: BitextSource, unit: Mapping[str, Any], reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads a unit.

    Args:
        source: The recipe's words on the source.
        unit: As `units` gives it.
        reading: Counts and logs.

    Yields:
        Batches of `ROWS`.

    Raises:
        SourceError: What is in the files is not what the recipe says; nothing of them may be used.
    """
    url, path = unit["url"], unit["path"]
    found = file_format(source, url)
    rows: Iterator[Row]
    if found in ("lines", "sgm"):
        both = bitext_lines.read if found == "lines" else bitext_xml.read_sgm
        rows = both(source, url, unit["right_url"], path, reading, unit.get("mark", ""))
    else:
        rows = _READERS[found](source, url, path, reading)
    yield from batches(rows, source.languages, f"{reading.source}/{path}#")
