"""Photographs' bytes -> RGB pictures -> what an image encoder reads."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pairs.images import MAX_PIXELS
from pairs.similarity import SimilarityOptions
from pipelines.similarity.model import Floats, ModelError

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_RESAMPLING = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers, which preprocessor_config.json uses
_LONGEST = 8
"""Shorter sides that are resized of a long picture; only its middle, one of them, is seen. A banner of 20 x 20,000 px would be
scaled up to 50 million."""


class PictureError(Exception):
    """A photograph that cannot be decoded."""


def decode(data: bytes) -> Image.Image:
    """The picture as RGB, transparent parts white, JPEG's EXIF orientation not applied.

    Raises:
        PictureError: It cannot be decoded whole, or has more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PictureError(f"{image.width} x {image.height} pixels, at most {MAX_PIXELS}")
                image.load()
                return _rgb(image)
    except PictureError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they like on hostile bytes
        raise PictureError(f"{type(error).__name__}: {error}".splitlines()[0][:200]) from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("P", "PA", "LA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        ground = Image.new("RGBA", over.size, "white")
        ground.alpha_composite(over)
        return ground.convert("RGB")
    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image, np.int64), 0, 0xFFFF)
        return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes an encoder's input.

    Attributes:
        size: px, both sides of what the encoder reads.
        short: px, what the shorter side is resized to before the middle is taken; None: both sides to `size`.
        resample: Pillow's filter.
        mean, std: Of red, green, blue in [0, 1].
    """

    size: int
    short: int | None
    resample: Image.Resampling
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def array(self, picture: Image.Image) -> Floats:
        """float32 (3, size, size)."""
        pixels = np.asarray(self._fitted(picture), np.float32) / np.float32(255)
        scaled = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def _fitted(self, picture: Image.Image) -> Image.Image:
        size, wanted = self.size, self.short
        if wanted is None:
            return picture.resize((size, size), self.resample)
        width, height = picture.size
        if max(width, height) > _LONGEST * min(width, height):
            picture = _middle(picture, min(width, _LONGEST * height), min(height, _LONGEST * width))
            width, height = picture.size
        short = min(width, height)
        picture = picture.resize((wanted * width // short, wanted * height // short), self.resample)
        return _middle(picture, size, size)


def _middle(picture: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def preprocessing(options: SimilarityOptions, files: Mapping[str, str], seen: int | None) -> Preprocessing:
    """The recipe's settings, below them those of preprocessor_config.json, below them CLIP's.

    Args:
        options: The recipe's.
        files: As `files.find` gives them.
        seen: px, the side that the image encoder is made for; None where it takes any.

    Raises:
        ModelError: The file is not to be read, or nothing tells the size.
    """
    path = files.get("preprocessor")
    told = _read(path) if path is not None else {}
    try:
        size, short, squash = _sizes(told)
        mean, std = (_channels(told, name) for name in ("image_mean", "image_std"))
        filter_of = _RESAMPLING.get(told.get("resample", 3))
        factor = told.get("rescale_factor", 1 / 255)
        if abs(factor * 255 - 1) > 1e-6 and told.get("do_rescale", True):
            raise ValueError(f"rescale_factor {factor}: only 1/255 is known")
        if not told.get("do_normalize", True):
            mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if filter_of is None and options.interpolation is None:
            raise ValueError(f"resample {told.get('resample')}: only 2 (bilinear) and 3 (bicubic) are known")
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: {error}") from error
    if options.image_size is not None:
        size = short = options.image_size
    elif size is None:
        size = short = seen
    if options.resize is not None:
        squash = options.resize == "squash"
    if size is None:
        raise ModelError(
            "pairs.image_alt.similarity.image_size: neither the recipe nor preprocessor_config.json nor the image encoder says it"
        )
    if seen is not None and size != seen:
        raise ModelError(f"{files['image_encoder']} reads pictures of {seen} x {seen} px, image_size is {size}")
    return Preprocessing(
        size=size,
        short=None if squash else short or size,
        resample=Image.Resampling[(options.interpolation or filter_of or "bicubic").upper()],
        mean=options.mean or mean or _CLIP_MEAN,
        std=options.std or std or _CLIP_STD,
    )


def _read(path: str) -> dict[str, Any]:
    try:
        told = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(told, dict):
        raise ModelError(f"{path}: a JSON object is wanted")
    return told


def _sizes(told: Mapping[str, Any]) -> tuple[int | None, int | None, bool]:
    """The side that the encoder sees, what a side is resized to before, and whether both sides are."""
    size, crop = told.get("size"), told.get("crop_size")
    if not told.get("do_center_crop", crop is not None):
        crop = None
    squash = isinstance(size, Mapping) and "height" in size
    resized = _side("size", size)
    seen = _side("crop_size", crop) or resized
    if resized is not None and seen is not None and (resized < seen or (squash and resized != seen)):
        raise ValueError(f"size {size}, crop_size {crop}: a crop out of the resized picture is wanted")
    return seen, resized or seen, squash


def _side(name: str, value: Any) -> int | None:
    if isinstance(value, Mapping):
        sides = {value[key] for key in ("height", "width", "shortest_edge") if key in value}
        if len(sides) != 1:
            raise ValueError(f"{name} {dict(value)}: one side of a square is wanted")
        (value,) = sides
    if value is not None and not (isinstance(value, int) and 8 <= value <= 2048):
        raise ValueError(f"{name} {value!r}: pixels are wanted")
    return value


def _channels(told: Mapping[str, Any], name: str) -> tuple[float, float, float] | None:
    values = told.get(name)
    if values is None:
        return None
    if len(values) != 3 or (name == "image_std" and 0 in values):
        raise ValueError(f"{name} {values}: three numbers are wanted, none of std 0")
    red, green, blue = map(float, values)
    return red, green, blue
