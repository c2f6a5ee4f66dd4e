"""Alt-text tables without photographs: annotated batches -> rules -> balance -> a filtered table, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import alt_text, reasons
from pipelines import references, storage
from pipelines.beam_jobs import balancing, counting, examples
from pipelines.beam_jobs.runner import gather, note_progress, pipeline
from pipelines.ledger import Step, merge
from pipelines.tables import TableWriter, read_batches

Judged = tuple[pa.RecordBatch, dict[str, pa.BooleanArray], pa.StringArray, pa.RecordBatch]
"""A batch, which rules its rows fail, the first rule that each fails, and the rows of the table that are kept."""


class Rules:
    """Reads a part and applies the rules to it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.options = alt_text.AltTextOptions.model_validate(spec["options"])
        self._references = references.load(self.options, spec.get("references", {}))

    def apply(self, part: dict[str, Any], counted: counting.Counted) -> Iterator[Judged]:
        """Gives each batch with what its rows fail."""
        first = 0
        for read in read_batches(part["url"]):
            batch = counting.columns(read, first, counted, self.options.counts)
            first += read.num_rows
            fails = alt_text.fails(batch, self.options, self._references)
            why = reasons.first_failure(fails, batch.num_rows)
            kept = alt_text.to_table(batch.filter(pc.is_null(why)), source=part["source"])
            yield batch, fails, why, kept


class Search(beam.DoFn):
    """Searches what the rules keep of a part for the queries to balance by."""

    def __init__(self, spec: dict[str, Any], given: balancing.Balancing) -> None:
        self.spec, self.given = spec, given
        self._rules: Rules | None = None

    def process(self, element: tuple[dict[str, Any], counting.Counted]) -> Iterator[tuple[int, balancing.Matches]]:
        """Gives (part, matches), a batch at a time; rows are counted from the part's first kept one."""
        part, counted = element
        self._rules = self._rules or Rules(self.spec)
        first = 0
        for _, _, _, kept in self._rules.apply(part, counted):
            yield part["index"], self.given.matches(kept.column("text"), kept.column("key"), first)
            first += kept.num_rows


class FilterTable(beam.DoFn):
    """Filters one part into one part."""

    def __init__(self, spec: dict[str, Any], balanced: bool) -> None:
        self.spec, self.balanced = spec, balanced
        self._rules: Rules | None = None

    def process(self, element: tuple[dict[str, Any], counting.Counted, list[tuple[int, bytes]]]) -> Iterator[Any]:
        """Takes a part, its counts, and what balancing says of the rows that the rules keep. Gives the part's record, and by tag
        examples of what was dropped."""
        part, counted, decided = element
        spec, source = self.spec, part["source"]
        self._rules = self._rules or Rules(spec)
        step = Step(source=source, step=spec["step"], unit="rows")
        steps = [step]
        unbalanced = b"".join(piece for _, piece in sorted(decided))
        first = 0
        with TableWriter(spec["folder"], f"part-{part['index']:05d}.parquet") as table:
            for batch, fails, why, kept in self._rules.apply(part, counted):
                dropped = reasons.count(why)
                step.rows_in += batch.num_rows
                step.kept += batch.num_rows - sum(dropped.values())
                step.rows_out += kept.num_rows
                step.dropped = dict(Counter(step.dropped) + Counter(dropped))
                step.alone = dict(Counter(step.alone) + Counter(reasons.alone(fails)))
                yield from examples.tagged(batch, why, source, spec["seed"])
                if self.balanced:
                    thinned = balancing.reasons_in([(0, unbalanced[first : first + kept.num_rows])], kept.num_rows)
                    first += kept.num_rows
                    steps.append(balancing.ledger_step(source, "rows", thinned))
                    yield from examples.tagged(kept, thinned, source, spec["seed"])
                    kept = kept.filter(pc.is_null(thinned))
                table.write(kept)
                note_progress(spec["progress"], batch.num_rows)
        parts = [table.part().model_dump()] if table.rows else []
        note_progress(spec["progress"], 0, 1)
        record = {"order": part["index"], "parts": parts, "steps": [step.model_dump() for step in merge(steps)]}
        yield orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def _with_decisions(item: tuple[int, dict[str, list[Any]]]) -> tuple[Any, ...]:
    return (*item[1]["parts"][0], item[1]["why"])


def run(spec: dict[str, Any]) -> None:
    """Runs the job; leaves records.json in the stage's folder."""
    options = alt_text.AltTextOptions.model_validate(spec["options"])
    balance = balancing.Balancing.of(spec, options.balance)
    with pipeline(spec) as p:
        spread = p | "parts" >> beam.Create(spec["parts"]) | "spread" >> beam.Reshuffle()
        parts = counting.with_counts(spread, options.counts, spec["buckets"])
        records = []
        if balance is None:
            ready = parts | "no balance" >> beam.Map(lambda item: (*item, []))
        else:
            # The rules are applied a second time where rows are written: that is cheaper than to move the rows.
            why, counts = balancing.decide(
                parts | "search" >> beam.ParDo(Search(spec, balance)), balance, spec["folder"]
            )
            records.append(counts)
            keyed = parts | "with number" >> beam.Map(lambda item: (item[0]["index"], item))
            ready = {"parts": keyed, "why": why} | "join balance" >> beam.CoGroupByKey() | beam.Map(_with_decisions)
        done = ready | "filter" >> beam.ParDo(FilterTable(spec, balance is not None)).with_outputs(
            "examples", main="records"
        )
        records += [done.records, examples.least(done.examples)]
        gather(records | beam.Flatten(), storage.join(spec["folder"], "records.json"))
