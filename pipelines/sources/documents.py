"""Reads documents: json lines (C4, mC4, OSCAR, RedPajama and the like), parquet, plain text, WET and WARC."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson
import pyarrow as pa

from pipelines.sources import documents_parquet, documents_text, documents_warc, documents_wet
from pipelines.sources.documents_rows import BATCH_ROWS, ROWS, Rows
from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    bounded_lines,
    json_fault,
    open_decompressed,
    text_of,
)
from pipelines.sources.spec import DocumentsSource
from pipelines.sources.unpacking import ENDINGS

__all__ = ["BATCH_ROWS", "ROWS", "file_format", "read"]

_COMPRESSED = re.compile("|".join(re.escape(ending) + "$" for ending in ENDINGS))


def file_format(source: DocumentsSource, name: str) -> str:
    """How a file is read: as the recipe says, or by its name (`.parquet`, `.wet`, `.warc`, `.txt`); else json lines."""
    if source.format != "auto":
        return source.format
    bare = _COMPRESSED.sub("", name.lower().rsplit("/", 1)[-1])
    if bare.endswith(".parquet"):
        return "parquet"
    if bare.endswith((".wet", ".wet.txt")):
        return "wet"
    if bare.endswith(".warc"):
        return "warc"
    return "text" if bare.endswith(".txt") else "jsonl"


def read(source: DocumentsSource, url: str, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file.

    Args:
        source: The recipe's words on the source.
        url: Where the file lies.
        path: Its name relative to the source, for origins and errors.
        reading: Counts and logs.

    Yields:
        Batches of `ROWS`, at most `BATCH_ROWS` rows.
    """
    kind = file_format(source, path)
    if kind == "parquet":
        return documents_parquet.read(source, url, path, reading)
    if kind == "text":
        return documents_text.read(source, url, path, reading)
    if kind == "wet":
        return documents_wet.read(source, url, path, reading)
    if kind == "warc":
        return documents_warc.read(source, url, path, reading)
    return _json_lines(source, url, path, reading)


def _json_lines(source: DocumentsSource, url: str, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    names = source.columns.texts()
    field = source.columns.url
    prefix = f"{reading.source}/{path}#"
    rows = Rows()
    number = 0
    with open_decompressed(url) as file:
        try:
            for line in bounded_lines(file, source.max_record_bytes):
                number += 1
                if line is None:
                    reading.error(path, f"line {number}", "line_too_long", f"more than {source.max_record_bytes} bytes")
                    continue
                if number == 1:
                    line = line.removeprefix(BOM)
                if not line or line.isspace():
                    continue  # an empty line between records is no record
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    reading.error(path, f"line {number}", json_fault(line), error)
                    continue
                found = (
                    [record[name] for name in names if isinstance(record.get(name), str)]
                    if isinstance(record, dict)
                    else []
                )
                if not found:
                    reading.error(path, f"line {number}", "no_text", f"no string in field {' or '.join(names)}")
                    continue
                reading.records += 1
                full = rows.add(f"{prefix}{number}", text_of(record.get(field)) if field else None, "".join(found))
                if full is not None:
                    yield full
        except BrokenStreamError as error:
            reading.error(path, f"after line {number}", error.reason, error)
        else:
            if number == 0:
                reading.error(path, "file", "empty_file", "no lines")
    if len(rows):
        yield rows.batch()
