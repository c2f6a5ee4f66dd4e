"""Runs a trainer as a batch job of Slurm, by its own tools."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import storage
from pipelines.train.launchers.base import TAIL_BYTES, Job, Launcher, LauncherError, Plan, State
from pipelines.train.launchers.commands import CommandError, call
from pipelines.train.launchers.slurm_script import EXIT, script
from pipelines.train.options import SlurmOptions

# https://slurm.schedmd.com/squeue.html, "job state codes"
_PENDING = {
    "PENDING",
    "CONFIGURING",
    "SUSPENDED",
    "STOPPED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "SPECIAL_EXIT",
    "RESV_DEL_HOLD",
    "RESIZING",
}
_RUNNING = {"RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT"}
_ENDED = {"COMPLETED": State.SUCCEEDED, "CANCELLED": State.CANCELLED, "REVOKED": State.CANCELLED}


@dataclass(slots=True)
class SlurmLauncher(Launcher):
    """Submits, watches and cancels batch jobs.

    Attributes:
        folder: Holds one folder a job, on a file system that the nodes share: its log and its exit code.
        options: How jobs are queued.
    """

    folder: str
    options: SlurmOptions = field(default_factory=SlurmOptions)
    poll_seconds: float = 5.0

    def _place(self, job_id: str) -> Path:
        return storage.local_path(storage.join(self.folder, job_id)).absolute()

    def plan(self, job: Job) -> Plan:
        """The command and the script that it would read."""
        text = script(job, self.options, str(self._place(job.id)))
        return Plan("slurm", job.id, job.argv, job.spec.env, job.spec.secret_env, tuple(self._sbatch(job)), text)

    def _sbatch(self, job: Job) -> list[str]:
        place = self._place(job.id)
        # Only what is named leaves this environment; without --export everything would, tokens too.
        names = ",".join(job.spec.secret_env) or "NONE"
        log = str(place).replace("\\", "\\\\").replace("%", "%%") + "/slurm-%j.log"
        return [
            "sbatch",
            "--parsable",
            f"--export={names}",
            f"--chdir={place}",
            f"--output={log}",
            *self.options.options,
        ]

    def submit(self, job: Job) -> str:
        """Submits the script; takes up a job of this id that waits or runs."""
        numbers = call(["squeue", "--me", "--noheader", f"--name={job.name}", "--format=%A"]).split()
        if numbers:
            return f"{job.id}/{min(int(number) for number in numbers)}"
        place = self._place(job.id)
        place.mkdir(parents=True, exist_ok=True)
        (place / EXIT).unlink(missing_ok=True)
        environment = dict(os.environ)
        for name, source in job.spec.secret_env.items():
            if source not in os.environ:
                raise LauncherError(f"secret_env.{name}: there is no {source} in the environment")
            environment[name] = os.environ[source]
        text = script(job, self.options, str(place))
        answer = call(self._sbatch(job), data=text.encode(), env=environment).decode().strip()
        number = answer.partition(";")[0]  # "number" or "number;cluster"
        if not number.isdigit():
            raise LauncherError(f"sbatch answered {answer[:200]!r} where a job's number was due")
        return f"{job.id}/{number}"

    def status(self, handle: str) -> State:
        """Where the job stands: by the queue, else by the accounting, else by the exit code that it left."""
        number = handle.rpartition("/")[2]
        word = self._queued(number) or self._accounted(number)
        if word is None:
            return self._left(handle)
        if word in _PENDING:
            return State.PENDING
        return State.RUNNING if word in _RUNNING else _ENDED.get(word, State.FAILED)

    @staticmethod
    def _queued(number: str) -> str | None:
        """The state of a job that the controller still knows: for some minutes after its end, by default."""
        try:
            words = call(["squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T"]).decode().split()
        except CommandError as error:
            if "Invalid job id" in error.said:
                return None
            raise
        return words[0] if words else None

    @staticmethod
    def _accounted(number: str) -> str | None:
        """The state by sacct; None where there is no accounting or it does not know the job."""
        try:
            words = (
                call(["sacct", "--noheader", "--parsable2", "--allocations", "--format=State", f"--jobs={number}"])
                .decode()
                .split()
            )
        except LauncherError:
            return None
        return words[0] if words else None  # "CANCELLED by 1000" begins with the state

    def _left(self, handle: str) -> State:
        try:
            code = json.loads((self._place(handle.rpartition("/")[0]) / EXIT).read_text())["code"]
        except (OSError, ValueError, TypeError, LookupError):
            return State.FAILED
        return State.SUCCEEDED if code == 0 else State.FAILED

    def _log(self, handle: str) -> Path:
        job_id, _, number = handle.rpartition("/")
        return self._place(job_id) / f"slurm-{number}.log"

    def output(self, handle: str, start: int) -> bytes:
        """What it has printed from byte `start` on."""
        try:
            with self._log(handle).open("rb") as file:
                file.seek(start)
                return file.read()
        except OSError:
            return b""

    def logs(self, handle: str) -> str:
        """The last 20 kB of what it printed."""
        try:
            size = self._log(handle).stat().st_size
        except OSError:
            return ""
        return self.output(handle, max(0, size - TAIL_BYTES)).decode("utf-8", "replace")

    def cancel(self, handle: str) -> None:
        """Cancels the job; Slurm asks its processes to end and ends what is left after KillWait (30 s by default)."""
        if not self.status(handle).over:
            call(["scancel", handle.rpartition("/")[2]])
