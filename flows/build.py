"""The Prefect flow `build_dataset`: a task per stage, in dependency order, independent stages side by side.

The flow does no work itself. Each task calls one stage, which runs its Beam or Ray job unless its manifest is already there.
"""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import dataclasses
import os
import threading
from collections.abc import Callable
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.futures import PrefectFuture, wait
from prefect.task_runners import ThreadPoolTaskRunner

from flows.assembly import Assembled, Made, assemble
from flows.progress import Board
from flows.recipe import load
from flows.stages import Build
from pipelines import dataset, storage
from pipelines.manifest import StageManifest
from pipelines.publish import version
from pipelines.similarity import files
from pipelines.train.run import Trained, train
from pipelines.train.spec import TrainerSpec

environment.settle()

PROMOTED = "pixelpairs.dataset.promoted"
_SIDE_BY_SIDE = max(2, min(8, os.cpu_count() or 2))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class GateError(Exception):
    """The gate let nothing through; the message says which bounds failed and where the report lies."""


@dataclasses.dataclass(slots=True)
class Built:
    """What a build leaves.

    Attributes:
        folder: The published version.
        version: Its name.
        report: Where its report lies.
        ran: Stages that ran; the others were done before.
        reused: Stages that were done before.
        trained: The training run, None where none was asked for.
    """

    folder: str
    version: str
    manifest: dataset.DatasetManifest
    report: str
    ran: list[str] = dataclasses.field(default_factory=list)
    reused: list[str] = dataclasses.field(default_factory=list)
    trained: Trained | None = None


class _Tasks:
    """Submits stages as Prefect tasks and keeps what they give, by stage name."""

    def __init__(self, board: Board, stop: threading.Event) -> None:
        self.board = board
        self.stop = stop
        self.results: dict[str, StageManifest] = {}
        self.ran: dict[str, bool] = {}
        self.futures: dict[str, PrefectFuture[Any]] = {}

    def submit(
        self,
        name: str,
        work: Callable[[Callable[[int, int], None]], tuple[StageManifest, bool]],
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
                self.board.finish(name, "failed", note=_first_line(error))
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


def prepare(recipe: str, root: str, workers: int | None = None) -> Build:
    """Reads the recipe and finds its inputs; runs nothing."""
    loaded = load(recipe)
    if workers is not None:
        runtime = loaded.recipe.runtime.model_copy(update={"workers": workers})
        loaded = dataclasses.replace(loaded, recipe=loaded.recipe.model_copy(update={"runtime": runtime}))
    if root.startswith("memory://"):
        raise storage.StorageError(
            "memory:// is the memory of one process, and a build has several: name a folder or a store"
        )
    if storage.is_local(root):
        root = str(storage.local_path(root).absolute())
    build = Build(loaded, root)
    for name in loaded.recipe.sources:
        build.inputs(name)
    if build.model is not None:
        files.releases(build.model)
        build.model_files  # noqa: B018  (looked up once, here, where a fault is told before anything runs)
    return build


@dataclasses.dataclass(slots=True)
class Context:
    """What the command line and the flow share in one process: the board to show, and what came out."""

    board: Board = dataclasses.field(default_factory=Board)
    built: Built | None = None


_context = Context()


def share(context: Context) -> None:
    """Makes the next build in this process report to `context`."""
    global _context
    _context = context


def run_build(recipe: str, root: str, *, train_after: bool, workers: int | None) -> Built:
    """The body of the flow."""
    context = _context
    build = prepare(recipe, root, workers)
    storage.make_folder(build.root)
    made, tasks = _run_stages(build, context.board)
    context.board.start("publish")
    try:
        built = _publish(build, made)
    except BaseException as error:
        context.board.finish("publish", "failed", note=_first_line(error))
        raise
    context.board.finish("publish", "done", rows=sum(built.manifest.samples().values()))
    built.ran = [name for name, ran in tasks.ran.items() if ran]
    built.reused = [name for name, ran in tasks.ran.items() if not ran]
    context.built = built
    spec = build.recipe.train
    if spec is not None and train_after:
        built.trained = _hand_over(built, spec, context.board)
    return built


def _run_stages(build: Build, board: Board) -> tuple[Made, _Tasks]:
    kinds = build.kinds()
    tasks = _Tasks(board, build.stop)
    plain = [kind for kind in kinds if kind != "word_drop"]
    names = build.photograph_sources() + build.table_sources()
    names += [name for kind in plain if kind != "image_alt" for name in build.sources_of(kind)]
    scored = build.photograph_sources() if build.model is not None else []
    board.announce(*(f"annotate-{name}" for name in names), *(f"score-{name}" for name in scored))
    board.announce(*(f"table-{name}" for name in build.table_sources()), *(f"select-{kind}" for kind in plain))
    board.announce(*(["word_drop"] if "word_drop" in kinds else []), *(f"render-{kind}" for kind in kinds))
    board.announce(*(f"verify-{kind}" for kind in kinds), "publish")
    got = tasks.results
    for name in names:
        tasks.submit(
            f"annotate-{name}",
            _bind(build.annotate, name),
            [],
            lambda name=name: (None, len(build.inputs(name).units())),
        )
    for name in build.table_sources():
        before = f"annotate-{name}"
        tasks.submit(
            f"table-{name}",
            lambda tick, name=name, before=before: build.filter_table(name, got[before], tick),
            [before],
            lambda before=before: (got[before].rows, None),
        )
    for name in scored:
        before = f"annotate-{name}"
        tasks.submit(
            f"score-{name}",
            lambda tick, name=name, before=before: build.score(name, got[before], tick),
            [before],
            lambda before=before: (got[before].rows, len(got[before].tables())),
        )
    for kind in plain:
        needs = [f"annotate-{name}" for name in build.sources_of(kind)]
        scores = [f"score-{name}" for name in scored if kind == "image_alt"]
        tasks.submit(
            f"select-{kind}",
            lambda tick, kind=kind, scores=scores: build.make_pairs(
                kind,
                {n: got[f"annotate-{n}"] for n in build.sources_of(kind)},
                tick,
                {need.removeprefix("score-"): got[need] for need in scores},
            ),
            [*needs, *scores],
            lambda needs=needs: (sum(sum(part.rows for part in got[need].tables()) for need in needs), None),
        )
    if "word_drop" in kinds:
        tasks.submit(
            "word_drop",
            lambda tick: build.make_pairs("word_drop", {"sentences": got["select-sentences"]}, tick),
            ["select-sentences"],
            lambda: (got["select-sentences"].rows, None),
        )
    for kind in kinds:
        pairs = "word_drop" if kind == "word_drop" else f"select-{kind}"
        tasks.submit(
            f"render-{kind}",
            lambda tick, kind=kind, pairs=pairs: build.render(kind, got[pairs], tick),
            [pairs],
            lambda pairs=pairs: (got[pairs].rows, None),
        )
    for kind in kinds:
        rendered = f"render-{kind}"
        tasks.submit(
            f"verify-{kind}",
            lambda tick, kind=kind, rendered=rendered: build.verify(kind, got[rendered], tick),
            [rendered],
            lambda rendered=rendered: (sum(part.rows for part in got[rendered].shards()), None),
        )
    try:
        tasks.finish()
    finally:
        build.stop.set()
        build.close()
    made = Made(
        annotate={name: got[f"annotate-{name}"] for name in names},
        score={name: got[f"score-{name}"] for name in scored},
        pairs={kind: got["word_drop" if kind == "word_drop" else f"select-{kind}"] for kind in kinds},
        tables={name: got[f"table-{name}"] for name in build.table_sources()},
        render={kind: got[f"render-{kind}"] for kind in kinds},
        verify={kind: got[f"verify-{kind}"] for kind in kinds},
    )
    return made, tasks


def _bind(method: Callable[..., tuple[StageManifest, bool]], name: str) -> Callable[[Any], tuple[StageManifest, bool]]:
    return lambda tick: method(name, tick)


def _publish(build: Build, made: Made) -> Built:
    """Gate, publish, promote."""

    def run() -> tuple[Assembled, version.Published | None]:
        ready = assemble(build, made)
        if not ready.passed:
            return ready, None
        published = version.publish(build.root, ready.manifest, ready.files, ready.contents)
        version.promote(build.root, published)
        return ready, published

    ready, published = task(run, name="publish", task_run_name="publish", cache_policy=NO_CACHE, persist_result=False)()
    if published is None:
        folder = storage.join(build.root, "reports", f"{build.recipe.name}-{ready.manifest.version}")
        storage.make_folder(folder)
        report = storage.write_bytes(storage.join(folder, "report.html"), ready.contents["report.html"]).url
        failed = "\n".join(f"  {check.words()}" for check in ready.checks if not check.passed)
        raise GateError(f"the gate failed, nothing is published:\n{failed}\nreport: {report}")
    return Built(published.folder, published.version, ready.manifest, storage.join(published.folder, "report.html"))


def _hand_over(built: Built, spec: TrainerSpec, board: Board) -> Trained:
    """Emits the event and runs the train flow on what was published."""
    digest = storage.sha256_of(storage.join(built.folder, "MANIFEST.json"))
    emit_event(
        PROMOTED,
        resource={
            "prefect.resource.id": f"pixelpairs.dataset.{built.manifest.name}",
            "prefect.resource.name": built.manifest.name,
        },
        payload={"manifest": storage.join(built.folder, "MANIFEST.json"), "sha256": digest, "version": built.version},
    )
    board.start("train")
    try:
        trained = train_model(built.folder, digest, spec)
    except BaseException as error:
        board.finish("train", "failed", note=_first_line(error))
        raise
    board.finish("train", "done" if trained.new else "cached", note=_figures(trained))
    return trained


def _figures(trained: Trained) -> str:
    first, last = trained.result.get("loss_first"), trained.result.get("loss_last")
    return f"loss {first:.3f} -> {last:.3f}" if isinstance(first, float) and isinstance(last, float) else ""


@flow(name="train_model", persist_result=False)
def train_model(folder: str, manifest_sha256: str, spec: TrainerSpec) -> Trained:
    """Trains on a published version; refuses one that is not whole or not the one that was promised.

    Args:
        folder: The version's folder.
        manifest_sha256: What its manifest must hash to.
        spec: The trainer.
    """
    board = _context.board

    def said(line: str) -> None:
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "step" in words and "train" in board.lines:
            board.lines["train"].note = line[:120]

    run = task(train, name="train", task_run_name="train", cache_policy=NO_CACHE, persist_result=False)
    return run(folder, spec, manifest_sha256=manifest_sha256, said=said)
