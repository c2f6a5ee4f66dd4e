"""Plain Ray tasks, one an item, with bounded work in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipelines import storage
from pipelines.jobs import JobError
from pipelines.ray_jobs.session import session

_IN_FLIGHT_PER_WORKER = 2
_RETRIES = 3  # of a worker that died; an exception is not retried, it would come again


def run_tasks(
    function: Callable[[dict[str, Any], Any], Any],
    shared: dict[str, Any],
    items: Iterable[Any],
    *,
    address: str,
    workers: int | None,
    stop: threading.Event | None = None,
) -> Iterator[Any]:
    """Calls `function(shared, item)` for each item on Ray's workers; yields the results as they come.

    Work in flight is bounded, so the driver's memory does not grow with the number of items. Starts no Ray where there are no
    items.

    Args:
        function: Importable on the workers.
        shared: What all calls share; sent once.
        items: What to work on; may be lazy.
        address: See `session`.
        workers: See `session`.
        stop: Ends the work when set.

    Raises:
        JobError: A task failed, or the work was stopped.
    """
    waiting = iter(items)
    first = next(waiting, None)
    if first is None:
        return
    with session(address, workers) as ray:
        task = ray.remote(function).options(num_cpus=1, max_retries=_RETRIES)
        reference = ray.put(shared)
        limit = _IN_FLIGHT_PER_WORKER * max(1, int(ray.cluster_resources().get("CPU", 1)))
        flying = [task.remote(reference, first)]
        try:
            while True:
                while len(flying) < limit and (item := next(waiting, None)) is not None:
                    flying.append(task.remote(reference, item))
                if not flying:
                    return
                if stop is not None and stop.is_set():
                    raise JobError("the work was stopped", expected=True)
                ready, flying = ray.wait(flying, num_returns=1, timeout=1.0)
                yield from _results(ray, ready)
        finally:
            for left in flying:
                ray.cancel(left, force=False)


def _results(ray: Any, ready: list[Any]) -> list[Any]:
    try:
        return list(ray.get(ready))
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(getattr(error, "cause", None), BaseException) else error
        raise JobError(str(cause), expected=isinstance(cause, storage.StorageError)) from error
    except ray.exceptions.RayError as error:
        raise JobError(f"Ray lost a task: {error}", expected=False) from error
