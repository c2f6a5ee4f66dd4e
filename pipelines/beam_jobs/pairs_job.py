"""Batches -> rules -> unique pairs, balanced where the recipe asks so, sorted by key: the one shuffle of a build.

Rows go to a bucket by the leading digits of their key, so that the buckets, laid end to end, are sorted over all: shard membership
is then a matter of counting. Equal keys meet in one bucket, where the duplicate with the least hash survives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import alt_text, back_translation, dedupe, reasons, sentences, to_translate, translations, word_drop
from pairs.schema import PAIR_SCHEMA
from pipelines import references, storage
from pipelines.beam_jobs import balancing, counting, duplicates, examples, holding, host_cap, per_source
from pipelines.beam_jobs.ipc import from_ipc, to_ipc
from pipelines.beam_jobs.runner import gather, note_progress, pipeline
from pipelines.ledger import Step
from pipelines.similarity.table import Scores
from pipelines.tables import TableWriter, read_batches

ORDER = {
    "choose": -7,
    "unique": -6,
    "duplicate_text": -5,
    per_source.RULE: -4,
    host_cap.RULE: -4,
    "duplicate_image": -3,
    "balance": -2,
    holding.STEP: holding.ORDER,
}
"""Where the records of each step stand, so that a source's steps come in the order in which they were made."""

UNIQUE = {"pairs": ("unique", "duplicate_pair"), "to_translate": ("unique sentences", "duplicate_sentence")}
"""What the step that drops copies, and its rule, are called."""

Chosen = tuple[pa.RecordBatch, pa.StringArray, dict[str, int]]
"""Pairs made of the kept rows, the reason of each row (null: kept), and what each rule alone would drop."""


def _image_alt(
    batch: pa.RecordBatch, source: str, options: alt_text.AltTextOptions, references: alt_text.References
) -> Chosen:
    fails = alt_text.fails(batch, options, references)
    why = reasons.first_failure(fails, batch.num_rows)
    return alt_text.to_pairs(batch.filter(pc.is_null(why)), source=source), why, reasons.alone(fails)


def _sentences(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    rules = sentences.SentenceOptions.model_validate(options)
    fails = sentences.fails(batch, rules)
    why = reasons.first_failure(fails, batch.num_rows)
    kept = batch.filter(pc.is_null(why))
    made = sentences.to_pairs(kept, source=source, seed=seed, min_prob=rules.language_min_prob)
    return made, why, reasons.alone(fails)


def _translations(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    fails = translations.fails(batch, translations.TranslationOptions.model_validate(options))
    why = reasons.first_failure(fails, batch.num_rows)
    return translations.to_pairs(batch.filter(pc.is_null(why)), source=source, seed=seed), why, reasons.alone(fails)


def _word_drop(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    made, why = word_drop.word_drop(batch, word_drop.WordDropOptions.model_validate(options), seed)
    return made, why, reasons.count(why)


def _back_translation(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    fails = back_translation.fails(batch, back_translation.BackTranslationOptions.model_validate(options))
    why = reasons.first_failure(fails, batch.num_rows)
    kept = batch.filter(pc.is_null(why))
    return back_translation.to_pairs(kept, source=source, seed=seed), why, reasons.alone(fails)


def _to_translate(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    """No pairs yet: the sentences that are to become some, in the same form."""
    chosen = back_translation.BackTranslationOptions.model_validate(options["back_translation"])
    made, why = to_translate.choose(batch, chosen, seed, options["languages"])
    return made, why, reasons.count(why)


CHOOSE: dict[str, Callable[[pa.RecordBatch, str, dict[str, Any], int], Chosen]] = {
    "sentences": _sentences,
    "translations": _translations,
    "word_drop": _word_drop,
    "to_translate": _to_translate,
    "back_translation": _back_translation,
}


class Choose(beam.DoFn):
    """Reads one part, applies the rules and sends the pairs of the kept rows to their buckets."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self._references: alt_text.References | None = None

    def _chooser(self, part: dict[str, Any]) -> tuple[Callable[[pa.RecordBatch, str], Chosen], dict[str, int]]:
        """What makes pairs of this part's rows, and the counts over all rows that it needs."""
        spec = self.spec
        options = {**spec["options"], **part.get("options", {})}
        if spec["kind"] != "image_alt":
            plain = CHOOSE[spec["kind"]]
            return (lambda rows, source: plain(rows, source, options, spec["seed"])), {}
        rules = alt_text.AltTextOptions.model_validate(options)
        if self._references is None:
            self._references = references.load(rules, spec.get("references", {}))
        held = self._references
        return (lambda rows, source: _image_alt(rows, source, rules, held)), rules.counts

    def process(self, element: tuple[dict[str, Any], counting.Counted]) -> Iterator[Any]:
        """Gives (bucket, IPC bytes), and by tag the part's record and examples of what it dropped."""
        part, counted = element
        spec = self.spec
        choose, counts = self._chooser(part)
        steps: dict[str, Step] = {}
        first = 0
        scores = Scores(part["scores"]) if part.get("scores") else None
        for read in read_batches(part["url"]):
            batch = counting.columns(read, first, counted, counts)
            if scores is not None:
                batch = scores.beside(batch, first)
            first += read.num_rows
            for source, rows in _by_source(batch, part["source"]):
                step = steps.setdefault(source, Step(source=source, step=spec["step"], unit=spec["unit"]))
                made, why, alone = choose(rows, source)
                dropped = reasons.count(why)
                step.rows_in += rows.num_rows
                step.kept += rows.num_rows - sum(dropped.values())
                step.rows_out += made.num_rows
                step.dropped = dict(Counter(step.dropped) + Counter(dropped))
                step.alone = dict(Counter(step.alone) + Counter(alone))
                yield from examples.tagged(rows, why, source, spec["seed"])
                yield from self._buckets(made)
            note_progress(spec["progress"], read.num_rows)
        record = {"order": ORDER["choose"], "steps": [step.model_dump() for step in steps.values()]}
        note_progress(spec["progress"], 0, 1)
        yield beam.pvalue.TaggedOutput("records", orjson.dumps(record, option=orjson.OPT_SORT_KEYS))

    def _buckets(self, pairs: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
        if not pairs.num_rows:
            return
        bucket = bucket_of(pairs.column("key"), self.spec["buckets"])
        order = np.argsort(bucket, kind="stable")
        bounds = np.flatnonzero(np.diff(bucket[order])) + 1
        for rows in np.split(order, bounds):
            yield int(bucket[rows[0]]), to_ipc(pairs.take(pa.array(rows)))


def bucket_of(key: pa.Array, buckets: int) -> np.ndarray:
    """Bucket of each key, int64: equal ranges of the leading 32 bits, so that buckets are in key order."""
    leading = np.array([int(value, 16) for value in pc.utf8_slice_codeunits(key, 0, 8).to_pylist()], dtype=np.int64)
    return (leading * buckets) >> 32


def _by_source(batch: pa.RecordBatch, source: str | None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each source: one part is of one source, unless it is a part of pairs, which say their source."""
    if source is not None:
        yield source, batch
        return
    column = batch.column("source")
    for name in sorted(pc.unique(column).to_pylist()):
        yield name, batch.filter(pc.equal(column, name))


class Unique(beam.DoFn):
    """Brings a bucket's pairs together and drops copies of one pair."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        """Gives the bucket's pairs, sorted, as IPC bytes, and by tag its record."""
        number, pieces = element
        rows = from_ipc(pieces)
        unique, _ = dedupe.drop_duplicates(rows, self.spec["seed"])
        name, rule = UNIQUE.get(self.spec["kind"], UNIQUE["pairs"])
        steps = duplicates.steps_of(name, rule, rows, unique)
        record = {"order": ORDER["unique"], "steps": steps}
        yield beam.pvalue.TaggedOutput("records", orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
        yield number, to_ipc(unique)


_BEHIND = 1 << 20
"""More than there are buckets: parts of what is held out come behind those of training."""


class WriteBucket(beam.DoFn):
    """Writes a bucket's pairs, sorted by key, as one part; `role` is the part's."""

    def __init__(self, spec: dict[str, Any], role: str = "table") -> None:
        self.spec, self.role = spec, role

    def process(self, element: tuple[int, bytes]) -> Iterator[bytes]:
        """Gives the bucket's record."""
        number, piece = element
        unique = from_ipc([piece])
        if not unique.num_rows:
            return
        plain = self.role == "table"
        name = f"{'part' if plain else self.role}-{number:05d}.parquet"
        with TableWriter(self.spec["folder"], name, PAIR_SCHEMA) as table:
            table.write(unique)
        key = unique.column("key")
        part = table.part(first_key=key[0].as_py(), last_key=key[-1].as_py())
        record = {
            "order": number if plain else number + _BEHIND,
            "parts": [part.model_copy(update={"role": self.role}).model_dump()],
            "languages": {
                "left": _counts(unique.filter(pc.is_valid(unique.column("left_text"))), "left_lang"),
                "right": _counts(unique, "right_lang"),
            },
        }
        yield orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def _counts(batch: pa.RecordBatch, column: str) -> dict[str, int]:
    counts = pc.value_counts(batch.column(column)).to_pylist()
    return {str(item["values"] or "und"): item["counts"] for item in counts}


def run(spec: dict[str, Any]) -> None:
    """Runs the job; leaves records.json in the stage's folder."""
    options = alt_text.AltTextOptions.model_validate(spec["options"]) if spec["kind"] == "image_alt" else None
    counts = options.counts if options else {}
    parts = [{**part, "index": index} for index, part in enumerate(spec["parts"])]
    with pipeline(spec) as p:
        spread = p | "parts" >> beam.Create(parts) | "spread" >> beam.Reshuffle()
        chosen = counting.with_counts(spread, counts, spec["buckets"]) | "choose" >> beam.ParDo(
            Choose(spec)
        ).with_outputs("records", "examples", main="pairs")
        unique = (
            chosen.pairs
            | "by bucket" >> beam.GroupByKey()
            | "unique" >> beam.ParDo(Unique(spec)).with_outputs("records", main="rows")
        )
        rows, records, dropped_rows = unique.rows, [chosen.records, unique.records], [chosen.examples]
        if options is not None:
            for rule in options.duplicates.rounds():
                rows, dropped = duplicates.drop(rows, rule, options.duplicates, spec, ORDER[rule])
                records.append(dropped)
        if spec["kind"] == "sentences" and (bound := spec["options"]["max_pairs_per_host"]) is not None:
            rows, dropped = host_cap.drop(rows, bound, spec, ORDER[host_cap.RULE])
            records.append(dropped)
        if spec["kind"] == "translations":
            bound = translations.TranslationOptions.model_validate(spec["options"]).max_pairs_per_source
            rows, beyond = per_source.bounded(rows, bound, spec, ORDER["pairs_per_source"])
            records += [beyond] if beyond is not None else []
        balance = balancing.Balancing.of(spec, options.balance if options else None)
        if balance is not None:
            rows, dropped, shown = balancing.thin(rows, balance, spec["folder"], ORDER["balance"])
            records.append(dropped)
            dropped_rows.append(shown)
        records.append(examples.least(dropped_rows | "examples" >> beam.Flatten()))
        if spec.get("holdout") is not None:
            rows, held, divided = holding.divided(rows, spec["holdout"], spec["seed"])
            records += [divided, held | "write held" >> beam.ParDo(WriteBucket(spec, holding.VALIDATION))]
        records.append(rows | "write" >> beam.ParDo(WriteBucket(spec)))
        gather(records | beam.Flatten(), storage.join(spec["folder"], "records.json"))
