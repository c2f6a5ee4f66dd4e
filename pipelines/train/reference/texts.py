"""Texts to pixels, in one of two ways that give the same bits: the shard's PNG decoded, or the shard's text rendered again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson
from PIL import Image

from pipelines.train.reference.shards import Members
from pipelines.train.reference.version import DataError, Version
from rendering import FontError, Renderer, RenderSpec, load_font
from rendering.jit import jit

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Way = Literal["auto", "render", "decode"]
_LEFT_TEXT: Final[str] = "left_text"


def make_renderer(version: Version) -> Renderer:
    """The renderer that a version's texts were drawn with.

    Raises:
        DataError: Its font is not at hand, or what is installed here draws by other rules: the digests of spec and font differ.
    """
    promised = version.render.get("digest")
    try:
        spec = RenderSpec.from_dict(version.render["spec"])
        renderer = Renderer(spec, font=load_font(*spec.font))
    except (FontError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{version.folder}: its texts cannot be rendered here: {error}") from error
    if renderer.digest != promised:
        raise DataError(
            f"{version.folder}: its texts cannot be rendered here: "
            f"the manifest's render digest is {promised}, the renderer's {renderer.digest}"
        )
    return renderer


class TextReader:
    """Gives the pixels of rendered texts.

    Args:
        version: Whose texts.
        way: `render` draws the text again, `decode` reads the PNG, `auto` renders where the manifest's digest of spec and font is
            that of the renderer here, which is some ten times faster, and decodes where it is not.

    Raises:
        DataError: `render`, and the digest differs.
    """

    def __init__(self, version: Version, way: Way = "auto") -> None:
        self._version = version
        self._renderers: dict[int, Renderer] = {}
        if way != "decode":
            try:
                self._renderers[version.text_size[1]] = make_renderer(version)
            except DataError:
                if way == "render":
                    raise
        self.way = "render" if self._renderers else "decode"

    def pixels(self, samples: Sequence[Members], left: Sequence[bool], *, patch: int, cut: bool) -> tuple[Bytes, Ints]:
        """Pixels of texts.

        Args:
            samples: What was read of n samples.
            left: n, whether the left text of each is wanted, or the right one.
            patch: px; rows are counted in it.
            cut: Whether the patch rows that are blank in all texts are cut off, but one: convolutions look over the edge.

        Returns:
            (uint8 [n, height, width], int64 [n]: patch rows of each text down to its last ink, at least 1).

        Raises:
            DataError: A text or its picture is missing, broken or of another size.
        """
        if self._renderers:
            texts = [left_text(s) if of_left else s.text for s, of_left in zip(samples, left, strict=True)]
            try:
                pixels, below = self._render(texts, patch, cut)
            except ValueError as error:
                raise DataError(f"{samples[0].where} and others of this batch: {error}") from error
        else:
            pixels, below = self._decode(samples, left), None
        rows = inked_rows(pixels, self._version.background, patch, below)
        kept = min(pixels.shape[1], (int(rows.max(initial=1)) + 1) * patch) if cut else pixels.shape[1]
        return pixels[:, :kept], rows

    def _render(self, texts: list[bytes], patch: int, cut: bool) -> tuple[Bytes, Ints]:
        """Renders no more of the canvas than lines reach, and gives the patch rows that they reach."""
        height = self._version.text_size[1]
        whole = self._renderers[height]
        below = np.minimum(-(-whole.lines(texts).astype(np.int64) * whole.spec.font_size // patch), -(-height // patch))
        needed = min(height, (int(below.max(initial=1)) + 1) * patch) if cut else height
        if needed not in self._renderers:
            self._renderers[needed] = Renderer(replace(whole.spec, height=needed), font=whole.font)
        return self._renderers[needed].render(texts), below

    def _decode(self, samples: Sequence[Members], left: Sequence[bool]) -> Bytes:
        width, height = self._version.text_size
        out = np.empty((len(samples), height, width), np.uint8)
        for row, (sample, of_left) in enumerate(zip(samples, left, strict=True)):
            try:
                out[row] = decode_text(sample.left if of_left else sample.pixels, (width, height))
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise DataError(f"{sample.where}: {error}") from error
        return out


def left_text(sample: Members) -> bytes:
    """The left text of a pair of texts, as its json has it.

    Raises:
        DataError: The json has none, or is none.
    """
    try:
        return str(orjson.loads(sample.rest)[_LEFT_TEXT]).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{sample.where}: no left text in its json: {error!r}") from error


def decode_text(data: bytes, size: tuple[int, int]) -> Bytes:
    """A rendered text's PNG -> uint8 [height, width], the very levels that were rendered.

    Raises:
        ValueError, OSError: Not a PNG, broken, or of another size.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        if picture.size != size:
            raise ValueError(f"{picture.width} x {picture.height} px, rendered texts have {size[0]} x {size[1]}")
        return np.asarray(picture.convert("L"))


def inked_rows(texts: Bytes, background: int, patch: int, below: Ints | None = None) -> Ints:
    """Patch rows of each text down to its last ink: int64 [n], at least 1.

    Args:
        texts: uint8 [n, height, width], contiguous.
        background: Level of the ground.
        patch: px of a row.
        below: int64 [n], patch rows that are known to hold all ink. Default: all.
    """
    n, height, width = texts.shape
    rows = np.full(n, -(-height // patch)) if below is None else np.maximum(1, below)
    flat, ground, step = texts.reshape(n, height * width), np.uint8(background), patch * width
    if step % 8 == 0 and height % patch == 0:  # eight pixels at a time
        flat, ground, step = flat.view(np.uint64), np.full(8, ground).view(np.uint64)[0], step // 8
    _inked(flat, ground, step, rows)
    return rows


@jit
def _inked(flat: Any, ground: Any, step: int, rows: Any) -> None:
    for i in range(len(flat)):
        picture, row = flat[i], rows[i]
        while row > 1:
            differs = ground ^ ground
            for word in picture[
                (row - 1) * step : row * step
            ]:  # no way out of the loop: so that it is compiled to wide steps
                differs |= word ^ ground
            if differs:
                break
            row -= 1
        rows[i] = row
