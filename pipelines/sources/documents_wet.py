"""Reads WET archives: WARC files whose `conversion` records are the text of web pages.

The framing is read here and not by a library: those pass over what is damaged without a word, and refuse samples whose lines end
in LF.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from pipelines.sources.documents_rows import Rows
from pipelines.sources.reading import BrokenStreamError, Reading, pieces
from pipelines.sources.spec import DocumentsSource

_MAX_LINE = 1 << 16  # bytes of a header's line
_MAX_LINES = 200  # lines of a header


class _Stream:
    """Lines and byte counts out of pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._pieces = pieces(file)
        self._held = b""
        self._at = 0

    def _more(self) -> bool:
        piece = next(self._pieces, b"")
        self._held, self._at = self._held[self._at :] + piece, 0
        return bool(piece)

    def line(self) -> bytes | None:
        """The next line without its end, cut at `_MAX_LINE`; None at the end of the file."""
        while True:
            end = self._held.find(b"\n", self._at)
            if end >= 0 or len(self._held) - self._at > _MAX_LINE:
                end = end if 0 <= end <= self._at + _MAX_LINE else self._at + _MAX_LINE
                found = self._held[self._at : end]
                self._at = end + 1
                return found.removesuffix(b"\r")
            if not self._more():
                found = self._held[self._at :]
                self._at = len(self._held)
                return found or None

    def push(self, line: bytes) -> None:
        """Puts a line back."""
        self._held, self._at = line + b"\n" + self._held[self._at :], 0

    def take(self, size: int, limit: int) -> tuple[int, bytes | None]:
        """How many of the next `size` bytes there are, and they themselves unless they are more than `limit`."""
        gathered: list[bytes] = []
        left = size
        while left:
            if self._at == len(self._held) and not self._more():
                break
            piece = self._held[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            if size <= limit:
                gathered.append(piece)
        return size - left, b"".join(gathered) if size <= limit else None


def read(source: DocumentsSource, file: BinaryIO, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file; see `documents.read`. A document's origin names its record, from 1; a damaged record is one error."""
    rows = Rows()
    number, before = 0, reading.records
    stream = _Stream(file)
    try:
        while (line := _next_record(stream)) is not None:
            number += 1
            at = f"record {number}"
            if not line.startswith(b"WARC/"):
                reading.error(path, at, "malformed_warc", f"a record begins with {line[:40]!r}")
                continue
            head = _header(stream)
            length = head.get(b"content-length", b"")
            if not length.isdigit() or len(length) > 15:
                reading.error(path, at, "malformed_warc", f"Content-Length {length[:40]!r}")
                continue
            wanted = head.get(b"warc-type") == b"conversion"
            have, body = stream.take(int(length), source.max_record_bytes if wanted else 0)
            if have < int(length):
                reading.error(path, at, "truncated", f"{have} bytes of {int(length)}")
                break
            if not wanted:
                continue
            if body is None:
                reading.error(path, at, "document_too_long", f"more than {source.max_record_bytes} bytes")
                continue
            try:
                text = body.decode("utf-8")
            except UnicodeDecodeError as error:
                reading.error(path, at, "invalid_utf8", error)
                continue
            reading.records += 1
            address = head.get(b"warc-target-uri", b"").decode("utf-8", "replace").strip("<>") or None
            full = rows.add(f"{reading.source}/{path}#{number}", address, text)
            if full is not None:
                yield full
    except BrokenStreamError as error:
        reading.error(path, f"after record {number}", error.reason, error)
    else:
        if number == 0:
            reading.error(path, "file", "empty_file", "no record")
        elif reading.records == before:
            reading.error(path, "file", "no_documents", f"{number} records, and no text (conversion) among them")
    if len(rows):
        yield rows.batch()


def _next_record(stream: _Stream) -> bytes | None:
    """The first line of the next record; where something else stands there, that, after what belongs to it is passed over."""
    while (line := stream.line()) is not None and not line.strip():
        pass
    if line is None or line.startswith(b"WARC/"):
        return line
    while (after := stream.line()) is not None:
        if after.startswith(b"WARC/"):
            stream.push(after)
            break
    return line


def _header(stream: _Stream) -> dict[bytes, bytes]:
    """Names in small letters -> values."""
    found: dict[bytes, bytes] = {}
    for _ in range(_MAX_LINES):
        line = stream.line()
        if not line:
            break
        name, _, value = line.partition(b":")
        found.setdefault(name.strip().lower(), value.strip())
    return found
