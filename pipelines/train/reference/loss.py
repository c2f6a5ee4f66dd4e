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


def recalls(queries: Tensor, targets: Tensor, at: tuple[int, ...] = (1, 5)) -> dict[str, float]:
    """Share of queries whose own target is among the `at` nearest. Ties count against it.

    Args:
        queries: float [n, d], rows of length 1.
        targets: float [n, d]; row i belongs to query i.
        at: Ranks to report. Default: 1 and 5.

    Returns:
        {"recall_at_1": 0..1, ...}
    """
    scores = queries.float() @ targets.float().T
    own = scores.diagonal()[:, None]
    rank = (scores >= own).sum(1) - 1
    return {f"recall_at_{k}": float((rank < k).float().mean()) for k in at}
