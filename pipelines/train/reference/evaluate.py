"""What a tower is worth, on pairs that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.embed import embed_pairs
from pipelines.train.reference.geometry import Similarities, modality_gap
from pipelines.train.reference.model import Tower
from pipelines.train.reference.retrieval import AT, recalls
from pipelines.train.reference.version import PHOTOGRAPHS, Sample


class EvaluationError(Exception):
    """A tower cannot be evaluated; the message says on what and why."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The held-out pairs of one kind.

    Attributes:
        samples: n, with distinct left pictures and distinct right texts.
        left: float32 [n, d] on the CPU, rows of length 1.
        right: The same of the right sides; row i of both is sample i.
    """

    samples: Sequence[Sample]
    left: Tensor
    right: Tensor

    def entries(self) -> dict[str, Any]:
        """Recalls both ways with those of chance, the gap between the two sides, and how matched pairs stand out."""
        n = len(self.samples)
        return {
            "samples": n,
            **{f"chance_at_{k}": min(1.0, k / n) for k in AT},
            "text_to_left": recalls(self.right, self.left),
            "left_to_text": recalls(self.left, self.right),
            "gap": round(modality_gap(self.left, self.right), 6),
            "similarity": Similarities.of(self.left, self.right).entries(),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A tower on all held-out pairs.

    Attributes:
        kinds: Kind -> its pairs.
        zero_shot: One a set of classes, see `zero_shot.classify`.
    """

    kinds: Mapping[str, Embedded]
    zero_shot: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def entries(self) -> dict[str, Any]:
        """Entries of `result.json`.

        Returns:
            `retrieval_by_kind`; `retrieval`, that of photographs, or of the first kind without them, None without any;
            `modality_gap` between photographs and their texts, where there are any; `zero_shot`, where classes were given.
        """
        found = {kind: embedded.entries() for kind, embedded in self.kinds.items()}
        entries: dict[str, Any] = {
            "retrieval": found.get(PHOTOGRAPHS) or next(iter(found.values()), None),
            "retrieval_by_kind": found,
        }
        if PHOTOGRAPHS in found:
            entries["modality_gap"] = found[PHOTOGRAPHS]["gap"]
        if self.zero_shot:
            entries["zero_shot"] = [dict(one) for one in self.zero_shot]
        return entries


def measure(tower: Tower, decoder: Decoder, held: Mapping[str, Sequence[Sample]], device: torch.device) -> Evaluation:
    """Embeds all held-out pairs.

    Args:
        tower: In any mode, on `device`; its mode and weights are left as they are.
        decoder: Reads the samples without augmentation.
        held: Kind -> held-out samples with distinct left pictures and distinct right texts. Kinds with fewer than two are left out.
        device: Where the tower is.

    Raises:
        EvaluationError: An embedding is no number.
        DataError: A sample cannot be read.
    """
    kinds = {}
    for kind, samples in sorted(held.items()):
        if len(samples) > 1:
            left, right = (side.float().cpu() for side in embed_pairs(tower, decoder, kind, samples, device))
            if not bool(torch.isfinite(left).all() and torch.isfinite(right).all()):
                raise EvaluationError(f"{kind}: the tower's embeddings are not all numbers")
            kinds[kind] = Embedded(samples, left, right)
    return Evaluation(kinds)


def evaluate(
    tower: Tower, decoder: Decoder, held: Mapping[str, Sequence[Sample]], device: torch.device
) -> dict[str, Any]:
    """The entries of `measure`, for whoever needs no more."""
    return measure(tower, decoder, held, device).entries()
