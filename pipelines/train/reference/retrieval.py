"""Who finds whom among held-out pairs."""

from __future__ import annotations

from torch import Tensor


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
    return {f"recall_at_{k}": round((rank < k).float().mean().item(), 6) for k in at}
