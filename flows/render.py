"""The Prefect flow `render_shards`: the rendering of one build, or of a range of its shards, on its own."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from prefect import flow

from flows import artifacts
from flows.context import current
from flows.log import logger
from flows.order import graph, needed, pairs_of, run_nodes
from flows.parameters import RenderParameters, flat
from flows.prepare import prepare
from flows.recipe import RecipeError
from flows.remote import run_id, stop_jobs
from flows.stages import Build
from flows.tasks import Tasks, Work
from pipelines import storage
from pipelines.jobs import Progress

environment.settle()


@flow(name="render_shards", persist_result=False, on_cancellation=[stop_jobs], on_crashed=[stop_jobs])
@flat(RenderParameters)
def render_shards(asked: RenderParameters) -> None:
    """Renders a build's pairs, or a range of their shards; what that needs and is not there yet is made first.

    Several ranges can be rendered at once, on several machines. The build that publishes takes up every shard that is there.
    """
    build = prepare(asked.recipe, asked.root, asked.workers, asked.partition)
    build.run_id = run_id() or build.run_id
    kinds = [str(kind) for kind in asked.kinds] or build.kinds()
    for kind in kinds:
        if kind not in build.kinds():
            raise RecipeError(f"{asked.recipe}: {kind} is not made; it makes {', '.join(build.kinds())}")
    storage.make_folder(build.root)
    board = current().board
    tasks = Tasks(board)
    nodes = graph(build, tasks.results)
    if asked.first or asked.last is not None:
        for kind in kinds:
            nodes[f"render-{kind}"].work = _range(build, kind, tasks, asked)
    with artifacts.progress(f"render-{build.recipe.name}", board):
        run_nodes(build, needed(nodes, [f"render-{kind}" for kind in kinds]), tasks)
    artifacts.stages(f"render-{build.recipe.name}", board)


def _range(build: Build, kind: str, tasks: Tasks, asked: RenderParameters) -> Work:
    def work(tick: Progress) -> tuple[None, bool]:
        pairs = tasks.results[pairs_of(kind)]
        last = len(build.shards(kind, pairs)) if asked.last is None else asked.last
        shards, rows = build.render_some(kind, pairs, asked.first, last, tick)
        logger().info("%s: shards %d to %d, %s rows", kind, asked.first, asked.first + shards, f"{rows:,}")
        return None, True

    return work
