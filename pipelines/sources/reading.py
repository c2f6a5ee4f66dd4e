"""What all readers share: the count of records, the log of errors, bounded lines out of hostile compressed files."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

import zstandard

from pipelines import storage

_DETAIL_CHARACTERS = 300
_PIECE = 1 << 20
_ZSTD_PIECE = 1 << 10  # a block of 4 bytes may hold 128 KiB: so much input gives at most 32 MiB at once
BOM = b"\xef\xbb\xbf"


class SourceError(Exception):
    """A source that cannot be read as the recipe says: nothing is written; the message names the file and the remedy."""


class Reading:
    """Counts records and logs errors of one unit of work.

    Every record that a reader meets is counted once: handed on, logged as an error, or dropped.

    Attributes:
        records: Records met, those in error and dropped included.
        errors: Reason -> records.
        dropped: Reason -> records that the source itself says are none, such as pictures that could not be downloaded.
    """

    def __init__(self, source: str, log: storage.AtomicFile | None = None) -> None:
        self.source = source
        self.records = 0
        self.errors: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._log = log

    def drop(self, reason: str) -> None:
        """Counts a record that is dropped at reading."""
        self.records += 1
        self.dropped[reason] += 1

    def error(self, path: str, position: str, reason: str, detail: object = "", *, rows: int = 1) -> None:
        """Logs `rows` records in error and counts them as met.

        Args:
            path: The file, relative to its source.
            position: Where in the file: `line 17`, `member a.jpg`, `row 4`, `byte 1024`, `file`.
            reason: Short snake_case name of what is wrong.
            detail: The library's message; cut to 300 characters.
            rows: Records that this one fault cost.
        """
        self.records += rows
        self.errors[reason] += rows
        if self._log is not None:
            entry = {
                "source": self.source,
                "path": path,
                "position": position,
                "reason": reason,
                "detail": str(detail)[:_DETAIL_CHARACTERS],
                "rows": rows,
            }
            self._log.write(json.dumps(entry, ensure_ascii=True, sort_keys=True).encode() + b"\n")


def open_decompressed(url: str) -> BinaryIO:
    """Opens a file for reading bytes, through gzip or zstd where the name ends so (.gz, .zst, .zstd)."""
    file = storage.open_read(url)
    if url.endswith(".gz"):
        return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]
    if url.endswith((".zst", ".zstd")):
        return _ZstdFile(file)  # type: ignore[return-value]
    return file


class _ZstdFile:
    """Reads zstd: all frames of a file, and an error where the last one is cut short.

    The library's own stream readers take the end of the file for the end of the data, so that a truncated file looks whole.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting = b""
        self._frame: Any = None

    def read1(self, _: int = -1) -> bytes:
        """The next piece, empty at the end.

        Raises:
            EOFError: The file ends inside a frame.
        """
        while True:
            self._waiting = self._waiting or self._file.read(_ZSTD_PIECE)
            if not self._waiting:
                if self._frame is not None:
                    raise EOFError("the file ends inside a zstd frame")
                return b""
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
            data: bytes = self._frame.decompress(self._waiting)
            self._waiting = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
            if data:
                return data

    read = read1

    def __enter__(self) -> _ZstdFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class BrokenStreamError(Exception):
    """A compressed file ends too early or is damaged; what came before was good."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """A file's bytes piece by piece.

    Raises:
        BrokenStreamError: It is damaged; what came before was good.
    """
    # read1, not read: a buffered read that meets the damage would throw away what it had gathered before.
    read = getattr(file, "read1", file.read)
    while True:
        try:
            piece = read(_PIECE)
        except EOFError as error:
            raise BrokenStreamError("truncated", str(error)) from error
        except (OSError, zlib.error, zstandard.ZstdError) as error:
            raise BrokenStreamError("corrupt", str(error)) from error
        if not piece:
            return
        yield piece


def bounded_lines(file: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """Lines of a byte stream without their end (LF or CRLF); None for a line of more than `limit` bytes.

    Memory stays bounded by `limit` whatever the file holds. Only LF ends a line: other Unicode line ends are text, and line
    numbers must agree with those of the other side of a bitext.

    Raises:
        BrokenStreamError: After the last good line of a damaged compressed file; a part of a line before the damage is lost
            with it.
    """
    rest = bytearray()
    skipping = False
    for piece in pieces(file):
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            if skipping or len(rest) + end - start > limit:
                yield None
            else:
                rest += piece[start:end]
                yield bytes(rest.removesuffix(b"\r"))
            rest.clear()
            skipping = False
            start = end + 1
        if not skipping:
            rest += piece[start:]
            if len(rest) > limit:
                rest.clear()
                skipping = True
    if skipping:
        yield None
    elif rest:
        yield bytes(rest.removesuffix(b"\r"))


def head_of(url: str, size: int) -> bytes:
    """The first whole lines of a file, at most `size` bytes of it unpacked; what comes before any damage.

    The last line is left out unless the file ends with it: it may be cut.
    """
    head = bytearray()
    with open_decompressed(url) as file:
        try:
            for piece in pieces(file):
                head += piece
                if len(head) > size:
                    return bytes(head[: head.rfind(b"\n", 0, size) + 1])
        except BrokenStreamError:
            return bytes(head[: head.rfind(b"\n") + 1])
    return bytes(head)


def json_fault(line: bytes) -> str:
    """The reason why a line is no json."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid_utf8"
    return "malformed_json"


def relative(url: str, base: str) -> str:
    """The path of a file below its source's folder, so that origins do not depend on where the data lies."""
    trimmed = base if base.endswith("://") else base.rstrip("/") + "/"
    return url[len(trimmed) :] if url.startswith(trimmed) else url.rsplit("/", 1)[-1]


def text_of(value: Any) -> str | None:
    """A text field as it is; None for null and for what is not text."""
    return value if isinstance(value, str) else None
