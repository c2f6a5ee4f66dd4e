"""CLIPPO's text rendering as a plain Python loop, rule by rule: what the kernels are held against.

Slow on purpose and independent of `rendering`: it shares no code and no table with it. The rules and their numbers are those of
docs/rendering.md.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

CELL = 16


def read_hex(*paths: Path) -> dict[int, list[int]]:
    """Glyphs of `.hex` or `.hex.gz` files: code point -> 16 rows, each an int of 16 bits, the leftmost pixel highest."""
    glyphs: dict[int, list[int]] = {}
    for path in paths:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            for line in file:
                point, digits = line.strip().split(":")
                step = len(digits) // 16
                rows = [int(digits[i : i + step], 16) for i in range(0, len(digits), step)]
                glyphs[int(point, 16)] = [row << (16 - 4 * step) for row in rows]
    return glyphs


def code_points(text: str | bytes, lower: bool, max_chars: int) -> list[int]:
    """Rules 1 to 3. A str is taken as its code points, lone surrogates among them."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    points = [ord(character) for character in text]
    if lower:
        points = [point + 32 if 65 <= point <= 90 else point for point in points]
    return points[:max_chars] if max_chars else points


def area(size: int) -> list[list[tuple[int, np.float32]]]:
    """For each of `size` target pixels, the source pixels of 16 it takes from and their weights (TensorFlow's ResizeArea)."""
    scale = np.float32(16) / np.float32(size)
    found = []
    for i in range(size):
        low, high = np.float32(i) * scale, np.float32(i + 1) * scale
        parts = []
        source = int(low)
        while np.float32(source) < high:
            if np.float32(source) < low:
                weight = scale if source + 1 > high else np.float32(source + 1) - low
            else:
                weight = high - np.float32(source) if source + 1 > high else np.float32(1)
            parts.append((min(source, 15), weight))
            source += 1
        found.append(parts)
    return found


def resample(rows: list[int], size: int) -> list[list[np.float32]]:
    """A glyph as size x size shares of ink, float32, in ResizeArea's order of operations."""
    if size == CELL:
        return [[np.float32(row >> (15 - c) & 1) for c in range(CELL)] for row in rows]
    scale = np.float32(16) / np.float32(size)
    norm = np.float32(1.0 / float(scale * scale))
    parts = area(size)
    found = []
    for y in range(size):
        line = []
        for x in range(size):
            total = np.float32(0)
            for row, high in parts[y]:
                share = np.float32(0)
                for column, wide in parts[x]:
                    share += np.float32(rows[row] >> (15 - column) & 1) * wide
                total += share * high
            line.append(total * norm)
        found.append(line)
    return found


def kept_columns(inked: list[int], size: int, monospace: bool, spacing: int, min_width: int) -> tuple[int, int]:
    """Rule 5: the first column kept and one past the last. `inked`: the columns with ink, ascending."""
    if monospace:
        return 0, size
    first, last = (inked[0], inked[-1]) if inked else (0, 0)
    first = max(first - spacing, 0)
    last = max(last + spacing, first + min_width)
    return first, min(last, size)


def layout(widths: list[int], width: int) -> list[tuple[int, int]] | None:
    """Rule 6: (line, x) of each glyph; None where the original fails, with a glyph not narrower than the canvas."""
    if not widths:
        return []
    room = width - max(widths)
    if room <= 0:
        return None
    found = []
    total = x = before = 0
    for columns in widths:
        total += columns
        line = total // room
        if line != before:
            x, before = 0, line
        found.append((line, x))
        x += columns
    return found


def render(
    text: str | bytes,
    glyphs: dict[int, list[int]],
    *,
    width: int = 224,
    height: int = 224,
    font_size: int = 16,
    max_chars: int = 768,
    background: int = 127,
    text_level: int = 0,
    lower: bool = True,
    monospace: bool = False,
    spacing: int = 1,
    min_width: int = 4,
) -> tuple[np.ndarray, int] | None:
    """One text as (uint8 (height, width), code points on lines that are whole on the canvas); None where the original fails."""
    blank = [0] * CELL
    shapes = [glyphs.get(point, blank) for point in code_points(text, lower, max_chars)]
    if font_size != CELL:
        return _render_grey(shapes, width, height, font_size, background, text_level, monospace, spacing, min_width)
    kept = []
    for rows in shapes:
        used = 0
        for row in rows:
            used |= row
        inked = [column for column in range(CELL) if used >> (15 - column) & 1]
        kept.append(kept_columns(inked, CELL, monospace, spacing, min_width))
    places = layout([last - first for first, last in kept], width)
    if places is None:
        return None
    canvas = bytearray([background]) * (width * height)
    fitted = 0
    for rows, (first, last), (line, x) in zip(shapes, kept, places, strict=True):
        if (line + 1) * CELL <= height:
            fitted += 1
        for y in range(line * CELL, min((line + 1) * CELL, height)):
            row = rows[y - line * CELL]
            for column in range(first, last):
                if row >> (15 - column) & 1:
                    canvas[y * width + x + column - first] = text_level
    return np.frombuffer(canvas, np.uint8).reshape(height, width), fitted


def _render_grey(
    shapes: list[list[int]], width: int, height: int, size: int, background: int, level: int, monospace: bool, spacing: int,
    min_width: int,
) -> tuple[np.ndarray, int] | None:  # fmt: skip
    grey = [resample(rows, size) for rows in shapes]
    kept = []
    for share in grey:
        inked = [column for column in range(size) if any(line[column] for line in share)]
        kept.append(kept_columns(inked, size, monospace, spacing, min_width))
    places = layout([last - first for first, last in kept], width)
    if places is None:
        return None
    canvas = np.full((height, width), background, np.uint8)
    fitted = 0
    for share, (first, last), (line, x) in zip(grey, kept, places, strict=True):
        if (line + 1) * size <= height:
            fitted += 1
        for y in range(line * size, min((line + 1) * size, height)):
            for column in range(first, last):
                value = share[y - line * size][column] * np.float32(level - background) + np.float32(background)
                canvas[y, x + column - first] = int(value)
    return canvas, fitted
