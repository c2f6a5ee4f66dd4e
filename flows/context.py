"""What the command line and the flows share in one process: the board to show, and what came out."""

from __future__ import annotations

import dataclasses

from flows.progress import Board
from pipelines.dataset import DatasetManifest
from pipelines.train.run import Trained


@dataclasses.dataclass(slots=True)
class Built:
    """What a build leaves.

    Attributes:
        folder: The published version.
        version: Its name.
        manifest: What it says.
        manifest_sha256: Of its MANIFEST.json, as published.
        report: Where its report lies.
        ran: Stages that ran; the others were done before.
        reused: Stages that were done before.
        promoted: Whether it is the one in use.
        trained: The training run, None where none was asked for.
    """

    folder: str
    version: str
    manifest: DatasetManifest
    manifest_sha256: str
    report: str
    ran: list[str] = dataclasses.field(default_factory=list)
    reused: list[str] = dataclasses.field(default_factory=list)
    promoted: bool = False
    trained: Trained | None = None


@dataclasses.dataclass(slots=True)
class Context:
    """The board that a build writes to, and what it made."""

    board: Board = dataclasses.field(default_factory=Board)
    built: Built | None = None


_context = Context()


def share(context: Context) -> None:
    """Makes the next build in this process report to `context`."""
    global _context
    _context = context


def current() -> Context:
    """The context of the build that runs in this process."""
    return _context
