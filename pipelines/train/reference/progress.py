"""How a run is going: what it gathers, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from pipelines.train.reference.config import TrainConfig
from pipelines.train.reference.evaluate import Evaluation
from pipelines.train.reference.model import name_of
from pipelines.train.reference.opening import Opened
from pipelines.train.reference.plan import Plan
from pipelines.train.reference.usage import peak_memory, peak_of

FEW: Final[int] = 30
"""Held-out pairs of which fewer than so many are worth a note: one of them more or less is some per cent of recall."""


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

    def row(self, step: int, losses: dict[str, float], mean: float, device: torch.device) -> dict[str, Any]:
        """Entries of a step's line in the metrics that this knows of: losses, time and rates."""
        mfu = self.mfu(device)
        return {
            "step": step,
            "kind": "+".join(losses),
            "loss": mean,
            "losses": losses,
            "seconds": round(self.seconds, 3),
            **{name: round(value, 4) for name, value in self.rates().items()},
            **({} if mfu is None else {"mfu": round(mfu, 4)}),
        }

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


def first_line(run: Opened) -> str:
    """What is trained, where, on how many pairs."""
    sizes = " ".join(f"{k}={run.split.trained_on(k)}+{len(run.split.held[k])}" for k in run.plan.kinds)
    at = f" resumed_at={run.resumed.step}" if run.resumed else ""
    return (
        f"model={name_of(run.tower.config)} device={run.world.device} workers={run.world.size} "
        f"threads={torch.get_num_threads()} text={run.decoder.texts.way}{at} train+heldout: {sizes}"
    )


def notes_before(run: Opened) -> Iterator[str]:
    """What is allowed, but rarely meant."""
    for fault in run.torn:
        yield f"{fault}: passed over"
    batch = run.config.batch_size
    for kind in run.plan.kinds:
        held, trained = len(run.split.held[kind]), run.split.trained_on(kind)
        if 0 < held < FEW:
            yield f"{held} held-out pairs of {kind} are few: their recalls say little"
        if run.config.batches == "kind" and run.plan.batch[kind] < batch:
            yield f"batches of {kind} hold {run.plan.batch[kind]} pairs, not {batch}: there are {trained} to train on"
        if run.config.batches == "mixed" and run.mix[kind] * batch > trained:
            yield f"a batch of {batch} holds the {trained} pairs of {kind} more than once"


def notes_after(run: Opened, progress: Progress, evaluation: Evaluation) -> Iterator[str]:
    """What came out empty."""
    if progress.idle:
        yield (
            f"{progress.idle} steps taught nothing, and their loss is 0: all pairs of a batch share a picture or a text, so none "
            "has a negative; larger batches have some, --no-mask-repeats takes repeats for them"
        )
    if run.config.classes is not None and not evaluation.zero_shot:
        yield f"no held-out photograph is of one class of {run.config.classes}: nothing was classified"


def facts(run: Opened, progress: Progress, seconds: float) -> dict[str, Any]:
    """Entries of `result.json` that say what was run, and on what.

    Args:
        run: The run.
        progress: At its end.
        seconds: All that the run took, opening and evaluation included.
    """
    config, device = run.config, run.world.device
    chance = loss_of_chance(config, run.plan)
    return {
        "loss_chance": sum(run.mix[kind] * chance[kind] for kind in run.mix),
        "mfu": progress.mfu(device),
        "peak_memory_bytes": peak_memory(device),
        "seconds": seconds,
        "model": name_of(run.tower.config),
        "parameters": sum(p.numel() for p in run.tower.parameters()),
        "temperature": run.tower.temperature.item(),
        "batch_size": config.batch_size,
        "size": config.size,
        "seed": config.seed,
        "mix": run.mix,
        "batches": config.batches,
        "control": config.control,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "workers": run.world.size,
        "resumed_at": run.resumed.step if run.resumed else None,
        "manifest_sha256": run.version.manifest_sha256,
        "torch": torch.__version__,
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
