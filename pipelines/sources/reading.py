"""What all readers share: the count of records, the log of errors, bounded lines out of hostile compressed files."""

from __future__ import annotations

import difflib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import orjson
import zstandard

from pipelines import storage
from pipelines.sources.unpacking import unpacked

_DETAIL_CHARACTERS = 300
_PIECE = 1 << 20
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


_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?|\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\.", re.DOTALL
)
"""Surrogates, in pairs where they are such, and every other escape, so that `\\\\ud83d` is none."""
_HALF: Final = len(b"\\ud83d")


_NOT_FINITE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
"""Strings, and outside of them what Python writes for floats that are no numbers."""


def json_value(data: bytes | str) -> Any:
    """A JSON value, also of what Python's own writer gives and RFC 8259 does not know, where orjson refuses the whole record.

    Half a surrogate pair (`\\ud83d`), which is what is left of an emoji where a text was cut, is left out; NaN and Infinity are
    null.

    Raises:
        orjson.JSONDecodeError: It is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        data = data.encode() if isinstance(data, str) else data
        whole = _ESCAPES.sub(lambda found: b"" if _is_half(found[0]) else found[0], data)
        if b"NaN" in whole or b"Infinity" in whole:
            whole = _NOT_FINITE.sub(lambda found: found[0] if found[0].startswith(b'"') else b"null", whole)
        if whole == data:
            raise
        return orjson.loads(whole)


def _is_half(escape: bytes) -> bool:
    return len(escape) == _HALF and escape[2:3] in b"dD" and escape[3:4] in b"89abcdefABCDEF"


def open_decompressed(url: str) -> BinaryIO:
    """Opens a file for reading bytes, unpacked where the name ends in .gz, .zst, .zstd, .bz2 or .xz."""
    return unpacked(storage.open_read(url), url)


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
    rest: list[bytes] = []  # a line's pieces
    size = 0
    for piece in pieces(file):
        head, *others = piece.split(b"\n")
        size += len(head)
        if size <= limit:
            rest.append(head)
        else:
            rest.clear()
        if not others:
            continue
        yield b"".join(rest).removesuffix(b"\r") if size <= limit else None
        tail = others.pop()
        for line in others:
            yield line.removesuffix(b"\r") if len(line) <= limit else None
        rest, size = [tail] if len(tail) <= limit else [], len(tail)
    if size:
        yield b"".join(rest).removesuffix(b"\r") if size <= limit else None


def head_of(url: str, size: int) -> bytes:
    """The first whole lines of a file, at most `size` bytes of it unpacked; what comes before any damage.

    The last line is left out unless the file ends with it: it may be cut.
    """
    with open_decompressed(url) as file:
        return head_of_stream(file, size)


def head_of_stream(file: BinaryIO, size: int) -> bytes:
    """As `head_of`, of a file that is open."""
    head = bytearray()
    try:
        for piece in pieces(file):
            head += piece
            if len(head) > size:
                return bytes(head[: head.rfind(b"\n", 0, size) + 1])
    except BrokenStreamError:
        return bytes(head[: head.rfind(b"\n") + 1])
    return bytes(head)


class Bounded:
    """A stream that ends after so many bytes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def json_fault(line: bytes) -> str:
    """The reason why a line is no json."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid_utf8"
    return "malformed_json"


_SHOWN = 50  # names in a message


def listed(names: Iterable[str]) -> str:
    """Names of columns for a message."""
    every = list(names)
    return (", ".join(every[:_SHOWN]) + (", …" if len(every) > _SHOWN else "")) or "none"


def meant(word: str, names: Iterable[str]) -> str:
    """`; did you mean 'caption'?`, of names that are there; empty where none is like it."""
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""


def relative(url: str, base: str) -> str:
    """The path of a file below its source's folder, so that origins do not depend on where the data lies."""
    trimmed = base if base.endswith("://") else base.rstrip("/") + "/"
    return url[len(trimmed) :] if url.startswith(trimmed) else url.rsplit("/", 1)[-1]


def text_of(value: Any) -> str | None:
    """A text field as it is; None for null and for what is not text."""
    return value if isinstance(value, str) else None
