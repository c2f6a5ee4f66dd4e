"""Variation as data augmentation: how a text is drawn, chosen anew for each sample from hash(seed, key). Off by default."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .font import Font, load_font
from .renderer import Renderer
from .spec import RenderSpec
from .texts import Texts

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Variation:
    """What may vary; an empty choice leaves the spec's own value.

    Attributes:
        seed: int; another one draws everything anew.
        font_sizes, spacings: values to choose from. monospace: probability of monospace, 0 to 1; None leaves the spec's value.
        brightness: (background, text) pairs to choose from.
        offset: (x, y) pixels at most by which the text moves right and down; it is laid out on a canvas smaller by as much,
            so that nothing is cropped.
        fonts: how many of the renderer's fonts to choose from, 0 or 1: only the first.
    """

    seed: int = 0
    font_sizes: tuple[int, ...] = ()
    spacings: tuple[int, ...] = ()
    monospace: float | None = None
    brightness: tuple[tuple[int, int], ...] = ()
    offset: tuple[int, int] = (0, 0)
    fonts: int = 0

    def __post_init__(self) -> None:
        if self.monospace is not None and not 0 <= self.monospace <= 1:
            raise ValueError(f"Variation.monospace is a probability, not {self.monospace}")
        if min(self.offset) < 0 or self.fonts < 0:
            raise ValueError("Variation.offset and .fonts must not be negative")


@dataclass(frozen=True)
class Choice:
    """What was drawn for one sample. spec: of the smaller canvas. font: index. x, y: where that canvas stands."""

    spec: RenderSpec
    font: int
    x: int
    y: int


def choose(variation: Variation, spec: RenderSpec, key: str) -> Choice:
    """The choice for a sample: a function of the variation's seed and the key alone, not of order, batch or worker."""

    def pick(name: str, count: int) -> int:
        # A hash for each name: a longer list of one choice leaves the others as they were.
        drawn = hashlib.blake2b(
            f"{variation.seed}\0render\0{name}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8
        )
        return int.from_bytes(drawn.digest(), "little") % count

    changes: dict[str, Any] = {}
    if variation.font_sizes:
        changes["font_size"] = variation.font_sizes[pick("font_size", len(variation.font_sizes))]
    if variation.spacings:
        changes["spacing"] = variation.spacings[pick("spacing", len(variation.spacings))]
    if variation.monospace is not None:
        changes["monospace"] = pick("monospace", 1 << 32) < variation.monospace * (1 << 32)
    if variation.brightness:
        changes["background"], changes["text"] = variation.brightness[pick("brightness", len(variation.brightness))]
    dx, dy = variation.offset
    if dx or dy:
        changes["width"], changes["height"] = spec.width - dx, spec.height - dy
    font = pick("font", variation.fonts) if variation.fonts > 1 else 0
    return Choice(replace(spec, **changes), font, pick("x", dx + 1), pick("y", dy + 1))


class VaryingRenderer:
    """A Renderer whose spec changes from sample to sample. With `Variation()` it draws what Renderer draws."""

    def __init__(self, spec: RenderSpec, variation: Variation, *, fonts: Sequence[Font] = ()) -> None:
        """Args: fonts: to choose from; default the spec's. ValueError: the variation wants more fonts than there are."""
        self.spec, self.variation = spec, variation
        self.fonts = tuple(fonts) or (load_font(*spec.font),)
        if variation.fonts > len(self.fonts):
            raise ValueError(f"the variation chooses from {variation.fonts} fonts, there are {len(self.fonts)}")
        self._renderer = lru_cache(maxsize=64)(lambda spec, font: Renderer(spec, font=self.fonts[font]))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.spec, self.variation, self.fonts)

    def render(self, texts: Texts, keys: Sequence[str]) -> tuple[Bytes, npt.NDArray[np.int32]]:
        """Texts to grey levels, samples of one choice in one call of the kernel.

        Args:
            texts: n texts, as Renderer.render takes them. keys: n keys.

        Returns:
            (uint8 (n, height, width), int32 (n,) code points that fit, as Renderer.fitted counts).
        """
        if len(texts) != len(keys):
            raise ValueError(f"{len(texts)} texts for {len(keys)} keys")
        array = texts if isinstance(texts, (pa.Array, pa.ChunkedArray)) else None
        groups: dict[tuple[RenderSpec, int], list[tuple[int, Choice]]] = {}
        for row, key in enumerate(keys):
            choice = choose(self.variation, self.spec, str(key))
            groups.setdefault((choice.spec, choice.font), []).append((row, choice))
        pixels = np.empty((len(texts), self.spec.height, self.spec.width), np.uint8)
        fitted = np.empty(len(texts), np.int32)
        for (spec, font), members in groups.items():
            rows = [row for row, _ in members]
            part = [texts[row] for row in rows] if array is None else array.take(pa.array(rows))
            renderer = self._renderer(spec, font)
            drawn = renderer.render(part)
            fitted[rows] = renderer.fitted(part)
            for image, (row, choice) in zip(drawn, members, strict=True):
                if drawn.shape[1:] != pixels.shape[1:]:
                    pixels[row] = spec.background
                pixels[row, choice.y : choice.y + spec.height, choice.x : choice.x + spec.width] = image
        return pixels, fitted


def _rebuild(spec: RenderSpec, variation: Variation, fonts: tuple[Font, ...]) -> VaryingRenderer:
    return VaryingRenderer(spec, variation, fonts=fonts)
