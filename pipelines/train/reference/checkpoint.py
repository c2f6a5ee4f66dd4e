"""Checkpoints: written whole or not at all, a bounded number of them; nothing but tensors and plain values is read back."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

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
        learnt: The run's options that change what is learnt, for people to compare.
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
    learnt: dict[str, Any] = dataclasses.field(default_factory=dict)


class _Written:
    """A file that remembers what went wrong with it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.fault: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            view = memoryview(data).cast("B")
            done = 0
            while done < len(view):
                done += self._file.write(view[done:])
            return done
        except OSError as error:
            self.fault = error
            raise

    def flush(self) -> None:
        self._file.flush()


def save(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Writes a checkpoint under a temporary name, makes it durable, renames it, and removes all but the newest `keep`.

    Args:
        folder: Of the run.
        checkpoint: What to write.
        keep: At least 1.

    Raises:
        TrainingError: It cannot be written, such as on a full disk.
    """
    target = folder / FOLDER / f"step-{checkpoint.step:08d}.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    values = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint)}
    values["plan"] = dataclasses.asdict(checkpoint.plan)
    try:
        with part.open("wb", buffering=0) as file:
            written = _Written(file)
            try:
                torch.save(values, written)  # type: ignore[arg-type]  # of a file it asks for write and flush alone
            except RuntimeError as error:  # torch's words for a full disk name a line of its own
                raise written.fault or error from error
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)  # half a checkpoint is of no use, and fills the disk
        free = shutil.disk_usage(target.parent).free
        raise TrainingError(
            f"{target} cannot be written: {error.strerror}, {free >> 20} MiB are free without it"
        ) from error
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


def load_newest(folder: Path, run: str, learnt: Mapping[str, Any], torn: list[str]) -> Checkpoint | None:
    """The newest checkpoint that can be read, None where there is none.

    Args:
        folder: Of the run.
        run: What it must be of.
        learnt: The run's options, for the message where it is another's.
        torn: What is wrong with each one that was passed over is added here.

    Raises:
        TrainingError: It is another run's, or there are checkpoints and none can be read.
    """
    for path in listed(folder):
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
            found = Checkpoint(**{**values, "plan": PlanState(**values["plan"])})
        except Exception as error:  # whatever a torn file makes torch say
            torn.append(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            continue
        if found.run != run:
            raise TrainingError(
                f"{path} is a checkpoint of another run: {_difference(found.learnt, learnt)}; "
                "choose another --out, or start over with --fresh"
            )
        return found
    if torn:
        raise TrainingError(f"no checkpoint can be read ({'; '.join(torn)}); start over with --fresh")
    return None


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    if not there:
        return "other options or another version"
    other = [
        f"--{name.replace('_', '-')} was {json.dumps(there.get(name))} and is {json.dumps(here.get(name))}"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    return ", ".join(other) or "another version"
