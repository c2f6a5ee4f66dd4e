"""One training step: pictures to embeddings, embeddings to a loss, and back, in chunks where memory is short."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines.train.reference.decode import Batch
from pipelines.train.reference.distributed import World
from pipelines.train.reference.inputs import levels
from pipelines.train.reference.loss import Objective
from pipelines.train.reference.model import Tower


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step is computed.

    Attributes:
        chunk: Pictures whose activations are in memory at once; 0: all of the batch. With chunks every picture is embedded twice
            (GradCache, https://arxiv.org/abs/2101.06983): first without keeping anything, for the loss and its gradient by each
            embedding, then chunk by chunk with these gradients. The result is that of the whole batch.
        bf16: Matrix products in bfloat16; the loss stays in float32.
        keep_photo: Share of a photograph's patches that are looked at, see `model.choose_patches`; 1: all.
        keep_text: The same of a text's.
    """

    chunk: int = 0
    bf16: bool = False
    keep_photo: float = 1.0
    keep_text: float = 1.0


class Embedder:
    """Embeds the pictures of batches.

    Args:
        tower: Evaluates them.
        options: How.
        forward: What is called in place of the tower, such as its compiled form. Default: the tower itself.
    """

    def __init__(self, tower: Tower, options: StepOptions, forward: nn.Module | None = None) -> None:
        self.tower, self.options = tower, options
        self._forward = tower if forward is None else forward

    def embed(self, batch: Batch, pictures: Tensor) -> Tensor:
        """Embeds some pictures of a batch, all of one sort.

        Args:
            batch: On the tower's device.
            pictures: int64 [m], indices of photographs, or those of texts.

        Returns:
            float32 [m, d].
        """
        options, count = self.options, len(batch.photos)
        photos = bool(pictures[0] < count)
        rows = None
        if photos:
            pixels, keep = batch.photos[pictures], options.keep_photo
        else:
            which, keep = pictures - count, options.keep_text
            pixels = batch.texts[which]
            if self.tower.config.skip_blank:
                rows = batch.text_rows[which]
                patch = self.tower.config.patch
                pixels = pixels[:, : (int(rows.max()) + 1) * patch]  # one more: convolutions look over the edge
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=options.bf16):
            return self._forward(levels(pixels), rows, batch.draws[pictures] if keep < 1 else None, keep).float()

    def parts(self, batch: Batch) -> Iterator[Tensor]:
        """Indices of the pictures, a chunk at a time, photographs and texts apart; texts of like length go together."""
        device, photos = batch.kinds.device, len(batch.photos)
        chunk = self.options.chunk or max(photos, len(batch.texts), 1)
        texts = torch.arange(len(batch.texts), device=device)
        if self.options.chunk:
            texts = torch.argsort(batch.text_rows, stable=True)
        yield from (part for part in torch.arange(photos, device=device).split(chunk) if len(part))
        yield from (part for part in (photos + texts).split(chunk) if len(part))


def backward(
    embedder: Embedder, objective: Objective, batch: Batch, world: World, *, standardise: float = 0.0
) -> Tensor:
    """Computes the gradients of a batch: of the mean over the global batch, the same at every worker.

    Args:
        embedder: Whose tower's gradients are added to.
        objective: The loss.
        batch: This worker's part of the global batch, on the tower's device.
        world: The workers.
        standardise: See `loss.standardised`.

    Returns:
        float32 [n], the loss of each of this worker's pairs.
    """
    tower = embedder.tower
    parts = list(embedder.parts(batch))
    order = torch.argsort(torch.cat(parts))
    cached = embedder.options.chunk > 0
    with torch.no_grad() if cached else contextlib.nullcontext():
        embeddings = torch.cat([embedder.embed(batch, part) for part in parts])
    leaf = embeddings.detach().requires_grad_() if cached else embeddings
    whole = leaf[order]
    rows = objective.rows(
        whole[batch.left],
        whole[batch.right],
        batch.left_ids,
        batch.right_ids,
        temperature=tower.temperature,
        bias=tower.bias,
        standardise=standardise,
        world=world,
    )
    rows.mean().backward()
    if cached and leaf.grad is not None:
        for part, grad in zip(parts, leaf.grad.split([len(part) for part in parts]), strict=True):
            embedder.embed(batch, part).backward(grad)
    world.average_gradients(tower.parameters())
    return rows.detach()
