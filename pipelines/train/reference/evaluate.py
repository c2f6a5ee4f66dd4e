"""What a trained tower is worth, on samples that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.embed import embed_pairs
from pipelines.train.reference.model import Tower
from pipelines.train.reference.retrieval import recalls
from pipelines.train.reference.shards import Sample
from pipelines.train.reference.version import PHOTOGRAPHS


def evaluate(
    tower: Tower, decoder: Decoder, held: Mapping[str, Sequence[Sample]], device: torch.device
) -> dict[str, Any]:
    """Evaluates a tower.

    Args:
        tower: In any mode, on `device`; its mode and weights are left as they are.
        decoder: Reads the samples without augmentation.
        held: Kind -> held-out samples with distinct left pictures and distinct right texts. Kinds with fewer than two are left out.
        device: Where the tower is.

    Returns:
        Entries of `result.json`: `retrieval_by_kind`, and `retrieval`, that of photographs, or of the first kind without them.
    """
    found = {}
    for kind, samples in sorted(held.items()):
        if len(samples) > 1:
            left, right = embed_pairs(tower, decoder, kind, samples, device)
            found[kind] = {
                "samples": len(samples),
                "chance_at_1": 1 / len(samples),
                "chance_at_5": min(1.0, 5 / len(samples)),
                "text_to_left": recalls(right, left),
                "left_to_text": recalls(left, right),
            }
    return {"retrieval": found.get(PHOTOGRAPHS) or next(iter(found.values()), None), "retrieval_by_kind": found}
