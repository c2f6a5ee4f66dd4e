"""Runs a trainer as a process of this machine."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import storage
from pipelines.train.launchers.base import TAIL_BYTES, Job, Launcher, LauncherError, Plan, State, torchrun

LOG = "log.txt"
STATE = "state.json"
EXIT = "exit.json"
_GRACE_SECONDS = 10
_POLL_SECONDS = 0.1


@dataclass(slots=True)
class LocalLauncher(Launcher):
    """Launches processes whose state lies in a folder each, so that another process can ask after them.

    Attributes:
        folder: Holds one folder a job: its log and its state.
    """

    folder: str
    poll_seconds: float = _POLL_SECONDS
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)

    def _place(self, job_id: str) -> Path:
        return storage.local_path(storage.join(self.folder, job_id))

    def plan(self, job: Job) -> Plan:
        """The process that would be started."""
        return Plan("local", job.id, job.argv, job.spec.env, job.spec.secret_env, tuple(torchrun(job)))

    def submit(self, job: Job) -> str:
        """Starts the command in a process group of its own; takes up a job of this id that still runs.

        Raises:
            LauncherError: A secret is not in the environment.
            OSError: There is no such program.
        """
        place = self._place(job.id)
        place.mkdir(parents=True, exist_ok=True)
        words = torchrun(job)
        environment = _environment(job)
        if shutil.which(words[0], path=environment.get("PATH")) is None:
            raise FileNotFoundError(errno.ENOENT, "no such program", words[0])
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of two that submit at once, the second finds the first one's process
            if self.status(job.id) is not State.RUNNING:
                self._start(job.id, place, words, environment)
        return job.id

    def _start(self, job_id: str, place: Path, words: list[str], environment: dict[str, str]) -> None:
        (place / EXIT).unlink(missing_ok=True)
        with (place / LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.train.launchers.supervise", str(place / EXIT), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._running[job_id] = process
        self._cancelled.discard(job_id)
        (place / STATE).write_text(json.dumps({"pid": process.pid, "started": _started(process.pid)}))

    def status(self, handle: str) -> State:
        """Where the job stands; FAILED for one whose process is gone without a word."""
        process = self._running.get(handle)
        if process is not None:
            code = process.poll()
            if code is None:
                return State.RUNNING
            if handle in self._cancelled:
                return State.CANCELLED
            return State.SUCCEEDED if code == 0 else State.FAILED
        if self._pid(handle) is not None:
            return State.RUNNING
        try:
            code = json.loads((self._place(handle) / EXIT).read_text())["code"]
        except (OSError, ValueError, TypeError, LookupError):
            return State.FAILED
        return State.SUCCEEDED if code == 0 else State.FAILED

    def _pid(self, handle: str) -> int | None:
        """The process of a job that another launcher started, None where it is gone."""
        try:
            state = json.loads((self._place(handle) / STATE).read_text())
            pid, started = int(state["pid"]), str(state["started"])
        except (OSError, ValueError, TypeError, LookupError):
            return None
        # The start time tells the job from a later process with the same number.
        return pid if _started(pid) == started else None

    def output(self, handle: str, start: int) -> bytes:
        """What it has printed from byte `start` on."""
        try:
            with (self._place(handle) / LOG).open("rb") as file:
                file.seek(start)
                return file.read()
        except OSError:
            return b""

    def logs(self, handle: str) -> str:
        """The last 20 kB of what it printed."""
        try:
            size = (self._place(handle) / LOG).stat().st_size
        except OSError:
            return ""
        return self.output(handle, max(0, size - TAIL_BYTES)).decode("utf-8", "replace")

    def cancel(self, handle: str) -> None:
        """Asks the job's process group to end, and ends what is left of it after 10 s.

        Also for a job that another process started. What its command has started dies with it, unless it made a session of its own.
        """
        process = self._running.get(handle)
        if process is not None and process.poll() is not None:
            return
        pid = process.pid if process is not None else self._pid(handle)
        if pid is None:
            return
        self._cancelled.add(handle)
        _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        # The command is not waited for yet: until then its number, which is the group's, belongs to no other process.
        while _started(pid) is not None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        _signal(pid, signal.SIGKILL)
        if process is not None:
            process.wait()


def _environment(job: Job) -> dict[str, str]:
    """This process's environment with the job's own variables."""
    made = {**os.environ, "PYTHONUNBUFFERED": "1", **job.spec.env}
    for name, source in job.spec.secret_env.items():
        if source not in os.environ:
            raise LauncherError(f"secret_env.{name}: there is no {source} in the environment")
        made[name] = os.environ[source]
    made["PYTHONPATH"] = os.pathsep.join(filter(None, [*sys.path[:1], made.get("PYTHONPATH", "")]))
    return made


def _signal(group: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, sign)


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None where it is gone (or a zombie)."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] == "Z" else words[19]
