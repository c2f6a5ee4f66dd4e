"""Which patches of a picture are looked at where a run looks at some of them only."""

from __future__ import annotations

import torch
from torch import Tensor


def choose_patches(draws: Tensor, tokens: int, keep: float, mask: Tensor | None) -> Tensor:
    """Draws the patches that are looked at, as FLIP (https://arxiv.org/abs/2212.00794) and Pixel-BERT's random pixel sampling do.

    Args:
        draws: int64 [n], what to draw from: the same for the same picture and epoch, so with any number of workers.
        tokens: Patches of a picture.
        keep: Share that is kept, above 0.
        mask: bool [n, tokens], patches with something on them; these are kept first. Default: all are alike.

    Returns:
        int64 [n, max(1, round(keep * tokens))], ascending.
    """
    # A hash of picture and patch: multiplying and shifting as splitmix64 does, with int64's wrapping.
    x = draws[:, None] + torch.arange(1, tokens + 1, device=draws.device) * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ (x >> shift)) * factor
    x = (x ^ (x >> 31)) & (2**62 - 1)
    if mask is not None:
        x = torch.where(mask, x, x + 2**62)
    return x.topk(max(1, round(keep * tokens)), largest=False).indices.sort().values
