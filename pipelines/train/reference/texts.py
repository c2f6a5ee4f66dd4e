"""Texts to pixels, in one of two ways that give the same bits: the shard's PNG decoded, or the shard's text rendered again."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson
from PIL import Image

from pipelines.train.reference.shards import OpenShard
from pipelines.train.reference.tar_index import LEFT, PIXELS, REST, TEXT
from pipelines.train.reference.version import DataError, Version
from rendering import FontError, Renderer, RenderSpec, load_font
from rendering.jit import jit

Bytes = npt.NDArray[np.uint8]
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
        self._renderer: Renderer | None = None
        if way != "decode":
            try:
                self._renderer = make_renderer(version)
            except DataError:
                if way == "render":
                    raise
        self.way = "decode" if self._renderer is None else "render"

    def pixels(self, wanted: Sequence[tuple[OpenShard, int, int]], own: Mapping[int, bytes] | None = None) -> Bytes:
        """Pixels of texts.

        Args:
            wanted: (shard, position, PIXELS for the right text or LEFT for the left one).
            own: Index in `wanted` -> bytes of the right text, where they were read already.

        Returns:
            uint8 [n, height, width].

        Raises:
            DataError: A text or its picture is missing, broken or of another size.
        """
        width, height = self._version.text_size
        if self._renderer is None:
            out = np.empty((len(wanted), height, width), np.uint8)
            for row, (shard, position, member) in enumerate(wanted):
                out[row] = self._decode(shard, position, member)
            return out
        own = own or {}
        texts = [own[i] if i in own else self._text(*place) for i, place in enumerate(wanted)]
        try:
            return self._renderer.render(texts)
        except ValueError as error:
            raise DataError(f"{wanted[0][0].path} and others of this batch: {error}") from error

    def _text(self, shard: OpenShard, position: int, member: int) -> bytes:
        if member == PIXELS:
            return shard.read(position, TEXT)
        try:
            return str(orjson.loads(shard.read(position, REST))[_LEFT_TEXT]).encode()
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{shard.path}: sample {shard.key(position)}: no left text in its json: {error}") from error

    def _decode(self, shard: OpenShard, position: int, member: int) -> Bytes:
        try:
            return decode_text(shard.read(position, member), self._version.text_size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{shard.path}: sample {shard.key(position)}: {error}") from error


def decode_text(data: bytes, size: tuple[int, int]) -> Bytes:
    """A rendered text's PNG -> uint8 [height, width], the very levels that were rendered.

    Raises:
        ValueError, OSError: Not a PNG, broken, or of another size.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        if picture.size != size:
            raise ValueError(f"{picture.width} x {picture.height} px, rendered texts have {size[0]} x {size[1]}")
        return np.asarray(picture.convert("L"))


def inked_rows(texts: Bytes, background: int, patch: int) -> npt.NDArray[np.int64]:
    """Patch rows of each text down to its last ink: int64 [n], at least 1.

    Args:
        texts: uint8 [n, height, width], contiguous.
        background: Level of the ground.
        patch: px of a row.
    """
    rows = np.empty(len(texts), np.int64)
    _last_ink(texts, background, rows)
    return np.maximum(1, -(-rows // patch))


@jit
def _last_ink(texts: Any, background: int, out: Any) -> None:
    n, height, width = texts.shape
    for i in range(n):
        found = 0
        for y in range(height - 1, -1, -1):
            for x in range(width):
                if texts[i, y, x] != background:
                    found = y + 1
                    break
            if found:
                break
        out[i] = found


__all__ = ["LEFT", "PIXELS", "TextReader", "Way", "decode_text", "inked_rows", "make_renderer"]
