"""Counts over all rows, joined to the parts that the rows are in.

Of each row only two hashes and its place travel: to the group of its text, to the group of its picture. What comes back to a part
are the rows whose count is above the bound, and the counts: all that a rule asks for, and little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pairs import counting
from pipelines.tables import read_batches

_COLUMNS = ["origin", "url", "text", "image.sha256"]
Piece = tuple[int, bytes, bytes, bytes]
"""Rows that travel to a group: the part or bucket that they are in, their numbers there (int64), two hashes of each (uint64)."""
Counted = dict[str, tuple[bytes, bytes]]
"""Count -> numbers of the rows above the bound (int64), and their counts (int64)."""


class Hashes(beam.DoFn):
    """Reads a part's identities and sends them to the groups of their texts and pictures."""

    def __init__(self, counts: Mapping[str, int], groups: int) -> None:
        self.sides = [side for side in ("text", "image") if any(_side(name) == side for name in counts)]
        self.groups = groups

    def process(self, part: dict[str, Any]) -> Iterator[tuple[tuple[str, int], Piece]]:
        """Gives ((side, group), (part, row numbers, keys, others))."""
        texts, images = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for batch in read_batches(part["url"], columns=_COLUMNS):
            text, image = counting.identities(batch)
            texts.append(text)
            images.append(image)
        both = {"text": np.concatenate(texts), "image": np.concatenate(images)}
        for side in self.sides:
            key, other = both[side], both["image" if side == "text" else "text"]
            for group, rows in split(key % np.uint64(self.groups)):
                yield (side, group), (part["index"], rows.tobytes(), key[rows].tobytes(), other[rows].tobytes())


def split(group: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Numbers of the rows (int64) of each group, groups ascending."""
    if not len(group):
        return
    order = np.argsort(group, kind="stable").astype(np.int64)
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        yield int(group[rows[0]]), rows


def gathered(pieces: Iterable[Piece]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A group's rows as columns: part or bucket (int64), row (int64) and the two hashes (uint64)."""
    numbers, *columns = zip(*pieces, strict=True)
    rows, first, second = (
        np.concatenate([np.frombuffer(piece, kind) for piece in column])
        for column, kind in zip(columns, (np.int64, np.uint64, np.uint64), strict=True)
    )
    return np.repeat(numbers, [len(piece) // 8 for piece in columns[0]]), rows, first, second


class Count(beam.DoFn):
    """Counts one group, where all rows of its texts or pictures are together."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = dict(counts)

    def process(
        self, element: tuple[tuple[str, int], Iterable[Piece]]
    ) -> Iterator[tuple[int, tuple[str, bytes, bytes]]]:
        """Gives (part, (count, row numbers, counts)) of the rows above the bound."""
        (side, _), pieces = element
        part, rows, key, other = gathered(pieces)
        for name, bound in sorted(self.counts.items()):
            if _side(name) != side:
                continue
            values = counting.count(name, key, other)
            above = np.flatnonzero(values > bound)
            for number, chosen in split(part[above]):
                at = above[chosen]
                yield number, (name, rows[at].tobytes(), values[at].tobytes())


def _side(name: str) -> str:
    return "text" if name in counting.BY_TEXT else "image"


def _joined(element: tuple[int, dict[str, list[Any]]]) -> tuple[dict[str, Any], Counted]:
    _, both = element
    found: dict[str, tuple[list[bytes], list[bytes]]] = {}
    for name, rows, values in both["counts"]:
        into = found.setdefault(name, ([], []))
        into[0].append(rows)
        into[1].append(values)
    return both["parts"][0], {name: (b"".join(rows), b"".join(values)) for name, (rows, values) in found.items()}


def with_counts(parts: beam.PCollection, counts: Mapping[str, int], groups: int) -> beam.PCollection:
    """Each part with what was counted of its rows over all parts: (part, `Counted`).

    Args:
        parts: Parts, each with its `index`.
        counts: Count (`pairs.counting.COUNTS`) -> bound; none: nothing is read or counted.
        groups: How many groups the work is cut into; does not change the result.
    """
    if not counts:
        return parts | "no counts" >> beam.Map(lambda part: (part, {}))
    counted = (
        parts
        | "identities" >> beam.ParDo(Hashes(counts, groups))
        | "by identity" >> beam.GroupByKey()
        | "count" >> beam.ParDo(Count(counts))
    )
    keyed = parts | "by part" >> beam.Map(lambda part: (part["index"], part))
    return {"parts": keyed, "counts": counted} | "counts to parts" >> beam.CoGroupByKey() | beam.Map(_joined)


def columns(batch: pa.RecordBatch, first: int, counted: Counted, counts: Mapping[str, int]) -> pa.RecordBatch:
    """A batch with its counts: 0 where the count is within the bound.

    Args:
        batch: Rows of a part.
        first: The number of its first row in the part.
        counted: As `with_counts` gives it for the part.
        counts: As `with_counts` was given it.
    """
    if not counts:
        return batch
    made = {name: np.zeros(batch.num_rows, np.int64) for name in counts}
    for name, (rows, values) in counted.items():
        place = np.frombuffer(rows, np.int64) - first
        inside = (place >= 0) & (place < batch.num_rows)
        made[name][place[inside]] = np.frombuffer(values, np.int64)[inside]
    return counting.with_counts(batch, made)
