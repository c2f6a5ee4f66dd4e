"""How a run is going: what it gathers, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from pipelines.train.reference.config import TrainConfig
from pipelines.train.reference.plan import Plan
from pipelines.train.reference.usage import peak_of


@dataclass(slots=True)
class Progress:
    """What a run gathers on its way.

    Attributes:
        losses: Kind -> (step, mean loss of its pairs in nats).
        all_losses: Mean loss of every step, all kinds together.
        samples: Pairs seen by all workers.
        seconds: Spent training, earlier parts of a resumed run included.
        waited: Of these, waiting for data.
        flops: Operations of the model's own work at this worker since this process began.
        began_at: `seconds` when this process began.
        status: `complete` or `time limit`.
        step: The last one that was taken.
        idle: Steps of this process that had no gradient: no pair of their batches had a negative.
    """

    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    all_losses: list[float] = field(default_factory=list)
    samples: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    flops: float = 0.0
    began_at: float = 0.0
    status: str = "complete"
    step: int = 0
    idle: int = 0

    def note(self, step: int, losses: dict[str, float], mean: float) -> None:
        """Adds a step."""
        for kind, loss in losses.items():
            self.losses.setdefault(kind, []).append((step, loss))
        self.all_losses.append(mean)
        self.step = step

    def rates(self) -> dict[str, float]:
        """Pairs a second and the share of the time spent waiting for data."""
        seconds = max(self.seconds, 1e-9)
        return {"samples_per_s": self.samples / seconds, "wait_share": self.waited / seconds}

    def mfu(self, device: torch.device) -> float | None:
        """Share of the device's peak that the model's own arithmetic took in this process; None where the peak is unknown."""
        peak, spent = peak_of(device), self.seconds - self.began_at
        return None if peak is None or spent <= 0 else self.flops / spent / peak

    def line(self, step: int, config: TrainConfig) -> str:
        """The line that is printed every so many steps."""
        rates = self.rates()
        return (
            f"step={step} of={config.steps} loss={mean(self.all_losses[-config.log_every :]):.4f} "
            f"samples_per_s={rates['samples_per_s']:.1f} seconds={self.seconds:.1f} wait_share={rates['wait_share']:.3f}"
        )

    def summary(self) -> dict[str, Any]:
        """Entries of `result.json`. First and last losses are means of a twentieth of the steps."""
        edge = max(1, round(len(self.all_losses) * 0.05))
        return {
            "status": self.status,
            "steps": self.step,
            "samples": self.samples,
            "loss_first": mean(self.all_losses[:edge]),
            "loss_last": mean(self.all_losses[-edge:]),
            "loss_last_by_kind": {k: mean([v for _, v in p[-max(1, len(p) // 20) :]]) for k, p in self.losses.items()},
            **self.rates(),
        }


def loss_of_chance(config: TrainConfig, plan: Plan) -> dict[str, float]:
    """Kind -> the loss of a tower that knows nothing but how many pairs a batch has, in nats."""
    sizes = plan.batch if config.batches == "kind" else dict.fromkeys(plan.kinds, config.batch_size)
    if config.loss == "softmax":
        return {kind: math.log(size) for kind, size in sizes.items()}
    # Every pair is said to match with the probability that it does, 1 / n.
    return {kind: math.log(size) - (size - 1) * math.log1p(-1 / size) for kind, size in sizes.items()}


def mean(values: Sequence[float]) -> float:
    """The mean, nan of nothing."""
    return sum(values) / len(values) if values else math.nan
