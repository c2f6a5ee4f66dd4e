"""The Prefect flow `build_dataset`: a task per stage, in dependency order, independent stages side by side.

The flow does no work itself. Each task calls one stage, which runs its Beam or Ray job unless its manifest is already there.
"""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import os

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows import artifacts
from flows.context import Built, current
from flows.order import run_stages
from flows.parameters import BuildParameters, flat
from flows.prepare import prepare
from flows.progress import Board
from flows.publishing import promote, publish
from flows.remote import run_id, stop_jobs
from flows.stages import Build
from flows.tasks import first_line
from flows.train import hand_over
from pipelines import storage

environment.settle()

_SIDE_BY_SIDE = max(2, min(8, os.cpu_count() or 2))


@flow(
    name="build_dataset",
    persist_result=False,
    task_runner=ThreadPoolTaskRunner(max_workers=_SIDE_BY_SIDE),  # type: ignore[arg-type]  # Prefect casts its own as well
    on_cancellation=[stop_jobs],
    on_crashed=[stop_jobs],
)
@flat(BuildParameters)
def build_dataset(asked: BuildParameters) -> None:
    """Builds, verifies, publishes and promotes one version of a data set, and hands it over."""
    run_build(asked)


def run_build(asked: BuildParameters) -> Built:
    """The body of the flow.

    Raises:
        RecipeError: The recipe cannot be used.
        SourceError: An input is missing or not what the recipe says.
        GateError: The version is outside the recipe's bounds.
    """
    context = current()
    board = context.board
    build = prepare(asked.recipe, asked.root, asked.workers, asked.partition)
    build.run_id = run_id() or build.run_id
    storage.make_folder(build.root)
    with artifacts.progress(build.recipe.name, board):
        try:
            built = _make(build, board)
        finally:
            artifacts.stages(build.recipe.name, board)
    built.promoted = promote(build, built)
    context.built = built
    if build.recipe.train is not None and asked.train_after and built.promoted:
        built.trained = hand_over(built, board)
    return built


def _make(build: Build, board: Board) -> Built:
    made, tasks = run_stages(build, board)
    board.start("publish")
    try:
        built = publish(build, made)
    except BaseException as error:
        board.finish("publish", "failed", note=first_line(error))
        raise
    board.finish("publish", "done", rows=sum(built.manifest.samples().values()))
    built.ran = [name for name, ran in tasks.ran.items() if ran]
    built.reused = [name for name, ran in tasks.ran.items() if not ran]
    return built
