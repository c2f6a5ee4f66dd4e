"""Drops pairs whose text or picture another pair has, over all buckets: of each group of duplicates the least hash survives.

Only hashes and places travel: to the group of their text or picture, and back to the bucket of the pair. Near pictures meet in the
groups of the bands of their hashes, so that one row may be in several groups; it is dropped if any of them says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import dedupe
from pipelines.beam_jobs.counting import Piece, gathered, split
from pipelines.beam_jobs.ipc import from_ipc, to_ipc
from pipelines.ledger import Step

STEPS = {
    "duplicate_text": "unique texts",
    "duplicate_image": "unique pictures",
    "pairs_per_source": "bound per sentence",
    "max_pairs_per_host": "bound hosts",
}
"""What the step of each rule is called in the ledger."""


class Compare(beam.DoFn):
    """Sends each pair's hashes to the groups in which its duplicates are."""

    def __init__(self, rule: dedupe.Rule, options: dedupe.DuplicateOptions, seed: int, groups: int) -> None:
        self.rule, self.options, self.seed, self.groups = rule, options.model_dump(), seed, groups

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[tuple[str, int], Piece]]:
        """Gives ((how, group), (bucket, row numbers, values, ranks))."""
        bucket, piece = element
        rows = from_ipc([piece])
        rank = dedupe.ranks(rows, self.seed)
        options = dedupe.DuplicateOptions.model_validate(self.options)
        sent: set[tuple[str, int, bytes]] = set()
        for name, (values, group, member) in dedupe.identities(rows, self.rule, options).items():
            inside = np.flatnonzero(member)
            for number, chosen in split(group[inside] % np.uint64(self.groups)):
                at = inside[chosen]
                how = "near" if name.startswith("near") else name
                # With few groups a row's bands fall together: it is sent there once.
                if (mark := (how, number, at.tobytes())) not in sent:
                    sent.add(mark)
                    yield (how, number), (bucket, at.tobytes(), values[at].tobytes(), rank[at].tobytes())


class Beaten(beam.DoFn):
    """Finds in one group the pairs that have a duplicate of lesser rank."""

    def __init__(self, distance: int) -> None:
        self.distance = distance

    def process(self, element: tuple[tuple[str, int], Iterable[Piece]]) -> Iterator[tuple[int, bytes]]:
        """Gives (bucket, numbers of the rows to drop)."""
        (how, _), pieces = element
        bucket, rows, values, rank = gathered(pieces)
        # A row that came over two bands is one row; ranks that are equal by chance are told apart by place.
        order = np.lexsort((rows, bucket, rank))
        same = np.zeros(len(order), bool)
        same[1:] = (rows[order][1:] == rows[order][:-1]) & (bucket[order][1:] == bucket[order][:-1])
        once = order[~same]
        lost = dedupe.beaten(values[once], np.arange(len(once)), self.distance if how == "near" else None)
        for number, chosen in split(bucket[once][lost]):
            yield number, rows[once][lost][chosen].tobytes()


class Drop(beam.DoFn):
    """Takes the beaten pairs out of their bucket."""

    def __init__(self, rule: str, order: int) -> None:
        self.rule, self.order = rule, order

    def process(self, element: tuple[int, dict[str, list[bytes]]]) -> Iterator[Any]:
        """Gives (bucket, IPC bytes) of the survivors, and by tag the record."""
        bucket, both = element
        rows = from_ipc(both["rows"])
        keep = np.ones(rows.num_rows, bool)
        for piece in both["beaten"]:
            keep[np.frombuffer(piece, np.int64)] = False
        survivors = rows.filter(pa.array(keep))
        name = STEPS[self.rule]
        steps = steps_of(name, self.rule, rows, survivors)
        record = {"order": self.order, "steps": steps}
        yield beam.pvalue.TaggedOutput("records", orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
        yield bucket, to_ipc(survivors)


def drop(
    rows: beam.PCollection,
    rule: dedupe.Rule,
    options: dedupe.DuplicateOptions,
    spec: dict[str, Any],
    order: int,
) -> tuple[beam.PCollection, beam.PCollection]:
    """One round of dropping duplicates: the surviving (bucket, IPC bytes), and the records."""
    beaten = (
        rows
        | f"compare {rule}" >> beam.ParDo(Compare(rule, options, spec["seed"], spec["buckets"]))
        | f"group {rule}" >> beam.GroupByKey()
        | f"beaten {rule}" >> beam.ParDo(Beaten(options.distance))
    )
    out = (
        {"rows": rows, "beaten": beaten}
        | f"join {rule}" >> beam.CoGroupByKey()
        | f"drop {rule}" >> beam.ParDo(Drop(rule, order)).with_outputs("records", main="rows")
    )
    return out.rows, out.records


def steps_of(name: str, rule: str, before: pa.RecordBatch, after: pa.RecordBatch) -> list[dict[str, Any]]:
    """The books of a step that drops rows of pairs for one reason: one step a source."""
    there, left = _counts(before), _counts(after)
    return [
        Step(
            source=source,
            step=name,
            unit="pairs",
            rows_in=count,
            kept=left.get(source, 0),
            rows_out=left.get(source, 0),
            dropped={rule: count - left.get(source, 0)} if count > left.get(source, 0) else {},
        ).model_dump()
        for source, count in sorted(there.items())
    ]


def _counts(batch: pa.RecordBatch) -> dict[str, int]:
    counts = pc.value_counts(batch.column("source")).to_pylist()
    return {str(item["values"]): item["counts"] for item in counts}
