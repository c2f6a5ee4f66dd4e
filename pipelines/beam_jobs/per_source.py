"""Bounds how many pairs one sentence may be in, over all buckets, and names the group that pairs of one sentence form.

Two rounds, each as in `duplicates`: only hashes and places travel to the groups of the two sentences of a pair, and what is found
travels back to the pair's bucket. First the pairs beyond the bound are found, then those that are left are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from pairs import dedupe, translations
from pipelines.beam_jobs import duplicates
from pipelines.beam_jobs.counting import Piece, gathered, split
from pipelines.beam_jobs.ipc import from_ipc, to_ipc

RULE = "pairs_per_source"


class Sentences(beam.DoFn):
    """Sends each pair to the groups of its two sentences."""

    def __init__(self, seed: int, groups: int) -> None:
        self.seed, self.groups = seed, groups

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[int, Piece]]:
        """Gives (group, (bucket, row numbers, sentences, ranks))."""
        bucket, piece = element
        rows = from_ipc([piece])
        rank = dedupe.ranks(rows, self.seed)
        left, right = translations.sentences(rows)
        sentence = np.concatenate([left, right])
        for number, chosen in split(sentence % np.uint64(self.groups)):
            at = chosen % len(left)
            yield number, (bucket, at.tobytes(), sentence[chosen].tobytes(), rank[at].tobytes())


def _gathered(pieces: Iterable[Piece]) -> tuple[np.ndarray, ...]:
    """Bucket, row, sentence and rank of a group's pairs, by sentence and in it by rank; a pair of twice the same
    sentence once."""
    bucket, rows, sentence, rank = gathered(pieces)
    order = np.lexsort((rows, bucket, rank, sentence))
    bucket, rows, sentence, rank = (column[order] for column in (bucket, rows, sentence, rank))
    once = np.ones(len(order), bool)
    once[1:] = (rows[1:] != rows[:-1]) | (bucket[1:] != bucket[:-1]) | (sentence[1:] != sentence[:-1])
    return bucket[once], rows[once], sentence[once], rank[once]


class Beyond(beam.DoFn):
    """Finds in one group the pairs beyond the bound: of each sentence those with the least hash stay."""

    def __init__(self, bound: int) -> None:
        self.bound = bound

    def process(self, element: tuple[int, Iterable[Piece]]) -> Iterator[tuple[int, bytes]]:
        """Gives (bucket, numbers of the rows to drop)."""
        bucket, rows, sentence, _ = _gathered(element[1])
        beyond = dedupe.beyond(sentence, np.arange(len(sentence)), self.bound)
        for number, chosen in split(bucket[beyond].astype(np.uint64)):
            yield number, rows[beyond][chosen].tobytes()


class Shared(beam.DoFn):
    """Counts in one group the pairs of each sentence."""

    def process(self, element: tuple[int, Iterable[Piece]]) -> Iterator[tuple[int, tuple[bytes, bytes, bytes]]]:
        """Gives (bucket, (row numbers, sentences, counts)) of the sentences that several pairs have."""
        bucket, rows, sentence, _ = _gathered(element[1])
        _, inverse, counts = np.unique(sentence, return_inverse=True, return_counts=True)
        count = counts[inverse]
        several = count > 1
        for number, chosen in split(bucket[several].astype(np.uint64)):
            yield (
                number,
                tuple(part[several][chosen].tobytes() for part in (rows, sentence, count.astype(np.int64))),
            )


class Group(beam.DoFn):
    """Writes the group into the scores of a bucket's pairs."""

    def process(self, element: tuple[int, dict[str, list[Any]]]) -> Iterator[tuple[int, bytes]]:
        """Gives (bucket, IPC bytes)."""
        bucket, both = element
        rows = from_ipc(both["rows"])
        row, sentence, count = (b"".join(piece[at] for piece in both["shared"]) for at in range(3))
        grouped = translations.with_group(
            rows, np.frombuffer(row, np.int64), np.frombuffer(sentence, np.uint64), np.frombuffer(count, np.int64)
        )
        yield bucket, to_ipc(grouped)


def bounded(
    rows: beam.PCollection, bound: int | None, spec: dict[str, Any], order: int
) -> tuple[beam.PCollection, beam.PCollection | None]:
    """Both rounds: the surviving (bucket, IPC bytes) with their groups, and the records of what was dropped.

    Args:
        rows: (bucket, IPC bytes) of unique pairs.
        bound: Most pairs of one sentence; None: no bound.
        spec: The job's.
        order: Where the records stand among those of all steps.
    """
    sentences = Sentences(spec["seed"], spec["buckets"])
    records = None
    if bound is not None:
        beyond = (
            rows
            | "sentences" >> beam.ParDo(sentences)
            | "by sentence" >> beam.GroupByKey()
            | "beyond" >> beam.ParDo(Beyond(bound))
        )
        out = (
            {"rows": rows, "beaten": beyond}
            | "join beyond" >> beam.CoGroupByKey()
            | "drop beyond" >> beam.ParDo(duplicates.Drop(RULE, order)).with_outputs("records", main="rows")
        )
        rows, records = out.rows, out.records
    shared = (
        rows
        | "sentences left" >> beam.ParDo(sentences)
        | "by sentence left" >> beam.GroupByKey()
        | "shared" >> beam.ParDo(Shared())
    )
    grouped = {"rows": rows, "shared": shared} | "join shared" >> beam.CoGroupByKey() | "group" >> beam.ParDo(Group())
    return grouped, records
