"""Two layouts for outline fonts: a square with lines wrapped at words, and PIXEL's strip of patches."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import bidi
from .outline import Canvas, FontStack, clusters, versions

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Drawn:
    """Images and what became of the texts.

    Attributes:
        pixels: uint8 (n, height, width).
        fitted: int32 (n,), code points of the text that are drawn.
        truncated: bool (n,), some of the text or of its ink is not on the canvas. It belongs into the sample's json.
        num_patches: int32 (n,), strip only: patches before the last separator, as PIXEL counts them; its attention mask covers one
            more. Zeros for a square.
    """

    pixels: Bytes
    fitted: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    num_patches: npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class SquareSpec:
    """A square in CLIPPO's manner: grey levels as there, but real words per line.

    Attributes:
        width, height: pixels, 16 to 16,384. font_size: pixels of an em, 6 to 256.
        line_height: pixels from baseline to baseline; 0: 1.5 x font_size, which holds Thai and Arabic marks.
        background, text: grey levels. margin: pixels left and right.
    """

    width: int = 224
    height: int = 224
    font_size: int = 16
    line_height: int = 0
    background: int = 127
    text: int = 0
    margin: int = 1

    def __post_init__(self) -> None:
        _bounded(self, width=(16, 16384), height=(16, 16384), font_size=(6, 256), line_height=(0, 1024), background=(0, 255),
                 text=(0, 255), margin=(0, 64))  # fmt: skip
        if self.width <= 2 * self.margin:
            raise ValueError("SquareSpec.margin leaves no room for text")


@dataclass(frozen=True, kw_only=True)
class StripSpec:
    """PIXEL's input, one row of patches: Rust et al., "Language Modelling with Pixels"; 529 of 16 x 16 are 16 x 8464 px.

    Attributes:
        patch: pixels of a patch's side, 8 to 64. patches: 2 to 1,024.
        font_size: pixels of an em, 6 to 64; a text whose marks would not fit the strip's height is drawn smaller.
        background, text: grey levels; a separator patch is filled with `text`. offset: blank pixels before a text.
    """

    patch: int = 16
    patches: int = 529
    font_size: int = 12
    background: int = 255
    text: int = 0
    offset: int = 2

    def __post_init__(self) -> None:
        _bounded(
            self, patch=(8, 64), patches=(4, 1024), font_size=(6, 64), background=(0, 255), text=(0, 255), offset=(0, 8)
        )


def _bounded(spec: object, **bounds: tuple[int, int]) -> None:
    kind = type(spec).__name__
    for name, (low, high) in bounds.items():
        value = getattr(spec, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{kind}.{name} must be an int, not {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{kind}.{name} must be from {low} to {high}, not {value}")


def digest(spec: SquareSpec | StripSpec, fonts: FontStack) -> str:
    """Hex sha256 that names the pixels: the layout, its fields, the fonts and the libraries that draw them."""
    values: dict[str, Any] = {"layout": type(spec).__name__, **asdict(spec), "fonts": fonts.sha256, **versions()}
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _clean(text: str) -> str:
    """Without what has no shape: controls and lone surrogates become spaces, which a font would draw as boxes."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)


# ---------------------------------------------------------------------- square

# Scripts written without spaces that may break between any two characters (UAX #14: classes ID and near it), Thai, Lao,
# Khmer, Burmese among them for want of a dictionary.
_BREAK = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff\U0001f000-\U0001faff]"
)
_NOT_FIRST = frozenset("、。，．・：；？！」』）〕】〉》”’ー々,.;:?!)]}")


def _pieces(text: str) -> list[str]:
    """What a line may be built of: words with the space after them, single clusters of scripts that need none."""
    found: list[str] = []
    for cluster in clusters(text):
        glue = bool(found) and cluster[0] in _NOT_FIRST
        fresh = not found or found[-1][-1:].isspace() or _BREAK.match(cluster) or _BREAK.match(found[-1][-1:])
        if fresh and not glue and not cluster.isspace():
            found.append(cluster)
        elif found:
            found[-1] += cluster
        else:
            found.append(cluster)
    return found


class SquareRenderer:
    """Draws texts on a canvas, lines broken at words; right-to-left paragraphs begin at the right."""

    def __init__(self, spec: SquareSpec, fonts: FontStack) -> None:
        self.spec, self.fonts = spec, fonts

    def render(self, texts: Sequence[str]) -> Drawn:
        """Draws each text; a newline in it ends a line. See Drawn."""
        spec = self.spec
        pixels = np.empty((len(texts), spec.height, spec.width), np.uint8)
        fitted = np.zeros(len(texts), np.int32)
        truncated = np.zeros(len(texts), bool)
        for i, text in enumerate(texts):
            pixels[i], fitted[i], truncated[i] = self._one(text)
        return Drawn(pixels, fitted, truncated, np.zeros(len(texts), np.int32))

    def _one(self, text: str) -> tuple[Bytes, int, bool]:
        spec = self.spec
        step = spec.line_height or round(1.5 * spec.font_size)
        # More than this cannot be seen, and shaping a whole book to find that out would take minutes.
        seen = text[: 64 + 16 * spec.width * spec.height // spec.font_size**2]
        canvas = Canvas(spec.width, spec.height, spec.background, spec.text)
        baseline = round(step * 0.72)
        below = step - baseline
        fitted = 0
        for number, (line, level) in enumerate(self._lines(seen)):
            shown = _clean(line).rstrip()
            top, bottom = self.fonts.ascent_descent(shown, spec.font_size)
            if number == 0:
                baseline = max(baseline, top)  # high marks move the text down: nothing stands above it to run into
            elif baseline + max(below, bottom) > spec.height:
                break
            left, right = self.fonts.ink(shown, spec.font_size, level)
            x = spec.margin - left
            if level % 2:
                x = spec.width - spec.margin - max(right, self.fonts.width(shown, spec.font_size, level))
            self.fonts.draw(canvas, x, baseline, shown, spec.font_size, level)
            fitted += len(line)
            baseline += step
        image, cropped = canvas.pixels()
        return image, fitted, cropped or fitted < len(text)

    def _lines(self, text: str) -> list[tuple[str, int]]:
        """(line, paragraph level); the lines joined are the text."""
        room = self.spec.width - 2 * self.spec.margin
        found: list[tuple[str, int]] = []
        for paragraph in text.splitlines(keepends=True):
            level = bidi.paragraph_level(paragraph)
            line = ""
            for piece in _pieces(paragraph):
                if line and self._width(line + piece, level) > room:
                    found.append((line, level))
                    line = ""
                if (
                    not line and self._width(piece, level) > room
                ):  # a word wider than the canvas: break it between clusters
                    *whole, piece = self._split(piece, level, room)
                    found += [(part, level) for part in whole]
                line += piece
            found.append((line, level))
            if len(found) * self.spec.font_size > 2 * self.spec.height:
                break  # the rest is far below the canvas
        return found

    def _width(self, line: str, level: int) -> float:
        """Pixels that a line needs: its advance, or more where ink overhangs it."""
        shown = _clean(line).rstrip()
        left, right = self.fonts.ink(shown, self.spec.font_size, level)
        return max(right, self.fonts.width(shown, self.spec.font_size, level)) - left

    def _split(self, word: str, level: int, room: int) -> list[str]:
        found = [""]
        for cluster in clusters(word):
            if found[-1] and self._width(found[-1] + cluster, level) > room:
                found.append("")
            found[-1] += cluster
        return found


# ---------------------------------------------------------------------- strip


class StripRenderer:
    """Draws texts as PIXEL's strips: text, a black patch; for a pair text, black patch, second text, black patch."""

    def __init__(self, spec: StripSpec, fonts: FontStack) -> None:
        self.spec, self.fonts = spec, fonts

    def render(self, texts: Sequence[str | tuple[str, str]]) -> Drawn:
        """Draws each text or pair; what does not fit is cut between clusters, the longer text of a pair first. See Drawn."""
        spec = self.spec
        pixels = np.empty((len(texts), spec.patch, spec.patch * spec.patches), np.uint8)
        fitted, patches = np.zeros(len(texts), np.int32), np.zeros(len(texts), np.int32)
        truncated = np.zeros(len(texts), bool)
        for i, text in enumerate(texts):
            parts = [text] if isinstance(text, str) else list(text)
            pixels[i], fitted[i], patches[i], cropped = self._one(parts)
            truncated[i] = cropped or fitted[i] < sum(map(len, parts))
        return Drawn(pixels, fitted, truncated, patches)

    def _one(self, parts: list[str]) -> tuple[Bytes, int, int, bool]:
        spec = self.spec
        parts = [part[: 64 + 16 * spec.patch * spec.patches // spec.font_size] for part in parts]
        sizes = [self._size(_clean(part)) for part in parts]
        needs = [self._patches(_clean(part), size) for part, size in zip(parts, sizes, strict=True)]
        canvas = Canvas(spec.patch * spec.patches, spec.patch, spec.background, spec.text)
        at = fitted = 0
        for part, size, most in zip(parts, sizes, self._share(needs), strict=True):
            kept = self._cut(part, size, most)
            shown = _clean(kept)
            top, bottom = self.fonts.ascent_descent(shown, size)
            typical, _ = self.fonts.ascent_descent("x", size)
            # The baseline of a plain line, moved only as far as high or low marks need.
            baseline = min(max(round((spec.patch + typical) / 2), top), spec.patch - bottom)
            self.fonts.draw(canvas, at * spec.patch + spec.offset, baseline, shown, size)
            fitted += len(kept)
            at += self._patches(shown, size)
            canvas.fill(at * spec.patch, spec.patch, spec.text)
            at += 1
        image, cropped = canvas.pixels()
        return image, fitted, at - 1, cropped

    def _share(self, needs: list[int]) -> list[int]:
        """Patches for each text: all they need, or the shorter one at most half and the other what is left."""
        room = self.spec.patches - len(needs)
        if sum(needs) <= room or len(needs) == 1:
            return [min(need, room) for need in needs]
        half = room // 2
        short = min(needs)
        if short <= half:
            return [need if need == short else room - short for need in needs]
        return [half, room - half]

    def _size(self, text: str) -> int:
        """The font size, or the largest smaller one at which the ink fits the strip's height."""
        size = self.spec.font_size
        while size > 6 and sum(self.fonts.ascent_descent(text, size)) > self.spec.patch:
            size -= 1
        return size

    def _patches(self, text: str, size: int) -> int:
        _, right = self.fonts.ink(text, size)
        wide = max(right, self.fonts.width(text, size)) + self.spec.offset
        return max(1, -(-int(np.ceil(wide)) // self.spec.patch))

    def _cut(self, text: str, size: int, most: int) -> str:
        """The longest beginning, whole clusters, that takes at most `most` patches."""
        if self._patches(_clean(text), size) <= most:
            return text
        pieces = list(clusters(text))
        low, high = 0, len(pieces)
        while low < high:
            middle = (low + high + 1) // 2
            if self._patches(_clean("".join(pieces[:middle])), size) <= most:
                low = middle
            else:
                high = middle - 1
        return "".join(pieces[:low])
