"""What a launcher is: `plan / submit / status / logs / cancel`, the same five words for a process and for a cluster."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum

from pipelines.train.spec import TrainerSpec

TAIL_BYTES = 20_000


class LauncherError(Exception):
    """A scheduler cannot be asked, or refuses; the message has its words."""


class State(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self not in (State.PENDING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a trainer on one version.

    Attributes:
        id: Derived from the content; two submissions of one job are one.
        spec: Where it runs and on what.
        argv: The command, filled in.
        out: Where its results go: a folder or a URL.
    """

    id: str
    spec: TrainerSpec
    argv: tuple[str, ...]
    out: str

    @property
    def name(self) -> str:
        """What schedulers call it."""
        return f"pixelpairs-{self.id}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What `submit` would do, without doing it.

    Attributes:
        backend: Where.
        job_id: Under which id.
        argv: The trainer's words.
        env: Variables added to its environment.
        secrets: Variable -> where its value comes from; no value.
        command: What is started here to submit it: words of a process, or of an HTTP request.
        document: What is sent: a script, a manifest, a request's body; "" where the command is all.
    """

    backend: str
    job_id: str
    argv: tuple[str, ...]
    env: dict[str, str]
    secrets: dict[str, str]
    command: tuple[str, ...]
    document: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For a person to read; every word by itself, in Python's notation where it is not plain."""
        shown = [f"backend   {self.backend}", f"job       {self.job_id}"]
        shown += [f"{name:<9} {text}" for name, text in self.notes.items()]
        shown += [f"argv      {_plain(word)}" for word in self.argv]
        shown += [f"env       {name}={_plain(text)}" for name, text in self.env.items()]
        shown += [f"secret    {name} from {place}" for name, place in self.secrets.items()]
        shown += [f"submit    {' '.join(map(_plain, self.command))}"]
        return shown + ([f"          {line}" for line in self.document.splitlines()] if self.document else [])


def _plain(word: str) -> str:
    return word if re.fullmatch(r"[\w./:=,@%+{}\[\]*?-]+", word) else repr(word)


class Launcher(ABC):
    """Runs trainers somewhere. Handles are text, and any process with the same settings can use them."""

    poll_seconds: float = 5.0
    """How often it may be asked."""

    @abstractmethod
    def plan(self, job: Job) -> Plan:
        """What `submit` would start; asks nobody, starts nothing."""

    @abstractmethod
    def submit(self, job: Job) -> str:
        """Starts the job, or takes up one of this id that waits or runs; returns its handle.

        Raises:
            LauncherError: The scheduler refuses it or cannot be reached.
            OSError: A program that is needed is not there.
        """

    @abstractmethod
    def status(self, handle: str) -> State:
        """Where the job stands; FAILED for one that is gone without a word.

        Raises:
            LauncherError: The scheduler cannot be asked; that says nothing of the job.
        """

    @abstractmethod
    def output(self, handle: str, start: int) -> bytes:
        """What it has printed from byte `start` on; empty while there is nothing."""

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Stops it; nothing happens to a job that is over."""

    def logs(self, handle: str) -> str:
        """The last 20 kB of what it printed."""
        return self.output(handle, 0)[-TAIL_BYTES:].decode("utf-8", "replace")


_PYTHON = re.compile(r"python(3(\.\d+)?)?")


def torchrun(job: Job, *rendezvous: str) -> list[str]:
    """The job's words, started by torchrun where several processes are asked for.

    The interpreter is the command's own, where it is one: torchrun must come from the environment that trains.

    Args:
        job: The job.
        rendezvous: Options by which nodes find each other; none: all processes are on one node.
    """
    words, wanted = list(job.argv), job.spec.resources
    if wanted.processes == 1 and wanted.nodes == 1:
        return words
    own = _PYTHON.fullmatch(words[0].rpartition("/")[2])
    start = [words[0], "-m", "torch.distributed.run"] if own else ["torchrun"]
    return [*start, *(rendezvous or ["--standalone"]), f"--nproc-per-node={wanted.processes}", "--no-python", *words]
