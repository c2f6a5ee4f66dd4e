"""Where the embeddings of two sides lie on the unit sphere: the gap between them, and how matched pairs stand out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ROUNDING = 1e-9  # of distances between float32 rows of length 1


def modality_gap(left: Tensor, right: Tensor) -> float:
    """The distance of the centroids of two sides (Liang et al. 2022, "Mind the gap", section 2): 0 where they lie in one place.

    Args:
        left: float [n, d], rows of length 1.
        right: float [m, d], rows of length 1.

    Returns:
        0 to 2.
    """
    return float((left.double().mean(0) - right.double().mean(0)).norm())


def relative_gap(left: Tensor, right: Tensor) -> float:
    """How far the two sides of a pair lie apart, against two pairs of one side (Schrodi et al. 2024, arXiv 2404.07983, "RMG").

    The distance of centroids is small too where a tower gives nearly the same vector for all: this one is not. Distances are
    (1 - cosine) / 2; m is their mean over matched pairs, w that over all two different rows of a side, averaged over the sides.

    Args:
        left: float [n, d], rows of length 1; n at least 2.
        right: The same, row i of both a pair.

    Returns:
        m / (m + w): 0 where pairs coincide, 1/2 where the sides of a pair are as far apart as any two rows of one side, 1 where
        each side is one point and the points differ. 1/2 where all rows of both sides are one point.
    """
    left, right = left.double(), right.double()
    n = len(left)
    matched = (1 - float((left * right).sum(1).mean())) / 2
    # The mean cosine of two different rows, from the length of their sum: no matrix of n by n.
    within = [(1 - (float(side.sum(0).square().sum()) - n) / (n * (n - 1))) / 2 for side in (left, right)]
    matched, among = max(matched, 0.0), max(sum(within) / 2, 0.0)
    return matched / (matched + among) if matched + among > _ROUNDING else 0.5


@dataclass(frozen=True, slots=True)
class Similarities:
    """Cosines of pairs.

    Attributes:
        matched: float32 [n], of each left side with its own right side.
        unmatched: float32 [n], of each left side with the right side of another pair.
    """

    matched: Tensor
    unmatched: Tensor

    @classmethod
    def of(cls, left: Tensor, right: Tensor) -> Similarities:
        """Args: left, right: float [n, d], rows of length 1, row i of both a pair; n at least 2."""
        left, right = left.float(), right.float()
        # Half of the way round: neighbours in the order of keys are as good as chance, but next to nothing costs more.
        away = right.roll(max(1, len(right) // 2), 0)
        return cls((left * right).sum(1), (left * away).sum(1))

    def entries(self) -> dict[str, float]:
        """Means, and how often a matched cosine is above an unmatched one drawn by chance (the area under the ROC curve)."""
        line = torch.cat([self.matched, self.unmatched])
        # Mann and Whitney's statistic, ties counting half.
        ordered = line.sort().values
        low, high = torch.searchsorted(ordered, self.matched), torch.searchsorted(ordered, self.matched, right=True)
        own_low = torch.searchsorted(self.matched.sort().values, self.matched)
        own_high = torch.searchsorted(self.matched.sort().values, self.matched, right=True)
        below = ((low - own_low) + (high - own_high)).double().mean() / 2 / max(1, len(self.unmatched))
        return {
            "matched": round(float(self.matched.mean()), 6),
            "unmatched": round(float(self.unmatched.mean()), 6),
            "auc": round(float(below), 6),
        }


def principal(parts: list[Tensor]) -> list[Tensor]:
    """The first two principal components of all rows together, of each part.

    Args:
        parts: float [n_i, d] each, at least two rows in all.

    Returns:
        float64 [n_i, 2] each. Signs are chosen so that the first part lies to the left and below the others, or, of a single part,
        so that its farthest row is positive: the same rows give the same picture.
    """
    rows = torch.cat(parts).double().cpu()
    centred = rows - rows.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    if len(axes) < 2:
        axes = torch.cat([axes, torch.zeros_like(axes)])[:2]
    places = centred @ axes.T
    split = list(places.split([len(part) for part in parts]))
    for axis in range(2):
        side = split[0][:, axis].mean() if len(split) > 1 else -places[:, axis][places[:, axis].abs().argmax()]
        if side > 0:
            places[:, axis] *= -1
    return list(places.split([len(part) for part in parts]))
