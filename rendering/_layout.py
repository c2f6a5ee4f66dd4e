"""Kernels: UTF-8 -> glyphs -> places on the canvas. The rules are CLIPPO's, numbered as in docs/rendering.md."""

from __future__ import annotations

from typing import Any

from .jit import jit

Array = Any  # numba sees the dtypes that the docstrings name

REPLACEMENT = 0xFFFD


@jit
def next_code_point(data: Array, at: int, end: int, surrogates: int) -> tuple[int, int]:
    """One code point of data[at:end] (uint8, at < end) and where the next begins.

    Decodes as Python's `bytes.decode("utf-8", "replace")` does: the longest prefix of a sequence that could still be valid
    becomes one U+FFFD (Unicode standard, 3.9, "substitution of maximal subparts"). With `surrogates`, U+D800 to U+DFFF in three
    bytes are code points.
    """
    lead = int(data[at])
    at += 1
    if lead < 0x80:
        return lead, at
    low, high = 0x80, 0xBF  # what the second byte may be
    if 0xC2 <= lead <= 0xDF:
        more, point = 1, lead & 0x1F
    elif 0xE0 <= lead <= 0xEF:
        more, point = 2, lead & 0x0F
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED and surrogates == 0:
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        more, point = 3, lead & 0x07
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    else:
        return REPLACEMENT, at
    for _ in range(more):
        if at >= end or data[at] < low or data[at] > high:
            return REPLACEMENT, at
        point = point << 6 | (data[at] & 0x3F)
        at += 1
        low, high = 0x80, 0xBF
    return point, at


@jit
def find_glyphs(
    data: Array, start: int, end: int, surrogates: int, limit: int, index: Array, ascii_index: Array, glyphs: Array
) -> int:
    """Rules 1 to 3: writes the glyph of each kept code point into `glyphs` (int32) and returns how many there are.

    Args:
        data: uint8, UTF-8. start, end: the text in it. surrogates: see next_code_point.
        limit: code points to keep, at most len(glyphs).
        index: int32 (0x110000,), glyph of a code point. ascii_index: int32 (128,), the same after lower-casing.
        glyphs: int32, filled from 0.
    """
    count = 0
    at = start
    while at < end and count < limit:
        byte = data[at]
        if byte < 0x80:
            glyphs[count] = ascii_index[byte]
            at += 1
        else:
            point, at = next_code_point(data, at, end, surrogates)
            glyphs[count] = index[point]
        count += 1
    return count


@jit
def widest(glyphs: Array, count: int, widths: Array) -> int:
    """The greatest of widths[glyphs[:count]], 0 for none: over all kept glyphs, drawn or not (rule 6)."""
    most = 0
    for i in range(count):
        most = max(most, int(widths[glyphs[i]]))
    return most


@jit
def place(glyphs: Array, count: int, widths: Array, room: int, last_line: int, xs: Array, lines: Array) -> int:
    """Rule 6: the line of a glyph is its inclusive cumulative width // room; each line starts at x = 0.

    Args:
        glyphs, count, widths: as in `widest`.
        room: canvas width less the widest glyph, > 0.
        last_line: stop before the first glyph on a later line.
        xs, lines: int32, the left edge (pixels) and the line of each placed glyph.

    Returns:
        how many glyphs were placed. Lines ascend; one may be skipped when a glyph is wider than `room`.
    """
    if last_line < 0:
        return 0
    line = 0
    total = 0
    x = 0
    boundary = room
    for i in range(count):
        width = int(widths[glyphs[i]])
        total += width
        if total >= boundary:
            line = total // room
            boundary = (line + 1) * room
            x = 0
            if line > last_line:
                return i
        xs[i] = x
        lines[i] = line
        x += width
    return count


@jit
def count_fitting(
    data: Array,
    offsets: Array,
    surrogates: Array,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    widths: Array,
    width: int,
    lines_whole: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    out: Array,
) -> tuple[int, int]:
    """For each text the number of code points on lines that the canvas shows whole (int32 `out`).

    Returns:
        (-1, 0), or (row, widest glyph) of the first text whose widest glyph is not narrower than the canvas.
    """
    for row in range(len(offsets) - 1):
        count = find_glyphs(
            data,
            offsets[row],
            offsets[row + 1],
            surrogates[row],
            min(max_chars, len(glyphs)),
            index,
            ascii_index,
            glyphs,
        )
        most = widest(glyphs, count, widths)
        if count and most >= width:
            return row, most
        out[row] = place(glyphs, count, widths, width - most, lines_whole - 1, xs, lines)
    return -1, 0


@jit
def count_lines(
    data: Array,
    offsets: Array,
    surrogates: Array,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    widths: Array,
    width: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    out: Array,
) -> tuple[int, int]:
    """For each text the lines that it takes on a canvas without an end (int32 `out`). Returns as count_fitting."""
    for row in range(len(offsets) - 1):
        count = find_glyphs(
            data,
            offsets[row],
            offsets[row + 1],
            surrogates[row],
            min(max_chars, len(glyphs)),
            index,
            ascii_index,
            glyphs,
        )
        most = widest(glyphs, count, widths)
        if count and most >= width:
            return row, most
        placed = place(glyphs, count, widths, width - most, 1 << 30, xs, lines)
        out[row] = lines[placed - 1] + 1 if placed else 0
    return -1, 0


@jit
def count_code_points(data: Array, offsets: Array, surrogates: Array, out: Array) -> None:
    """For each text its code points (int32 `out`), invalid UTF-8 counted as it is decoded."""
    for row in range(len(offsets) - 1):
        at = offsets[row]
        count = 0
        while at < offsets[row + 1]:
            _, at = next_code_point(data, at, offsets[row + 1], surrogates[row])
            count += 1
        out[row] = count
