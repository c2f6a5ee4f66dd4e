"""Reads plain text: one document a file, or documents with empty lines between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from pipelines.sources.documents_rows import Rows
from pipelines.sources.reading import BOM, BrokenStreamError, Reading, bounded_lines
from pipelines.sources.spec import DocumentsSource


def read(source: DocumentsSource, file: BinaryIO, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file; see `documents.read`.

    A document's origin names its first line. One that is longer than `max_record_bytes`, or not UTF-8, is an error record.
    """
    rows = Rows()
    for number, document in _documents(source, file, path, reading):
        if document is None:
            reading.error(path, f"line {number}", "document_too_long", f"more than {source.max_record_bytes} bytes")
            continue
        try:
            text = document.decode("utf-8")
        except UnicodeDecodeError as error:
            reading.error(path, f"line {number}", "invalid_utf8", error)
            continue
        reading.records += 1
        full = rows.add(f"{reading.source}/{path}#{number}", None, text)
        if full is not None:
            yield full
    if len(rows):
        yield rows.batch()


def _documents(
    source: DocumentsSource, file: BinaryIO, path: str, reading: Reading
) -> Iterator[tuple[int, bytes | None]]:
    """First line's number and bytes of each document; None for one that is too long."""
    apart = source.text_documents == "blank_line"
    limit = source.max_record_bytes
    gathered: list[bytes] = []
    size = first = number = 0
    long = False
    try:
        for line in bounded_lines(file, limit):
            number += 1
            if number == 1 and line is not None:
                line = line.removeprefix(BOM)
            if line is not None and not line.strip():
                if apart and first:
                    yield first, None if long else b"\n".join(gathered)
                    gathered, size, first, long = [], 0, 0, False
                elif first and not long:
                    gathered.append(b"")
                    size += 1
                continue
            first = first or number
            size += limit + 2 if line is None else len(line) + 1
            if size > limit + 1:
                long, gathered = True, []
            elif line is not None:
                gathered.append(line)
    except BrokenStreamError as error:
        reading.error(path, f"after line {number}", error.reason, error)
    if first:
        yield first, None if long else b"\n".join(gathered)
    elif number == 0:
        reading.error(path, "file", "empty_file", "no lines")
