"""Runs a trainer as a job of a running Ray cluster, by Ray's Jobs API."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pipelines.train.launchers.base import Job, Launcher, LauncherError, Plan, State, torchrun
from pipelines.train.launchers.payload import entrypoint
from pipelines.train.options import RayJobOptions

_SECONDS = 60
_STARTED = re.compile(r"^Running entrypoint for job [^\n]*\n?", re.MULTILINE)
_STATES = {
    "PENDING": State.PENDING,
    "RUNNING": State.RUNNING,
    "SUCCEEDED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "STOPPED": State.CANCELLED,
}


@dataclass(slots=True)
class RayJobLauncher(Launcher):
    """Submits to the dashboard's address. The token goes into a header, never into a command, a manifest or a message."""

    options: RayJobOptions = field(default_factory=RayJobOptions)
    poll_seconds: float = 2.0
    _client: Any = None

    def plan(self, job: Job) -> Plan:
        """The request that would be sent."""
        request = self._request(job, f"{job.name}-1")
        address = self.options.address.rstrip("/") + "/api/jobs/"
        document = json.dumps(request, indent=1, ensure_ascii=False)
        where = {"token": _token_place(self.options)}
        return Plan("ray_job", job.id, job.argv, job.spec.env, {}, ("POST", address), document, where)

    @staticmethod
    def _request(job: Job, submission_id: str) -> dict[str, Any]:
        wanted = job.spec.resources
        made: dict[str, Any] = {
            "submission_id": submission_id,
            "entrypoint": entrypoint(torchrun(job), {"PYTHONUNBUFFERED": "1", **job.spec.env}),
            "entrypoint_num_cpus": wanted.cpus,
            "metadata": {"pixelpairs_job": job.id, "out": job.out},
        }
        if wanted.gpus:
            made["entrypoint_num_gpus"] = wanted.gpus
        if wanted.memory_gib is not None:
            made["entrypoint_memory"] = int(wanted.memory_gib * 2**30)
        return made

    def submit(self, job: Job) -> str:
        """Submits under an id that derives from the job's; takes up one that waits or runs.

        Ray keeps the ids of jobs that are over, so each further attempt has the next number.
        """
        for attempt in count(1):
            handle = f"{job.name}-{attempt}"
            state = self._state(handle)
            if state is None:
                with _said_clearly(self.options):
                    try:
                        self._jobs().submit_job(**self._request(job, handle))
                    except RuntimeError as error:
                        if "already exists" not in str(error):
                            raise
                return handle  # also where another process was faster by a moment
            if not state.over:
                return handle
        raise AssertionError

    def status(self, handle: str) -> State:
        """Where the job stands; FAILED for one that the cluster does not know, such as after its head was lost."""
        return self._state(handle) or State.FAILED

    def _state(self, handle: str) -> State | None:
        def ask() -> State | None:
            return _STATES.get(str(self._jobs().get_job_status(handle)), State.FAILED)

        return self._known(ask)

    def output(self, handle: str, start: int) -> bytes:
        """What the driver printed from byte `start` on, without Ray's line on how it was started, which is the payload."""

        def ask() -> bytes:
            # Also where that line is still being written: what follows must stay where it is.
            return _STARTED.sub("", str(self._jobs().get_job_logs(handle)), count=1).encode()

        return (self._known(ask) or b"")[start:]

    def cancel(self, handle: str) -> None:
        """Stops the job: SIGTERM, and SIGKILL some seconds later, by Ray."""
        if (self._state(handle) or State.FAILED).over:
            return
        self._known(lambda: self._jobs().stop_job(handle))

    def _known(self, ask: Callable[[], Any]) -> Any:
        """The answer, None for a job that there is not."""
        with _said_clearly(self.options):
            try:
                return ask()
            except RuntimeError as error:
                if "404" in str(error) or "does not exist" in str(error):
                    return None
                raise

    def _jobs(self) -> Any:
        if self._client is None:
            self._client = _client(self.options)
        return self._client


def _token(options: RayJobOptions) -> str | None:
    """The cluster's token, looked for where Ray's own tools look; None where there is none."""
    if options.token_file is not None:
        try:
            return Path(options.token_file).read_text().strip()
        except (OSError, ValueError) as error:
            raise LauncherError(f"ray_job.token_file: {options.token_file} cannot be read") from error
    if os.environ.get(options.token_env):
        return os.environ[options.token_env].strip()
    for place in (os.environ.get("RAY_AUTH_TOKEN_PATH"), str(Path.home() / ".ray" / "auth_token")):
        with contextlib.suppress(OSError, ValueError):
            if place:
                return Path(place).read_text().strip()
    return None


def _token_place(options: RayJobOptions) -> str:
    return options.token_file or f"${options.token_env}, else RAY_AUTH_TOKEN_PATH, else ~/.ray/auth_token"


def _client(options: RayJobOptions) -> Any:
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        """Ray's own, but it does not wait for ever for a head that is gone."""

        def _do_request(self, *arguments: Any, **more: Any) -> Any:
            return super()._do_request(*arguments, **{"timeout": _SECONDS, **more})

    token = _token(options)
    return Client(options.address, headers={"Authorization": f"Bearer {token}"} if token else {})


@contextlib.contextmanager
def _said_clearly(options: RayJobOptions) -> Iterator[None]:
    """Turns what Ray's client raises into an error that names the cluster and, where the token is the trouble, its place."""
    try:
        yield
    except LauncherError:
        raise
    except Exception as error:
        if type(error).__name__ == "AuthenticationError":
            raise LauncherError(f"{options.address} refuses the token of {_token_place(options)}") from error
        words = " ".join(str(error).split())[:500] or type(error).__name__
        raise LauncherError(f"Ray at {options.address}: {words}") from error
