"""Drops the pairs beyond a host's bound, over all buckets: of each host those of the least hashes survive.

As in `duplicates`, only hashes and places travel: to the group of their host, and back to the bucket of the pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from pairs import dedupe, hosts
from pipelines.beam_jobs.counting import Piece, gathered, split
from pipelines.beam_jobs.duplicates import Drop
from pipelines.beam_jobs.ipc import from_ipc

RULE = "max_pairs_per_host"


class ByHost(beam.DoFn):
    """Sends each pair's hashes to the group of its host; a pair without a host is not bounded."""

    def __init__(self, seed: int, groups: int) -> None:
        self.seed, self.groups = seed, groups

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[int, Piece]]:
        """Gives (group, (bucket, row numbers, hosts, ranks))."""
        bucket, piece = element
        rows = from_ipc([piece])
        values, has = hosts.identities(rows)
        rank = dedupe.ranks(rows, self.seed)
        inside = np.flatnonzero(has)
        for number, chosen in split(values[inside] % np.uint64(self.groups)):
            at = inside[chosen]
            yield number, (bucket, at.tobytes(), values[at].tobytes(), rank[at].tobytes())


class Over(beam.DoFn):
    """Finds in one group the pairs beyond their host's bound."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def process(self, element: tuple[int, Iterable[Piece]]) -> Iterator[tuple[int, bytes]]:
        """Gives (bucket, numbers of the rows to drop)."""
        bucket, rows, values, rank = gathered(element[1])
        lost = hosts.over(values, rank, (bucket.astype(np.int64) << 40) + rows, self.limit)
        for number, chosen in split(bucket[lost]):
            yield number, rows[lost][chosen].tobytes()


def drop(
    rows: beam.PCollection, limit: int, spec: dict[str, Any], order: int
) -> tuple[beam.PCollection, beam.PCollection]:
    """The surviving (bucket, IPC bytes), and the records."""
    over = (
        rows
        | "by host" >> beam.ParDo(ByHost(spec["seed"], spec["buckets"]))
        | "group hosts" >> beam.GroupByKey()
        | "over" >> beam.ParDo(Over(limit))
    )
    out = (
        {"rows": rows, "beaten": over}
        | "join hosts" >> beam.CoGroupByKey()
        | "drop hosts" >> beam.ParDo(Drop(RULE, order)).with_outputs("records", main="rows")
    )
    return out.rows, out.records
