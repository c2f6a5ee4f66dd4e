"""From the manifests of a build's stages to the manifest of a version, its gate and its side files."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flows.recipe import Recipe
from flows.report import ReportData, render_report
from flows.stages import Build, chain
from pipelines import gate, stage, storage
from pipelines.dataset import TABLES, BalanceEntry, DatasetManifest, ShardEntry, TableEntry
from pipelines.ledger import check_chain
from pipelines.manifest import StageManifest
from pipelines.publish import sheet
from pipelines.publish.version import CARD_CODE, side_files, version_of

SAMPLES_A_KIND = 8
_SHARDS_SAMPLED = 4
_ERRORS_SHOWN = 50


@dataclass(slots=True)
class Made:
    """The manifests of a build's stages.

    Attributes:
        annotate: Source -> manifest.
        score: Source -> manifest of its scores, where the recipe names a model.
        translated: to_translate and translate -> manifest, where the build translates.
        pairs: Kind -> manifest of its unique pairs.
        tables: Source -> manifest of its filtered table.
        render: Kind -> manifest of its shards.
        verify: Kind -> manifest of their reading back.
    """

    annotate: dict[str, StageManifest] = field(default_factory=dict)
    score: dict[str, StageManifest] = field(default_factory=dict)
    translated: dict[str, StageManifest] = field(default_factory=dict)
    pairs: dict[str, StageManifest] = field(default_factory=dict)
    tables: dict[str, StageManifest] = field(default_factory=dict)
    render: dict[str, StageManifest] = field(default_factory=dict)
    verify: dict[str, StageManifest] = field(default_factory=dict)

    def every(self) -> list[StageManifest]:
        """All manifests, in the order of the stages, names sorted."""
        groups = (self.annotate, self.score, self.translated, self.pairs, self.tables, self.render, self.verify)
        return [manifest for group in groups for _, manifest in sorted(group.items())]


@dataclass(slots=True)
class Assembled:
    """A version that is ready to be published, or not."""

    manifest: DatasetManifest
    files: dict[str, str]
    contents: dict[str, bytes]
    checks: list[gate.Check]

    @property
    def passed(self) -> bool:
        """Whether the gate let it through."""
        return all(check.passed for check in self.checks)


def assemble(build: Build, made: Made) -> Assembled:
    """Draws up the version and holds it against the gate.

    Raises:
        LedgerError: Rows were lost between two stages.
    """
    recipe = build.recipe
    shards: list[ShardEntry] = []
    tables: list[TableEntry] = []
    files: dict[str, str] = {}
    for kind, rendered in made.render.items():
        for part in rendered.shards():
            split = part.facts.get("split", "train")
            entry = ShardEntry(
                path=f"{split}/{part.path.removeprefix(f'{split}-')}",
                kind=kind,
                split=split,
                bytes=part.bytes,
                sha256=part.sha256,
                samples=part.rows,
                first_key=part.facts["first_key"],
                last_key=part.facts["last_key"],
            )
            shards.append(entry)
            files[entry.path] = storage.join(build.root, rendered.folder, part.path)
    for name, filtered in sorted(made.tables.items()):
        for number, part in enumerate(filtered.tables()):
            path = f"tables/{name}-{number:05d}.parquet"
            tables.append(TableEntry(path=path, source=name, bytes=part.bytes, sha256=part.sha256, rows=part.rows))
            files[path] = storage.join(build.root, filtered.folder, part.path)
    balance: list[BalanceEntry] = []
    every = [("", made.pairs), ("table-", made.tables)]
    for prefix, name, counted in ((prefix, *item) for prefix, group in every for item in sorted(group.items())):
        for part in counted.parts:
            if part.role == "balance":
                path = f"balance/{prefix}{name}.parquet"
                balance.append(
                    BalanceEntry(
                        path=path, of=name, bytes=part.bytes, sha256=part.sha256, rows=part.rows,
                        facts=counted.facts["balance"],
                    )
                )  # fmt: skip
                files[path] = storage.join(build.root, counted.folder, part.path)
    ledger = _ledger(build, made)
    manifest = DatasetManifest(
        name=recipe.name,
        version="",
        recipe=json.loads(recipe.model_dump_json(exclude={"runtime", "promotion"})),
        lineage={
            item.stage: {"key": item.key, "digest": item.digest, "inputs": item.inputs, "code": item.code}
            for item in made.every()
        },
        render=build.render_identity,
        models={"lid.176.ftz": build.lid.sha256, **build.model_contents, **build.engine_identities()},
        mix=mix_of(recipe, _samples(build, shards)),
        shards=shards,
        tables=tables,
        balance=balance,
        ledger=ledger,
        languages={kind: pairs.facts.get("languages", {}) for kind, pairs in made.pairs.items()},
        cut={
            kind: {side: rendered.facts[f"cut_{side}"] for side in ("left", "right")}
            for kind, rendered in made.render.items()
        },
        repairs=_counts(made, "repairs"),
        text_roles=_counts(made, "text_roles"),
        errors=_errors(made),
        card_code=CARD_CODE,
    )
    problems = sum(len(found) for verified in made.verify.values() for found in verified.facts["problems"].values())
    checks = gate.evaluate(recipe.gate, _samples(build, shards), ledger, manifest.cut, manifest.languages, problems)
    manifest.gate = gate.report(checks)
    manifest.version = version_of(manifest)
    assembled = Assembled(manifest, files, {}, checks)
    log = errors_log(build, made)
    assembled.contents["report.html"] = render_report(_report(build, made, assembled, log))
    if assembled.passed:
        assembled.contents |= {**side_files(manifest), "errors.jsonl": log}
    return assembled


def mix_of(recipe: Recipe, samples: dict[str, int]) -> dict[str, float]:
    """Weights of the kinds in training, summing to 1: the recipe's, else in proportion to the samples."""
    weights = {str(kind): float(weight) for kind, weight in recipe.mix.items()} or {
        k: float(n) for k, n in samples.items() if n
    }
    total = sum(weights.values())
    return {kind: weight / total for kind, weight in sorted(weights.items())} if total else {}


def _samples(build: Build, shards: list[ShardEntry]) -> dict[str, int]:
    """Kind -> samples to train on."""
    train = [shard for shard in shards if shard.split == "train"]
    return {kind: sum(shard.samples for shard in train if shard.kind == kind) for kind in build.kinds()}


def _ledger(build: Build, made: Made) -> dict[str, Any]:
    """Kind -> steps, each chain checked from the raw records to the shards."""
    ledger = {}
    for kind, rendered in made.render.items():
        if kind == "back_translation":
            ledger[kind] = _translated_ledger(build, made)
            continue
        own = [made.pairs[kind], rendered]
        origin = "sentences" if kind == "word_drop" else kind
        before = [_joined([made.annotate[name] for name in build.sources_of(origin)])]
        if kind == "word_drop":
            check_chain([*before, *chain([made.pairs[origin], *own])])
            ledger[kind] = check_chain(chain(own))
        else:
            if kind == "image_alt" and made.score:
                before.append(_joined([made.score[name] for name in build.sources_of(origin)]))
            ledger[kind] = check_chain([*before, *chain(own)])
    if made.tables:
        names = sorted(made.tables)
        ledger[TABLES] = check_chain(
            [_joined([made.annotate[name] for name in names]), _joined([made.tables[name] for name in names])]
        )
    return ledger


def _translated_ledger(build: Build, made: Made) -> list[Any]:
    """The steps of back-translations, from the sentences that were chosen and the corpora that were read."""
    kinds = build.recipe.to_translate()
    if kinds:
        sources = [name for kind in kinds for name in build.sources_of(kind)]
        before = [_joined([made.annotate[name] for name in sources]), _joined([made.pairs[kind] for kind in kinds])]
        check_chain([*before, *chain(list(made.translated.values()))])
    corpora = [made.annotate[name] for name in build.sources_of("back_translation")]
    first = _joined([*made.translated.values(), *corpora])
    return check_chain([first, *chain([made.pairs["back_translation"], made.render["back_translation"]])])


def _joined(manifests: list[StageManifest]) -> list[Any]:
    return list(itertools.chain.from_iterable(manifest.ledger for manifest in manifests))


def _counts(made: Made, what: str) -> dict[str, dict[str, int]]:
    """Source -> what was counted while it was annotated."""
    return {
        source: dict(counts)
        for _, manifest in sorted(made.annotate.items())
        for source, counts in manifest.facts.get(what, {}).items()
    }


def _errors(made: Made) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for manifest in made.every():
        for step in manifest.ledger:
            counts.update(step.errors)
    return dict(sorted(counts.items()))


def errors_log(build: Build, made: Made) -> bytes:
    """errors.jsonl: every record in error of every stage, in the order of stages and parts."""
    pieces = [
        storage.read_bytes(storage.join(build.root, manifest.folder, part.path))
        for manifest in made.every()
        for part in manifest.parts
        if part.role == "errors"
    ]
    return b"".join(pieces)


def _pictures(build: Build, made: Made, count: int) -> list[sheet.Sample]:
    """Some samples of each kind, from shards spread over the whole."""
    samples: list[sheet.Sample] = []
    for manifest in made.render.values():
        shards = [part for part in manifest.shards() if part.rows]
        chosen = shards[:: max(1, len(shards) // _SHARDS_SAMPLED)][:_SHARDS_SAMPLED]
        for number, part in enumerate(chosen):
            share = count // len(chosen) + (number < count % len(chosen))
            samples += sheet.sample_shard(
                storage.join(build.root, manifest.folder, part.path), share, build.recipe.seed
            )
    return samples


def _report(build: Build, made: Made, assembled: Assembled, log: bytes) -> ReportData:
    examples: dict[str, dict[str, Any]] = {}
    for manifest in made.every():
        for source, rules in manifest.facts.get("examples", {}).items():
            examples.setdefault(source, {}).update(rules)
    return ReportData(
        manifest=assembled.manifest,
        samples=_pictures(build, made, SAMPLES_A_KIND),
        examples=examples,
        similarity={name: manifest.facts["similarity"][name] for name, manifest in sorted(made.score.items())},
        errors=[json.loads(line) for line in log.splitlines()[:_ERRORS_SHOWN]],
        timings={item.stage: took for item in made.every() if (took := stage.seconds(build.root, item)) is not None},
        failed=not assembled.passed,
    )
