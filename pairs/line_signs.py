"""Where the lines of documents lie, and which signs each holds: two compiled passes, so that patterns and repairs run only where
they can find something.

`outline` looks at bytes for line ends and for what must be repaired before a document is cut; `table` is what `spans.read` notes
while it decodes the lines, `about` what follows from that for their repairs and for what they are.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow, normalise
from pairs.jit import jit
from pairs.spans import Spans

Ints = npt.NDArray[np.int64]
UInt32 = npt.NDArray[np.uint32]
UInt8 = npt.NDArray[np.uint8]

# Of documents.
AMP, TAG, SQUARE = 1, 2, 4
_END = 64

# Of lines: pairs of code points (see `spans.read`), single ones, what the line is or may be.
MOJIBAKE: Final = (1, 2, 4)
TWO_SPACES, FAT_ARROW, TWO_MARKS = 8, 16, 32
NOT_NFC, ODD_SPACE, DAMAGED, CODE_SIGN, PAREN, BARS, INVISIBLE = (1 << bit for bit in range(16, 23))
LIST, CODE, CODE_LIKE, NAVIGATION, NAVIGATION_LIKE = (1 << bit for bit in range(24, 29))
DAMAGE: Final = sum(MOJIBAKE) | DAMAGED
COMPOSE: Final = NOT_NFC | TWO_MARKS
SPACES: Final = TWO_SPACES | ODD_SPACE | INVISIBLE
_CUT: Final = 0x30000


@functools.cache
def table() -> UInt32:
    """uint32 (0x30001,): the bits of each code point; the last entry is for all beyond."""
    found = np.zeros(_CUT + 1, np.uint32)
    for bit, (leads, trails) in zip(MOJIBAKE, normalise.mojibake_pairs(), strict=True):
        found[sorted(leads)] |= bit << 8
        found[sorted(trails)] |= bit
    found[0x80:0xA0] |= DAMAGED
    found[ord(" ")] |= TWO_SPACES | TWO_SPACES << 8
    found[ord("=")] |= FAT_ARROW << 8
    found[ord(">")] |= FAT_ARROW
    found[[ord(sign) for sign in "{};=>(<#/$"]] |= CODE_SIGN
    found[ord("(")] |= PAREN
    found[[ord(sign) for sign in "|›→·•"]] |= BARS
    found[sorted(normalise.not_nfc())] |= NOT_NFC
    found[sorted(normalise.ordered_marks())] |= TWO_MARKS | TWO_MARKS << 8
    found[_CUT] |= NOT_NFC | INVISIBLE  # no letter of today is there
    codes = np.array([code for code in range(_CUT) if not 0xD800 <= code < 0xE000])
    every = pa.array(list(map(chr, codes)), pa.string())
    for pattern, bit in ((normalise.INVISIBLE, INVISIBLE), (normalise.ODD_SPACES, ODD_SPACE)):
        found[codes[arrow.mask(arrow.matches(every, pattern))]] |= bit
    found.setflags(write=False)
    return found


@functools.cache
def _bytes() -> UInt8:
    """uint8 (256,): the bits of bytes that begin something `outline` looks for."""
    table = np.zeros(256, np.uint8)
    table[ord("&")], table[ord("<")], table[ord("[")] = AMP, TAG, SQUARE
    table[[0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0xC2, 0xE2]] = _END
    table.setflags(write=False)
    return table


def outline(texts: pa.StringArray) -> tuple[UInt8, Ints, Ints, Ints, Ints, UInt8]:
    """Where the lines of documents lie, every kind of line end counted.

    Args:
        texts: n documents, none null.

    Returns:
        The documents' bytes; of the m lines that hold more than spaces int64 (m,) first byte, byte behind the last (spaces at the
        ends left out), document and number in it (all lines counted); and uint8 (n,), `AMP`, `TAG` and `SQUARE` of each document.
    """
    data, offsets = arrow.bytes_and_offsets(texts)
    held = np.zeros(len(texts), np.uint8)
    room = len(data) // 2 + len(texts) + 1
    begin, end, doc, number = (np.empty(room, np.int64) for _ in range(4))
    total = _outline(data, offsets, _bytes(), held, begin, end, doc, number)
    return data, begin[:total], end[:total], doc[:total], number[:total], held


@jit
def _outline(data: Any, offsets: Any, table: Any, held: Any, begin: Any, end: Any, doc: Any, number: Any) -> int:
    total = 0
    for row in range(len(offsets) - 1):
        first, last = offsets[row], offsets[row + 1]
        signs = np.uint8(0)
        line = 0
        at = first
        while at <= last:
            while at < last and table[data[at]] == 0:
                at += 1
            size = 1
            if at < last:
                byte = data[at]
                here = table[byte]
                if here != 64:
                    if here != 4 or (at + 1 < last and data[at + 1] == 0x3A):  # [:
                        signs |= here
                    at += 1
                    continue
                if byte == 0xC2:
                    if at + 1 >= last or data[at + 1] != 0x85:
                        at += 1
                        continue
                    size = 2
                elif byte == 0xE2:
                    if at + 2 >= last or data[at + 1] != 0x80 or (data[at + 2] != 0xA8 and data[at + 2] != 0xA9):
                        at += 1
                        continue
                    size = 3
                elif byte == 0x0D and at + 1 < last and data[at + 1] == 0x0A:
                    size = 2
            stop = at
            while first < stop and data[first] == 0x20:
                first += 1
            while stop > first and data[stop - 1] == 0x20:
                stop -= 1
            if stop > first:
                begin[total], end[total], doc[total], number[total] = first, stop, row, line
                total += 1
            line += 1
            at += size
            first = at
        held[row] = signs
    return total


def about(lines: Spans, held: UInt32, pairs: UInt32) -> UInt32:
    """uint32 (m,): the bits of each line, from the signs that `spans.read` noted with `table()` and how it begins and ends."""
    found = np.zeros(len(lines), np.uint32)
    _all(lines.code, lines.begin, lines.end, held, pairs, found)
    return found


@jit
def _all(code: Any, begin: Any, end: Any, held: Any, pairs: Any, found: Any) -> None:
    for line in range(len(begin)):
        found[line] = _about(code, begin[line], end[line], held[line], pairs[line])


@jit
def plain_spaces(code: Any, begin: Any, end: Any, table: Any, total: int) -> None:
    """Writes lines again from `total` on, as `normalise.spaces` does, and moves `begin` and `end` there: invisible characters gone,
    every run of spaces one, none at the ends."""
    beyond = np.uint32(len(table) - 1)
    for line in range(len(begin)):
        first = total
        waiting = False
        for at in range(begin[line], end[line]):
            c = code[at]
            here = table[min(c, beyond)]
            if here & np.uint32(1 << 22) and (
                c < beyond or (c >= 0xF0000 and c & 0xFFFF < 0xFFFE)
            ):  # INVISIBLE; or private
                continue
            if c == 32 or here & np.uint32(1 << 17):  # ODD_SPACE
                waiting = True
                continue
            if waiting and total > first:
                code[total] = 32
                total += 1
            waiting = False
            code[total] = c
            total += 1
        begin[line], end[line] = first, total


@jit
def _about(code: Any, first: int, end: int, signs: Any, pairs: Any) -> Any:
    """A line's bits: what was noted of its code points, and how it begins and ends."""
    found = (signs & np.uint32(0x7F0000)) | (pairs & np.uint32(0x3F))
    if first == end:
        return found
    if _is_item(code, first, end):
        found |= np.uint32(1 << 24)
    if signs & np.uint32(1 << 21):  # BARS
        bars = angles = arrows = dots = 0
        for at in range(first, end):
            c = code[at]
            bars += c == 0x7C
            angles += c == 0x203A
            arrows += c == 0x2192
            dots += (
                (c == 0xB7 or c == 0x2022) and at > first and code[at - 1] == 32 and at + 1 < end and code[at + 1] == 32
            )
        if bars >= 2 or angles >= 2 or arrows >= 2:
            found |= np.uint32(1 << 27)
        elif dots >= 3:
            found |= np.uint32(1 << 28)
    last, c = code[end - 1], code[first]
    if last == 0x7B or last == 0x7D or last == 0x3B or pairs & np.uint32(16):  # { } ; =>
        found |= np.uint32(1 << 25)
    elif signs & np.uint32(1 << 19):  # CODE_SIGN
        like = c == 0x23 or c == 0x3C or c == 0x2F or c == 0x24  # # < / $
        if end - first > 4:
            second = code[first + 1]
            like |= (c == 0x64 and second == 0x65) or (c == 0x70 and second == 0x75)  # def, public
        if signs & np.uint32(1 << 20):  # PAREN: function (
            for at in range(first + 8, end):
                if code[at] != 0x28:
                    continue
                near = at - 1 if code[at - 1] != 32 else at - 2
                like |= code[near] == 0x6E and code[near - 1] == 0x6F and code[near - 2] == 0x69
        if like:
            found |= np.uint32(1 << 26)
    if c == 0x69 and end - first > 7 and code[first + 1] == 0x6D and code[first + 2] == 0x70:  # import
        found |= np.uint32(1 << 26)
    return found


@jit
def _is_item(code: Any, at: int, end: int) -> bool:
    """Whether a line begins as an item of a list: a bullet, a dash, 1. or (iv) or a)."""
    c = code[at]
    following = code[at + 1] if at + 1 < end else np.uint32(0)
    if c < 0x80:
        if c == 0x2A or c == 0x23:  # * #
            return True
        if c == 0x2D:  # -
            return bool(following == 32)
        if 0x61 <= c <= 0x7A and following == 0x29 and at + 2 < end and code[at + 2] == 32:
            return True
        at += c == 0x28  # (
        size = 0
        while at < end and size < 4 and (0x30 <= code[at] <= 0x39 or code[at] in (0x69, 0x76, 0x78)):
            at += 1
            size += 1
        return 1 <= size <= 3 and at + 1 < end and (code[at] == 0x2E or code[at] == 0x29) and code[at + 1] == 32
    if c == 0x2013 or c == 0x2014:
        return bool(following == 32)
    # • · ▪ ► ● ○ ◦ ‣ » › → ✓ ✔ ■ ◆
    return c in (
        0xB7, 0xBB, 0x203A, 0x2022, 0x2023, 0x2192, 0x25A0, 0x25AA, 0x25BA, 0x25C6, 0x25CB, 0x25CF, 0x25E6, 0x2713, 0x2714,
    )  # fmt: skip
