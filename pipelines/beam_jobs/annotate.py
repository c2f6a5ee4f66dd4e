"""Raw files -> annotated batches: one unit of work writes one table, one errors file and, for photographs, one blob.

Scores are computed here once; thresholds come later, so that a changed threshold runs no model again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import alt_text, back_translation, normalise, reasons, sentences, translations
from pairs.language import LanguageIdentifier
from pipelines import storage
from pipelines.beam_jobs.runner import gather, note_progress, pipeline
from pipelines.ledger import LedgerError, Step
from pipelines.manifest import Part
from pipelines.sources import bitext, documents, image_text, tokens_apart
from pipelines.sources.reading import Reading
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource
from pipelines.tables import TableWriter


class AnnotateUnit(beam.DoFn):
    """Reads one unit of raw input, scores its rows and writes them; gives the unit's record."""

    _lid: LanguageIdentifier  # of a worker's own: `setup` loads it where the unit is worked on

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec

    def setup(self) -> None:
        """Loads the language model once a worker."""
        self._lid = LanguageIdentifier(self.spec["language_model"])

    def process(self, unit: dict[str, Any]) -> Iterator[bytes]:
        """Works on one unit, unless an interrupted run has finished it; see `Inputs.units` for its fields."""
        url = storage.join(self.spec["folder"], f"records/{unit['index']:05d}.json")
        record = self._finished(url) or self._work(unit)
        storage.write_bytes(url, record)
        note_progress(self.spec["progress"], 0, 1)
        yield record

    def _finished(self, url: str) -> bytes | None:
        """The record of a unit whose parts are all there."""
        if not storage.exists(url):
            return None
        record = storage.read_bytes(url)
        try:
            parts = [Part.model_validate(part) for part in orjson.loads(record)["parts"]]
        except (ValueError, KeyError, TypeError):
            return None
        places = [(part, storage.join(self.spec["folder"], part.path)) for part in parts]
        there = all(storage.exists(place) and storage.sha256_of(place) == part.sha256 for part, place in places)
        return record if there else None

    def _work(self, unit: dict[str, Any]) -> bytes:
        spec, folder, number = self.spec, self.spec["folder"], unit["index"]
        name = spec["source_name"]
        log = storage.AtomicFile(storage.join(folder, f"errors-{number:05d}.jsonl"), keep_empty=False)
        table = TableWriter(folder, f"part-{number:05d}.parquet")
        with log, table:
            reading = Reading(name, log)
            steps: list[Step] = []
            extra: list[Part] = []
            seen: dict[str, Counter[str]] = {"repairs": Counter(), "text_roles": Counter()}
            if storage.size(unit["url"]) == 0:
                reading.error(unit["path"], "file", "empty_file", "0 bytes")
            else:
                for batch in self._annotated(unit, reading, steps, extra):
                    table.write(batch)
                    _count(batch, seen)
                    note_progress(spec["progress"], batch.num_rows)
        read = Step(
            source=name,
            step="read",
            unit={"image_text": "records", "documents": "documents", "bitext": "pairs"}[spec["source"]["type"]],
            rows_in=reading.records,
            kept=reading.records - sum(reading.errors.values()) - sum(reading.dropped.values()),
            dropped=dict(sorted(reading.dropped.items())),
            errors=dict(sorted(reading.errors.items())),
        )
        # An image with several texts becomes several rows; a document or a line stays one.
        read.rows_out = table.rows if spec["source"]["type"] == "image_text" else read.kept
        if table.rows < read.kept and spec["source"]["type"] == "image_text":
            raise LedgerError(f"{unit['path']}: {read.kept} sound records gave {table.rows} rows")
        errors = Part(
            path=f"errors-{number:05d}.jsonl",
            bytes=log.bytes,
            sha256=log.sha256,
            rows=sum(reading.errors.values()),
            role="errors",
        )
        written = [part for part in (table.part(), *extra, errors) if part.bytes]
        record = {
            "order": number,
            "parts": [part.model_dump() for part in written],
            "steps": [step.model_dump() for step in (read, *steps)],
            "counts": {what: {name: dict(sorted(counts.items()))} for what, counts in seen.items() if counts},
        }
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)

    def _annotated(
        self, unit: dict[str, Any], reading: Reading, steps: list[Step], extra: list[Part]
    ) -> Iterable[pa.RecordBatch]:
        kind = self.spec["source"]["type"]
        if kind == "image_text":
            return self._image_text(unit, reading, extra)
        if kind == "documents":
            return self._documents(unit, reading, steps)
        return self._bitext(unit, reading)

    def _image_text(self, unit: dict[str, Any], reading: Reading, extra: list[Part]) -> Iterator[pa.RecordBatch]:
        source = ImageTextSource.model_validate(self.spec["source"])
        path = f"part-{unit['index']:05d}.images"
        blob = storage.AtomicFile(storage.join(self.spec["folder"], path), keep_empty=False)
        with blob:
            where = f"root:{self.spec['relative_folder']}/{path}"
            read = image_text.read(
                source, unit["url"], unit["path"], unit["cut"], reading, blob, where, self.spec["seed"]
            )
            for batch in read:
                yield alt_text.annotate(batch, lid=self._lid)
        extra.append(Part(path=path, bytes=blob.bytes, sha256=blob.sha256, rows=0, role="blob"))

    def _documents(self, unit: dict[str, Any], reading: Reading, steps: list[Step]) -> Iterator[pa.RecordBatch]:
        source = DocumentsSource.model_validate(self.spec["source"])
        options = sentences.SentenceOptions.model_validate(self.spec["options"])
        mine = Step(source=reading.source, step="mine", unit="documents")
        lines = Step(source=reading.source, step="lines", unit="lines")
        draw = Step(source=reading.source, step="draw", unit="neighbours")
        steps += [mine, lines, draw]
        books = sentences.Books()
        for batch in documents.read(source, unit["url"], unit["path"], reading):
            found, why = sentences.annotate(
                batch, options=options, lid=self._lid, seed=self.spec["seed"], source=reading.source, books=books
            )
            dropped = reasons.count(why)
            mine.rows_in += batch.num_rows
            mine.kept += batch.num_rows - sum(dropped.values())
            draw.kept += found.num_rows
            for rule, rows in dropped.items():
                mine.dropped[rule] = mine.dropped.get(rule, 0) + rows
            mine.rows_out = lines.rows_in = books.lines
            lines.dropped = dict(sorted((+books.line_reasons).items()))
            lines.kept = books.lines - sum(lines.dropped.values())
            lines.rows_out = draw.rows_in = books.neighbours
            draw.dropped = dict(sorted((+books.neighbour_reasons).items()))
            draw.rows_out = draw.kept
            yield found

    def _bitext(self, unit: dict[str, Any], reading: Reading) -> Iterator[pa.RecordBatch]:
        source = BitextSource.model_validate(self.spec["source"])
        read = tokens_apart.decided(bitext.read(source, unit, reading), source.sides())
        if source.role == "back_translation":
            measured_by = back_translation.BackTranslationOptions.model_validate(self.spec["options"])
            for batch, tokenized in read:
                yield back_translation.annotate(batch, options=measured_by, lid=self._lid, tokenized=tokenized)
            return
        options = translations.TranslationOptions.model_validate(self.spec["options"])
        for batch, tokenized in read:
            yield translations.annotate(batch, options=options, lid=self._lid, tokenized=tokenized)


def _count(batch: pa.RecordBatch, seen: dict[str, Counter[str]]) -> None:
    """Counts what normalising changed, and which columns the texts are from."""
    if "repairs" in batch.schema.names:
        seen["repairs"].update(normalise.count_repairs(batch.column("repairs")))
    if "text_role" in batch.schema.names:
        roles = pc.value_counts(batch.column("text_role").drop_null()).to_pylist()
        seen["text_roles"].update({item["values"]: item["counts"] for item in roles})


def run(spec: dict[str, Any]) -> None:
    """Runs the job; leaves records.json in the stage's folder."""
    storage.make_folder(storage.join(spec["folder"], "records"))
    with pipeline(spec) as p:
        records = (
            p
            | "units" >> beam.Create(spec["units"])
            | "spread" >> beam.Reshuffle()
            | "annotate" >> beam.ParDo(AnnotateUnit(spec))
        )
        gather(records, storage.join(spec["folder"], "records.json"))
