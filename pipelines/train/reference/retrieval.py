"""Who finds whom among held-out pairs."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

AT: Final[tuple[int, ...]] = (1, 5, 10)
_ROWS: Final[int] = 1024


def ranks(queries: Tensor, targets: Tensor) -> Tensor:
    """How many targets are at least as near to each query as its own is; 0: it is found first.

    Ties count against a query, and so does what is no number: a tower that gives one vector for everything finds nothing.

    Args:
        queries: float [n, d], rows of length 1.
        targets: float [n, d]; row i belongs to query i.

    Returns:
        int64 [n], 0 to n - 1.
    """
    found = []
    targets = targets.float()
    for at in range(0, len(queries), _ROWS):
        # A bounded number of rows: the square of a hundred thousand pairs is 40 GB.
        scores = queries[at : at + _ROWS].float() @ targets.T
        own = scores.diagonal(at)[:, None]
        found.append((~(scores < own)).sum(1) - 1)
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)


def recalls(queries: Tensor, targets: Tensor, at: tuple[int, ...] = AT) -> dict[str, float]:
    """Share of queries whose own target is among the `at` nearest, and the median of its rank from 1.

    Args:
        queries: float [n, d], rows of length 1; n at least 1.
        targets: float [n, d]; row i belongs to query i.
        at: Ranks to report. Default: 1, 5 and 10.

    Returns:
        {"recall_at_1": 0..1, ..., "median_rank": 1..n}
    """
    rank = ranks(queries, targets)
    found = {f"recall_at_{k}": round((rank < k).float().mean().item(), 6) for k in at}
    return found | {"median_rank": float(rank.float().median().item()) + 1}


def nearest(queries: Tensor, targets: Tensor, count: int) -> Tensor:
    """The targets nearest to each query, nearest first: int64 [n, count], fewer columns where there are fewer targets."""
    return (queries.float() @ targets.float().T).topk(min(count, len(targets)), dim=1).indices
