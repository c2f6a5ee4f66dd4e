"""Kernels for other font sizes: CLIPPO resamples each 16 x 16 glyph by area before it trims it.

The original calls TensorFlow's `ResizeArea` (its `antialias` argument does nothing for "area"). Which float32
operations it does, and in
which order, decides single grey levels, and whether a sliver of weight counts as ink; so the same are done here:
tensorflow/core/kernels/image/resize_area_op.cc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._layout import find_glyphs, place, widest
from .jit import jit

Array = Any
CELL = 16


def area_weights(size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """What each of `size` target pixels takes from the 16 source pixels.

    Returns:
        first and one past the last source pixel, int64 (size,) each; the end may be 17 through rounding, and source pixel 16 then
        means 15, as in the original. Weights float32 (size, 17 or less), by the distance from `first`.
    """
    scale = np.float32(CELL) / np.float32(size)
    starts, ends, rows = [], [], []
    for i in range(size):
        low, high = np.float32(i) * scale, np.float32(i + 1) * scale
        start, end = int(np.floor(low)), int(np.ceil(high))
        weights = []
        for source in range(start, end):
            inside = np.float32(source + 1) > high
            if np.float32(source) < low:
                weights.append(scale if inside else np.float32(source + 1) - low)
            else:
                weights.append(high - np.float32(source) if inside else np.float32(1))
        starts.append(start)
        ends.append(end)
        rows.append(weights)
    table = np.zeros((size, max(map(len, rows))), np.float32)
    for i, weights in enumerate(rows):
        table[i, : len(weights)] = weights
    return np.array(starts), np.array(ends), table


def resampled_ink(size: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """First target column that touches source column c, and last, int16 (16,) each: where resampled ink begins and ends."""
    starts, ends, _ = area_weights(size)
    last_source = np.minimum(ends - 1, CELL - 1)
    first = [int(np.flatnonzero((starts <= c) & (last_source >= c))[0]) for c in range(CELL)]
    last = [int(np.flatnonzero((starts <= c) & (last_source >= c))[-1]) for c in range(CELL)]
    return np.array(first, np.int16), np.array(last, np.int16)


@jit
def render_grey(
    data: Array,
    offsets: Array,
    surrogates: Array,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    rows: Array,
    firsts: Array,
    widths: Array,
    width: int,
    height: int,
    size: int,
    starts: Array,
    ends: Array,
    weights: Array,
    norm: Any,
    background: int,
    text: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    out: Array,
) -> tuple[int, int]:
    """All texts as grey levels: uint8 `out` (n, height * width).

    Args:
        rows: uint16 (n, 16), whole glyphs. firsts: int16 (n,), first target column kept. widths: uint16 (n,), columns kept.
        size: pixels of a cell. starts, ends, weights: area_weights(size). norm: float32, 1 / (area of a target pixel).
        The rest as in _draw.render_pixels.

    Returns:
        as count_fitting.
    """
    contrast = np.float32(text - background)
    base = np.float32(background)
    last_line = (height + size - 1) // size - 1
    for row in range(len(offsets) - 1):
        target = out[row]
        target[:] = background
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
        if count == 0:
            continue
        most = widest(glyphs, count, widths)
        if most >= width:
            return row, most
        for i in range(place(glyphs, count, widths, width - most, last_line, xs, lines)):
            glyph = rows[glyphs[i]]
            first = int(firsts[glyphs[i]])
            top = int(lines[i]) * size
            for y in range(min(size, height - top)):
                at = (top + y) * width + xs[i]
                for x in range(int(widths[glyphs[i]])):
                    column = first + x
                    total = np.float32(0)
                    for v in range(starts[y], ends[y]):
                        bits = int(glyph[min(v, 15)])
                        part = np.float32(0)
                        for u in range(starts[column], ends[column]):
                            if bits >> (15 - min(u, 15)) & 1:
                                part += weights[column, u - starts[column]]
                        total += part * weights[y, v - starts[y]]
                    target[at + x] = np.uint8(int(total * norm * contrast + base))
    return -1, 0
