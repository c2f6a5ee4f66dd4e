"""Stages as Prefect tasks: one each, in the order of what they read, side by side where they are independent."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.tasks import exponential_backoff

from flows.log import logger
from flows.progress import Board
from pipelines.jobs import passes
from pipelines.manifest import StageManifest

environment.settle()

Work = Callable[[Callable[[int, int], None]], tuple[StageManifest | None, bool]]
"""Runs a stage or a part of it, telling a callback of rows and units done; gives the manifest of a finished one, and if it ran."""

RETRIES = 3
_BACKOFF_SECONDS = 5
_JITTER = 0.5


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


class Tasks:
    """Submits stages as Prefect tasks and keeps what they give, by stage name.

    A stage whose fault can pass (see `pipelines.jobs.passes`) is tried again, later and later, by its Prefect task; what it has
    finished is not made again, and a job of it that still runs on a cluster is taken up. Any other fault ends the run.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.results: dict[str, StageManifest] = {}
        self.ran: dict[str, bool] = {}
        self.futures: dict[str, PrefectFuture[Any]] = {}
        self._faults: dict[str, BaseException] = {}

    def submit(
        self,
        name: str,
        work: Work,
        after: list[str],
        total: Callable[[], tuple[int | None, int | None]],
    ) -> None:
        """Adds a task.

        Args:
            name: The stage's.
            work: Runs the stage; is given the callback for its progress.
            after: Stages whose output it reads.
            total: Rows and units to come, known once `after` is done.
        """

        def run() -> None:
            rows, units = total()
            self.board.start(name, total_rows=rows, total_units=units)
            try:
                manifest, ran = work(lambda done, parts: self.board.update(name, done, parts))
            except BaseException as error:
                self._faults[name] = error
                self.board.finish(name, "failed", note=first_line(error))
                raise
            self.ran[name] = ran
            if manifest is not None:
                self.results[name] = manifest
            self.board.finish(name, "done" if ran else "cached", rows=_rows(manifest))
            line = self.board.lines[name]
            logger().info("%s: %s, %s rows, %.1f s", name, line.state, f"{line.rows:,}", line.seconds)

        prepared = task(
            name=name,
            task_run_name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(_BACKOFF_SECONDS),
            retry_jitter_factor=_JITTER,
            retry_condition_fn=lambda *_: passes(self._faults.get(name)),
        )(run)
        self.futures[name] = prepared.submit(wait_for=[self.futures[other] for other in after], return_state=False)

    def waits(self, name: str, who: str) -> None:
        """Says that a stage waits for another build that is at it."""
        if name in self.board.lines:
            self.board.lines[name].note = f"waits for {who}"
        logger().info("%s: waits for %s, which is at it", name, who)

    def finish(self) -> None:
        """Waits for all; raises the error of the stage that failed first in the order of submission."""
        wait(list(self.futures.values()))
        for name, future in self.futures.items():
            if future.state.is_failed() or future.state.is_crashed():
                future.result(raise_on_failure=True)
                raise RuntimeError(f"stage {name} failed")


def _rows(manifest: StageManifest | None) -> int | None:
    if manifest is None:
        return None
    return manifest.rows or int(manifest.facts.get("samples", 0))
