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

__all__ = ["BATCH_ROWS", "ROWS", "file_format", "read"]

_COMPRESSED = re.compile(r"\.(?:gz|zst|zstd)$")


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
    rows = Rows()
    number = 0
    with open_decompressed(url) as file:
        try:
            for line in bounded_lines(file, source.max_record_bytes):
                number += 1
                at = f"line {number}"
                if line is None:
                    reading.error(path, at, "line_too_long", f"more than {source.max_record_bytes} bytes")
                    continue
                if number == 1:
                    line = line.removeprefix(BOM)
                if not line.strip():
                    continue  # an empty line between records is no record
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    reading.error(path, at, json_fault(line), error)
                    continue
                found = [text_of(record.get(name)) for name in names] if isinstance(record, dict) else []
                if not any(text is not None for text in found):
                    reading.error(path, at, "no_text", f"no string in field {' or '.join(names)}")
                    continue
                reading.records += 1
                address = text_of(record.get(source.columns.url)) if source.columns.url else None
                full = rows.add(f"{reading.source}/{path}#{number}", address, "".join(text or "" for text in found))
                if full is not None:
                    yield full
        except BrokenStreamError as error:
            reading.error(path, f"after line {number}", error.reason, error)
        else:
            if number == 0:
                reading.error(path, "file", "empty_file", "no lines")
    if len(rows):
        yield rows.batch()
