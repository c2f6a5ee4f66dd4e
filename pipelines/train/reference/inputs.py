"""Photographs and texts as tensors for a tower: what its weights were trained with, kept beside them."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipelines.train.reference.photographs import PhotoRecipe, decode_photograph, shrink
from pipelines.train.reference.texts import inked_rows
from rendering import Renderer, RenderSpec, load_font


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a tower reads.

    Attributes:
        size: px a side of photographs.
        antialias: How they are resized, see `PhotoRecipe`.
        render: Fields of the `RenderSpec` of texts; empty: CLIPPO's.
        render_digest: Digest of that spec and its font, empty if it is not known.
    """

    size: int = 224
    antialias: bool = True
    render: Mapping[str, Any] = field(default_factory=dict)
    render_digest: str = ""


def levels(pixels: Tensor) -> Tensor:
    """uint8 pictures [n, h, w, 3] or [n, h, w] -> float32 [n, 3 or 1, h, w] in -1..1: big_vision's `value_range(-1, 1)`."""
    pixels = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels[:, None]
    return pixels.float().div_(127.5).sub_(1.0)


def photo_tensor(images: Sequence[Any], inputs: Inputs) -> tuple[Tensor, None]:
    """Photographs (bytes, paths or Pillow images) -> float32 [n, 3, size, size] in -1..1."""
    recipe = PhotoRecipe(size=inputs.size, antialias=inputs.antialias, draft=False)
    return levels(torch.from_numpy(np.stack([_photograph(image, recipe) for image in images]))), None


def text_tensor(texts: Sequence[str], inputs: Inputs, patch: int) -> tuple[Tensor, Tensor]:
    """Texts -> float32 [n, 1, height, width] in -1..1, and int64 [n], patch rows with ink.

    Raises:
        ValueError: The renderer here draws otherwise than the one the tower was trained with.
    """
    renderer = _renderer(json.dumps(dict(inputs.render), sort_keys=True))
    if inputs.render_digest not in ("", renderer.digest):
        raise ValueError(
            f"texts are rendered otherwise here: digest {renderer.digest}, the tower was trained with {inputs.render_digest}"
        )
    pixels = renderer.render(list(texts))
    rows = inked_rows(pixels, renderer.spec.background, patch)
    return levels(torch.from_numpy(pixels)), torch.from_numpy(rows)


@functools.lru_cache(maxsize=4)
def _renderer(spec: str) -> Renderer:
    found = RenderSpec.from_dict(json.loads(spec))
    return Renderer(found, font=load_font(*found.font))


def _photograph(image: Any, recipe: PhotoRecipe) -> np.ndarray:
    if isinstance(image, Image.Image):
        return shrink(image, recipe)
    if not isinstance(image, bytes | str | os.PathLike):
        raise TypeError(f"an image is a file's bytes, its path or a Pillow image, not a {type(image).__name__}")
    try:
        return decode_photograph(image if isinstance(image, bytes) else Path(image).read_bytes(), recipe)
    except (ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{_named(image)}: {error}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(f"{_named(image)}: {error}") from error


def _named(image: Any) -> str:
    return f"an image of {len(image)} bytes" if isinstance(image, bytes) else str(image)
