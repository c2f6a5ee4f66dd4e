"""Pairs to read: of each kind, language and rule those with the least hash, out of a published version and the stages behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flows.stages.annotate import ANNOTATE_CODE
from flows.stages.select import PAIRS_CODE, UPSTREAM
from pairs import arrow, back_translation, keys, language, sentences, translations, word_drop
from pairs.schema import KINDS
from pipelines import dataset, storage
from pipelines import manifest as manifests
from pipelines.manifest import StageManifest
from pipelines.ray_jobs import translate
from pipelines.sources.tarstream import Damage, read_tar
from pipelines.tables import read_batches

Group = tuple[str, str, str | None]
"""Kind, language (of translations both, `de-en`), rule; None: kept."""

_CODES = {"annotate": ANNOTATE_CODE, "select": PAIRS_CODE, "translate": translate.CODE}
"""What the stages whose rows are judged once more are of, in this release."""

_MEMBER_BYTES = 64 << 20
_BATCH_ROWS = 2048
_COLUMNS = ("left_text", "right_text", "left_lang", "right_lang", "source", "origin", "url", "scores")


@dataclass
class Drawn:
    """The rows of each group with the least hash, and how many there are.

    Attributes:
        most: Rows of a group that are kept.
        seed: Which rows.
        kinds: Kinds that are wanted; empty: all.
        languages: Languages that are wanted, subtags; empty: all.
        counts: Group -> rows met.
        totals: Kind and rule -> rows that the build dropped, over all steps and languages, by its ledger.
        examples: Kinds of whose dropped rows only some are at hand: `counts` has no more than those.
        there: Languages met, wanted or not.
        older: Stages of another release, whose rows this one's rules must not judge.
    """

    most: int
    seed: int = 0
    kinds: Collection[str] = ()
    languages: Collection[str] = ()
    counts: Counter[Group] = field(default_factory=Counter)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)
    older: list[str] = field(default_factory=list)
    _held: dict[Group, list[tuple[int, str, dict[str, Any]]]] = field(default_factory=dict)

    def add(self, kind: str, batch: pa.RecordBatch, why: pa.StringArray | None = None) -> None:
        """Takes rows in.

        Args:
            kind: Of all rows.
            batch: n rows with some of the columns of a pair.
            why: The rule that dropped each row, null: none did, and the row is left out; None: all rows were kept.
        """
        if self.kinds and kind not in self.kinds:
            return
        if why is not None:
            rows = pc.is_valid(why)
            batch, why = batch.filter(rows), why.filter(rows)
        columns = {
            name: arrow.strings(batch.column(name)) for name in _COLUMNS if name in batch.schema.names
        }  # as text: what is shown
        if not batch.num_rows:
            return
        spoken = _spoken(columns, batch.num_rows)
        identity = [columns.get(name, arrow.constant("", batch.num_rows)).fill_null("") for name in _COLUMNS[:6]]
        draws = keys.draw(keys.content_keys(*identity), self.seed, "show")
        rules = why.to_pylist() if why is not None else [None] * batch.num_rows
        for group, at in _by_group(kind, spoken, rules).items():
            self.there.update(group[1].split("-"))
            if self.languages and not set(self.languages) & set(group[1].split("-")):
                continue
            self.counts[group] += len(at)
            held = self._held.setdefault(group, [])
            for row in sorted(at, key=lambda row: int(draws[row]))[: self.most]:
                shown = {name: column[row].as_py() for name, column in columns.items()}
                held.append((int(draws[row]), orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode(), shown))
            held.sort(key=lambda item: item[:2])
            del held[self.most :]

    def groups(self) -> Iterator[tuple[Group, list[dict[str, Any]]]]:
        """Each group with its rows: kinds in the order of the schema, kept before dropped, the commonest language first."""
        said = Counter[tuple[str, str]]()
        for (kind, tongue, _), count in self.counts.items():
            said[kind, tongue] += count

        def place(group: Group) -> tuple[Any, ...]:
            kind, tongue, rule = group
            return *_place(kind), -said[kind, tongue], tongue, rule is not None, rule or ""

        for group in sorted(self._held, key=place):
            yield group, [shown for _, _, shown in self._held[group]]

    def unseen(self) -> Iterator[tuple[str, str, int]]:
        """Kind, rule and total of each rule that dropped rows of which none was drawn."""
        drawn = {(kind, rule) for kind, _, rule in self._held}
        for kind in sorted({kind for kind, _ in self.totals}, key=_place):
            for (of, rule), total in sorted(self.totals.items()):
                if of == kind and total and (kind, rule) not in drawn:
                    yield kind, rule, total


def _place(kind: str) -> tuple[int, str]:
    """Where a kind stands: in the order of the schema, unknown ones behind."""
    return (KINDS.index(kind) if kind in KINDS else len(KINDS)), kind


def _spoken(columns: dict[str, pa.StringArray], n: int) -> list[str]:
    sides = [
        language.primaries(columns[name]).to_pylist() if name in columns else [None] * n
        for name in ("left_lang", "right_lang")
    ]
    return ["-".join(sorted({tag for tag in both if tag is not None})) or "und" for both in zip(*sides, strict=True)]


def _by_group(kind: str, spoken: list[str], rules: list[str | None]) -> dict[Group, list[int]]:
    found: dict[Group, list[int]] = {}
    for row, (tongue, rule) in enumerate(zip(spoken, rules, strict=True)):
        found.setdefault((kind, tongue, rule), []).append(row)
    return found


def versions(place: str) -> list[str]:
    """The folders of the versions that a place names: itself, or under a root those in use.

    Raises:
        DatasetError: Neither lies there.
    """
    if storage.exists(storage.join(place, manifests.NAME)):
        return [place]
    try:
        champions = storage.expand(storage.join(place, "datasets", "*", dataset.CHAMPION))
    except storage.StorageError as error:
        raise dataset.DatasetError(f"{place} is neither a published version nor the root of one") from error
    return [storage.join(url.rpartition("/")[0], orjson.loads(storage.read_bytes(url))["version"]) for url in champions]


def kept(
    folder: str, manifest: dataset.DatasetManifest, kinds: Collection[str] = ()
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Every pair of a version, as its shards hold it: (kind, rows with the columns of a pair that are texts)."""
    for shard in manifest.shards:
        if kinds and shard.kind not in kinds:
            continue
        held: list[dict[str, Any]] = []
        for row in _samples(storage.join(folder, shard.path)):
            held.append(row)
            if len(held) == _BATCH_ROWS:
                yield shard.kind, _batch(held)
                held = []
        if held:
            yield shard.kind, _batch(held)


def _samples(url: str) -> Iterator[dict[str, Any]]:
    """The texts of each sample of a shard."""
    key = ""
    rest: dict[str, Any] = {}
    with storage.open_read(url) as file:
        for member in read_tar(file, max_member_bytes=_MEMBER_BYTES):
            if isinstance(member, Damage):
                raise dataset.DatasetError(f"{url}, byte {member.offset}: {member.reason}: {member.detail}")
            name, _, ending = member.name.partition(".")
            if name != key and rest:
                yield rest
            if name != key:
                key, rest = name, {}
            if ending == "json" and member.data is not None:
                rest |= {k: v for k, v in orjson.loads(member.data).items() if k in _COLUMNS}
            elif ending == "txt" and member.data is not None:
                rest["right_text"] = member.data.decode("utf-8", "replace")
    if rest:
        yield rest


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    def text(value: Any) -> str | None:
        return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()

    return pa.RecordBatch.from_pydict(
        {name: pa.array([text(row.get(name)) for row in rows], pa.string()) for name in _COLUMNS}
    )


def dropped(
    folder: str, manifest: dataset.DatasetManifest, kinds: Collection[str] = (), older: list[str] | None = None
) -> Iterator[tuple[str, pa.RecordBatch, pa.StringArray]]:
    """The candidates of a version's kinds with the rule that each failed: (kind, rows, reasons; null: kept).

    The rules are applied once more to what was read and measured. What several pairs decide together (copies, bounds over all
    sources, balance) is not among them, and neither is what another release measured, whose rules were others: the names of such
    stages go into `older`.

    Raises:
        DatasetError: The stages that the version was made of are gone.
    """
    root = folder.rstrip("/").rsplit("/", 3)[0]
    recipe = manifest.recipe
    for kind, options in recipe["pairs"].items():
        if options is None or (kinds and kind not in kinds):
            continue
        if kind == "image_alt":
            if "select-image_alt" in manifest.lineage:
                yield from _examples(kind, _stage(root, manifest, "select-image_alt"))
            continue
        told = {name: value for name, value in options.items() if not (kind == "back_translation" and name in UPSTREAM)}
        for stage in _candidates(kind, recipe, root, manifest):
            if stage.code.partition("+")[0] != _CODES[stage.stage.partition("-")[0]]:
                if older is not None:
                    older.append(stage.stage)
                continue
            for part in [part for split in dataset.SPLITS for part in stage.tables(split)]:
                for batch in read_batches(storage.join(root, stage.folder, part.path)):
                    yield kind, batch, _reasons(kind, batch, told, recipe["seed"])
    for name in sorted(manifest.lineage) if not kinds else ():
        if name.startswith("table-"):
            yield from _examples(dataset.TABLES, _stage(root, manifest, name))


def _reasons(kind: str, batch: pa.RecordBatch, options: dict[str, Any], seed: int) -> pa.StringArray:
    """The rule that each candidate fails."""
    if kind == "sentences":
        return sentences.select(batch, sentences.SentenceOptions.model_validate(options))
    if kind == "translations":
        return translations.select(batch, translations.TranslationOptions.model_validate(options))
    if kind == "back_translation":
        return back_translation.select(batch, back_translation.BackTranslationOptions.model_validate(options))
    return word_drop.word_drop(batch, word_drop.WordDropOptions.model_validate(options), seed)[1]


def _candidates(
    kind: str, recipe: dict[str, Any], root: str, manifest: dataset.DatasetManifest
) -> Iterator[StageManifest]:
    """The stages that a kind's rules are applied to."""
    if kind == "word_drop":
        yield _stage(root, manifest, "select-sentences")
        return
    if kind == "back_translation" and "translate" in manifest.lineage:
        yield _stage(root, manifest, "translate")
    wanted = {"sentences": "documents"}.get(kind, "bitext")
    for name, source in sorted(recipe["sources"].items()):
        if source["type"] == wanted and source.get("role", kind) == kind:
            yield _stage(root, manifest, f"annotate-{name}")


def _examples(kind: str, stage: StageManifest) -> Iterator[tuple[str, pa.RecordBatch, pa.StringArray]]:
    """The dropped alt-texts that a stage of the build kept for reading; `pixelpairs samples` shows more."""
    for source, rules in sorted(stage.facts.get("examples", {}).items()):
        for rule, rows in sorted(rules.items()):
            texts = [
                {
                    "right_text": row.get("text"),
                    "right_lang": row.get("lang"),
                    "origin": row.get("origin"),
                    "source": source,
                }
                for row in rows
            ]
            if texts:
                yield kind, _batch(texts), arrow.constant(rule, len(texts))


def _stage(root: str, manifest: dataset.DatasetManifest, name: str) -> StageManifest:
    found = manifests.read(storage.join(root, f"stages/{name}-{manifest.lineage[name]['key']}"))
    if found is None:
        raise dataset.DatasetError(
            f"the stage {name} of this version is not under {root} any more: what it dropped is gone"
        )
    return found


def draw(
    place: str,
    *,
    most: int,
    seed: int = 0,
    kinds: Collection[str] = (),
    languages: Collection[str] = (),
    also_dropped: bool = False,
) -> Drawn:
    """Draws pairs to read.

    Args:
        place: A published version, or a root: its versions in use.
        most: Pairs of each kind, language and rule.
        seed: Which pairs.
        kinds: Kinds that are wanted; empty: all.
        languages: Languages that are wanted, BCP 47; empty: all.
        also_dropped: Whether to draw from what the rules drop too.

    Raises:
        DatasetError: No version lies there, the stages behind it are gone, or nothing there is wanted; the message says what is
            there.
    """
    wanted = {language.primary(tag) or tag for tag in languages}
    drawn = Drawn(most, seed, kinds, wanted)
    for folder in versions(place):
        manifest = dataset.load(folder)
        for kind, batch in kept(folder, manifest, kinds):
            drawn.add(kind, batch)
        if also_dropped:
            drawn.examples |= {"image_alt", dataset.TABLES}
            for kind, batch, why in dropped(folder, manifest, kinds, drawn.older):
                drawn.add(kind, batch, why)
            for kind, steps in manifest.ledger.items():
                for step in steps if not kinds or kind in kinds else ():
                    drawn.totals.update({(kind, rule): count for rule, count in step.dropped.items()})
    if not drawn.counts:
        raise dataset.DatasetError(_nothing(place, drawn, also_dropped))
    return drawn


def _nothing(place: str, drawn: Drawn, also_dropped: bool) -> str:
    """Why nothing was drawn."""
    what = f"no pairs of {', '.join(drawn.kinds)}" if drawn.kinds else "no pairs"
    if drawn.there:
        return f"{place}: {what} in {', '.join(sorted(drawn.languages))}; there are {', '.join(sorted(drawn.there))}"
    made = sorted({kind for folder in versions(place) for kind in dataset.load(folder).samples()}, key=_place)
    of = f"; there are {', '.join(made)}" if drawn.kinds and made else ""
    return f"{place}: {what}{of}" + ("" if also_dropped else " (--dropped shows what the rules drop)")
