"""Which stage comes after which: the graph of a build, and its running."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from flows.assembly import Made
from flows.progress import Board
from flows.stages import Build
from flows.stages.select import MIXED
from flows.stages.translate import TO_TRANSLATE, TRANSLATE
from flows.tasks import Tasks, Work
from pipelines.manifest import StageManifest

Total = tuple[int | None, int | None]
"""Rows and units to come; None where that is not known before the end."""
Got = Mapping[str, StageManifest]
"""Stages that are done -> their manifests; filled while the graph runs."""


@dataclass(slots=True)
class Node:
    """A stage in the graph.

    Attributes:
        name: The stage's.
        work: Runs it.
        after: Stages whose output it reads.
        total: Rows and units to come, known once `after` is done.
    """

    name: str
    work: Work
    after: list[str] = field(default_factory=list)
    total: Callable[[], Total] = lambda: (None, None)


def graph(build: Build, got: Got) -> dict[str, Node]:
    """All stages of a build, each after those that it reads.

    Args:
        build: Whose.
        got: Where the manifests of stages that are done will be found by name.
    """
    kinds = build.kinds()
    nodes = [_annotate(build, name) for name in annotated(build)]
    nodes += [_table(build, got, name) for name in build.table_sources()]
    nodes += [_score(build, got, name) for name in scored(build)]
    for kind in kinds:
        if kind == "back_translation":
            nodes += _translation(build, got)
        elif kind != "word_drop":
            nodes.append(_select(build, got, kind))
    if "word_drop" in kinds:
        nodes.append(_word_drop(build, got))
    nodes += [_render(build, got, kind) for kind in kinds]
    nodes += [_verify(build, got, kind) for kind in kinds]
    return {node.name: node for node in nodes}


def _annotate(build: Build, name: str) -> Node:
    return Node(
        f"annotate-{name}", lambda tick: build.annotate(name, tick), [], lambda: (None, len(build.inputs(name).units()))
    )


def _table(build: Build, got: Got, name: str) -> Node:
    before = f"annotate-{name}"
    return Node(
        f"table-{name}",
        lambda tick: build.filter_table(name, got[before], tick),
        [before],
        lambda: (got[before].rows, None),
    )


def _score(build: Build, got: Got, name: str) -> Node:
    before = f"annotate-{name}"
    return Node(
        f"score-{name}",
        lambda tick: build.score(name, got[before], tick),
        [before],
        lambda: (got[before].rows, len(got[before].tables())),
    )


def _select(build: Build, got: Got, kind: str) -> Node:
    """The pairs of a kind that is made from raw sources."""
    needs = {name: f"annotate-{name}" for name in build.sources_of(kind)}
    scores = {name: f"score-{name}" for name in scored(build) if kind == "image_alt"}
    return Node(
        pairs_of(kind),
        lambda tick: build.make_pairs(
            kind,
            {name: got[of] for name, of in needs.items()},
            tick,
            {name: got[of] for name, of in scores.items()},
        ),
        [*needs.values(), *scores.values()],
        lambda: (sum(part.rows for of in needs.values() for part in got[of].tables()), None),
    )


def _word_drop(build: Build, got: Got) -> Node:
    before = pairs_of("sentences")
    return Node(
        pairs_of("word_drop"),
        lambda tick: build.make_pairs("word_drop", {"sentences": got[before]}, tick),
        [before],
        lambda: (got[before].rows, None),
    )


def _translation(build: Build, got: Got) -> list[Node]:
    """Sentences to another language and back, beside what was translated back before."""
    kinds = build.recipe.to_translate()
    nodes: list[Node] = []
    if kinds:
        needs = [pairs_of(kind) for kind in kinds]
        gather = Node(
            TO_TRANSLATE,
            lambda tick: build.gather_sentences({kind: got[pairs_of(kind)] for kind in kinds}, tick),
            needs,
            lambda: (sum(got[need].rows for need in needs), None),
        )
        translate = Node(
            TRANSLATE,
            lambda tick: build.translate(got[TO_TRANSLATE], tick),
            [TO_TRANSLATE],
            lambda: (got[TO_TRANSLATE].rows, None),
        )
        nodes += [gather, translate]
    translated = {MIXED: TRANSLATE} if kinds else {}
    before = {name: f"annotate-{name}" for name in build.sources_of("back_translation")} | translated
    pairs = Node(
        pairs_of("back_translation"),
        lambda tick: build.make_pairs("back_translation", {name: got[of] for name, of in before.items()}, tick),
        list(before.values()),
        lambda: (sum(part.rows for of in before.values() for part in got[of].tables()), None),
    )
    return [*nodes, pairs]


def _render(build: Build, got: Got, kind: str) -> Node:
    before = pairs_of(kind)
    return Node(
        f"render-{kind}",
        lambda tick: build.render(kind, got[before], tick),
        [before],
        lambda: (got[before].rows, None),
    )


def _verify(build: Build, got: Got, kind: str) -> Node:
    before = f"render-{kind}"
    return Node(
        f"verify-{kind}",
        lambda tick: build.verify(kind, got[before], tick),
        [before],
        lambda: (sum(part.rows for part in got[before].shards()), None),
    )


def annotated(build: Build) -> list[str]:
    """Sources that are annotated, in the order in which they start."""
    plain = [kind for kind in build.kinds() if kind not in ("image_alt", "word_drop")]
    names = build.photograph_sources() + build.table_sources()
    return names + [name for kind in plain for name in build.sources_of(kind)]


def scored(build: Build) -> list[str]:
    """Sources whose photographs a model scores."""
    return build.photograph_sources() if build.model is not None else []


def pairs_of(kind: str) -> str:
    """The stage that makes a kind's pairs."""
    return "word_drop" if kind == "word_drop" else f"select-{kind}"


def needed(nodes: dict[str, Node], wanted: Iterable[str]) -> list[Node]:
    """The nodes that some stages need, themselves included, in the graph's order.

    Raises:
        KeyError: There is no such stage.
    """
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += nodes[name].after
    return [node for name, node in nodes.items() if name in found]


def run_nodes(build: Build, nodes: list[Node], tasks: Tasks) -> None:
    """Runs stages as tasks, each after those that it reads; `tasks` keeps their manifests.

    Raises the error of the first stage that failed, when the others have ended. What runs on a cluster is stopped on the way out.
    """
    build.waits = tasks.waits
    tasks.board.announce(*(node.name for node in nodes))
    try:
        for node in nodes:
            tasks.submit(node.name, node.work, node.after, node.total)
        tasks.finish()
    finally:
        build.stop.set()
        build.close()


def run_stages(build: Build, board: Board) -> tuple[Made, Tasks]:
    """Runs every stage that is not done; gives the manifests of all."""
    tasks = Tasks(board)
    got = tasks.results
    run_nodes(build, list(graph(build, got).values()), tasks)
    kinds = build.kinds()
    made = Made(
        annotate={name: got[f"annotate-{name}"] for name in annotated(build)},
        score={name: got[f"score-{name}"] for name in scored(build)},
        translated={name: got[name] for name in (TO_TRANSLATE, TRANSLATE) if name in got},
        pairs={kind: got[pairs_of(kind)] for kind in kinds},
        tables={name: got[f"table-{name}"] for name in build.table_sources()},
        render={kind: got[f"render-{kind}"] for kind in kinds},
        verify={kind: got[f"verify-{kind}"] for kind in kinds},
    )
    return made, tasks
