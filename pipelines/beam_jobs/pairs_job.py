"""Batches -> rules -> unique pairs sorted by key: the one shuffle of a build.

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

from pairs import alt_text, dedupe, reasons, sentences, translations, word_drop
from pairs.schema import PAIR_SCHEMA
from pipelines import storage
from pipelines.beam_jobs import examples
from pipelines.beam_jobs.runner import gather, note_progress, pipeline
from pipelines.ledger import Step
from pipelines.tables import TableWriter, read_batches

Chosen = tuple[pa.RecordBatch, pa.StringArray, dict[str, int]]
"""Pairs made of the kept rows, the reason of each row (null: kept), and what each rule alone would drop."""


def _image_alt(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    fails = alt_text.fails(batch, alt_text.AltTextOptions.model_validate(options))
    why = reasons.first_failure(fails, batch.num_rows)
    return alt_text.to_pairs(batch.filter(pc.is_null(why)), source=source), why, reasons.alone(fails)


def _sentences(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    fails = sentences.fails(batch, sentences.SentenceOptions.model_validate(options))
    why = reasons.first_failure(fails, batch.num_rows)
    return sentences.to_pairs(batch.filter(pc.is_null(why)), source=source, seed=seed), why, reasons.alone(fails)


def _translations(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    fails = translations.fails(batch, translations.TranslationOptions.model_validate(options))
    why = reasons.first_failure(fails, batch.num_rows)
    return translations.to_pairs(batch.filter(pc.is_null(why)), source=source, seed=seed), why, reasons.alone(fails)


def _word_drop(batch: pa.RecordBatch, source: str, options: dict[str, Any], seed: int) -> Chosen:
    made, why = word_drop.word_drop(batch, word_drop.WordDropOptions.model_validate(options), seed)
    return made, why, reasons.count(why)


CHOOSE: dict[str, Callable[[pa.RecordBatch, str, dict[str, Any], int], Chosen]] = {
    "image_alt": _image_alt,
    "sentences": _sentences,
    "translations": _translations,
    "word_drop": _word_drop,
}


def _to_ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _from_ipc(pieces: Iterable[bytes]) -> pa.RecordBatch:
    tables = [pa.ipc.open_stream(piece).read_all() for piece in pieces]
    table = pa.concat_tables(tables).combine_chunks() if tables else PAIR_SCHEMA.empty_table()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=PAIR_SCHEMA)


class Choose(beam.DoFn):
    """Reads one part, applies the rules and sends the pairs of the kept rows to their buckets."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec

    def process(self, part: dict[str, Any]) -> Iterator[Any]:
        """Gives (bucket, IPC bytes), and by tag the part's record and examples of what it dropped."""
        spec = self.spec
        choose = CHOOSE[spec["kind"]]
        options = {**spec["options"], **part.get("options", {})}
        steps: dict[str, Step] = {}
        for batch in read_batches(part["url"]):
            for source, rows in _by_source(batch, part["source"]):
                step = steps.setdefault(source, Step(source=source, step=spec["step"], unit=spec["unit"]))
                made, why, alone = choose(rows, source, options, spec["seed"])
                dropped = reasons.count(why)
                step.rows_in += rows.num_rows
                step.kept += rows.num_rows - sum(dropped.values())
                step.rows_out += made.num_rows
                step.dropped = dict(Counter(step.dropped) + Counter(dropped))
                step.alone = dict(Counter(step.alone) + Counter(alone))
                yield from examples.tagged(rows, why, source, spec["seed"])
                yield from self._buckets(made)
            note_progress(spec["progress"], batch.num_rows)
        record = {"steps": [step.model_dump() for step in steps.values()]}
        note_progress(spec["progress"], 0, 1)
        yield beam.pvalue.TaggedOutput("records", orjson.dumps(record, option=orjson.OPT_SORT_KEYS))

    def _buckets(self, pairs: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
        if not pairs.num_rows:
            return
        bucket = bucket_of(pairs.column("key"), self.spec["buckets"])
        order = np.argsort(bucket, kind="stable")
        bounds = np.flatnonzero(np.diff(bucket[order])) + 1
        for rows in np.split(order, bounds):
            yield int(bucket[rows[0]]), _to_ipc(pairs.take(pa.array(rows)))


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


class WriteBucket(beam.DoFn):
    """Brings a bucket's pairs together, drops duplicates, and writes them sorted as one part."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
        """Gives the bucket's record."""
        number, pieces = element
        rows = _from_ipc(pieces)
        unique, _ = dedupe.drop_duplicates(rows, self.spec["seed"])
        before, after = _counts(rows, "source"), _counts(unique, "source")
        steps = [
            Step(
                source=source,
                step="unique",
                unit="pairs",
                rows_in=count,
                kept=after.get(source, 0),
                rows_out=after.get(source, 0),
                dropped={"duplicate_pair": count - after.get(source, 0)} if count > after.get(source, 0) else {},
            )
            for source, count in sorted(before.items())
        ]
        with TableWriter(self.spec["folder"], f"part-{number:05d}.parquet", PAIR_SCHEMA) as table:
            table.write(unique)
        key = unique.column("key")
        record = {
            "order": number,
            "parts": [table.part(first_key=key[0].as_py(), last_key=key[-1].as_py()).model_dump()],
            "steps": [step.model_dump() for step in steps],
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
    with pipeline(spec) as p:
        chosen = (
            p
            | "parts" >> beam.Create(spec["parts"])
            | "spread" >> beam.Reshuffle()
            | "choose" >> beam.ParDo(Choose(spec)).with_outputs("records", "examples", main="pairs")
        )
        written = chosen.pairs | "by bucket" >> beam.GroupByKey() | "write" >> beam.ParDo(WriteBucket(spec))
        records = (chosen.records, written, examples.least(chosen.examples)) | beam.Flatten()
        gather(records, storage.join(spec["folder"], "records.json"))
