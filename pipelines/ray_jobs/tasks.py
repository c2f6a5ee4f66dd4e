"""Ray tasks, or calls on actors, one an item, with bounded work in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Any

from pipelines import storage
from pipelines.jobs import JobError, passes
from pipelines.ray_jobs.session import Session
from pipelines.similarity.model import ModelError

_POLL_SECONDS = 0.5


def run_tasks(
    session: Session,
    function: Callable[[dict[str, Any], Any], Any],
    shared: dict[str, Any],
    items: Iterable[Any],
    stop: threading.Event | None = None,
    *,
    on_actors: bool = False,
) -> Iterator[Any]:
    """Calls `function(shared, item)` for each item on Ray's workers; yields the results as they come.

    Work in flight is bounded, so the driver's memory does not grow with the number of items. Starts no Ray where there are no
    items.

    Args:
        session: Where to run.
        function: Importable on the workers.
        shared: What all calls share: small, it is sent with each.
        items: What to work on; may be lazy.
        stop: Ends the work when set.
        on_actors: Run them on the session's actors, whose processes live on and keep what they have loaded.

    Raises:
        JobError: A task failed, or the work was stopped.
    """
    waiting = iter(items)
    flying: set[Future[Any]] = set()
    try:
        while True:
            while len(flying) < session.limit:
                item = next(waiting, None)
                if item is None:
                    break
                flying.add(session.call(function, shared, item, on_actor=on_actors))
            if not flying:
                return
            if stop is not None and stop.is_set():
                raise JobError("the work was stopped", expected=True)
            ready, flying = wait(flying, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in ready:
                yield _result(future)
    finally:
        session.cancel(list(flying))


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except (storage.StorageError, ModelError) as error:
        raise JobError(str(error), expected=True, passing=passes(error)) from error
    except CancelledError as error:
        raise JobError("the work was stopped", expected=True) from error
    except Exception as error:
        words = f"a Ray task failed: {type(error).__name__}: {error}"
        raise JobError(words, expected=False, passing=passes(error)) from error
