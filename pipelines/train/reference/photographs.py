"""Photographs to pixels: decoded and resized as CLIPPO's recipe does, with augmentation where a run asks for it."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

Bytes = npt.NDArray[np.uint8]
MAX_PIXELS: Final[int] = 64 << 20
_FORMATS: Final[tuple[str, ...]] = ("JPEG", "PNG", "WEBP")
_RATIO: Final[tuple[float, float]] = (3 / 4, 4 / 3)
_TRIES: Final[int] = 10


@dataclass(frozen=True, slots=True)
class PhotoRecipe:
    """What is done to a photograph.

    Attributes:
        size: px a side of the result. The sides' ratio is not kept: CLIPPO's recipe, big_vision's `resize(224)`, squashes too.
        antialias: Bilinear with antialiasing; false: four neighbours of each pixel, as `tf.image.resize` does unless it is told
            otherwise, which is what CLIPPO's released weights were trained with.
        draft: JPEGs are decoded at half, a quarter or an eighth of their size as long as that is no less than `size`.
            Differs from the whole decoding by 1.2 grey levels in the mean. Without antialiasing nothing is decoded smaller.
        crop_min: Least share of the area that a random crop keeps, its sides' ratio 3/4 to 4/3 (Inception's crop,
            https://arxiv.org/abs/1409.4842); 1: no crop.
        flip: Half of the photographs are mirrored.
    """

    size: int = 224
    antialias: bool = True
    draft: bool = True
    crop_min: float = 1.0
    flip: bool = False

    @property
    def plain(self) -> bool:
        """Whether a photograph is the same in every epoch."""
        return self.crop_min >= 1 and not self.flip


def decode_photograph(data: bytes, recipe: PhotoRecipe, draw: str | None = None) -> Bytes:
    """A photograph's file -> uint8 [size, size, 3]: transparent parts on white.

    Args:
        data: A JPEG, PNG or WebP; of several frames the first.
        recipe: What is done to it.
        draw: What the crop and the flip are drawn from, such as seed, epoch and key. None: no augmentation.

    Raises:
        ValueError, OSError: Another format, broken, or above 64 Mi pixels.
    """
    size = recipe.size
    with _opened(data) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f"{picture.width} x {picture.height} px is too large")
        crop, mirrored = (0.0, 0.0, 1.0, 1.0), False
        if draw is not None and not recipe.plain:
            crop, mirrored = draw_augmentation(recipe, picture.width, picture.height, draw)
        if recipe.draft and recipe.antialias and picture.format == "JPEG":
            wanted = [math.ceil(size / (crop[i + 2] - crop[i])) for i in (0, 1)]
            picture.draft("RGB", (wanted[0], wanted[1]))
        pixels = shrink(picture, recipe, crop)
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def shrink(
    picture: Image.Image, recipe: PhotoRecipe, crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
) -> Bytes:
    """A picture of any mode -> uint8 [size, size, 3].

    Args:
        picture: Decoded, or about to be.
        recipe: Size and resizing.
        crop: Left, top, right and bottom as shares of the sides. Default: the whole.
    """
    size, flat = recipe.size, _opaque(picture)
    width, height = flat.size
    box = (crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height)
    if recipe.antialias:
        return np.asarray(flat.resize((size, size), Image.Resampling.BILINEAR, box=box))
    return _four_neighbours(np.asarray(flat), size, box)


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:  # Pillow's own words are of an object's address
        raise ValueError("no JPEG, PNG or WebP that can be read") from error


def _opaque(picture: Image.Image) -> Image.Image:
    """Any mode -> RGB: transparent parts on white, greys of 16 bits by their upper byte, as `tf.io.decode_image` gives them."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    alpha = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", alpha.size, "white"), alpha).convert("RGB")


def draw_augmentation(
    recipe: PhotoRecipe, width: int, height: int, draw: str
) -> tuple[tuple[float, float, float, float], bool]:
    """The crop (left, top, right, bottom as shares of the sides) and whether to mirror, drawn from a hash of `draw`."""
    numbers = np.frombuffer(hashlib.shake_256(draw.encode()).digest(8 * (4 * _TRIES + 1)), "<u8") / 2.0**64
    mirrored = recipe.flip and bool(numbers[0] < 0.5)
    if recipe.crop_min < 1:
        for u_area, u_ratio, u_left, u_top in numbers[1:].reshape(_TRIES, 4):
            area = (recipe.crop_min + u_area * (1 - recipe.crop_min)) * width * height
            ratio = math.exp(math.log(_RATIO[0]) + u_ratio * math.log(_RATIO[1] / _RATIO[0]))
            w, h = math.sqrt(area * ratio) / width, math.sqrt(area / ratio) / height
            if w <= 1 and h <= 1:
                left, top = u_left * (1 - w), u_top * (1 - h)
                return (float(left), float(top), float(left + w), float(top + h)), mirrored
    return (0.0, 0.0, 1.0, 1.0), mirrored


def _four_neighbours(pixels: Bytes, size: int, box: tuple[float, float, float, float]) -> Bytes:
    """Bilinear without antialiasing, pixel centres at halves, cut to whole levels: `tf.image.resize` and a cast to uint8."""
    height, width = pixels.shape[:2]
    x0, x1, fx = _neighbours(size, box[0], box[2], width)
    y0, y1, fy = _neighbours(size, box[1], box[3], height)
    rows0, rows1 = pixels[y0].astype(np.float32), pixels[y1].astype(np.float32)
    fx = fx[None, :, None]
    upper = rows0[:, x0] + (rows0[:, x1] - rows0[:, x0]) * fx
    lower = rows1[:, x0] + (rows1[:, x1] - rows1[:, x0]) * fx
    return (upper + (lower - upper) * fy[:, None, None]).astype(np.uint8)


def _neighbours(size: int, start: float, stop: float, length: int) -> tuple[npt.NDArray[np.int64], ...]:
    at = np.float32(start) + (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32((stop - start) / size)
    at -= np.float32(0.5)
    low = np.floor(at)
    share = (at - low).astype(np.float32)
    first = np.clip(low.astype(np.int64), 0, length - 1)
    second = np.clip(low.astype(np.int64) + 1, 0, length - 1)
    return first, second, share
