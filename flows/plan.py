"""`pixelpairs build --plan`: what would run, what is done, what it will cost. Writes nothing but remembered hashes of inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from flows import lookahead
from flows.prepare import prepare
from flows.stages import Build
from flows.stages.select import MIXED
from flows.stages.translate import TO_TRANSLATE, TRANSLATE
from pipelines import stage
from pipelines.manifest import StageManifest
from pipelines.stage import Stage

# Core-seconds a row, start-up apart, measured with the quickstart and web data on one 2-GHz core. They tell minutes from days.
_COST = {
    "photograph": 2.5e-3,  # reading, decoding once, hashing
    "annotate": 1.2e-4,
    "document": 4e-3,
    "translate": 3e-3,  # both ways, a rule-based engine; a Transformer on a core takes a hundred times as long
    "score": 5e-2,  # a ViT-B/32 on a core; a GPU is a hundred times faster
    "pairs": 4e-5,
    "render": 1.5e-4,
    "verify": 2.5e-4,
}
_START_SECONDS = {"beam": 5.0, "ray": 8.0}
# What a row of one step gives in the next where no finished stage tells; seen on web data.
_YIELD = {"image_alt": 0.8, "sentences": 3.0, "translations": 0.9, "back_translation": 0.7, "word_drop": 1.0}
_SHARD_BYTES_A_SAMPLE = {
    "image_alt": 4_500,  # and its photograph
    "sentences": 6_200,
    "translations": 6_000,
    "back_translation": 6_200,
    "word_drop": 6_000,
}


_PHOTOGRAPH_BYTES = 35_000  # where none was looked at


@dataclass(slots=True)
class Row:
    """One stage of the plan. `key` is None where it depends on output that is not there yet."""

    stage: str
    key: str | None
    done: bool
    rows: int
    exact: bool
    shards: int | None = None
    bytes: int | None = None
    seconds: float = 0.0


def draw_up(build: Build) -> list[Row]:
    """The stages of a build, in order, with what is known of each."""
    rows: list[Row] = []
    ready: dict[str, StageManifest] = {}
    counts: dict[str, int] = {}
    ahead: dict[str, lookahead.Photographs] = {}

    def add(what: Stage | None, name: str, estimate: int, exact: bool, seconds: float, kind: str | None = None) -> None:
        manifest = stage.done(build.root, what) if what is not None else None
        row = Row(name, what.key if what else None, manifest is not None, estimate, exact, seconds=seconds)
        if manifest is not None:
            ready[name] = manifest
            row.rows = manifest.rows or int(manifest.facts.get("samples", 0))
            row.exact, row.seconds = True, 0.0
            kept = [part.bytes for part in manifest.parts if part.role in ("table", "validation", "shard")]
            row.bytes = sum(kept) if kept else None
        counts[name] = row.rows
        if kind is not None:
            samples = build.recipe.shards.of(kind)
            row.shards = len(manifest.shards()) if manifest else -(-row.rows // samples)
            a_sample = _SHARD_BYTES_A_SAMPLE.get(kind, 6000) + (photograph_bytes() if kind == "image_alt" else 0)
            row.bytes = row.bytes if manifest else round(row.rows * a_sample)
        rows.append(row)

    def photograph_bytes() -> float:
        """Mean bytes of a photograph a row, by the nearest stage that is done, else by the files' beginnings."""
        if "select-image_alt" in ready:
            known = [(counts["select-image_alt"], lookahead.stored(build.root, ready["select-image_alt"]))]
        else:
            known = [
                (
                    counts[f"annotate-{name}"],
                    lookahead.stored(build.root, ready[f"annotate-{name}"])
                    if f"annotate-{name}" in ready
                    else ahead[name].bytes_a_row,
                )
                for name in build.photograph_sources()
            ]
        told = [(rows, size) for rows, size in known if size is not None and rows]
        return sum(rows * size for rows, size in told) / sum(rows for rows, _ in told) if told else _PHOTOGRAPH_BYTES

    kinds = build.kinds()
    names = build.photograph_sources() + build.table_sources()
    names += [name for kind in kinds if kind not in ("image_alt", "word_drop") for name in build.sources_of(kind)]
    for name in names:
        count, exact = lookahead.rows_in(build.inputs(name))
        per_row = _COST["document"] if build.recipe.sources[name].type == "documents" else _COST["annotate"]
        per_row += _COST["photograph"] if name in build.photograph_sources() else 0.0
        annotate, seconds = build.annotate_stage(name), _START_SECONDS["beam"] + count * per_row
        if name in build.photograph_sources() and stage.done(build.root, annotate) is None:
            ahead[name] = lookahead.photographs(build.inputs(name))
            count, exact = round(count * ahead[name].rows_a_record), exact and ahead[name].rows_a_record == 1.0
        add(annotate, f"annotate-{name}", count, exact, seconds)
    for name in build.table_sources():
        before = ready.get(f"annotate-{name}")
        count = counts[f"annotate-{name}"]
        what = build.table_stage(name, before) if before else None
        add(what, f"table-{name}", round(count * 0.8), False, _START_SECONDS["beam"] + count * _COST["pairs"])
    for name in build.photograph_sources() if build.model is not None else []:
        before = ready.get(f"annotate-{name}")
        count = counts[f"annotate-{name}"]
        what = build.score_stage(name, before) if before else None
        add(what, f"score-{name}", count, before is not None, _START_SECONDS["ray"] + count * _COST["score"])
    for kind in kinds:
        if kind == "back_translation":
            _translation(build, ready, counts, add)
            continue
        sources = ["sentences"] if kind == "word_drop" else build.sources_of(kind)
        befores = {n: ready.get("select-sentences" if kind == "word_drop" else f"annotate-{n}") for n in sources}
        known = {n: manifest for n, manifest in befores.items() if manifest is not None}
        needed = sources if kind == "image_alt" and build.model is not None else []
        scores = {n: ready[f"score-{n}"] for n in needed if f"score-{n}" in ready}
        whole = len(known) == len(befores) and len(scores) == len(needed)
        what = build.pairs_stage(kind, known, scores) if whole else None
        count = counts["select-sentences"] if kind == "word_drop" else sum(counts[f"annotate-{n}"] for n in sources)
        # A document that was not mined yet gives several pairs; rows that were annotated are candidates already.
        share = _YIELD[kind] if kind != "sentences" or not known else 1.0
        name = kind if kind == "word_drop" else f"select-{kind}"
        add(what, name, round(count * share), False, _START_SECONDS["beam"] + count * _COST["pairs"])
    for kind in kinds:
        name = kind if kind == "word_drop" else f"select-{kind}"
        before = ready.get(name)
        what = build.render_stage(kind, before) if before else None
        exact = before is not None
        add(what, f"render-{kind}", counts[name], exact, _START_SECONDS["ray"] + counts[name] * _COST["render"], kind)
    for kind in kinds:
        before = ready.get(f"render-{kind}")
        what = build.verify_stage(kind, before) if before else None
        count = counts[f"render-{kind}"]
        add(what, f"verify-{kind}", count, before is not None, _START_SECONDS["ray"] + count * _COST["verify"])
    return rows


def _translation(
    build: Build, ready: dict[str, StageManifest], counts: dict[str, int], add: Callable[..., None]
) -> None:
    """The stages of back-translation."""
    sources = build.sources_of("back_translation")
    before = {name: ready.get(f"annotate-{name}") for name in sources}
    count = sum(counts[f"annotate-{name}"] for name in sources)
    if kinds := build.recipe.to_translate():
        pairs = {kind: ready[f"select-{kind}"] for kind in kinds if f"select-{kind}" in ready}
        what = build.to_translate_stage(pairs) if len(pairs) == len(kinds) else None
        sentences = round(sum(counts[f"select-{kind}"] for kind in kinds) * build.back.share)
        add(what, TO_TRANSLATE, sentences, False, _START_SECONDS["beam"] + sentences * _COST["pairs"])
        gathered = ready.get(TO_TRANSLATE)
        sentences = counts[TO_TRANSLATE]
        what = build.translate_stage(gathered) if gathered else None
        seconds = _START_SECONDS["ray"] + sentences * _COST["translate"]
        add(what, TRANSLATE, sentences, gathered is not None, seconds)
        before[MIXED] = ready.get(TRANSLATE)
        count += counts[TRANSLATE]
    known = {name: manifest for name, manifest in before.items() if manifest is not None}
    what = build.pairs_stage("back_translation", known) if len(known) == len(before) else None
    seconds = _START_SECONDS["beam"] + count * _COST["pairs"]
    add(what, "select-back_translation", round(count * _YIELD["back_translation"]), False, seconds)


def show(recipe: str, root: str, workers: int | None, console: Console, partition: str | None = None) -> None:
    """Prints the plan of a build."""
    build = prepare(recipe, root, workers, partition)
    rows = draw_up(build)
    table = Table(title=f"plan of {build.recipe.name} under {build.root}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("stage", "key", "state", "rows", "shards", "bytes", "core-s"):
        table.add_column(name, justify="left" if name in ("stage", "key", "state") else "right", no_wrap=True)
    for row in rows:
        about = "" if row.exact else "~"
        table.add_row(
            row.stage,
            row.key or "(after its input)",
            "done" if row.done else "to do",
            f"{about}{row.rows:,}",
            "" if row.shards is None else f"{about}{row.shards:,}",
            "" if row.bytes is None else f"{'' if row.done else '~'}{row.bytes:,}",
            "" if row.done else f"~{row.seconds:,.0f}",
        )
    console.print(table)
    todo = [row for row in rows if not row.done]
    total = sum(row.seconds for row in todo)
    workers_used = build.recipe.runtime.worker_count()
    console.print(
        f"{len(rows) - len(todo)} of {len(rows)} stages are done; to do: ~{total:,.0f} core-seconds, "
        f"~{total / workers_used:,.0f} s on {workers_used} workers",
        highlight=False,
    )
    if any(not row.exact for row in rows):
        console.print("~ estimated from the beginnings of the files; what is done is counted", highlight=False)
