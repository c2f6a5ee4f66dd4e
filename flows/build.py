"""The Prefect flow `build_dataset`: a task per stage, in dependency order, independent stages side by side.

The flow does no work itself. Each task calls one stage, which runs its Beam or Ray job unless its manifest is already there.
"""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import os

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.context import Built, current
from flows.order import run_stages
from flows.prepare import prepare
from flows.publishing import announce, publish
from flows.tasks import first_line
from flows.train import hand_over
from pipelines import storage

environment.settle()

_SIDE_BY_SIDE = max(2, min(8, os.cpu_count() or 2))


@flow(name="build_dataset", persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=_SIDE_BY_SIDE))
def build_dataset(recipe: str, root: str, train_after: bool = True, workers: int | None = None) -> None:
    """Builds, publishes and hands over one version of a data set.

    Args:
        recipe: Path of the recipe.
        root: Where stages and data sets live: a folder or an fsspec URL.
        train_after: Whether to start the recipe's trainer on the version.
        workers: Overrides the recipe's `runtime.workers`.

    Raises:
        RecipeError: The recipe cannot be used.
        SourceError: An input is missing or not what the recipe says.
        GateError: The version is outside the recipe's bounds.
    """
    run_build(recipe, root, train_after=train_after, workers=workers)


def run_build(recipe: str, root: str, *, train_after: bool, workers: int | None) -> Built:
    """The body of the flow."""
    context = current()
    board = context.board
    build = prepare(recipe, root, workers)
    storage.make_folder(build.root)
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
    context.built = built
    spec = build.recipe.train
    if spec is not None and train_after:
        announce(built)
        built.trained = hand_over(built, spec, board)
    return built
