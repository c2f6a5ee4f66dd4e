"""Reading shards back on Ray: one task, one shard, and a record that says what is wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from pipelines import verify
from pipelines.jobs import Progress
from pipelines.ray_jobs import units
from pipelines.ray_jobs.cluster import Cluster
from pipelines.ray_jobs.session import Session


def verify_part(job: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Reads one shard back and leaves its record; see `pipelines.verify.verify_shard`.

    Args:
        job: folder, and what `verify_shard` is told of all shards.
        shard: As `verify_shard` wants it.
    """
    record = {**verify.verify_shard(job, shard), "parts": []}
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
    """Reads the shards back that were not yet; yields each one's record as it is known, in any order.

    Raises:
        JobError: A task failed, or the work was stopped.
    """
    yield from units.run(
        verify_part,
        job,
        shards,
        lambda record: int(record["samples"]),
        session=session,
        progress=progress,
        stop=stop,
    )
