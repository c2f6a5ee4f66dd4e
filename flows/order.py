"""Which stage comes after which: the graph of a build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.assembly import Made
from flows.progress import Board
from flows.stages import Build
from flows.tasks import Tasks
from pipelines.manifest import StageManifest


def run_stages(build: Build, board: Board) -> tuple[Made, Tasks]:
    """Runs every stage that is not done, each after those that it reads; gives their manifests.

    Raises the error of the first stage that failed, when the others have ended.
    """
    kinds = build.kinds()
    tasks = Tasks(board)
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
