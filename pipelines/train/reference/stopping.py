"""One run a folder, and a run that is asked to end (SIGTERM of a scheduler, Ctrl-C) ends between two steps, with a checkpoint."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

from pipelines.train.reference.config import TrainingError

SIGNALS: Final[tuple[signal.Signals, ...]] = (signal.SIGTERM, signal.SIGINT)
_SAME_SECONDS: Final[float] = 2.0
"""Ctrl-C under torchrun reaches a worker twice, from the terminal and from torchrun: that is one wish."""
_POLL_SECONDS: Final[float] = 0.2
_LAST_SECONDS: Final[int] = 60


class StoppedError(Exception):
    """The run was asked to end and has ended; the message says where it can go on.

    Args:
        asked: The signal.
        message: For people; empty at workers that write nothing.
    """

    def __init__(self, asked: int, message: str) -> None:
        super().__init__(message)
        self.asked = asked

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells have it."""
        return 128 + self.asked


class Wish:
    """Whether the process was asked to end.

    Attributes:
        signal: By which signal; 0: not.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._at = 0.0

    def _heard(self, asked: int, frame: FrameType | None) -> None:
        if self.signal and asked == signal.SIGINT and time.monotonic() - self._at > _SAME_SECONDS:
            raise KeyboardInterrupt  # a person asks again: a step may hang
        if not self.signal:
            self.signal, self._at = asked, time.monotonic()


@contextlib.contextmanager
def listening() -> Iterator[Wish]:
    """Hears signals instead of being ended by them; outside of a program's main thread, as in Ray, nothing is heard.

    A second Ctrl-C, two seconds later or more, ends the process at once.
    """
    wish = Wish()
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for one in SIGNALS:
            # A launcher may have decided that a signal is to be ignored: nohup and shells' background jobs do.
            if signal.getsignal(one) is not signal.SIG_IGN:
                before[one] = signal.signal(one, wish._heard)
    try:
        yield wish
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def alone_in(folder: Path, *, wait_seconds: float = 10.0) -> Iterator[None]:
    """Keeps other runs from a folder as long as this one writes there. Freed with the process, however that ends.

    Args:
        folder: Of the run.
        wait_seconds: What a run that was killed may need until its last process is gone.

    Raises:
        TrainingError: Another run has it.
    """
    with (folder / "run.lock").open("a+") as lock:
        until = time.monotonic() + wait_seconds
        while not _locked(lock):
            if time.monotonic() > until:
                lock.seek(0)
                raise TrainingError(
                    f"another run is writing to {folder} ({lock.read(200).strip() or 'it does not say which'}): "
                    "wait for it, or choose another --out"
                )
            time.sleep(_POLL_SECONDS)
        lock.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=lock, flush=True)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)  # processes that decode have the file too


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing is known
        return True
    return True


def outlive_the_wish(_: int) -> None:
    """In a process that decodes: what asks its parent to end, and reaches it too, leaves it until the parent has ended its step.

    A SIGTERM ends it within a minute nevertheless, since its parent may be the sender.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_LAST_SECONDS))
