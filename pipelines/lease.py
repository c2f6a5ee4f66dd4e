"""Leases: of several builds that want one stage, one does the work and the others wait for it.

A lease is a row of numbered files under `<root>/leases/<name>/`; the highest number rules. Who wants it creates the next number,
which only one can (see `agreement.create`), and only once the highest is released, its owner is dead, or it was not touched for
longer than the term. The owner touches its file all the while; one that wakes up after its term finds a higher number and knows
that it has lost. No number is used twice, so a late word of an old owner can never pass for a new one's.

Two owners at once, which a process that is stopped for longer than its term can bring about, do no harm beyond work done twice:
both write the same bytes, each file at once. Only the one that still has the lease declares the stage finished.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines import agreement, storage

TERM_SECONDS = 60.0
FOLDER = "leases"
_BEATS_A_TERM = 6
_POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class LeaseError(Exception):
    """The lease was lost: its owner was silent for longer than the term, and another took it. Trying again waits for that one."""

    passing = True


class StoppedError(Exception):
    """The wait for a lease was stopped from outside."""


@dataclass(slots=True)
class Lease:
    """A lease that this process has.

    Attributes:
        folder: Its numbered files.
        number: Ours.
        words: What the file says: owner, and whether it is released.
        term: Seconds without a touch after which others may take it.
        lost: Set when another has it.
    """

    folder: str
    number: int
    words: dict[str, Any]
    term: float
    lost: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Our file."""
        return storage.join(self.folder, _name(self.number))

    def check(self) -> None:
        """Makes sure that it is still ours.

        Raises:
            LeaseError: It is not.
        """
        if self.lost.is_set() or _highest(self.folder) != self.number:
            self.lost.set()
            raise LeaseError(f"{self.url}: this process was silent for over {self.term:g} s and another took its work")

    def beat(self) -> None:
        """Touches our file at intervals until released; runs in a thread of its own."""
        alive = time.monotonic()
        while not self._ended.wait(self.term / _BEATS_A_TERM):
            try:
                if _highest(self.folder) != self.number:
                    self.lost.set()
                    return
                agreement.touch(self.url, _encode(self.words))
                alive = time.monotonic()
            except Exception as error:  # a store that is away for a moment; for longer, others take the lease
                _log.warning("%s: not touched: %s", self.url, error)
                if time.monotonic() - alive > self.term:
                    self.lost.set()
                    return

    def release(self) -> None:
        """Gives it back."""
        self._ended.set()
        with contextlib.suppress(OSError, storage.StorageError):
            if _highest(self.folder) == self.number:
                storage.write_bytes(self.url, _encode({**self.words, "released": True}))


@contextlib.contextmanager
def hold(
    root: str,
    name: str,
    *,
    term: float = TERM_SECONDS,
    waits: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Lease]:
    """Waits for a lease and has it for as long as the context lasts.

    Args:
        root: Whose `leases` folder it lies in.
        name: What is leased.
        term: Seconds after which a silent owner has lost it.
        waits: Told who has it, each time that another does.
        stop: Ends the wait when set.

    Raises:
        StoppedError: `stop` was set before the lease was had.
        StorageError: The folder cannot be written, or its store tells no times.
    """
    lease = _take(storage.join(root, FOLDER, name), term, waits, stop)
    beating = threading.Thread(target=lease.beat, name=f"lease-{name}", daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        lease.release()
        beating.join(timeout=_POLL_SECONDS)


def _take(folder: str, term: float, waits: Callable[[str], None] | None, stop: threading.Event | None) -> Lease:
    storage.make_folder(folder)
    told = 0
    while True:
        number = _highest(folder)
        words = _read(folder, number) if number else {"released": True}
        if _free(folder, number, words, term):
            mine = _owner()
            if not agreement.create(storage.join(folder, _name(number + 1)), _encode(mine)):
                continue
            if _highest(folder) == number + 1:
                for older in range(max(1, number - 1), number + 1):
                    storage.remove(storage.join(folder, _name(older)))
                return Lease(folder, number + 1, mine, term)
            # What was read above is long past: others had this number and cleared it away.
            storage.remove(storage.join(folder, _name(number + 1)))
            continue
        if waits is not None and told != number:
            waits(who(words))
            told = number
        if stop is not None and stop.is_set():
            raise StoppedError(f"stopped while waiting for {who(words)}")
        time.sleep(_POLL_SECONDS)


def holder(root: str, name: str, term: float = TERM_SECONDS) -> str | None:
    """Who has a lease, in words; None where nobody does."""
    folder = storage.join(root, FOLDER, name)
    number = _highest(folder)
    words = _read(folder, number) if number else {"released": True}
    return None if not number or _free(folder, number, words, term) else who(words)


def who(words: dict[str, Any]) -> str:
    """The owner that a lease's file names."""
    return f"process {words.get('pid', '?')} on {words.get('host', '?')}"


def _free(folder: str, number: int, words: dict[str, Any], term: float) -> bool:
    if words.get("released") or _is_dead(words):
        return True
    age = agreement.age(storage.join(folder, _name(number)))
    return age is not None and age > term


def _name(number: int) -> str:
    return f"{number:09d}.json"


def _highest(folder: str) -> int:
    numbers = [int(name[:-5]) for name in agreement.names(folder) if name.endswith(".json") and name[:-5].isdigit()]
    return max(numbers, default=0)


def _read(folder: str, number: int) -> dict[str, Any]:
    """What a lease's file says; nothing where it is gone or broken, which then counts by its age."""
    try:
        words = json.loads(storage.read_bytes(storage.join(folder, _name(number))))
    except (OSError, ValueError):
        return {}
    return words if isinstance(words, dict) else {}


def _encode(words: dict[str, Any]) -> bytes:
    return json.dumps(words, sort_keys=True).encode()


def _owner() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "space": _space(),
        "token": secrets.token_hex(8),
    }


def _space() -> str | None:
    """What process numbers of this machine mean: its boot and its name space of processes; None where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None where it is gone, a zombie, or not known."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] == "Z" else words[19]


def _is_dead(words: dict[str, Any]) -> bool:
    """Tells whether the owner was a process of this machine that is gone: then nobody need wait for the term to end."""
    if words.get("space") is None or words["space"] != _space() or not isinstance(words.get("pid"), int):
        return False
    return _started(words["pid"]) != words.get("started")
