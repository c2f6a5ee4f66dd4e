"""Sentences -> their translations back, measured, on Ray's actors: one call, a range of a part's rows.

A call asks the engines only for what is not remembered (`pipelines.translate.memory`). Sentences come sorted by key and without
copies, so the ranges, the batches and the bytes depend on the data alone.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pairs import arrow, back_translation, to_translate, translations
from pairs.language import LanguageIdentifier
from pipelines import storage
from pipelines.jobs import Progress
from pipelines.ledger import LedgerError, Step
from pipelines.manifest import Part, StageManifest
from pipelines.ray_jobs import units
from pipelines.ray_jobs.actors import has_gpu
from pipelines.ray_jobs.cluster import Cluster
from pipelines.ray_jobs.session import Session
from pipelines.sources.reading import Reading
from pipelines.stage import Outcome
from pipelines.tables import TableWriter, read_rows
from pipelines.translate.marks import take_off
from pipelines.translate.memory import Memory
from pipelines.translate.translator import EngineError, held

CODE = "2"
STEP = "translate"


def plan_runs(sentences: StageManifest, rows: int) -> list[dict[str, Any]]:
    """Ranges of `rows` rows, or fewer at a part's end, each with the file of its output."""
    cuts = [
        {"sentences": f"{sentences.folder}/{part.path}", "first": first, "last": min(first + rows, part.rows)}
        for part in sentences.tables()
        for first in range(0, part.rows, rows)
    ]
    return [{"index": number, "path": f"part-{number:05d}.parquet", **cut} for number, cut in enumerate(cuts)]


def translate_run(job: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Translates one range there and back, measures it, and writes its table, its errors and its record; runs on an actor.

    Args:
        job: root, folder, seed, options (those of `BackTranslationOptions`), language_model, and routes: name -> language, through,
            and for forward and backward engine, paths and identity: what all runs share.
        run: One of `plan_runs`'s.

    Returns:
        The record: index, parts, rows (taken), sources: name -> rows taken, kept and errors by reason.

    Raises:
        TranslatorError: An engine cannot be used.
        StorageError: The disk is full.
    """
    table = read_rows(storage.join(job["root"], run["sentences"]), run["first"], run["last"])
    rows = table.combine_chunks().to_batches()[0]
    routes = to_translate.route_of(rows, {name: told["language"] for name, told in job["routes"].items()}, job["seed"])
    trips = [_Trip() for _ in range(rows.num_rows)]
    for name in sorted(set(routes.drop_null().to_pylist())):
        at = [row for row, route in enumerate(routes.to_pylist()) if route == name]
        for trip, row in zip(_there_and_back(job, job["routes"][name], rows, at), at, strict=True):
            trips[row] = trip
    log_path = f"errors-{run['index']:05d}.jsonl"
    log = storage.AtomicFile(storage.join(job["folder"], log_path), keep_empty=False)
    writer = TableWriter(job["folder"], run["path"])
    sources: dict[str, dict[str, Any]] = {}
    with log, writer:
        for source in sorted(set(rows.column("source").to_pylist())):
            reading = Reading(source, log)
            mine = [row for row, name in enumerate(rows.column("source").to_pylist()) if name == source]
            for row in mine:
                if (fault := trips[row].fault) is not None:
                    path, _, position = rows.column("origin")[row].as_py().partition("#")
                    reading.error(path, position, fault.reason, fault.detail)
            sources[source] = {"rows": len(mine), "errors": dict(sorted(reading.errors.items()))}
        kept = [row for row, trip in enumerate(trips) if trip.fault is None]
        if kept:
            writer.write(_measured(job, rows, routes, trips, kept))
    parts = [writer.part()] if kept else []
    if log.bytes:
        faults = sum(sum(told["errors"].values()) for told in sources.values())
        parts.append(Part(path=log_path, bytes=log.bytes, sha256=log.sha256, rows=faults, role="errors"))
    record = {
        "index": run["index"],
        "parts": [part.model_dump() for part in parts],
        "rows": rows.num_rows,
        "sources": sources,
        "routes": dict(sorted(Counter(routes.drop_null().to_pylist()).items())),
    }
    units.write_record(job["folder"], run["path"], record)
    return record


class _Trip:
    """What became of one sentence on its way there and back."""

    __slots__ = ("back", "failed", "fault", "through", "unknown")

    def __init__(self) -> None:
        self.through = self.back = ""
        self.unknown = self.failed = 0
        self.fault: EngineError | None = None


def _there_and_back(job: dict[str, Any], route: dict[str, Any], rows: pa.RecordBatch, at: list[int]) -> list[_Trip]:
    texts = [rows.column("left_text")[row].as_py() for row in at]
    places = [rows.column("key")[row].as_py() for row in at]
    trips = [_Trip() for _ in at]
    going = list(range(len(at)))
    for direction in ("forward", "backward"):
        told = route[direction]
        made, faults = _translated(job["root"], told, [places[i] for i in going], [texts[i] for i in going])
        for number, i in enumerate(going):
            trip, text = trips[i], made[number]
            if text is None:
                trip.fault = faults[number]
                continue
            text, unknown, failed = take_off(
                texts[i], text, told["engine"]["unknown_marks"], told["engine"]["failed_marks"]
            )
            text = " ".join(text.split())
            # A word that is unknown there is unknown here too: it counts once.
            trip.unknown, trip.failed = max(trip.unknown, unknown), trip.failed + failed
            texts[i] = text
            if direction == "forward":
                trip.through = text
            else:
                trip.back = text
        going = [i for i in going if trips[i].fault is None and texts[i]]
    return trips


def _translated(
    root: str, told: dict[str, Any], places: list[str], texts: list[str]
) -> tuple[list[str | None], dict[int, EngineError]]:
    """A translation of each text, from memory where it is there; None and a fault where the engine failed on it."""
    if not texts:
        return [], {}
    memory = Memory(root, told["identity"])
    known = memory.look(places[0], places[-1])
    first: dict[str, int] = {}
    for number, text in enumerate(texts):
        if text not in known:
            first.setdefault(text, number)
    faults: dict[str, EngineError] = {}
    if first:
        fresh = list(first)
        made = held(told["engine"], told["paths"], gpu=has_gpu())(fresh)
        faults = {fresh[number]: fault for number, fault in made.faults.items()}
        new = {text: one for text, one in zip(fresh, made.texts, strict=True) if one is not None}
        memory.add([places[first[text]] for text in new], list(new), list(new.values()))
        known |= new
    found = [known.get(text) for text in texts]
    return found, {number: faults[text] for number, text in enumerate(texts) if found[number] is None}


def _measured(
    job: dict[str, Any], rows: pa.RecordBatch, routes: pa.StringArray, trips: list[_Trip], kept: list[int]
) -> pa.RecordBatch:
    taken = rows.take(pa.array(kept))
    through = {name: told["through"] for name, told in job["routes"].items()}
    mine = [trips[row] for row in kept]
    name = routes.take(pa.array(kept))
    batch = pa.RecordBatch.from_pydict(
        {
            "source": taken.column("source"),
            "origin": taken.column("origin"),
            "url": taken.column("url"),
            "left_text": taken.column("left_text"),
            "right_text": pa.array([trip.back for trip in mine], pa.string()),
            "left_lang": taken.column("left_lang"),
            "right_lang": taken.column("left_lang"),
            "through_text": pa.array([trip.through for trip in mine], pa.string()),
            "through_lang": arrow.per_value(name, lambda route: through[route]),
            "route": name,
            "group": translations.scored_group(taken),
            "unknown": pa.array(np.array([trip.unknown for trip in mine], np.int64)),
            "failed": pa.array(np.array([trip.failed for trip in mine], np.int64)),
        }
    )
    options = back_translation.BackTranslationOptions.model_validate(job["options"])
    return back_translation.annotate(batch, options=options, lid=_identifier(job["language_model"]))


@functools.cache
def _identifier(path: str | None) -> LanguageIdentifier:
    """Loaded once a process."""
    return LanguageIdentifier(path)


def run(
    job: dict[str, Any],
    runs: list[dict[str, Any]],
    *,
    session: Session | Cluster,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Iterator[dict[str, Any]]:
    """Makes the runs that are not finished; yields every run's record as it is known.

    Raises:
        JobError: One could not be made.
    """
    yield from units.run(
        translate_run,
        job,
        runs,
        lambda record: int(record["rows"]),
        session=session,
        progress=progress,
        stop=stop,
        on_actors=True,
    )


def outcome(sentences: StageManifest, runs: list[dict[str, Any]], records: Iterator[dict[str, Any]]) -> Outcome:
    """The stage's outcome from its runs' records, which come in any order.

    Raises:
        JobError: A run has no record.
        LedgerError: A run did not take all of its rows.
    """
    ordered = units.in_order(records, runs, "made")
    steps, routes = [], Counter[str]()
    for record, one in zip(ordered, runs, strict=True):
        if record["rows"] != one["last"] - one["first"]:
            raise LedgerError(f"{one['path']}: {one['last'] - one['first']} sentences planned, {record['rows']} taken")
        routes.update(record["routes"])
        for source, told in record["sources"].items():
            kept = told["rows"] - sum(told["errors"].values())
            steps.append(
                Step(
                    source=source,
                    step=STEP,
                    unit="sentences",
                    rows_in=told["rows"],
                    kept=kept,
                    rows_out=kept,
                    errors=told["errors"],
                )
            )
    # A source none of whose sentences came so far has a step too: what handed it on looks for one.
    steps += [
        Step(source=name, step=STEP, unit="sentences") for name in sorted({step.source for step in sentences.ledger})
    ]
    made = [Part.model_validate(part) for record in ordered for part in record["parts"]]
    return Outcome(parts=made, steps=steps, facts={"translated": dict(sorted(routes.items()))})
