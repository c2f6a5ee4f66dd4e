"""Which signs a text holds, in one pass over a column's bytes: so that a pattern is searched only where it can be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow
from pairs.jit import jit

Bools = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.uint32]

AMP, TAG, AT, SLASHES, WWW, BAR, BRACE, SQUARE, EQUALS, BACKSLASH, QUOTES, PAREN = (1 << bit for bit in range(12))
NON_ASCII, LINE_END, INVISIBLE, SPACES, ARROW = (1 << bit for bit in range(12, 17))

_BYTES: Final = {
    AMP: "&",
    TAG: "<",
    AT: "@",
    BAR: "|",
    BRACE: "{}",
    SQUARE: "[",
    EQUALS: "=",
    BACKSLASH: "\\",
    PAREN: "(",
}
_LOOK: Final = 1 << 31  # this byte may begin a sign of several bytes


def _table() -> Signs:
    table = np.zeros(256, np.uint32)
    for bit, characters in _BYTES.items():
        for character in characters:
            table[ord(character)] |= bit
    table[0x80:] |= NON_ASCII
    table[[0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E]] |= LINE_END
    table[[*range(0x09), *range(0x0E, 0x1C), 0x7F]] |= INVISIBLE
    table[[0x09, 0x1F]] |= SPACES
    table[[0xEE, 0xF3, 0xF4]] |= INVISIBLE
    for byte in (*b"/wW'", 0xC2, 0xD8, 0xE1, 0xE2, 0xE3, 0xEF):
        table[byte] |= _LOOK
    return table


_TABLE: Final = _table()


@jit
def _scan(data: Any, offsets: Any, table: Any, found: Any) -> None:
    look = np.uint32(1 << 31)
    for row in range(len(offsets) - 1):
        signs = np.uint32(0)
        before = np.uint8(0)
        end = offsets[row + 1]
        for at in range(offsets[row], end):
            byte = data[at]
            here = table[byte]
            signs |= here
            if byte == 0x20 and before == 0x20:
                signs |= np.uint32(0x8000)
            before = byte
            if here & look and at + 1 < end:
                second = data[at + 1]
                third = data[at + 2] if at + 2 < end else np.uint8(0)
                if byte == 0x2F:
                    if second == 0x2F:
                        signs |= np.uint32(0x08)
                elif byte == 0x77 or byte == 0x57:
                    if second == 0x77 or second == 0x57:
                        signs |= np.uint32(0x10)
                elif byte == 0x27:
                    if second == 0x27:
                        signs |= np.uint32(0x400)
                elif byte == 0xC2:
                    if second == 0x85:
                        signs |= np.uint32(0x2000)
                    elif second < 0xA0 or second == 0xAD:
                        signs |= np.uint32(0x4000)
                    elif second == 0xA0:
                        signs |= np.uint32(0x8000)
                elif byte == 0xE2:
                    if second == 0x80:
                        if third <= 0x8A or third == 0xAF:
                            signs |= np.uint32(0x8000)
                        elif third == 0xA8 or third == 0xA9:
                            signs |= np.uint32(0x2000)
                        elif third in (0x8B, 0x8E, 0x8F) or 0xAA <= third <= 0xAE:
                            signs |= np.uint32(0x4000)
                    elif second == 0x81:
                        signs |= np.uint32(0xC000)
                    elif second == 0x86:
                        signs |= np.uint32(0x10000)
                elif byte == 0xE3:
                    if second == 0x80 and third == 0x80:
                        signs |= np.uint32(0x8000)
                elif byte == 0xE1:
                    if second in (0x9A, 0xA0):
                        signs |= np.uint32(0xC000)
                elif byte == 0xD8:
                    if second == 0x9C:
                        signs |= np.uint32(0x4000)
                elif byte == 0xEF and (second >= 0xB7 or second < 0xA4):
                    signs |= np.uint32(0x4000)
        found[row] = signs & ~look


def scan(column: pa.StringArray) -> Signs:
    """uint32 (n,): the signs of each text, as bits; a bit that stands may be for more than its pattern takes, never for less."""
    data, offsets = arrow.bytes_and_offsets(column)
    found = np.zeros(len(column), np.uint32)
    _scan(data, offsets, _TABLE, found)
    return found


def change(column: pa.StringArray, rows: Bools, function: Callable[[pa.StringArray], pa.StringArray]) -> pa.StringArray:
    """The column with a function applied to the marked rows alone."""
    if not rows.any():
        return column
    if rows.all():
        return function(column)
    marked = pa.array(rows)
    return pc.replace_with_mask(column, marked, function(column.filter(marked)))


def matches(column: pa.StringArray, rows: Bools, pattern: str) -> Bools:
    """Where RE2 finds the pattern among the marked rows."""
    found = np.zeros(len(column), bool)
    if rows.any():
        found[rows] = arrow.mask(arrow.matches(column.filter(pa.array(rows)), pattern))
    return found
