"""Reads plain text: one document a file, or documents with empty lines between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Final

import pyarrow as pa

from pairs import wrapping
from pipelines.sources.documents_rows import Rows
from pipelines.sources.reading import BOM, BrokenStreamError, Reading, bounded_lines
from pipelines.sources.spec import DocumentsSource

_TERMINAL: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""A control sequence of terminals (ECMA-48, 5.4): colours, bold. Without its escape character the rest would be read as text."""
_LOOKED_AT: Final = 1000  # lines of a file, by which it is told whether they are wrapped
_LOOKED_AT_BYTES: Final = 1 << 20


def read(source: DocumentsSource, file: BinaryIO, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file; see `documents.read`.

    A document's origin names its first line, in the file as it is, before wrapped lines are joined. One that is longer than
    `max_record_bytes`, or not UTF-8, is an error record.
    """
    rows = Rows()
    lines, width = _with_width(source, bounded_lines(file, source.max_record_bytes))
    for number, document in _documents(source, lines, path, reading):
        if document is None:
            reading.error(path, f"line {number}", "document_too_long", f"more than {source.max_record_bytes} bytes")
            continue
        try:
            text = document.decode("utf-8")
        except UnicodeDecodeError as error:
            reading.error(path, f"line {number}", "invalid_utf8", error)
            continue
        if "\x1b" in text:
            text = _TERMINAL.sub("", text)
        if width is not None:
            text = wrapping.unwrap(text, width)
        reading.records += 1
        full = rows.add(f"{reading.source}/{path}#{number}", None, text)
        if full is not None:
            yield full
    if len(rows):
        yield rows.batch()


def _with_width(source: DocumentsSource, lines: Iterator[bytes | None]) -> tuple[Iterator[bytes | None], int | None]:
    """The lines, and the width at which they were broken; None where each is a paragraph."""
    if source.text_lines == "paragraphs":
        return lines, None
    head: list[bytes | None] = []
    size, broken = 0, None
    try:
        while len(head) < _LOOKED_AT and size < _LOOKED_AT_BYTES:
            head.append(next(lines))
            size += len(head[-1] or b"")
    except StopIteration:
        pass
    except BrokenStreamError as error:
        broken = error
    shown = [(line or b"").removeprefix(BOM).decode("utf-8", "replace") for line in head]
    width = wrapping.width([_TERMINAL.sub("", line) for line in shown])
    if width is None and source.text_lines == "wrapped":
        width = wrapping.MAX_WIDTH
    return chain(head, _raising(broken) if broken else lines), width


def _raising(error: BrokenStreamError) -> Iterator[bytes | None]:
    """What was found while looking ahead is told when its place is reached."""
    raise error
    yield


def _documents(
    source: DocumentsSource, lines: Iterator[bytes | None], path: str, reading: Reading
) -> Iterator[tuple[int, bytes | None]]:
    """First line's number and bytes of each document; None for one that is too long."""
    apart = source.text_documents == "blank_line"
    limit = source.max_record_bytes
    gathered: list[bytes] = []
    size = first = number = 0
    long = False
    try:
        for line in lines:
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
