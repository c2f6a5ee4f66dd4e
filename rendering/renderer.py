"""`Renderer`: texts to pixels with a bitmap font, bit for bit as CLIPPO's published op draws them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from . import _draw, _grey, _layout, _png, png
from .font import Font, load_font
from .spec import RenderSpec
from .texts import TextBlock, Texts, blocks

Bytes = npt.NDArray[np.uint8]
CELL = 16
_PNG_BUFFER = 4 << 20  # bytes of encoder output before it is copied away


def count_code_points(texts: Texts) -> npt.NDArray[np.int32]:
    """Code points of each text as it is decoded: int32 (n,). More than `Renderer.fitted` says means that something was cut."""
    parts = list(blocks(texts))
    counts = np.empty(sum(map(len, parts)), np.int32)
    at = 0
    for part in parts:
        _layout.count_code_points(part.data, part.offsets, part.surrogates, counts[at : at + len(part)])
        at += len(part)
    return counts


class WidthError(ValueError):
    """A text has a glyph that is not narrower than the canvas; CLIPPO's op fails there too."""


class Renderer:
    """Draws texts by one spec and one font. Immutable after construction: share it between threads, pickle it, fork it.

    A text is `str`, any that Python can hold, or `bytes`, read as UTF-8 with Python's errors="replace". A lone surrogate in a str
    is a code point like any other, without a glyph in any Unifont, so a blank; bytes that spell one are invalid UTF-8.
    Every method takes a list of texts or an Arrow string or binary array and runs without the GIL and without per-text Python.
    """

    def __init__(self, spec: RenderSpec | None = None, *, font: Font | None = None) -> None:
        """Args: spec: default CLIPPO's. font: default `load_font(*spec.font)`, which is the bundled Unifont if that is empty."""
        self.spec = RenderSpec() if spec is None else spec
        self.font = load_font(*self.spec.font) if font is None else font

    @property
    def digest(self) -> str:
        """Hex sha256 of the spec and the font; see RenderSpec.digest."""
        return self.spec.digest(self.font)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.spec, None if self.font is load_font() else self.font)

    # ------------------------------------------------------------------ what callers ask for

    def render(self, texts: Texts, out: Bytes | None = None) -> Bytes:
        """Texts to grey levels.

        Args:
            texts: n texts; see the class.
            out: uint8 (n, height, width), C-contiguous, to draw into; default a new array.

        Returns:
            uint8 (n, height, width). One channel: CLIPPO's three are equal.

        Raises:
            WidthError: naming the text. ValueError, TypeError: `texts` or `out` is not as described.
        """
        parts = list(blocks(texts))
        images = self._output(out, (sum(map(len, parts)), self.spec.height, self.spec.width))
        flat = images.reshape(len(images), self.spec.height * self.spec.width)
        kernel = self._pixels if self.spec.font_size == CELL else self._grey
        at = 0
        for part in parts:
            self._check(kernel(part, flat[at : at + len(part)]), at)
            at += len(part)
        return images

    def render_bits(self, texts: Texts, out: Bytes | None = None) -> Bytes:
        """Texts to packed bits: uint8 (n, ceil(height * width / 8)), 1 = ink, row-major as `np.packbits(image)` gives them.

        Args:
            texts, out: as in `render`, `out` of this shape.

        Raises:
            ValueError: font_size is not 16, where a pixel may be grey. Otherwise as `render`.
        """
        self._need_bits("render_bits")
        spec, tables = self.spec, self._tables
        parts = list(blocks(texts))
        bits = self._output(out, (sum(map(len, parts)), (spec.height * spec.width + 7) // 8))
        scratch = np.empty(spec.height * ((spec.width + 7) // 8) + 8, np.uint8)
        at = 0
        for part in parts:
            found = _draw.render_bits(
                *self._head(part), tables.rows, tables.widths, spec.width, spec.height, *self._places(part), self._plane(), scratch,
                bits[at : at + len(part)],
            )  # fmt: skip
            self._check(found, at)
            at += len(part)
        return bits

    def render_png(self, texts: Texts) -> list[bytes]:
        """Texts to PNG files: 1 bit a pixel and the palette {background, text}; at font sizes other than 16 8-bit grey.

        The same text gives the same bytes on every machine. Arguments and errors as `render`.
        """
        found: list[bytes] = self.render_png_array(texts).to_pylist()
        return found

    def render_png_array(self, texts: Texts) -> pa.LargeBinaryArray:
        """`render_png` as one Arrow array, without a Python object per text. Memory: about twice the files' bytes."""
        if self.spec.font_size != CELL:
            images = (image for _, batch in self.batches(texts, 16) for image in batch)
            return pa.array([png.grey_png(image) for image in images], pa.large_binary())
        spec, tables, encoder = self.spec, self._tables, self._encoder
        scratch = np.empty(encoder.raw_bytes + 8, np.uint8)
        files: list[Bytes] = []
        lengths = [np.zeros(1, np.int64)]
        at = 0
        for part in blocks(texts):
            out = np.empty(encoder.worst_case + min(len(part) * encoder.worst_case, _PNG_BUFFER), np.uint8)
            ends = np.empty(len(part), np.int64)
            row = 0
            while row < len(part):
                first = row
                row, bad, most = _png.render_png(
                    *self._head(part), tables.rows, tables.widths, spec.width, spec.height, *self._places(part), self._plane(),
                    scratch, *encoder.arguments, row, encoder.worst_case, ends, out,
                )  # fmt: skip
                self._check((bad, most), at)
                files.append(out[: ends[row - 1]].copy())
                lengths.append(np.diff(ends[first:row], prepend=0))
            at += len(part)
        offsets = np.cumsum(np.concatenate(lengths))
        data = np.concatenate(files) if files else np.empty(0, np.uint8)
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), at, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        )

    def fitted(self, texts: Texts) -> npt.NDArray[np.int32]:
        """How many code points of each text stand on lines that the canvas shows whole: int32 (n,).

        Less than the text's length means that something was cut, by `max_chars` or by the canvas.
        """
        parts = list(blocks(texts))
        counts = np.empty(sum(map(len, parts)), np.int32)
        at = 0
        for part in parts:
            found = _layout.count_fitting(
                *self._head(part), self._tables.widths, self.spec.width, self.spec.height // self.spec.font_size,
                *self._places(part), counts[at : at + len(part)],
            )  # fmt: skip
            self._check(found, at)
            at += len(part)
        return counts

    def lines(self, texts: Texts) -> npt.NDArray[np.int32]:
        """How many lines each text, as far as max_chars keeps it, takes on a canvas without an end: int32 (n,)."""
        parts = list(blocks(texts))
        counts = np.empty(sum(map(len, parts)), np.int32)
        at = 0
        for part in parts:
            found = _layout.count_lines(
                *self._head(part),
                self._tables.widths,
                self.spec.width,
                *self._places(part),
                counts[at : at + len(part)],
            )
            self._check(found, at)
            at += len(part)
        return counts

    def batches(self, texts: Texts, rows: int = 256) -> Iterator[tuple[int, Bytes]]:
        """Renders any number of texts in bounded memory.

        Yields:
            (index of the first text, uint8 (at most `rows`, height, width)). The array is reused: copy what you keep.
        """
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        spec = self.spec
        out = np.empty((min(rows, max(len(texts), 1)), spec.height, spec.width), np.uint8)
        for at in range(0, len(texts), rows):
            part = texts[at : at + rows]
            yield at, self.render(part, out[: len(part)])

    # ------------------------------------------------------------------ tables and buffers

    @cached_property
    def _tables(self) -> _Tables:
        return _Tables(self.spec, self.font)

    @cached_property
    def _encoder(self) -> png.PaletteEncoder:
        return png.PaletteEncoder(self.spec)

    def _head(self, part: TextBlock) -> tuple[Any, ...]:
        limit = self.spec.max_chars or np.iinfo(np.int64).max
        return part.data, part.offsets, part.surrogates, limit, self.font.index, self._tables.ascii_index

    def _places(self, part: TextBlock) -> tuple[npt.NDArray[np.int32], ...]:
        """Scratch for the glyphs of one text: a code point takes at least one byte."""
        longest = int(np.diff(part.offsets).max(initial=0))
        size = max(1, min(longest, self.spec.max_chars or longest))
        return tuple(np.empty(size, np.int32) for _ in range(3))

    def _plane(self) -> npt.NDArray[np.uint64]:
        # One word more than the width needs: a row's last store and a glyph's right half may reach into it.
        return np.zeros(((self.spec.height + CELL - 1) // CELL, self.spec.width // 64 + 2, CELL), np.uint64)

    def _pixels(self, part: TextBlock, out: Bytes) -> tuple[int, int]:
        spec, tables = self.spec, self._tables
        found: tuple[int, int] = _draw.render_pixels(
            *self._head(part), tables.rows, tables.widths, spec.width, spec.height, *self._places(part), self._plane(),
            tables.eight, spec.background, out,
        )  # fmt: skip
        return found

    def _grey(self, part: TextBlock, out: Bytes) -> tuple[int, int]:
        spec, tables = self.spec, self._tables
        scale = np.float32(CELL) / np.float32(spec.font_size)
        found: tuple[int, int] = _grey.render_grey(
            *self._head(part), self.font.rows, tables.firsts, tables.widths, spec.width, spec.height, spec.font_size,
            *_grey.area_weights(spec.font_size), np.float32(1.0 / float(scale * scale)), spec.background, spec.text,
            *self._places(part), out,
        )  # fmt: skip
        return found

    def _output(self, out: Bytes | None, shape: tuple[int, ...]) -> Bytes:
        if out is None:
            return np.empty(shape, np.uint8)
        if out.dtype != np.uint8 or out.shape != shape:
            raise ValueError(f"out must be uint8 of shape {shape}, not {out.dtype} of shape {out.shape}")
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError("out must be C-contiguous and writeable")
        return out

    def _need_bits(self, what: str) -> None:
        if self.spec.font_size != CELL:
            size = self.spec.font_size
            raise ValueError(f"{what} needs font_size 16, where a pixel is ink or not; {size} gives greys: use render")

    def _check(self, found: tuple[int, int], at: int) -> None:
        row, most = found
        if row >= 0:
            raise WidthError(
                f"texts[{at + row}] has a glyph {most} pixels wide, and the canvas is {self.spec.width}: it must be wider"
            )


class _Tables:
    """What a spec makes of a font's glyphs.

    Attributes:
        rows: uint16 (n, 16), glyphs shifted left by what is trimmed and cut at their width (font_size 16 only).
        firsts: int16 (n,), first column kept. widths: uint16 (n,), columns kept.
        ascii_index: int32 (128,), glyph of a byte, after lower-casing if the spec says so.
        eight: uint64 (256,), the eight grey levels of a byte of bits.
    """

    def __init__(self, spec: RenderSpec, font: Font) -> None:
        size = spec.font_size
        first, last = (ink.astype(np.int64) for ink in font.ink)
        if size != CELL:
            blank = ~font.rows.any(axis=1)
            begin, end = _grey.resampled_ink(size)
            first, last = np.where(blank, 0, begin[first]), np.where(blank, 0, end[last])
        if spec.monospace:
            first, stop = np.zeros_like(first), np.full_like(last, size)
        else:  # rule 5
            first = np.maximum(first - spec.spacing, 0)
            stop = np.minimum(np.maximum(last + spec.spacing, first + spec.min_width), size)
        widths = np.maximum(stop - first, 0)
        self.firsts, self.widths = first.astype(np.int16), widths.astype(np.uint16)
        self.ascii_index = font.index[:128].copy()
        if spec.lower:
            self.ascii_index[ord("A") : ord("Z") + 1] = font.index[ord("a") : ord("z") + 1]
        if size == CELL:
            keep = (0xFFFF << (CELL - widths) & 0xFFFF).astype(np.uint16)
            self.rows = (font.rows << first.astype(np.uint16)[:, None]) & keep[:, None]
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        levels = np.where(bits, np.uint8(spec.text), np.uint8(spec.background))
        self.eight = np.ascontiguousarray(levels).view(np.uint64)[:, 0]


def _rebuild(spec: RenderSpec, font: Font | None) -> Renderer:
    return Renderer(spec, font=load_font() if font is None else font)
