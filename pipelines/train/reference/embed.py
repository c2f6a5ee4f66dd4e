"""Samples to embeddings: what the loss sees, for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.loss import unit
from pipelines.train.reference.model import Tower
from pipelines.train.reference.version import Sample


def to_tensor(pixels: np.ndarray, device: torch.device) -> Tensor:
    """uint8 pictures [n, h, w, 3] or [n, h, w] -> float32 [n, 3 or 1, h, w] in -1..1."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    tensor = tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor[:, None]
    return tensor.float().div_(127.5).sub_(1.0)


@torch.inference_mode()
def embed_pairs(
    tower: Tower, decoder: Decoder, kind: str, samples: Sequence[Sample], device: torch.device, *, batch: int = 64
) -> tuple[Tensor, Tensor]:
    """Embeds both sides of samples of one kind, without augmentation, in evaluation mode.

    Args:
        tower: Its mode is put back afterwards.
        decoder: Reads the samples.
        kind: Of all samples.
        samples: n of them, at least one.
        device: Where the tower is.
        batch: Samples embedded at once. Default: 64.

    Returns:
        (left, right): float32 [n, d] on `device`, rows of length 1; row i of both is sample i.

    Raises:
        DataError: A sample cannot be read.
    """
    was_training = tower.training
    tower.eval()
    lefts, rights = [], []
    for at in range(0, len(samples), batch):
        part = decoder.batch(kind, samples[at : at + batch])
        for pixels, rows, out in ((part.left, part.left_rows, lefts), (part.right, part.right_rows, rights)):
            seen = None if rows is None else torch.from_numpy(rows).to(device)
            out.append(unit(tower(to_tensor(pixels, device), seen)))
    tower.train(was_training)
    return torch.cat(lefts), torch.cat(rights)


def pictures(decoder: Decoder, kind: str, samples: Sequence[Sample]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The pixels of samples, for people to look at: uint8 [h, w, 3] photographs or [h, w] texts, left and right."""
    part = decoder.batch(kind, samples)
    return list(part.left), list(part.right)
