"""Outline fonts: a stack of files with fallback per run, shaped by HarfBuzz through Pillow's raqm, in visual order.

Needs Pillow with raqm (its wheels have it) and the FriBiDi library that raqm loads (Debian: libfribidi0). The stack
makes greys, from FreeType's antialiasing: pixels may differ between FreeType versions, so the identity of a data set
made with it includes `versions()`.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, features

from . import bidi
from ._sfnt import covered
from .font import FontError

PathLike = str | os.PathLike[str]
MAX_FONT_BYTES = 256 << 20
# Sizes (pixels) of the one bitmap strike of colour fonts, tried in turn: Noto Color Emoji, Apple, Twemoji.
STRIKES = (109, 160, 128, 136)
MARGIN = 64  # pixels around a canvas in which ink that would be cropped is still seen

# Vowels of Thai and Lao that are written before their consonant.
_BEFORE = "\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"
_ZWJ, _VS15, _VS16, _KEYCAP = "\u200d", "\ufe0e", "\ufe0f", "\u20e3"


def versions() -> dict[str, str | None]:
    """The libraries that decide an outline pixel."""
    return {name: features.version(name) for name in ("freetype2", "raqm", "harfbuzz", "fribidi")}


@dataclass(frozen=True)
class Face:
    """One file of a stack. covers: bool (0x110000,), by code point. colour: its glyphs are colour bitmaps of one size."""

    path: Path
    sha256: str
    covers: npt.NDArray[np.bool_]
    colour: bool


@dataclass(frozen=True)
class Run:
    """A piece of a line in one font and one direction. text: in logical order. face: index in the stack. level: bidi level."""

    text: str
    face: int
    level: int

    @property
    def direction(self) -> str:
        return "rtl" if self.level % 2 else "ltr"


class FontStack:
    """Font files in order of preference: a character takes the first that has it, and a cluster stays in one."""

    def __init__(self, paths: Sequence[PathLike]) -> None:
        """Args: paths: .ttf, .otf or .ttc files (the first face). FontError: one is missing, truncated or no font."""
        if not features.check("raqm"):
            raise RuntimeError(
                "Pillow has no raqm: outline fonts need it, and the FriBiDi library (Debian: libfribidi0)"
            )
        if not paths:
            raise FontError("a stack of outline fonts needs at least one file")
        self.faces = [_load(Path(path)) for path in paths]

    @property
    def sha256(self) -> str:
        """Hex digest of the files' digests, in order."""
        return hashlib.sha256("\n".join(face.sha256 for face in self.faces).encode()).hexdigest()

    def runs(self, text: str, level: int | None = None) -> list[Run]:
        """Cuts a line into runs, in logical order.

        Args:
            text: one line; characters that no font has are drawn as the first font's missing glyph.
            level: of its paragraph; default from the line itself.
        """
        if not text:
            return []
        depth = bidi.levels(text, bidi.paragraph_level(text) if level is None else level)
        chosen = self._choose(text)
        found, start = [], 0
        for at in range(1, len(text) + 1):
            if at == len(text) or chosen[at] != chosen[start] or depth[at] != depth[start]:
                found.append(Run(text[start:at], chosen[start], depth[start]))
                start = at
        return found

    def _choose(self, text: str) -> list[int]:
        """The face of each character: clusters stay together, and spaces and punctuation go with what stands before."""
        chosen: list[int] = []
        for cluster in clusters(text):
            if _VS16 in cluster or _KEYCAP in cluster:
                order = sorted(range(len(self.faces)), key=lambda i: not self.faces[i].colour)
            else:
                order = list(range(len(self.faces)))
            if chosen and unicodedata.category(cluster[0])[0] in "ZPC" and not self.faces[chosen[-1]].colour:
                order = [chosen[-1], *order]
            points = [ord(c) for c in cluster if c not in (_ZWJ, _VS15, _VS16)] or [ord(cluster[0])]
            whole = (i for i in order if all(self.faces[i].covers[p] for p in points))
            begin = (i for i in order if self.faces[i].covers[points[0]])
            face = next(whole, None)
            chosen += [next(begin, 0) if face is None else face] * len(cluster)
        return chosen

    def width(self, text: str, size: int, level: int | None = None) -> float:
        """Advance of a line in pixels."""
        return sum(self._advance(run, size) for run in self.runs(text, level))

    def ink(self, text: str, size: int, level: int | None = None) -> tuple[float, float]:
        """Left and right end of a line's ink, in pixels from where it begins: letters may overhang their advance."""
        left, right, x = 0.0, 0.0, 0.0
        runs = self.runs(text, level)
        for i in bidi.visual_order([run.level for run in runs]):
            font, scale = self._font(runs[i].face, size)
            box = font.getbbox(runs[i].text, direction=runs[i].direction, anchor="ls")
            left, right = min(left, x + box[0] * scale), max(right, x + box[2] * scale)
            x += self._advance(runs[i], size)
        return left, right

    def _advance(self, run: Run, size: int) -> float:
        font, scale = self._font(run.face, size)
        return float(font.getlength(run.text, direction=run.direction)) * scale

    def _font(self, face: int, size: int) -> tuple[ImageFont.FreeTypeFont, float]:
        return _open(self.faces[face].path, size, self.faces[face].colour)

    def ascent_descent(self, text: str, size: int) -> tuple[int, int]:
        """Pixels above and below the baseline that the ink of a line takes."""
        top = bottom = 0
        for run in self.runs(text):
            font, scale = self._font(run.face, size)
            box = font.getbbox(run.text, direction=run.direction, anchor="ls")
            top, bottom = max(top, -int(np.floor(box[1] * scale))), max(bottom, int(np.ceil(box[3] * scale)))
        return top, bottom

    def draw(self, canvas: Canvas, x: float, baseline: int, text: str, size: int, level: int | None = None) -> None:
        """Draws one line, its left end at `x`, in visual order."""
        runs = self.runs(text, level)
        for i in bidi.visual_order([run.level for run in runs]):
            run = runs[i]
            font, scale = self._font(run.face, size)
            if self.faces[run.face].colour:
                canvas.picture(x, baseline, run, font, scale)
            else:
                canvas.ink(x, baseline, run, font)
            x += self._advance(run, size)


class Canvas:
    """Grey levels with a margin around them, so that what would be cropped is noticed."""

    def __init__(self, width: int, height: int, background: int, text: int) -> None:
        self.width, self.height, self.background, self.text = width, height, background, text
        size = (width + 2 * MARGIN, height + 2 * MARGIN)
        self._image = Image.new("L", size, background)
        self._draw = ImageDraw.Draw(self._image)

    def ink(self, x: float, baseline: int, run: Run, font: ImageFont.FreeTypeFont) -> None:
        """A run of outlines."""
        place = (x + MARGIN, baseline + MARGIN)
        self._draw.text(place, run.text, fill=self.text, font=font, anchor="ls", direction=run.direction)

    def picture(self, x: float, baseline: int, run: Run, font: ImageFont.FreeTypeFont, scale: float) -> None:
        """A run of colour bitmaps, brought down to size and laid over the background as grey."""
        left, top, right, bottom = (int(v) for v in font.getbbox(run.text, direction=run.direction, anchor="ls"))
        if right <= left or bottom <= top:
            return
        large = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, 0))
        ImageDraw.Draw(large).text(
            (-left, -top), run.text, font=font, anchor="ls", direction=run.direction, embedded_color=True
        )
        size = max(1, round(large.width * scale)), max(1, round(large.height * scale))
        small = large.resize(size, Image.Resampling.BOX)
        place = round(x + left * scale) + MARGIN, round(baseline + top * scale) + MARGIN
        self._image.paste(small.convert("RGB").convert("L"), place, small.getchannel("A"))

    def fill(self, x: int, width: int, level: int) -> None:
        """A bar over the whole height."""
        self._draw.rectangle((x + MARGIN, MARGIN, x + MARGIN + width - 1, MARGIN + self.height - 1), fill=level)

    def pixels(self) -> tuple[npt.NDArray[np.uint8], bool]:
        """uint8 (height, width), and whether ink lies outside."""
        whole = np.asarray(self._image)
        inner = whole[MARGIN : MARGIN + self.height, MARGIN : MARGIN + self.width]
        outside = int((whole != self.background).sum()) - int((inner != self.background).sum())
        return np.ascontiguousarray(inner), outside > 0


def clusters(text: str) -> Iterator[str]:
    """Pieces that neither a font change nor a line break may cut: a character with its marks, an emoji sequence, a flag.

    A simple form of UAX #29's extended grapheme clusters: GB9, GB9a, GB9c (after a virama), GB11 to GB13.
    """
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not _joined(text, start, at):
            yield text[start:at]
            start = at


def _joined(text: str, start: int, at: int) -> bool:
    before, here = text[at - 1], text[at]
    point = ord(here)
    if unicodedata.category(here) in ("Mn", "Me", "Mc") or here in (_ZWJ, "\u200c") or 0x1F3FB <= point <= 0x1F3FF:
        return True
    if 0xE0020 <= point <= 0xE007F or before == _ZWJ:
        return True
    if unicodedata.combining(before) == 9 and unicodedata.category(here) == "Lo":  # a virama joins consonants
        return True
    if here in "\u0e33\u0eb3" or before in _BEFORE:  # Thai and Lao: AM draws over the letter before
        return True
    flag = 0x1F1E6 <= point <= 0x1F1FF and 0x1F1E6 <= ord(before) <= 0x1F1FF
    return flag and (at - start) % 2 == 1


def _load(path: Path) -> Face:
    try:
        stat = path.stat()
        return _face(path, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError as error:
        raise FontError(f"{path}: no such font file") from error
    except OSError as error:
        raise FontError(f"{path}: the font file cannot be read ({error})") from error


@lru_cache(maxsize=64)
def _face(path: Path, _changed: int, size: int) -> Face:
    if size > MAX_FONT_BYTES:
        raise FontError(f"{path}: more than {MAX_FONT_BYTES >> 20} MiB is no font")
    data = path.read_bytes()
    try:
        covers = covered(data)
    except ValueError as error:
        raise FontError(f"{path}: {error}") from error
    colour = False
    try:
        ImageFont.truetype(str(path), 16)
    except OSError:
        colour = True  # FreeType: "invalid pixel size", a font of bitmaps of one size
    try:
        _open(path, 16, colour)
    except OSError as error:
        raise FontError(f"{path}: FreeType cannot read this font ({error})") from error
    return Face(path, hashlib.sha256(data).hexdigest(), covers, colour)


@lru_cache(maxsize=256)
def _open(path: Path, size: int, colour: bool) -> tuple[Any, float]:
    """(Pillow's font, factor from its pixels to ours)."""
    if not colour:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.RAQM), 1.0
    problem: OSError | None = None
    for strike in STRIKES:
        try:
            return ImageFont.truetype(str(path), strike, layout_engine=ImageFont.Layout.RAQM), size / strike
        except OSError as error:
            problem = error
    raise problem or OSError("no bitmap strike")
