"""Kernels for a cell of 16 pixels, where a pixel is ink or not: bit planes, then packed bits or grey levels.

A bit plane is uint64 (lines, words, 16): pixel (x, 16 * line + r) is bit 63 - x % 64 of plane[line, x // 64, r]. The sixteen
rows of a word lie side by side, so that placing a glyph is one shift-and-or over them, which compilers turn into vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._layout import find_glyphs, place, widest
from ._memory import store_big_endian, store_native
from .jit import jit

Array = Any


@jit
def draw_plane(
    data: Array,
    start: int,
    end: int,
    surrogates: int,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    rows: Array,
    widths: Array,
    width: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    plane: Array,
) -> tuple[int, int]:
    """Draws one text into `plane`.

    Args:
        data to max_chars: see find_glyphs. rows: uint16 (n, 16), trimmed glyphs, bit 15 = leftmost pixel. widths: uint8 (n,).
        width: pixels of the canvas. glyphs, xs, lines: int32 scratch, as long as the longest text in code points.
        plane: uint64 (lines, words, 16); cleared as far as it is used.

    Returns:
        (lines used, 0); or (-1, widest) if the widest glyph is not narrower than the canvas.
    """
    count = find_glyphs(data, start, end, surrogates, min(max_chars, len(glyphs)), index, ascii_index, glyphs)
    if count == 0:
        return 0, 0
    most = widest(glyphs, count, widths)
    if most >= width:
        return -1, most
    placed = place(glyphs, count, widths, width - most, plane.shape[0] - 1, xs, lines)
    if placed == 0:  # the first glyph alone may lie below the canvas
        return 0, 0
    used = lines[placed - 1] + 1
    plane[:used] = 0
    for i in range(placed):
        x = np.uint64(xs[i])
        word = x >> np.uint64(6)
        shift = x & np.uint64(63)
        glyph = rows[glyphs[i]]
        here = plane[lines[i], word]
        for r in range(16):
            here[r] |= np.uint64(glyph[r]) << np.uint64(48) >> shift
        if shift > 48:
            there = plane[lines[i], word + np.uint64(1)]
            for r in range(16):
                there[r] |= np.uint64(glyph[r]) << (np.uint64(112) - shift)
    return used, 0


@jit
def plane_to_rows(plane: Array, used: int, height: int, stride: int, lead: int, out: Array) -> int:
    """Writes the used lines as rows of bytes, each `lead` zero bytes and then `stride` bytes of eight pixels.

    Args:
        plane, used: from draw_plane. height: pixels; a line may be cropped by it. stride: ceil(width / 8).
        out: uint8, at least rows * (lead + stride) + 8 bytes.

    Returns:
        the rows written, min(16 * used, height).
    """
    rows = min(16 * used, height)
    at = 0
    words = (stride + 7) // 8
    for y in range(rows):
        for k in range(lead):
            out[at + k] = 0
        at += lead
        for k in range(words):
            store_big_endian(out, at + 8 * k, plane[y >> 4, k, y & 15])
        at += stride
    return rows


@jit
def render_bits(
    data: Array,
    offsets: Array,
    surrogates: Array,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    rows: Array,
    widths: Array,
    width: int,
    height: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    plane: Array,
    scratch: Array,
    out: Array,
) -> tuple[int, int]:
    """All texts as packed bits, row-major without gaps between rows: uint8 `out` (n, ceil(height * width / 8)).

    `scratch` is uint8 of height * ceil(width / 8) + 8 bytes. Returns as count_fitting.
    """
    stride = (width + 7) // 8
    for row in range(len(offsets) - 1):
        used, most = draw_plane(
            data, offsets[row], offsets[row + 1], surrogates[row], max_chars, index, ascii_index, rows, widths, width, glyphs,
            xs, lines, plane,
        )  # fmt: skip
        if used < 0:
            return row, most
        drawn = plane_to_rows(plane, used, height, stride, 0, scratch)
        target = out[row]
        size = drawn * stride
        if width % 8 == 0:
            target[:size] = scratch[:size]
            target[size:] = 0
            continue
        target[:] = 0
        for y in range(drawn):
            bit = y * width
            shift = bit & 7
            for k in range(stride):
                byte = (bit >> 3) + k
                value = int(scratch[y * stride + k])
                target[byte] |= np.uint8(value >> shift)
                if shift and byte + 1 < len(target):
                    target[byte + 1] |= np.uint8((value << (8 - shift)) & 255)
    return -1, 0


@jit
def render_pixels(
    data: Array,
    offsets: Array,
    surrogates: Array,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    rows: Array,
    widths: Array,
    width: int,
    height: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    plane: Array,
    eight: Array,
    background: int,
    out: Array,
) -> tuple[int, int]:
    """All texts as grey levels: uint8 `out` (n, height * width).

    `eight` is uint64 (256,): the eight pixels of each byte of bits, in memory order. Returns as count_fitting.
    """
    full = width // 8
    for row in range(len(offsets) - 1):
        used, most = draw_plane(
            data, offsets[row], offsets[row + 1], surrogates[row], max_chars, index, ascii_index, rows, widths, width, glyphs,
            xs, lines, plane,
        )  # fmt: skip
        if used < 0:
            return row, most
        target = out[row]
        drawn = min(16 * used, height)
        at = 0
        for y in range(drawn):
            for k in range(full):
                word = plane[y >> 4, k >> 3, y & 15]
                byte = (word >> np.uint64(56 - 8 * (k & 7))) & np.uint64(255)
                store_native(target, at + 8 * k, eight[byte])
            for x in range(8 * full, width):
                word = plane[y >> 4, x >> 6, y & 15]
                bit = (word >> np.uint64(63 - (x & 63))) & np.uint64(1)
                target[at + x] = np.uint8(eight[bit * np.uint64(255)] & np.uint64(255))
            at += width
        target[at:] = background
    return -1, 0
