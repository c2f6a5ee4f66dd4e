"""Pairs -> shards on Ray: one task, one shard; the worker writes the tar and a record beside it and returns the record.

A shard whose record and tar are there and agree is not written again, so a killed job goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from pipelines import storage
from pipelines.dataset import SPLITS
from pipelines.jobs import Progress
from pipelines.ledger import Step
from pipelines.manifest import Part, StageManifest
from pipelines.ray_jobs import units
from pipelines.ray_jobs.cluster import Cluster
from pipelines.ray_jobs.session import Session
from pipelines.shards.renderers import renderer_of
from pipelines.shards.samples import write_shard
from pipelines.stage import Outcome
from pipelines.tables import read_rows

CODE = "1"


def plan_shards(pairs: StageManifest, kind: str, samples: int) -> list[dict[str, Any]]:
    """Cuts the sorted pairs of each split into shards of `samples` rows, the last one shorter.

    Returns:
        For each shard its number, its split, its file and the row ranges of the parts that it is made of. Depends on the counts of
        rows alone.
    """
    shards: list[dict[str, Any]] = []
    for split in SPLITS:
        shards += _cut(pairs.folder, pairs.tables(split), kind, split, samples)
    return [{"index": index, **shard} for index, shard in enumerate(shards)]


def _cut(folder: str, parts: list[Part], kind: str, split: str, samples: int) -> list[dict[str, Any]]:
    total = sum(part.rows for part in parts)
    prefix = "" if split == "train" else f"{split}-"
    shards: list[dict[str, Any]] = [
        {"split": split, "path": f"{prefix}{kind}-{number:06d}.tar", "ranges": []}
        for number in range(-(-total // samples))
    ]
    begin = 0
    for part in parts:
        row = 0
        while row < part.rows:
            number = (begin + row) // samples
            end = min(part.rows, (number + 1) * samples - begin)
            shards[number]["ranges"].append([f"{folder}/{part.path}", row, end])
            row = end
        begin += part.rows
    return shards


def render_shard(job: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Writes one shard and its record; runs on a worker.

    Args:
        job: root, folder, render (the spec's dict), fonts, bases: what all shards share.
        shard: One of `plan_shards`'s.

    Returns:
        The record: the shard's number and its part.
    """
    tables = [read_rows(storage.join(job["root"], path), first, last) for path, first, last in shard["ranges"]]
    renderer = renderer_of(job["render"], job["fonts"])
    done = write_shard(
        pa.concat_tables(tables),
        storage.join(job["folder"], shard["path"]),
        renderer=renderer,
        root=job["root"],
        bases=job["bases"],
    )
    part = Part(
        path=shard["path"],
        bytes=done.bytes,
        sha256=done.sha256,
        rows=done.samples,
        role="shard",
        facts={
            "first_key": done.first_key,
            "last_key": done.last_key,
            "cut_left": done.cut_left,
            "cut_right": done.cut_right,
            "sources": done.sources,
        }
        # A build that holds nothing out has the manifests that it had.
        | ({} if shard["split"] == "train" else {"split": shard["split"]}),
    )
    record = {"index": shard["index"], "parts": [part.model_dump()]}
    units.write_record(job["folder"], shard["path"], record)
    return record


def run(
    job: dict[str, Any],
    shards: list[dict[str, Any]],
    *,
    session: Session | Cluster,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Iterator[dict[str, Any]]:
    """Renders the shards that are not finished; yields every shard's record as it is known.

    Work in flight is bounded, so the driver's memory does not grow with the number of shards.

    Raises:
        JobError: A shard could not be written.
    """
    yield from units.run(render_shard, job, shards, _rows, session=session, progress=progress, stop=stop)


def _rows(record: dict[str, Any]) -> int:
    return int(record["parts"][0]["rows"])


def body(
    job: dict[str, Any],
    shards: list[dict[str, Any]],
    pairs: StageManifest,
    run_shards: Callable[..., Iterator[dict[str, Any]]],
) -> Outcome:
    """The stage's outcome from its shards' records.

    Args:
        job: What all shards share.
        shards: All shards of the stage.
        pairs: The manifest that they were planned from.
        run_shards: Gives the records, in any order.

    Raises:
        JobError: A shard has no record.
    """
    records = units.in_order(run_shards(job, shards), shards, "written")
    steps: dict[str, Step] = {}
    for record in records:
        for source, rows in record["parts"][0]["facts"]["sources"].items():
            step = steps.setdefault(source, Step(source=source, step="render", unit="pairs"))
            step.rows_in += rows
            step.kept += rows
            step.rows_out += rows
    parts = [Part.model_validate(record["parts"][0]) for record in records]
    facts = {name: sum(record["parts"][0]["facts"][name] for record in records) for name in ("cut_left", "cut_right")}
    return Outcome(parts=parts, steps=list(steps.values()), facts=facts)
