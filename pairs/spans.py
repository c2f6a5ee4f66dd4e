"""Texts as stretches of code points: decoded once, cut and measured where they lie, and strings again only where one is needed."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow
from pairs.jit import jit

Ints = npt.NDArray[np.int64]
CodePoints = npt.NDArray[np.uint32]

REPLACEMENT: Final = 0xFFFD
"""Stands for bytes that are no UTF-8, and for surrogates."""


@dataclass(frozen=True)
class Spans:
    """n texts.

    Attributes:
        code: uint32, code points of all texts, and of what lies between them.
        begin, end: int64 (n,): text i is code[begin[i]:end[i]].
    """

    code: CodePoints
    begin: Ints
    end: Ints

    def __len__(self) -> int:
        """How many texts."""
        return len(self.begin)

    @property
    def chars(self) -> Ints:
        """int64 (n,): characters of each."""
        return self.end - self.begin

    def take(self, rows: npt.NDArray[Any]) -> Spans:
        """Some of them, by number or by mask."""
        return Spans(self.code, self.begin[rows], self.end[rows])

    def head(self, max_chars: int) -> Spans:
        """Each cut to so many characters."""
        return Spans(self.code, self.begin, np.minimum(self.end, self.begin + max_chars))

    def together(self) -> Spans:
        """The same texts side by side in memory: what is read more than once is read faster."""
        end = np.cumsum(self.chars)
        code = np.empty(int(end[-1]) if len(end) else 0, np.uint32)
        _gather(self.code, self.begin, self.end, code)
        return Spans(code, end - self.chars, end)

    def equals(self, other: Spans) -> npt.NDArray[np.bool_]:
        """bool (n,): the texts that are those of n others, of the same code points."""
        same = np.zeros(len(self), bool)
        _equal(self.code, self.begin, self.end, other.begin, other.end, same)
        return same

    def trim(self) -> Spans:
        """Each without spaces (U+0020) at its ends."""
        begin, end = self.begin.copy(), self.end.copy()
        _trim(self.code, begin, end)
        return Spans(self.code, begin, end)

    def texts(self) -> pa.StringArray:
        """As strings."""
        offsets = np.zeros(len(self) + 1, np.int64)
        data = np.empty(4 * int(self.chars.sum()), np.uint8)  # what stays empty is never touched
        _encode(self.code, self.begin, self.end, offsets, data)
        return arrow.from_bytes(data[: offsets[-1]].copy(), offsets)


_LAST: Final = threading.local()
_LARGEST: Final = 32 << 20  # code points


def room(size: int) -> CodePoints:
    """An array for `size` code points or more: the one given last time in this thread, where nobody holds it any more. Touching
    memory that is new to a process takes longer than decoding into it."""
    last: CodePoints | None = getattr(_LAST, "array", None)
    if last is not None and len(last) >= size and sys.getrefcount(last) == 3:  # _LAST, `last`, and the argument
        return last
    made = np.empty(size, np.uint32)
    _LAST.array = made if size <= _LARGEST else None
    return made


def decode(texts: pa.StringArray) -> Spans:
    """The code points of a column; null rows are empty."""
    data, offsets = arrow.bytes_and_offsets(texts)
    code = np.empty(len(data), np.uint32)
    start = np.zeros(len(offsets), np.int64)
    total = _decode(data, offsets, code, start)
    return Spans(code[:total], start[:-1], start[1:])


@jit
def _code_point(data: Any, at: int, end: int) -> Any:
    """The code point that begins at a byte of 0x80 or above, and where the next one begins; U+FFFD where there is no UTF-8."""
    byte = np.uint32(data[at])
    size = 1 + (byte >= 0xC2) + (byte >= 0xE0) + (byte >= 0xF0) if byte < 0xF5 else 1
    if size == 1 or at + size > end:
        return np.uint32(0xFFFD), at + 1
    c = byte & np.uint32(0xFF >> (size + 1))
    for place in range(at + 1, at + size):
        following = np.uint32(data[place])
        if following & np.uint32(0xC0) != np.uint32(0x80):
            return np.uint32(0xFFFD), at + 1
        c = np.uint32((c << np.uint32(6)) | (following & np.uint32(0x3F)))
    if 0xD800 <= c < 0xE000 or c > 0x10FFFF:
        c = np.uint32(0xFFFD)
    return c, at + size


@jit
def _decode(data: Any, offsets: Any, code: Any, start: Any) -> int:
    total = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            if data[at] < 0x80:
                code[total] = data[at]
                at += 1
            else:
                code[total], at = _code_point(data, at, end)
            total += 1
        start[row + 1] = total
    return total


def read(
    data: npt.NDArray[np.uint8], begin: Ints, end: Ints, code: CodePoints, at: int, table: CodePoints
) -> tuple[Spans, int, CodePoints, CodePoints]:
    """Decodes texts and notes, on the way, which signs each holds.

    Args:
        data: UTF-8.
        begin, end: int64 (n,): where the texts lie in it.
        code: uint32, where their code points go; there must be room for as many as there are bytes.
        at: The place in `code` to begin at.
        table: uint32 (size,): the bits of each code point; the last entry is for all beyond.

    Returns:
        The texts; the place behind their last code point; uint32 (n,): all bits of the code points of each text, put together;
        and uint32 (n,): bits that a code point has where the one before it has the bit eight places above, put together.
    """
    start = np.empty(len(begin) + 1, np.int64)
    held, pairs = np.zeros(len(begin), np.uint32), np.zeros(len(begin), np.uint32)
    total = _read(data, begin, end, table, code, at, start, held, pairs)
    return Spans(code, start[:-1].copy(), start[1:].copy()), total, held, pairs


@jit
def _read(data: Any, begin: Any, end: Any, table: Any, code: Any, total: int, start: Any, held: Any, pairs: Any) -> int:
    beyond = np.uint32(len(table) - 1)
    for row in range(len(begin)):
        at, last = begin[row], end[row]
        start[row] = total
        all_here = all_pairs = before = np.uint32(0)
        while at < last:
            c = np.uint32(data[at])
            if c < 0x80:
                at += 1
            else:
                c, at = _code_point(data, at, last)
            code[total] = c
            total += 1
            here = table[min(c, beyond)]
            all_here |= here
            all_pairs |= (before >> np.uint32(8)) & here
            before = here
        held[row], pairs[row] = all_here, all_pairs
    start[len(begin)] = total
    return total


@jit
def _trim(code: Any, begin: Any, end: Any) -> None:
    for row in range(len(begin)):
        while begin[row] < end[row] and code[begin[row]] == 32:
            begin[row] += 1
        while end[row] > begin[row] and code[end[row] - 1] == 32:
            end[row] -= 1


def note(texts: Spans, table: CodePoints) -> tuple[CodePoints, CodePoints]:
    """What `read` notes, of texts that are decoded: both uint32 (n,)."""
    held, pairs = np.zeros(len(texts), np.uint32), np.zeros(len(texts), np.uint32)
    _note(texts.code, texts.begin, texts.end, table, held, pairs)
    return held, pairs


@jit
def _note(code: Any, begin: Any, end: Any, table: Any, held: Any, pairs: Any) -> None:
    beyond = np.uint32(len(table) - 1)
    for row in range(len(begin)):
        all_here = all_pairs = before = np.uint32(0)
        for at in range(begin[row], end[row]):
            here = table[min(code[at], beyond)]
            all_here |= here
            all_pairs |= (before >> np.uint32(8)) & here
            before = here
        held[row], pairs[row] = all_here, all_pairs


@jit
def _gather(code: Any, begin: Any, end: Any, out: Any) -> None:
    place = 0
    for row in range(len(begin)):
        for at in range(begin[row], end[row]):
            out[place] = code[at]
            place += 1


@jit
def _equal(code: Any, begin: Any, end: Any, begins: Any, ends: Any, same: Any) -> None:
    for row in range(len(begin)):
        size = end[row] - begin[row]
        equal = ends[row] - begins[row] == size
        at = 0
        while equal and at < size:
            equal = code[begin[row] + at] == code[begins[row] + at]
            at += 1
        same[row] = equal


@jit
def _encode(code: Any, begin: Any, end: Any, offsets: Any, data: Any) -> None:
    for row in range(len(begin)):
        place = offsets[row]
        for at in range(begin[row], end[row]):
            c = code[at]
            if c < 0x80:
                data[place] = c
                place += 1
            elif c < 0x800:
                data[place] = 0xC0 | (c >> np.uint32(6))
                data[place + 1] = 0x80 | (c & np.uint32(0x3F))
                place += 2
            elif c < 0x10000:
                data[place] = 0xE0 | (c >> np.uint32(12))
                data[place + 1] = 0x80 | ((c >> np.uint32(6)) & np.uint32(0x3F))
                data[place + 2] = 0x80 | (c & np.uint32(0x3F))
                place += 3
            else:
                data[place] = 0xF0 | (c >> np.uint32(18))
                data[place + 1] = 0x80 | ((c >> np.uint32(12)) & np.uint32(0x3F))
                data[place + 2] = 0x80 | ((c >> np.uint32(6)) & np.uint32(0x3F))
                data[place + 3] = 0x80 | (c & np.uint32(0x3F))
                place += 4
        offsets[row + 1] = place
