"""A model of open_clip's, by the name of its architecture and a file of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pairs.similarity import SimilarityOptions
from pipelines.similarity.model import Floats, ModelError


def _libraries() -> tuple[Any, Any]:
    try:
        import open_clip
        import torch
    except (ImportError, RuntimeError) as error:  # a torchvision of another PyTorch's raises RuntimeError
        raise ModelError(
            f"provider open_clip needs open_clip, torch and a torchvision that fits it ({error}): "
            "pip install 'pixelpairs[open-clip]'"
        ) from error
    return open_clip, torch


class OpenClipModel:
    """See `SimilarityModel`."""

    def __init__(self, options: SimilarityOptions, files: Mapping[str, str], *, gpu: bool = False) -> None:
        """Loads the weights.

        Raises:
            ModelError: A library is missing, the architecture is not known, or the weights are not its own.
        """
        open_clip, self._torch = _libraries()
        self._batch = options.batch_size
        self._device = "cuda" if gpu and self._torch.cuda.is_available() else "cpu"
        self._torch.set_num_threads(1)
        if options.model not in open_clip.list_models():
            raise ModelError(
                f"pairs.image_alt.similarity.model: open_clip {open_clip.__version__} has no {options.model!r}"
            )
        try:
            made = open_clip.create_model_and_transforms(
                options.model, pretrained=files["pretrained"], device=self._device
            )
            self._tokenizer = open_clip.get_tokenizer(options.model)
        except Exception as error:  # whatever loading a file of another kind raises
            detail = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise ModelError(f"{files['pretrained']}: is not to be loaded as {options.model}: {detail}") from error
        self._model, self._preprocess = made[0].eval(), made[2]

    @property
    def batch_size(self) -> int:
        """How many images, or texts, the model is given at once."""
        return self._batch

    def prepare(self, picture: Image.Image) -> Any:
        """An RGB picture of any size as the image encoder reads it: a tensor (3, size, size)."""
        return self._preprocess(picture)

    def images(self, prepared: Sequence[Any]) -> Floats:
        """Embeddings of n prepared pictures: float32 (n, d), not normalised."""
        return self._run(self._model.encode_image, list(prepared))

    def texts(self, texts: Sequence[str]) -> Floats:
        """Embeddings of n texts: float32 (n, d), not normalised."""
        return self._run(self._model.encode_text, list(self._tokenizer(list(texts))) if texts else [])

    def _run(self, encode: Any, items: list[Any]) -> Floats:
        """Batch by batch, the last one filled up with copies of its first item."""
        torch, made = self._torch, []
        with torch.inference_mode():
            for first in range(0, len(items), self._batch):
                some = items[first : first + self._batch]
                filled = torch.stack([*some, *[some[0]] * (self._batch - len(some))]).to(self._device)
                made.append(encode(filled)[: len(some)].float().cpu().numpy())
        return np.concatenate(made).astype(np.float32) if made else np.zeros((0, 0), np.float32)
