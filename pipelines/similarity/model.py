"""The interface of an image-text model, and the score that comes of its embeddings."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from pairs.similarity import DIGITS, SimilarityOptions

Floats = npt.NDArray[np.float32]


class ModelError(Exception):
    """A model that cannot be used: a file is missing or not what it should be, or its library is not installed."""


class SimilarityModel(Protocol):
    """Images and texts into one space, in which likeness is the cosine.

    A row of the result depends on its image or text alone, not on those beside it or on how many they are: the model is always
    given the same shapes, what is missing being filled up.
    """

    @property
    def batch_size(self) -> int:
        """How many images, or texts, the model is given at once."""
        ...

    def prepare(self, picture: Image.Image) -> Any:
        """An RGB picture of any size as the image encoder reads it: small, so that a batch of them fits in memory."""
        ...

    def images(self, prepared: Sequence[Any]) -> Floats:
        """Embeddings of n prepared pictures: float32 (n, d), not normalised."""
        ...

    def texts(self, texts: Sequence[str]) -> Floats:
        """Embeddings of n texts: float32 (n, d), not normalised."""
        ...


def cosines(images: Floats, texts: Floats) -> Floats:
    """Cosine of each image and its text, rounded to `DIGITS` decimals.

    Args:
        images: (n, d).
        texts: (n, d).

    Returns:
        float32 (n,) in [-1, 1]; NaN where an embedding is not finite or has no length.
    """
    a, b = images.astype(np.float64), texts.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        cosine = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    # + 0.0: no negative zero, which would be another byte.
    return (np.round(np.clip(cosine, -1, 1), DIGITS) + 0.0).astype(np.float32)


def load(options: SimilarityOptions, files: dict[str, str], *, gpu: bool) -> SimilarityModel:
    """Loads a model.

    Args:
        options: The recipe's.
        files: Role -> path, as `files.find` gives them.
        gpu: Whether to run it on the GPU that this process has been given.

    Raises:
        ModelError: The files are not those of such a model, or a library is missing.
    """
    if options.provider == "open_clip":
        from pipelines.similarity.open_clip_model import OpenClipModel

        return OpenClipModel(options, files, gpu=gpu)
    from pipelines.similarity.onnx_model import OnnxModel

    return OnnxModel(options, files, gpu=gpu)


@functools.lru_cache(1)
def _held(said: str, gpu: bool) -> SimilarityModel:
    told = json.loads(said)
    return load(SimilarityOptions.model_validate_json(json.dumps(told["options"])), told["files"], gpu=gpu)


def held(options: dict[str, Any], files: dict[str, str], *, gpu: bool) -> SimilarityModel:
    """`load`, once a process."""
    return _held(json.dumps({"options": options, "files": files}, sort_keys=True), gpu)
