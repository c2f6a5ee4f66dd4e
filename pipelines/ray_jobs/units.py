"""Work on Ray that is taken up again: a unit writes a part and, behind it, its record; a whole one is not made a second time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from pipelines import storage
from pipelines.jobs import Progress
from pipelines.manifest import Part
from pipelines.ray_jobs.session import Session
from pipelines.ray_jobs.tasks import run_tasks


def record_path(path: str) -> str:
    """Where the record of the unit that writes `path` lies, relative to the stage's folder."""
    return f"records/{path}.json"


def write_record(folder: str, path: str, record: dict[str, Any]) -> None:
    """Says that the unit that writes `path` is finished."""
    data = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    storage.write_bytes(storage.join(folder, record_path(path)), data)


def finished(folder: str, path: str) -> dict[str, Any] | None:
    """The record of a unit that an earlier run finished, None where it must be made: a part is gone or another."""
    url = storage.join(folder, record_path(path))
    if not storage.exists(url):
        return None
    try:
        record = orjson.loads(storage.read_bytes(url))
        parts = [Part.model_validate(part) for part in record["parts"]]
    except (ValueError, KeyError, TypeError):
        return None
    for part in parts:
        place = storage.join(folder, part.path)
        if not storage.exists(place) or storage.size(place) != part.bytes or storage.sha256_of(place) != part.sha256:
            return None
    return record  # type: ignore[no-any-return]


def run(
    function: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
    job: dict[str, Any],
    units: list[dict[str, Any]],
    rows: Callable[[dict[str, Any]], int],
    *,
    session: Session,
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
        session: Where to run.
        progress: Told of rows and units as they are done.
        stop: Ends the work when set.
        on_actors: See `run_tasks`.

    Raises:
        JobError: A unit failed.
    """
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
