"""Stages as Prefect tasks: one each, in the order of what they read, side by side where they are independent."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait

from flows.progress import Board
from pipelines.manifest import StageManifest

environment.settle()

Work = Callable[[Callable[[int, int], None]], tuple[StageManifest, bool]]
"""Runs a stage, telling a callback of rows and units done; gives its manifest, and whether it ran."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


class Tasks:
    """Submits stages as Prefect tasks and keeps what they give, by stage name."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.results: dict[str, StageManifest] = {}
        self.ran: dict[str, bool] = {}
        self.futures: dict[str, PrefectFuture[Any]] = {}

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
                self.board.finish(name, "failed", note=first_line(error))
                raise
            self.results[name], self.ran[name] = manifest, ran
            self.board.finish(name, "done" if ran else "cached", rows=_rows(manifest))

        prepared = task(run, name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
        self.futures[name] = prepared.submit(wait_for=[self.futures[other] for other in after])

    def finish(self) -> None:
        """Waits for all; raises the error of the stage that failed first in the order of submission."""
        wait(list(self.futures.values()))
        for name, future in self.futures.items():
            if future.state.is_failed() or future.state.is_crashed():
                future.result(raise_on_failure=True)
                raise RuntimeError(f"stage {name} failed")


def _rows(manifest: StageManifest) -> int:
    return manifest.rows or int(manifest.facts.get("samples", 0))
