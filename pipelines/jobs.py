"""Starts a job as a process of its own and follows it: its progress, its end, the words of its failure.

A Beam pipeline in a process of its own keeps its memory and threads out of the orchestrator, lets stages run side by side on
several cores, and can be stopped. It is started as a list of words, never through a shell.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from pipelines import storage
from pipelines.ledger import Step
from pipelines.manifest import Part
from pipelines.stage import Outcome

Progress = Callable[[int, int], None]
"""Called with (rows done, units done) since the start."""

_POLL_SECONDS = 0.25
_TAIL_LINES = 30


_PASSING = frozenset(
    {errno.EAGAIN, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.EINTR, errno.EIO}
    | {errno.ENETRESET, errno.ENETUNREACH, errno.EPIPE, errno.ESTALE, errno.ETIMEDOUT}
)
_PASSING_NAMES = frozenset(
    # Of stores and clusters whose packages are not always there: by name, as a class that is not imported cannot be asked for.
    {"ClientConnectionError", "ClientPayloadError", "ConnectTimeoutError", "EndpointConnectionError", "HttpError"}
    | {
        "IncompleteRead",
        "NodeDiedError",
        "ObjectLostError",
        "ReadTimeoutError",
        "ServerDisconnectedError",
        "ServiceUnavailable",
    }
    | {"ActorDiedError", "ActorUnavailableError", "LocalRayletDiedError", "OwnerDiedError", "RayConnectionError"}
    | {"RaySystemError", "WorkerCrashedError"}
)


class JobError(Exception):
    """A job failed.

    Attributes:
        expected: Its input or the disk is at fault, not our code.
        passing: The fault may pass, as a store or a cluster that is away for a moment: trying again can help.
    """

    def __init__(self, words: str, *, expected: bool, passing: bool = False) -> None:
        super().__init__(words)
        self.expected = expected
        self.passing = passing


def passes(error: BaseException | None) -> bool:
    """Tells whether the fault behind an error can pass: a lost connection, a store or a cluster that is away, a node that died.

    False for what comes again each time: a bad input, a full disk, a broken rule.
    """
    while error is not None:
        if getattr(error, "passing", False):
            return True
        if (
            isinstance(error, ConnectionError | TimeoutError)
            or type(error).__name__ in _PASSING_NAMES
            or (isinstance(error, OSError) and error.errno in _PASSING)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def run_beam(
    spec: dict[str, Any], progress: Progress | None = None, stop: threading.Event | None = None
) -> list[dict[str, Any]]:
    """Runs a Beam job in a process of its own.

    Args:
        spec: The job's spec, JSON-able; `folder` is where it leaves its records.
        progress: Told of rows and units as they are done.
        stop: Ends the job when set.

    Returns:
        The job's records.

    Raises:
        JobError: The job failed or was stopped.
    """
    with tempfile.TemporaryDirectory(prefix="pixelpairs-job-") as folder:
        ticks = Path(folder, "progress")
        ticks.touch()
        spec = {**spec, "progress": str(ticks)}
        words = Path(folder, "spec.json")
        words.write_bytes(orjson.dumps(spec))
        errors = Path(folder, "stderr")
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.beam_jobs", str(words)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={
                    **os.environ,
                    "GRPC_VERBOSITY": "ERROR",
                    "TMPDIR": os.environ.get("TMPDIR", tempfile.gettempdir()),
                },
            )
        try:
            _follow(process, ticks, progress, stop)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)
        if process.returncode != 0 and stop is not None and stop.is_set():
            raise JobError(f"job {spec['job']} was stopped", expected=True)
        if process.returncode != 0:
            raise _failure(errors, process.returncode, spec["job"])
    url = storage.join(spec["folder"], "records.json")
    return orjson.loads(storage.read_bytes(url)) if storage.exists(url) else []


def _follow(
    process: subprocess.Popen[bytes], ticks: Path, progress: Progress | None, stop: threading.Event | None
) -> None:
    rows = units = 0
    with ticks.open("rb") as file:
        while True:
            try:
                process.wait(timeout=_POLL_SECONDS)
                ended = True
            except subprocess.TimeoutExpired:
                ended = False
            changed = False
            while line := file.readline():
                if not line.endswith(b"\n"):
                    file.seek(-len(line), os.SEEK_CUR)
                    break
                more_rows, more_units = line.split()
                rows, units, changed = rows + int(more_rows), units + int(more_units), True
            if changed and progress is not None:
                progress(rows, units)
            if ended:
                return
            if stop is not None and stop.is_set():
                return


def _failure(errors: Path, code: int, job: str) -> JobError:
    lines = errors.read_text(encoding="utf-8", errors="replace").splitlines()
    return failure_of(lines, f"job {job} ended with code {code}")


def failure_of(lines: list[str], otherwise: str) -> JobError:
    """The error that a job's last line tells of, with the lines before it where our code is at fault.

    Args:
        lines: What the job said.
        otherwise: Words for a job that ended without saying why.
    """
    passing = False
    try:
        said = json.loads(lines[-1])
        words, expected = str(said["error"]), bool(said["expected"])
        passing = bool(said.get("passing", False))
    except (IndexError, ValueError, KeyError, TypeError):
        words, expected = otherwise, False
    if not expected:
        words += "\n" + "\n".join(lines[-_TAIL_LINES:-1])
    return JobError(words, expected=expected, passing=passing)


def outcome_of(records: list[dict[str, Any]]) -> Outcome:
    """A stage's outcome from its job's records: parts in order, steps summed, languages, counts and examples merged,
    the figures of balancing."""
    ordered = sorted(records, key=lambda record: record.get("order", -1))
    languages: dict[str, dict[str, int]] = {}
    examples: dict[str, dict[str, Any]] = {}
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for record in ordered:
        for side, counts in record.get("languages", {}).items():
            into = languages.setdefault(side, {})
            for code, count in counts.items():
                into[code] = into.get(code, 0) + count
        for what, sources in record.get("counts", {}).items():
            for source, counts in sources.items():
                into = counted.setdefault(what, {}).setdefault(source, {})
                for name, count in counts.items():
                    into[name] = into.get(name, 0) + count
        for source, rules in record.get("examples", {}).items():
            examples.setdefault(source, {}).update(rules)
    facts: dict[str, Any] = {}
    if balance := next((record["balance"] for record in ordered if "balance" in record), None):
        facts["balance"] = balance
    if languages:
        facts["languages"] = languages
    facts |= counted
    if examples:
        facts["examples"] = examples
    return Outcome(
        parts=[Part.model_validate(part) for record in ordered for part in record.get("parts", [])],
        steps=[Step.model_validate(step) for record in ordered for step in record.get("steps", [])],
        facts=facts,
    )
