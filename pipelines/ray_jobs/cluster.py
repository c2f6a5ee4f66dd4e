"""Units of work as a job that is submitted to a Ray cluster: started, followed, stopped, and taken up where a run lost it.

The job's driver runs on the cluster (`pipelines.ray_jobs.__main__`), so it goes on when the flow that started it dies. Which job is
at a stage stands in the stage's folder; the next run of the stage finds it there and follows it, or starts another. Ray's token is
taken by Ray's own client from RAY_AUTH_TOKEN or the file RAY_AUTH_TOKEN_PATH: it is in no argument, no log and no file of a stage.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipelines import storage
from pipelines.jobs import JobError, Progress, failure_of
from pipelines.ray_jobs.records import finished

JOB = "job.json"
SUBMISSION = "submission.json"
PROGRESS = "progress.json"
METADATA_RUN = "pixelpairs_run"
METADATA_FOLDER = "pixelpairs_folder"
STOP_SECONDS = 30.0
_POLL_SECONDS = 1.0
_LOST_SECONDS = 45.0  # without an answer from the cluster; a head that restarts within takes less
_LOG_EVERY = 5  # polls
_log = logging.getLogger("pipelines.ray")


def is_submitted(address: str) -> bool:
    """Tells whether a Ray address is that of the Jobs API: work is then submitted, not driven from here."""
    return address.startswith(("http://", "https://"))


def submission_id(run: str, folder: str, attempt: int) -> str:
    """The id of a stage's job: known from the run and the stage alone, so that who stops the run can find its jobs.

    Args:
        run: The flow run's id.
        folder: The stage's folder; `<stage>-<key>` in it is what counts.
        attempt: From 1.
    """
    stage = folder.rstrip("/").rpartition("/stages/")[2] or folder.rstrip("/").rsplit("/", 1)[-1]
    return "-".join(re.sub(r"[^A-Za-z0-9_-]", "_", word) for word in ("pixelpairs", run, stage, str(attempt)))


@dataclass(slots=True)
class Cluster:
    """Submits jobs to one cluster for one flow run.

    Attributes:
        address: Of the Jobs API, `http://head:8265`.
        run_id: The flow run's id.
        actors: Most actors, see `Session`.
        python: The cluster's interpreter that has this package.
        client: Makes Ray's client; its own by default.
    """

    address: str
    run_id: str
    actors: int | None = None
    python: str = "python"
    client: Callable[[], Any] | None = None
    _client: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self,
        function: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
        job: dict[str, Any],
        units: list[dict[str, Any]],
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[dict[str, Any]]:
        """As `units.run`: the units that are not finished are worked on by one job, whose driver is on the cluster.

        Raises:
            JobError: A unit failed, the job was stopped, or the cluster is lost (which may pass).
        """
        folder = job["folder"]
        # Ranges of one stage can be worked on at once: each has files of its own.
        control = storage.join(folder, "jobs", "-".join(map(str, job["range"]))) if "range" in job else folder
        if units:
            storage.make_folder(control)
            spec = {
                "function": f"{function.__module__}.{function.__name__}",
                "job": job,
                "units": units,
                "actors": self.actors,
            }
            storage.write_bytes(storage.join(control, JOB), orjson.dumps(spec, option=orjson.OPT_SORT_KEYS))
            self._finish(control, progress, stop)
        for unit in units:
            # Written by a job that ended well a moment ago: read back, byte for byte, by the stage that verifies.
            record = finished(folder, unit["path"], content=False)
            if record is None:
                raise JobError(f"the Ray job ended well, but {folder}/{unit['path']} is not there", expected=False)
            yield record

    def _finish(self, folder: str, progress: Progress | None, stop: threading.Event | None) -> None:
        """Takes up the job that is at this stage, or submits one, and follows it to its end."""
        if (handle := self._running(folder)) is None:
            handle = self._submit(folder)
        else:
            self._note(folder, handle)
            _log.info("taking up Ray job %s", handle)
        self._follow(handle, folder, progress, stop)

    def _running(self, folder: str) -> str | None:
        """The job of an earlier run that is still at this stage."""
        try:
            noted = json.loads(storage.read_bytes(storage.join(folder, SUBMISSION)))
            handle, address = str(noted["submission_id"]), noted["address"]
        except (OSError, ValueError, TypeError, LookupError):
            return None
        if address != self.address:
            return None
        info = self._ask(handle)
        return handle if info is not None and not info.status.is_terminal() else None

    def _note(self, folder: str, handle: str) -> None:
        words = {"address": self.address, "submission_id": handle, "run": self.run_id}
        storage.write_bytes(storage.join(folder, SUBMISSION), orjson.dumps(words))

    def _submit(self, folder: str) -> str:
        attempt = 1
        while True:
            handle = submission_id(self.run_id, folder, attempt)
            info = self._ask(handle)
            if info is None:
                break
            if not info.status.is_terminal():
                return handle
            attempt += 1
        self._note(folder, handle)  # before it starts: a job that nobody knows of could never be found
        # Ray gives the entry point to a shell: its words are quoted.
        words = [self.python, "-m", "pipelines.ray_jobs", storage.join(folder, JOB)]
        self._call(
            lambda client: client.submit_job(
                entrypoint=shlex.join(words),
                submission_id=handle,
                metadata={METADATA_RUN: self.run_id, METADATA_FOLDER: folder},
            )
        )
        _log.info("submitted Ray job %s to %s", handle, self.address)
        return handle

    def _follow(self, handle: str, folder: str, progress: Progress | None, stop: threading.Event | None) -> None:
        answered = time.monotonic()
        polls = said = 0
        while True:
            if stop is not None and stop.is_set():
                self.stop(handle)
                raise JobError(f"Ray job {handle} was stopped", expected=True)
            try:
                info = self._ask(handle)
                answered = time.monotonic()
            except JobError as error:
                if not error.passing or time.monotonic() - answered > _LOST_SECONDS:
                    raise
                time.sleep(_POLL_SECONDS)
                continue
            if info is None:
                raise JobError(
                    f"the cluster at {self.address} no longer knows Ray job {handle}", expected=True, passing=True
                )
            over = info.status.is_terminal()
            if over or polls % _LOG_EVERY == 0:
                said = self._hand_on_log(handle, said)
            polls += 1
            if progress is not None and (done := _progress(folder)) is not None:
                progress(*done)
            if over:
                return self._end(handle, str(info.status), info.message)
            time.sleep(_POLL_SECONDS)

    def _end(self, handle: str, status: str, message: str | None) -> None:
        if status == "SUCCEEDED":
            return
        if status == "STOPPED":
            raise JobError(f"Ray job {handle} was stopped by someone else", expected=True)
        lines = self.log(handle).splitlines()
        raise failure_of(lines, f"Ray job {handle} failed: {message}")

    def _hand_on_log(self, handle: str, said: int) -> int:
        """Hands on what the driver has said since; gives how much that is by now."""
        log = self.log(handle)
        whole = log[: log.rfind("\n") + 1]
        for line in whole[said:].splitlines():
            _log.info("%s", line)
        return max(said, len(whole))

    def log(self, handle: str) -> str:
        """What the driver of a job has said; empty where that cannot be had."""
        try:
            return str(self._call(lambda client: client.get_job_logs(handle)))
        except JobError:
            return ""

    def stop(self, handle: str) -> str:
        """Stops a job and waits until it is; gives its last status, empty where the cluster does not answer."""
        status = ""
        deadline = time.monotonic() + STOP_SECONDS
        try:
            self._call(lambda client: client.stop_job(handle))
            while time.monotonic() < deadline:
                info = self._ask(handle)
                if info is None:
                    return status
                status = str(info.status)
                if info.status.is_terminal():
                    break
                time.sleep(_POLL_SECONDS / 2)
        except JobError as error:
            _log.warning("Ray job %s could not be stopped: %s", handle, error)
        return status

    def jobs(self) -> list[tuple[str, str, str]]:
        """Submission id, run and stage folder of every job of ours that is not over.

        Raises:
            JobError: The cluster does not answer.
        """
        found = []
        for info in self._call(lambda client: client.list_jobs()):
            metadata = info.metadata or {}
            if info.submission_id and METADATA_RUN in metadata and not info.status.is_terminal():
                found.append((info.submission_id, metadata[METADATA_RUN], metadata.get(METADATA_FOLDER, "")))
        return found

    def release_actors(self) -> None:
        """Nothing: a job's actors end with it."""

    def close(self) -> None:
        """Nothing: each job is followed to its end, or stopped, by who started it."""

    def _ask(self, handle: str) -> Any:
        """What the cluster knows of a job; None where it knows none."""
        return self._call(lambda client: client.get_job_info(handle), missing=True)

    def _call(self, what: Callable[[Any], Any], *, missing: bool = False) -> Any:
        try:
            with self._lock:
                if self._client is None:
                    self._client = (self.client or self._connect)()
                client = self._client
            return what(client)
        except (ConnectionError, OSError) as error:
            raise JobError(
                f"the Ray cluster at {self.address} does not answer: {_first(error)}", expected=True, passing=True
            ) from error
        except RuntimeError as error:
            words = str(error)
            if missing and ("404" in words or "does not exist" in words):
                return None
            if "401" in words or "403" in words or "uthentication" in words:
                raise JobError(
                    f"the Ray cluster at {self.address} refuses this process: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH "
                    "(a file with the cluster's token) or RAY_AUTH_TOKEN where the flow runs",
                    expected=True,
                ) from error
            # Ray's answer while its head starts or ends is an error of the server.
            raise JobError(
                f"the Ray cluster at {self.address}: {_first(error)}", expected=True, passing="status code 5" in words
            ) from error

    def _connect(self) -> Any:
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(self.address)


def _first(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _progress(folder: str) -> tuple[int, int] | None:
    try:
        rows, units = json.loads(storage.read_bytes(storage.join(folder, PROGRESS)))
        return int(rows), int(units)
    except (OSError, ValueError, TypeError):
        return None
