"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class TrainingError(Exception):
    """Training cannot go on; the message says at which step and why."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A run.

    Attributes:
        dataset: Folder of a published version.
        out: Folder for what the run writes; made if absent.
        manifest_sha256: What the version's manifest must hash to. Default: whatever it does.
        mix: Kind -> weight > 0. Default: the version's own mix, less kinds of weight 0.
        model: A name from `model.MODELS`.
        steps: Optimiser steps, at least 1.
        batch_size: Pairs a step, at least 2.
        learning_rate: Peak of AdamW's.
        weight_decay: Of matrices; vectors have none.
        warm_up: Share of the steps with a rising rate, 0..1; a cosine to 0 follows.
        standardise: Share of the steps, 0..1, in which embeddings are standardised over their batch, see `loss.standardised`. It
            fades out from the first step on.
        size: px a side of photographs, a multiple of the patch. Rendered text keeps the size that it was rendered at.
        seed: Weights, order and control derive from it.
        threads: CPU threads of torch; 0 leaves torch's choice.
        device: `auto` takes CUDA where there is one.
        holdout: Share of left pictures kept from training for the evaluation, 0..0.5.
        holdout_most: Pictures held out of a kind at most.
        control: `shuffled` trains on pairs whose right sides are shuffled within their kind, which must teach nothing.
        mask_repeats: Pairs that share a picture or a text are no negatives of each other.
        max_seconds: Training stops at the first step after it. Default: never.
        log_every: Steps between progress lines.
    """

    dataset: Path
    out: Path
    manifest_sha256: str | None = None
    mix: Mapping[str, float] = field(default_factory=dict)
    model: str = "tiny"
    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1
    standardise: float = 0.9
    size: int = 112
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    holdout: float = 0.1
    holdout_most: int = 256
    control: str = "none"
    mask_repeats: bool = True
    max_seconds: float | None = None
    log_every: int = 10
