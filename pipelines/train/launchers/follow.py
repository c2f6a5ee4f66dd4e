"""Follows a job of any launcher to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.train.launchers.base import Launcher, LauncherError, State

PATIENCE_SECONDS = 300
"""How long a scheduler may be out of reach before following it is given up; the job itself goes on."""


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended.

    Attributes:
        state: One that is over.
        why: Why this side stopped it; "" where it did not.
    """

    state: State
    why: str = ""


def follow(
    launcher: Launcher,
    handle: str,
    said: Callable[[str], None],
    *,
    timeout: float | None = None,
    start_timeout: float | None = None,
    patience: float = PATIENCE_SECONDS,
) -> End:
    """Waits for the end, handing on each line that the job prints.

    Args:
        launcher: Whose job it is.
        handle: From `submit`.
        said: Called with each line, without its end.
        timeout: Seconds that it may run, from when it is first seen to run; then it is cancelled.
        start_timeout: Seconds that it may wait in a queue; then it is cancelled.
        patience: Seconds that the scheduler may be out of reach.

    Raises:
        LauncherError: The scheduler was out of reach for longer than that.
    """
    began: float | None = None
    waits = reached = time.monotonic()
    lines = _Lines(said)
    while True:
        try:
            # The state first: what a job that is over has printed is whole.
            state = launcher.status(handle)
            if state is not State.PENDING:
                lines.add(launcher.output(handle, lines.taken))
            reached = time.monotonic()
        except LauncherError:
            if time.monotonic() - reached > patience:
                raise
            time.sleep(launcher.poll_seconds)
            continue
        if state.over:
            lines.end()
            return End(state)
        if state is State.RUNNING and began is None:
            began = time.monotonic()
        if began is None and start_timeout is not None and reached - waits > start_timeout:
            launcher.cancel(handle)
            return End(State.CANCELLED, f"it waited for more than {start_timeout:g} s to start")
        if began is not None and timeout is not None and reached - began > timeout:
            launcher.cancel(handle)
            return End(State.CANCELLED, f"it took more than {timeout:g} s")
        time.sleep(launcher.poll_seconds)


class _Lines:
    """Cuts what comes in pieces into lines."""

    def __init__(self, said: Callable[[str], None]) -> None:
        self._said = said
        self._rest = b""
        self.taken = 0

    def add(self, piece: bytes) -> None:
        self.taken += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._say(line)

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        self._said(line.decode("utf-8", "replace"))
