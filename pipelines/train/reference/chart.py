"""A pair of axes drawn with Pillow: lines, dots and steps in colours that differ in lightness too, with ticks and a legend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

COLOURS: Final[tuple[str, ...]] = (
    "#1f6fb4",
    "#d9590b",
    "#2b8a3e",
    "#8e44ad",
    "#b8860b",
    "#c2185b",
    "#00838f",
    "#5d4037",
)
GREY: Final[str] = "#777777"
_SCALE: Final[int] = 2  # drawn so much larger and shrunk: Pillow's lines have steps
_INK: Final[str] = "#333333"
Point = tuple[float, float]


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers from `low` to `high`, at least one and at most so many (4 or more): steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


class Chart:
    """One picture.

    Args:
        title: Above the axes.
        x, y: What the axes say.
        x_range, y_range: (low, high) of the axes; a range of nothing is widened.
        size: (width, height) in px. Default: 960 x 520.
    """

    def __init__(
        self, title: str, *, x: str, y: str, x_range: Point, y_range: Point, size: tuple[int, int] = (960, 520)
    ) -> None:
        self.size = size
        self._image = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), "white")
        self._pen = ImageDraw.Draw(self._image)
        self._small, self._large = (ImageFont.load_default(points * _SCALE) for points in (14, 17))
        self._box = tuple(side * _SCALE for side in (78, 46, size[0] - 24, size[1] - 62))
        self._x, self._y = _wide(x_range), _wide(y_range)
        self._legend: list[tuple[str, str]] = []
        left, top, right, bottom = self._box
        for value in ticks(*self._y):
            at = self._place((self._x[0], value))[1]
            self._pen.line((left, at, right, at), fill="#e6e6e6", width=_SCALE)
            self._pen.text((left - 8 * _SCALE, at), f"{value:g}", fill=_INK, font=self._small, anchor="rm")
        for value in ticks(*self._x):
            at = self._place((value, self._y[0]))[0]
            self._pen.line((at, bottom, at, bottom + 5 * _SCALE), fill=GREY, width=_SCALE)
            self._pen.text((at, bottom + 9 * _SCALE), f"{value:g}", fill=_INK, font=self._small, anchor="ma")
        self._pen.text(((left + right) / 2, bottom + 32 * _SCALE), x, fill=_INK, font=self._small, anchor="ma")
        self._pen.text((left, 12 * _SCALE), title, fill="black", font=self._large)
        width = self._pen.textlength(y, font=self._small)
        upright = Image.new("L", (math.ceil(width) + 4, 24 * _SCALE), 255)
        ImageDraw.Draw(upright).text((2, 2), y, fill=60, font=self._small)
        turned = upright.rotate(90, expand=True)
        self._image.paste(turned, (6 * _SCALE, max(0, (top + bottom - turned.height) // 2)))

    def _place(self, point: Point) -> Point:
        left, top, right, bottom = self._box
        return (
            left + (right - left) * (point[0] - self._x[0]) / (self._x[1] - self._x[0]),
            bottom - (bottom - top) * (point[1] - self._y[0]) / (self._y[1] - self._y[0]),
        )

    def line(self, points: Sequence[Point], colour: str, name: str | None = None) -> None:
        """A line through points, with dots where there are few."""
        at = [self._place(point) for point in points]
        if len(at) > 1:
            self._pen.line(at, fill=colour, width=3 * _SCALE, joint="curve")
        if len(at) <= 40:
            self._spots(at, colour, 4)
        self._name(name, colour)

    def dots(self, points: Iterable[Point], colour: str, name: str | None = None, radius: float = 1) -> None:
        """A dot a point, paler than a line."""
        self._spots([self._place(point) for point in points], faint(colour) if radius < 2 else colour, radius)
        self._name(name, colour)

    def steps(self, edges: Sequence[float], heights: Sequence[float], colour: str, name: str | None = None) -> None:
        """A histogram's outline: one height more than none for each space between edges."""
        points: list[Point] = [(edges[0], self._y[0])]
        for low, high, height in zip(edges, edges[1:], heights, strict=False):
            points += [(low, height), (high, height)]
        self.line([*points, (edges[-1], self._y[0])], colour, name)

    def across(self, value: float, name: str) -> None:
        """A dashed line across, named at its right end."""
        left, _, right, _ = self._box
        at = self._place((0.0, value))[1]
        for start in range(left, right, 12 * _SCALE):
            self._pen.line((start, at, min(right, start + 6 * _SCALE), at), fill=GREY, width=2 * _SCALE)
        self._pen.text((right - 6 * _SCALE, at - 4 * _SCALE), name, fill=GREY, font=self._small, anchor="rs")

    def cross(self, point: Point, colour: str) -> None:
        """A cross with a white edge: the middle of a cloud."""
        x, y = self._place(point)
        for width, fill, arm in ((7, "white", 11), (4, colour, 10)):
            for dx, dy in ((1, 1), (1, -1)):
                ends = (x - dx * arm * _SCALE, y - dy * arm * _SCALE, x + dx * arm * _SCALE, y + dy * arm * _SCALE)
                self._pen.line(ends, fill=fill, width=width * _SCALE)

    def _spots(self, at: Iterable[Point], colour: str | tuple[int, int, int], radius: float) -> None:
        reach = radius * _SCALE
        for x, y in at:
            self._pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def _name(self, name: str | None, colour: str) -> None:
        if name is not None:
            self._legend.append((name, colour))

    def save(self, path: Path) -> None:
        """Writes the PNG; the legend goes to the upper right, in as many rows as it needs."""
        left, top, right, _ = self._box
        self._pen.rectangle(self._box, outline=GREY, width=_SCALE)
        y = top + 10 * _SCALE
        x = right - 12 * _SCALE
        for name, colour in self._legend:
            width = int(self._pen.textlength(name, font=self._small)) + 22 * _SCALE
            if x - width < left + 12 * _SCALE and x < right - 12 * _SCALE:
                x, y = right - 12 * _SCALE, y + 20 * _SCALE
            x -= width
            self._pen.rectangle((x - 3 * _SCALE, y - 2 * _SCALE, x + width - 6 * _SCALE, y + 17 * _SCALE), fill="white")
            self._pen.rectangle((x, y + 4 * _SCALE, x + 10 * _SCALE, y + 12 * _SCALE), fill=colour)
            self._pen.text((x + 15 * _SCALE, y), name, fill=_INK, font=self._small)
            x -= 6 * _SCALE
        part = path.with_name(path.name + ".part")
        self._image.resize(self.size, Image.Resampling.LANCZOS).save(part, "PNG", optimize=True)
        part.replace(path)


def _wide(span: Point) -> Point:
    low, high = span
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    return (low, high) if high > low else (low, low + 1.0)


def faint(colour: str) -> tuple[int, int, int]:
    """A colour mixed with two parts of white."""
    return tuple((int(colour[i : i + 2], 16) + 2 * 255) // 3 for i in (1, 3, 5))  # type: ignore[return-value]
