"""Annotated photographs and texts -> how like they are, on Ray's actors: one call, one part, a table of scores beside it.

A part is scored by one actor, in batches that its own rows make up, so that nothing depends on how many actors there are. One that
is finished is not scored again, so a killed job goes on where it was.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs import alt_text, similarity
from pairs.schema import IMAGE_REF
from pipelines import storage
from pipelines.jobs import Progress
from pipelines.ledger import LedgerError, Step
from pipelines.manifest import Part, StageManifest
from pipelines.ray_jobs import units
from pipelines.ray_jobs.actors import has_gpu
from pipelines.ray_jobs.cluster import Cluster
from pipelines.ray_jobs.session import Session
from pipelines.shards.samples import fetch_photographs
from pipelines.similarity.model import Floats, SimilarityModel, cosines, held
from pipelines.similarity.pictures import PictureError, decode
from pipelines.similarity.table import SCHEMA
from pipelines.sources.reading import Reading
from pipelines.stage import Outcome
from pipelines.tables import TableWriter, read_batches

CODE = "1"
STEP = "score"
_ROWS = 2048  # at a time: copies of a picture or a text among them are embedded once
_FETCH_BYTES = 64 << 20
_SHOWN_LANGUAGES = 30


def plan_parts(annotated: StageManifest) -> list[dict[str, Any]]:
    """The annotated parts, each with its number and the file of its scores."""
    return [
        {"index": number, "annotated": f"{annotated.folder}/{part.path}", "rows": part.rows, "path": part.path}
        for number, part in enumerate(annotated.tables())
    ]


def score_part(job: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Scores one part and writes its table, its errors and its record; runs on an actor.

    Args:
        job: root, folder, bases, source (its name), options (the model's) and files (its): what all parts share.
        part: One of `plan_parts`'s.

    Returns:
        The record: number, parts, rows, errors by reason, rows without an image, and a histogram a language.

    Raises:
        ModelError: The model cannot be used.
        StorageError: A photograph is no longer what was read, or the disk is full.
    """
    model = held(job["options"], job["files"], gpu=has_gpu())
    log_path = f"errors-{part['path'].removesuffix('.parquet')}.jsonl"
    log = storage.AtomicFile(storage.join(job["folder"], log_path), keep_empty=False)
    histograms: dict[str, Counter[str]] = {}
    table = TableWriter(job["folder"], part["path"], SCHEMA)
    bare = 0
    with log, table:
        reading = Reading(job["source"], log)
        for batch in read_batches(storage.join(job["root"], part["annotated"]), _ROWS):
            scored, faults = _scores(model, batch, job)
            for row, (reason, detail) in faults.items():
                path, _, position = batch.column("origin")[row].as_py().rpartition("#")
                reading.error(path, position, reason, detail)
            bare += sum(score is None and row not in faults for row, score in enumerate(scored))
            why = [faults[row][0] if row in faults else None for row in range(batch.num_rows)]
            column = pa.array(scored, pa.float32())
            for tag, counts in _by_language(batch, column):
                histograms.setdefault(tag, Counter()).update(counts)
            table.write(pa.RecordBatch.from_arrays([column, pa.array(why, pa.string())], schema=SCHEMA))
    if table.rows != part["rows"]:
        raise LedgerError(f"{part['annotated']}: {part['rows']} rows gave {table.rows} scores")
    parts = [table.part()]
    if log.bytes:
        parts.append(
            Part(path=log_path, bytes=log.bytes, sha256=log.sha256, rows=sum(reading.errors.values()), role="errors")
        )
    record = {
        "index": part["index"],
        "parts": [one.model_dump() for one in parts],
        "rows": table.rows,
        "errors": dict(sorted(reading.errors.items())),
        "without_image": bare,
        "histograms": {tag: dict(counts) for tag, counts in sorted(histograms.items())},
    }
    units.write_record(job["folder"], part["path"], record)
    return record


def _scores(
    model: SimilarityModel, batch: pa.RecordBatch, job: dict[str, Any]
) -> tuple[list[float | None], dict[int, tuple[str, str]]]:
    """Of each row its score; of each row in error, ascending, why it has none, and a line on it."""
    refs = batch.column("image").to_pylist()
    first_of: dict[str, int] = {}
    image_at = np.array([_number(first_of, ref["sha256"]) if ref is not None else -1 for ref in refs], np.int64)
    distinct: dict[str, dict[str, Any]] = {ref["sha256"]: ref for ref in reversed(refs) if ref is not None}
    images, faults = _images(model, [distinct[sha256] for sha256 in first_of], job)
    text_of: dict[str, int] = {}
    wanted = np.flatnonzero(image_at >= 0)
    texts = batch.column("text").to_pylist()
    text_at = np.array([_number(text_of, texts[row]) for row in wanted], np.int64)
    scored: list[float | None] = [None] * batch.num_rows
    why: dict[int, tuple[str, str]] = {}
    if not len(wanted):
        return scored, why
    cosine = cosines(images[image_at[wanted]], model.texts(list(text_of))[text_at])
    for row, value in zip(wanted.tolist(), cosine.tolist(), strict=True):
        fault = faults.get(int(image_at[row]))
        if fault is not None:
            why[row] = "image_not_decoded", fault
        elif np.isfinite(value):
            scored[row] = value
        else:
            why[row] = "no_similarity", "the model's embedding is not finite, or zero"
    return scored, why


def _number(numbers: dict[str, int], key: str) -> int:
    return numbers.setdefault(key, len(numbers))


def _images(model: SimilarityModel, refs: list[dict[str, Any]], job: dict[str, Any]) -> tuple[Floats, dict[int, str]]:
    """Embeddings of the photographs, NaN for those that cannot be decoded; and of those, by number, what is wrong."""
    faults: dict[int, str] = {}
    prepared: list[Any] = []
    places: list[int] = []
    made: list[Floats] = []
    for first, last in _groups([ref["length"] for ref in refs], model.batch_size):
        some = pa.table({"image": pa.array(refs[first:last], IMAGE_REF), "source": [job["source"]] * (last - first)})
        for number, data in enumerate(fetch_photographs(some, job["root"], job["bases"]), first):
            try:
                prepared.append(model.prepare(decode(data)))
                places.append(number)
            except PictureError as error:
                faults[number] = str(error)
        while len(prepared) >= model.batch_size:
            made.append(model.images(prepared[: model.batch_size]))
            del prepared[: model.batch_size]
    if prepared:
        made.append(model.images(prepared))
    size = made[0].shape[1] if made else model.texts([""]).shape[1]
    every = np.full((len(refs), size), np.nan, np.float32)
    if made:
        every[places] = np.concatenate(made)
    return every, faults


def _groups(lengths: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of photographs that are fetched together: so many, and so many bytes, or one."""
    first = held_bytes = 0
    for at, length in enumerate(lengths):
        if at > first and (at - first == most or held_bytes + length > _FETCH_BYTES):
            yield first, at
            first, held_bytes = at, 0
        held_bytes += length
    if first < len(lengths):
        yield first, len(lengths)


def _by_language(batch: pa.RecordBatch, scored: pa.Array) -> Iterator[tuple[str, dict[str, int]]]:
    tags = pc.fill_null(alt_text.right_lang(batch), similarity.UNKNOWN)
    for tag in pc.unique(tags).to_pylist():
        yield tag, similarity.histogram(scored.filter(pc.equal(tags, tag)))


def run(
    job: dict[str, Any],
    parts: list[dict[str, Any]],
    *,
    session: Session | Cluster,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Iterator[dict[str, Any]]:
    """Scores the parts that are not finished; yields every part's record as it is known.

    Raises:
        JobError: A part could not be scored.
    """
    yield from units.run(
        score_part,
        job,
        parts,
        lambda record: int(record["rows"]),
        session=session,
        progress=progress,
        stop=stop,
        on_actors=True,
    )


def outcome(source: str, parts: list[dict[str, Any]], records: Iterator[dict[str, Any]]) -> Outcome:
    """The stage's outcome from its parts' records, which come in any order.

    Raises:
        JobError: A part has no record.
    """
    ordered = units.in_order(records, parts, "scored")
    errors: Counter[str] = Counter()
    every: Counter[str] = Counter()
    languages: dict[str, Counter[str]] = {}
    for record in ordered:
        errors.update(record["errors"])
        for tag, counts in record["histograms"].items():
            languages.setdefault(tag, Counter()).update(counts)
            every.update(counts)
    rows = sum(record["rows"] for record in ordered)
    kept = rows - sum(errors.values())
    step = Step(
        source=source,
        step=STEP,
        unit="rows",
        rows_in=rows,
        kept=kept,
        rows_out=kept,
        errors=dict(sorted(errors.items())),
    )
    most = sorted(languages, key=lambda tag: (-sum(languages[tag].values()), tag))[:_SHOWN_LANGUAGES]
    facts = {
        "scored": sum(every.values()),
        "without_image": sum(record["without_image"] for record in ordered),
        "quantiles": similarity.quantiles(every),
        "languages": {
            tag: {"scored": sum(languages[tag].values()), "quantiles": similarity.quantiles(languages[tag])}
            for tag in most
            if languages[tag]
        },
    }
    made = [Part.model_validate(part) for record in ordered for part in record["parts"]]
    return Outcome(parts=made, steps=[step], facts={"similarity": {source: facts}})
