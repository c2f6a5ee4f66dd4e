"""One training step: pictures to embeddings, embeddings to a loss, and back, in chunks where memory is short."""

from __future__ import annotations

import contextlib
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
        keep_photo: Share of a photograph's patches that are looked at, see `patches.choose_patches`; 1: all.
        keep_text: The same of a text's.
    """

    chunk: int = 0
    bf16: bool = False
    keep_photo: float = 1.0
    keep_text: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures that are embedded at once.

    Attributes:
        photos: Whether they are photographs.
        pictures: int64 [m], their indices in the batch, photographs first.
        height: px of texts that are looked at.
    """

    photos: bool
    pictures: Tensor
    height: int


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

    def embed(self, batch: Batch, part: Part) -> Tensor:
        """Embeds some pictures of a batch.

        Args:
            batch: On the tower's device.
            part: One of `parts(batch)`.

        Returns:
            float32 [m, d].
        """
        options = self.options
        rows = None
        if part.photos:
            pixels, keep = batch.photos[part.pictures], options.keep_photo
        else:
            which, keep = part.pictures - len(batch.photos), options.keep_text
            pixels = batch.texts[which, : part.height]
            if self.tower.config.skip_blank:
                rows = batch.text_rows[which]
        draws = batch.draws[part.pictures] if keep < 1 else None
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=options.bf16):
            return self._forward(levels(pixels), rows, draws, keep).float()

    def parts(self, batch: Batch) -> list[Part]:
        """The pictures of a batch, a chunk at a time, photographs and texts apart; texts of like length go together.

        All that depends on values is looked up here, at the beginning of a step: a GPU need not be waited for in its middle.
        """
        device, photos, count = batch.kinds.device, len(batch.photos), len(batch.texts)
        rows = batch.text_rows.cpu()
        chunk = self.options.chunk or max(photos, count, 1)
        texts = torch.argsort(rows, stable=True) if self.options.chunk else torch.arange(count)
        found = [Part(True, part.to(device), 0) for part in torch.arange(photos).split(chunk) if len(part)]
        for part in texts.split(chunk):
            if len(part):
                height = batch.texts.shape[1]
                if self.tower.config.skip_blank:  # one row more: convolutions look over the edge
                    height = min(height, (int(rows[part].max()) + 1) * self.tower.config.patch)
                found.append(Part(False, (photos + part).to(device), height))
        return found


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
    parts = embedder.parts(batch)
    order = torch.argsort(torch.cat([part.pictures for part in parts]))
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
        for part, grad in zip(parts, leaf.grad.split([len(part.pictures) for part in parts]), strict=True):
            embedder.embed(batch, part).backward(grad)
    world.average_gradients(tower.parameters())
    return rows.detach()
