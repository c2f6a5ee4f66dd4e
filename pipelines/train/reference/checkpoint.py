"""Checkpoints: written whole or not at all, a bounded number of them; nothing but tensors and plain values is read back."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, Final

import torch

from pipelines.train.reference.config import TrainingError
from pipelines.train.reference.plan import PlanState

FOLDER: Final[str] = "checkpoints"
_NAME = re.compile(r"step-(\d{8})\.pt")


@dataclasses.dataclass(slots=True)
class Checkpoint:
    """A run as it stood after a step.

    Attributes:
        step: After which.
        tower: Weights.
        optimiser: Its state.
        plan: Where the plan of batches stood: the next batch is the one that the run would have had.
        run: Digest of the run's config and of the version's manifest.
        lanes: Of the plan.
        seconds: Spent training.
        waited: Of these, waiting for data.
        samples: Pairs seen.
    """

    step: int
    tower: dict[str, Any]
    optimiser: dict[str, Any]
    plan: PlanState
    run: str
    lanes: int
    seconds: float
    waited: float
    samples: int


def save(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Writes a checkpoint under a temporary name, makes it durable, renames it, and removes all but the newest `keep`.

    Args:
        folder: Of the run.
        checkpoint: What to write.
        keep: At least 1.
    """
    target = folder / FOLDER / f"step-{checkpoint.step:08d}.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    values = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint)}
    values["plan"] = dataclasses.asdict(checkpoint.plan)
    with part.open("wb") as file:
        torch.save(values, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)
    for old in listed(folder)[keep:]:
        old.unlink(missing_ok=True)
    return target


def listed(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    there = folder / FOLDER
    return (
        sorted((p for p in there.glob("step-*.pt") if _NAME.fullmatch(p.name)), reverse=True) if there.is_dir() else []
    )


def remove(folder: Path) -> None:
    """Removes every checkpoint of a run, and what an interrupted write left."""
    for path in [*listed(folder), *(folder / FOLDER).glob("step-*.part")]:
        path.unlink(missing_ok=True)


def load_newest(folder: Path, run: str) -> Checkpoint | None:
    """The newest checkpoint that can be read, None where there is none.

    Raises:
        TrainingError: It is another run's, or there are checkpoints and none can be read.
    """
    faults = []
    for path in listed(folder):
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
            found = Checkpoint(**{**values, "plan": PlanState(**values["plan"])})
        except Exception as error:  # whatever a torn file makes torch say
            faults.append(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            continue
        if found.run != run:
            raise TrainingError(
                f"{path} is a checkpoint of another run: other options or another version; "
                "choose another --out, or start over with --fresh"
            )
        return found
    if faults:
        raise TrainingError(f"no checkpoint can be read ({'; '.join(faults)}); start over with --fresh")
    return None
