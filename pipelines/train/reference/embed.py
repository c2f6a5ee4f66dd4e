"""Samples to embeddings: what the loss sees, for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.loss import unit
from pipelines.train.reference.model import Tower
from pipelines.train.reference.shards import Sample
from pipelines.train.reference.step import Embedder, StepOptions


@torch.inference_mode()
def embed_pairs(
    tower: Tower,
    decoder: Decoder,
    kind: str,
    samples: Sequence[Sample],
    device: torch.device,
    *,
    batch: int = 64,
    bf16: bool = False,
) -> tuple[Tensor, Tensor]:
    """Embeds both sides of samples of one kind, without augmentation and with all patches, in evaluation mode.

    Args:
        tower: Its mode is put back afterwards.
        decoder: Reads the samples.
        kind: Of all samples.
        samples: n of them, at least one.
        device: Where the tower is.
        batch: Samples embedded at once. Default: 64.
        bf16: Matrix products in bfloat16. Default: no.

    Returns:
        (left, right): float32 [n, d] on `device`, rows of length 1; row i of both is sample i.

    Raises:
        DataError: A sample cannot be read.
    """
    was_training = tower.training
    tower.eval()
    embedder = Embedder(tower, StepOptions(bf16=bf16))
    lefts, rights = [], []
    for at in range(0, len(samples), batch):
        part = decoder.samples(kind, samples[at : at + batch]).to(device)
        found = unit(torch.cat([embedder.embed(part, some) for some in embedder.parts(part)]))
        lefts.append(found[part.left])
        rights.append(found[part.right])
    tower.train(was_training)
    return torch.cat(lefts), torch.cat(rights)


def pictures(decoder: Decoder, kind: str, samples: Sequence[Sample]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The pixels of samples, for people to look at: uint8 [h, w, 3] photographs or [h, w] texts, left and right."""
    part = decoder.samples(kind, samples)
    found = [*part.photos.numpy(), *part.texts.numpy()]
    return [found[i] for i in part.left], [found[i] for i in part.right]
