"""Work on Ray that is taken up again: a unit writes a part and, behind it, its record; a whole one is not made a second time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from pipelines import storage
from pipelines.jobs import JobError, Progress
from pipelines.ray_jobs.cluster import Cluster
from pipelines.ray_jobs.records import finished, record_path, write_record
from pipelines.ray_jobs.session import Session
from pipelines.ray_jobs.tasks import run_tasks


def run(
    function: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
    job: dict[str, Any],
    units: list[dict[str, Any]],
    rows: Callable[[dict[str, Any]], int],
    *,
    session: Session | Cluster,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_actors: bool = False,
) -> Iterator[dict[str, Any]]:
    """Runs the units that are not finished; yields every unit's record as it is known.

    Work in flight is bounded, so the driver's memory does not grow with the number of units.

    Args:
        function: `function(job, unit)` writes the part `unit["path"]` and its record, and returns the record.
        job: What all units share; `folder` is the stage's.
        units: All of the stage's.
        rows: Of a record.
        session: Where to run: on a session of this process, or as a job that is submitted to a cluster.
        progress: Told of rows and units as they are done.
        stop: Ends the work when set.
        on_actors: See `run_tasks`; those of the session that have nothing left to do end with the run.

    Raises:
        JobError: A unit failed.
    """
    try:
        if isinstance(session, Cluster):
            yield from session.run(function, job, units, progress, stop)
            return
        storage.make_folder(storage.join(job["folder"], "records"))
        storage.sweep(storage.join(job["folder"], "records"))
        done = count = 0
        todo = []
        for unit in units:
            record = finished(job["folder"], unit["path"])
            if record is None:
                todo.append(unit)
                continue
            done, count = done + rows(record), count + 1
            yield record
        if progress is not None:
            progress(done, count)
        for record in run_tasks(session, function, job, todo, stop, on_actors=on_actors):
            done, count = done + rows(record), count + 1
            if progress is not None:
                progress(done, count)
            yield record
    finally:
        if on_actors:
            session.release_actors()


def in_order(records: Iterator[dict[str, Any]], units: list[dict[str, Any]], done: str) -> list[dict[str, Any]]:
    """All units' records by their `index`, which come in any order.

    Args:
        records: What `run` yields.
        units: All of the stage's, in the order of their indices.
        done: What was done with a unit, for the message: "scored".

    Raises:
        JobError: A unit has no record, or there is a record of none.
    """
    ordered = sorted(records, key=lambda record: record["index"])
    if [record["index"] for record in ordered] != [unit["index"] for unit in units]:
        raise JobError(f"{len(units)} units were planned, {len(ordered)} {done}", expected=False)
    return ordered


__all__ = ["finished", "in_order", "record_path", "run", "write_record"]
