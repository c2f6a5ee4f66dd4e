"""The driver of a submitted job, on the cluster: `python -m pipelines.ray_jobs <stage folder>/job.json`.

Works off the units of the stage that are not finished. How far it is stands in the stage's folder; why it failed is its last line.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import orjson

from pipelines import storage
from pipelines.jobs import JobError, passes
from pipelines.ray_jobs import units
from pipelines.ray_jobs.cluster import PROGRESS
from pipelines.ray_jobs.session import Session

FUNCTIONS = (
    "pipelines.ray_jobs.render.render_shard",
    "pipelines.ray_jobs.score.score_part",
    "pipelines.ray_jobs.translate.translate_run",
    "pipelines.ray_jobs.verify.verify_part",
)
"""What a job may name: the file is read from a store, and nothing else in it is run."""
_ON_ACTORS = ("pipelines.ray_jobs.score.score_part", "pipelines.ray_jobs.translate.translate_run")
_TELL_SECONDS = 2.0
_SAY_SECONDS = 15.0


def function_of(name: str) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """The function of a name.

    Raises:
        ValueError: It is none of ours.
    """
    if name not in FUNCTIONS:
        raise ValueError(f"a job can name {', '.join(FUNCTIONS)}; this one names {name!r}")
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def work(url: str) -> None:
    """Works off a job's file.

    Raises:
        JobError: A unit failed.
    """
    spec = orjson.loads(storage.read_bytes(url))
    function = function_of(spec["function"])
    place = storage.join(url.rpartition("/")[0], PROGRESS)
    began = told = said = time.monotonic()

    def progress(rows: int, done: int) -> None:
        nonlocal told, said
        now = time.monotonic()
        if now - told >= _TELL_SECONDS or done == len(spec["units"]):
            storage.write_bytes(place, orjson.dumps([rows, done]))
            told = now
        if now - said >= _SAY_SECONDS or done == len(spec["units"]):
            print(f"{done:,} of {len(spec['units']):,} parts, {rows:,} rows, {now - began:.0f} s", flush=True)
            said = now

    session = Session("auto", None, spec["actors"])
    try:
        for _ in units.run(
            function,
            spec["job"],
            spec["units"],
            _rows,
            session=session,
            progress=progress,
            on_actors=spec["function"] in _ON_ACTORS,
        ):
            pass
    finally:
        session.close()


def _rows(record: dict[str, Any]) -> int:
    if "samples" in record or "rows" in record:
        return int(record.get("samples", record.get("rows", 0)))
    return sum(int(part["rows"]) for part in record["parts"])


def main() -> int:
    """Runs the job; the last line of a failure says what the flow needs to know of it."""
    try:
        work(sys.argv[1])
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        expected = isinstance(error, storage.StorageError) or (isinstance(error, JobError) and error.expected)
        words = str(error) if isinstance(error, JobError | storage.StorageError) else f"{type(error).__name__}: {error}"
        print(json.dumps({"error": words, "expected": expected, "passing": passes(error)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
