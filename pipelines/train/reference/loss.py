"""The symmetric softmax contrastive loss over the pairs of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def false_negatives(left_ids: Tensor, right_ids: Tensor) -> Tensor:
    """Which off-diagonal pairs of a batch are no negatives, since they share their left picture or their right text.

    Args:
        left_ids: int64 [n], equal where the left contents are equal.
        right_ids: int64 [n], equal where the right texts are equal.

    Returns:
        bool [n, n], false on the diagonal.
    """
    same = (left_ids[:, None] == left_ids) | (right_ids[:, None] == right_ids)
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)


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


def contrastive_loss(left: Tensor, right: Tensor, temperature: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Mean of the left-to-right and the right-to-left cross entropies.

    Args:
        left: float [n, d], rows of length 1.
        right: float [n, d], rows of length 1; row i belongs to row i of `left`.
        temperature: Scalar that multiplies the cosines.
        ignore: bool [n, n], symmetric: pairs that are left out of both softmaxes. Default: none, as in CLIPPO.

    Returns:
        A scalar in nats; ln(n) is what chance gives when nothing is ignored.
    """
    logits = temperature * left.float() @ right.float().T
    if ignore is not None:
        logits = logits.masked_fill(ignore, float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
