"""The contrastive losses over the pairs of a batch, each worker with its rows of the global batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipelines.train.reference.distributed import World


def standardised(embeddings: Tensor, share: float) -> Tensor:
    """Brings each channel to mean 0 and deviation 1 over the batch, or part of the way.

    A fresh tower gives nearly the same vector for all rendered texts (cosines above 0.99), and a small one stays there for
    thousands of steps. Standardising each side over its batch makes their differences visible at once. It is faded out during
    training, so that the trained tower needs nothing but its weights.

    Args:
        embeddings: float [n, d], of one side, before they are brought to length 1.
        share: 0 (nothing) to 1 (mean 0, deviation 1).
    """
    if share == 0:
        return embeddings
    embeddings = embeddings.float()
    deviation, mean = torch.std_mean(embeddings, 0, correction=0, keepdim=True)
    return (embeddings - share * mean) / (deviation + 1e-5) ** share


def unit(embeddings: Tensor) -> Tensor:
    """Brings each row to length 1."""
    return functional.normalize(embeddings.float(), dim=-1)


def _softmax_rows(
    left: Tensor,
    right: Tensor,
    all_left: Tensor,
    all_right: Tensor,
    temperature: Tensor,
    first: int,
    ignore: Tensor | None,
) -> Tensor:
    """Both cross entropies of some rows among all, averaged: float [n]; rows are those from `first` on."""
    target = torch.arange(first, first + len(left), device=left.device)
    found = []
    for queries, answers in ((left, all_right), (right, all_left)):
        logits = temperature * queries.float() @ answers.float().T
        if ignore is not None:
            logits = logits.masked_fill(ignore, float("-inf"))
        found.append(functional.cross_entropy(logits, target, reduction="none"))
    return (found[0] + found[1]) / 2


def _sigmoid_rows(
    left: Tensor, all_right: Tensor, temperature: Tensor, bias: Tensor, first: int, ignore: Tensor | None, chunk: int
) -> Tensor:
    """Each row's sum over all right sides: float [n]. `chunk` of these at a time, whose logits are computed again going back."""

    def part(left: Tensor, right: Tensor, start: int) -> Tensor:
        logits = temperature * left.float() @ right.float().T + bias
        rows = torch.arange(first, first + len(left), device=left.device)[:, None]
        match = rows == torch.arange(start, start + len(right), device=left.device)
        terms = -functional.logsigmoid(torch.where(match, logits, -logits))
        if ignore is not None:
            terms = terms.masked_fill(ignore[:, start : start + len(right)], 0.0)
        return terms.sum(dim=1)

    total = torch.zeros(len(left), device=left.device)
    for start in range(0, len(all_right), chunk):
        right = all_right[start : start + chunk]
        total = total + checkpoint(part, left, right, start, use_reentrant=False)
    return total


@dataclass(frozen=True, slots=True)
class Objective:
    """What a run minimises.

    Attributes:
        loss: `softmax`: the mean of the left-to-right and the right-to-left cross entropies, ln(n) by chance (CLIP,
            https://arxiv.org/abs/2103.00020). `sigmoid`: every pair by itself is a match or none, summed over all and divided by n
            (SigLIP, https://arxiv.org/abs/2303.15343).
        mask_repeats: Pairs that share a picture or a text are no negatives of each other.
    """

    loss: Literal["softmax", "sigmoid"] = "softmax"
    mask_repeats: bool = True

    def rows(
        self,
        left: Tensor,
        right: Tensor,
        left_ids: Tensor,
        right_ids: Tensor,
        *,
        temperature: Tensor,
        bias: Tensor,
        standardise: float,
        world: World,
    ) -> Tensor:
        """The loss of each of this worker's pairs among those of all workers.

        The gradient of the mean over this worker's rows, and then the mean of the workers' gradients: that is the gradient of the
        mean over the global batch.

        Args:
            left, right: float [n, d], embeddings of this worker's pairs, of any length.
            left_ids, right_ids: int64 [n], equal where the contents are equal.
            temperature, bias: Scalars; the softmax uses no bias.
            standardise: As `standardised`, over the global batch.
            world: The workers.

        Returns:
            float32 [n].
        """
        n, first = len(left), world.rank * len(left)
        all_left = unit(standardised(world.gather(left.float()), standardise))
        all_right = unit(standardised(world.gather(right.float()), standardise))
        ignore = None
        if self.mask_repeats:
            every_left, every_right = world.gather(left_ids), world.gather(right_ids)
            ignore = (left_ids[:, None] == every_left) | (right_ids[:, None] == every_right)
            ignore[torch.arange(n), torch.arange(first, first + n)] = False
        mine = slice(first, first + n)
        if self.loss == "softmax":
            return _softmax_rows(all_left[mine], all_right[mine], all_left, all_right, temperature, first, ignore)
        return _sigmoid_rows(all_left[mine], all_right, temperature, bias, first, ignore, n)
