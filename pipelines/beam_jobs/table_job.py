"""Alt-text tables without photographs: annotated batches -> rules -> a filtered table, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
import pyarrow.compute as pc

from pairs import alt_text, reasons
from pipelines import references, storage
from pipelines.beam_jobs import counting, examples
from pipelines.beam_jobs.runner import gather, note_progress, pipeline
from pipelines.ledger import Step
from pipelines.tables import TableWriter, read_batches


class FilterTable(beam.DoFn):
    """Filters one part into one part."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self._references: alt_text.References | None = None

    def process(self, element: tuple[dict[str, Any], counting.Counted]) -> Iterator[Any]:
        """Gives the part's record, and by tag examples of what was dropped."""
        part, counted = element
        spec = self.spec
        options = alt_text.AltTextOptions.model_validate(spec["options"])
        if self._references is None:
            self._references = references.load(options, spec.get("references", {}))
        first = 0
        step = Step(source=part["source"], step=spec["step"], unit="rows")
        with TableWriter(spec["folder"], f"part-{part['index']:05d}.parquet") as table:
            for read in read_batches(part["url"]):
                batch = counting.columns(read, first, counted, options.counts)
                first += read.num_rows
                fails = alt_text.fails(batch, options, self._references)
                why = reasons.first_failure(fails, batch.num_rows)
                kept = alt_text.to_table(batch.filter(pc.is_null(why)), source=part["source"])
                dropped = reasons.count(why)
                step.rows_in += batch.num_rows
                step.kept += batch.num_rows - sum(dropped.values())
                step.rows_out += kept.num_rows
                step.dropped = dict(Counter(step.dropped) + Counter(dropped))
                step.alone = dict(Counter(step.alone) + Counter(reasons.alone(fails)))
                table.write(kept)
                yield from examples.tagged(batch, why, part["source"], spec["seed"])
                note_progress(spec["progress"], batch.num_rows)
        parts = [table.part().model_dump()] if table.rows else []
        note_progress(spec["progress"], 0, 1)
        yield orjson.dumps(
            {"order": part["index"], "parts": parts, "steps": [step.model_dump()]}, option=orjson.OPT_SORT_KEYS
        )


def run(spec: dict[str, Any]) -> None:
    """Runs the job; leaves records.json in the stage's folder."""
    counts = alt_text.AltTextOptions.model_validate(spec["options"]).counts
    with pipeline(spec) as p:
        spread = p | "parts" >> beam.Create(spec["parts"]) | "spread" >> beam.Reshuffle()
        done = counting.with_counts(spread, counts, spec["buckets"]) | "filter" >> beam.ParDo(
            FilterTable(spec)
        ).with_outputs("examples", main="records")
        gather(
            (done.records, examples.least(done.examples)) | beam.Flatten(), storage.join(spec["folder"], "records.json")
        )
