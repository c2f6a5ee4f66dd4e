"""Balances pairs over all buckets: matches are counted a query, then each pair is kept or dropped by the counts.

Texts do not travel: each bucket (or part) is searched once, what was found goes on as numbers. The counts of all queries are one
array (4 MB for 500,000 queries), summed by a combiner and handed to every worker.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import balance, reasons
from pipelines import queries
from pipelines.beam_jobs import examples
from pipelines.beam_jobs.counting import split
from pipelines.beam_jobs.ipc import from_ipc, to_ipc
from pipelines.ledger import Step
from pipelines.tables import TableWriter

Matches = tuple[int, int, bytes, bytes, bytes]
"""First row, number of rows, their draws (uint64), and of each match row (int32, from 0) and query (int32)."""

_LOCK = threading.Lock()
COUNTS_ORDER = 1 << 40
"""Where the counts stand among a job's records: behind all parts."""


@functools.lru_cache(maxsize=1)
def _matcher(url: str, options: str) -> balance.Matcher:
    return balance.Matcher.of(queries.load(url), balance.BalanceOptions.model_validate_json(options))


@dataclass(frozen=True)
class Balancing:
    """What a job is told of balancing.

    Attributes:
        options: `BalanceOptions` as JSON.
        table: URL of the compiled queries.
        n: How many there are.
        lists: What was read of the lists.
        seed: The recipe's.
        groups: Into how many groups work over all rows is cut; does not change the result.
    """

    options: str
    table: str
    n: int
    lists: dict[str, Any]
    seed: int
    groups: int

    @classmethod
    def of(cls, spec: dict[str, Any], options: balance.BalanceOptions | None) -> Balancing | None:
        """From a job's spec; None where its recipe does not balance."""
        if options is None:
            return None
        given = spec["queries"]
        return cls(
            options.model_dump_json(), given["table"], given["facts"]["queries"], given["facts"], spec["seed"],
            spec["buckets"],
        )  # fmt: skip

    @property
    def read(self) -> balance.BalanceOptions:
        """The options."""
        return balance.BalanceOptions.model_validate_json(self.options)

    def matcher(self) -> balance.Matcher:
        """The automaton, built once a process."""
        with _LOCK:
            return _matcher(self.table, self.options)

    def matches(self, texts: Any, key: Any, first: int) -> Matches:
        """What is found in some rows.

        Args:
            texts: Their texts, a string column.
            key: Their keys.
            first: The number of the first of them.
        """
        rows, ids = self.matcher().match(texts)
        draws = balance.pair_draws(key, self.seed)
        return first, len(draws), draws.tobytes(), rows.astype(np.int32).tobytes(), ids.astype(np.int32).tobytes()


def _unpacked(matches: Matches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of the rows, rows and queries of the matches."""
    _, _, draws, rows, ids = matches

    def wide(piece: bytes) -> np.ndarray:
        return np.frombuffer(piece, np.int32).astype(np.int64)

    return np.frombuffer(draws, np.uint64), wide(rows), wide(ids)


class SumCounts(beam.CombineFn):
    """Sums (ids int32, counts int64) into one int64 array of all queries."""

    def __init__(self, n: int) -> None:
        self.n = n

    def create_accumulator(self) -> np.ndarray:
        """Nothing counted."""
        return np.zeros(self.n, np.int64)

    def add_input(self, sums: np.ndarray, element: tuple[bytes, bytes]) -> np.ndarray:
        """Adds the counts of some queries, each once."""
        sums[np.frombuffer(element[0], np.int32)] += np.frombuffer(element[1], np.int64)
        return sums

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        """Adds up."""
        total = self.create_accumulator()
        for sums in accumulators:
            total += sums
        return total

    def extract_output(self, sums: np.ndarray) -> bytes:
        """The array's bytes."""
        return sums.tobytes()


def _count(ids: np.ndarray) -> tuple[bytes, bytes]:
    found, count = np.unique(ids, return_counts=True)
    return found.astype(np.int32).tobytes(), count.astype(np.int64).tobytes()


class Candidates(beam.DoFn):
    """Mode cap: sends the least hashes of the queries that have too many to the groups of the queries."""

    def __init__(self, given: Balancing) -> None:
        self.given = given

    def process(self, element: tuple[int, Matches], counts: bytes) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
        """Gives (group, (ids, hashes))."""
        draws, rows, ids = _unpacked(element[1])
        of_match = draws[rows]
        threshold = self.given.read.threshold
        at = np.flatnonzero(balance.cap_candidates(of_match, ids, np.frombuffer(counts, np.int64), threshold))
        for group, chosen in split(ids[at] % self.given.groups):
            yield group, (ids[at][chosen].astype(np.int32).tobytes(), of_match[at][chosen].tobytes())


class Bounds(beam.DoFn):
    """Mode cap: finds in a group the greatest hash that each query keeps."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold

    def process(self, element: tuple[int, Iterable[tuple[bytes, bytes]]]) -> Iterator[tuple[bytes, bytes]]:
        """Gives (ids, bounds as int64)."""
        found = list(element[1])
        ids = np.concatenate([np.frombuffer(piece[0], np.int32) for piece in found])
        draws = np.concatenate([np.frombuffer(piece[1], np.uint64) for piece in found])
        queries, bounds = balance.cap_bounds(draws, ids, self.threshold)
        yield queries.astype(np.int32).tobytes(), bounds.view(np.int64).tobytes()


class Decide(beam.DoFn):
    """Keeps or drops the rows of one piece."""

    def __init__(self, given: Balancing) -> None:
        self.given = given

    def process(self, element: tuple[int, Matches], counts: bytes, bounds: bytes) -> Iterator[Any]:
        """Gives (bucket or part, (first row, why: `balance.reasons_of`)), and by tag the counts of what is kept, and totals."""
        where, matches = element
        draws, rows, ids = _unpacked(matches)
        options, count = self.given.read, np.frombuffer(counts, np.int64)
        if options.mode == "cap":
            # Of a query that is within the cap nobody sent a bound: it keeps all.
            bound = np.where(count > options.threshold, np.frombuffer(bounds, np.uint64), balance.KEEPS_ALL)
            chosen = balance.chosen_by_cap(draws[rows], ids, bound)
        else:
            hashes = _query_hashes(self.given)
            chosen = balance.chosen_by_probability(draws[rows], ids, hashes, count, options.threshold)
        why = balance.reasons_of(len(draws), rows, chosen, options)
        yield beam.pvalue.TaggedOutput("kept", _count(ids[why[rows] == 0]))
        totals = len(draws), len(np.unique(rows)), int((why == 0).sum())
        yield beam.pvalue.TaggedOutput("totals", totals)
        yield where, (matches[0], why.tobytes())


@functools.lru_cache(maxsize=1)
def _hashes(url: str) -> np.ndarray:
    return balance.query_hashes(queries.load(url))


def _query_hashes(given: Balancing) -> np.ndarray:
    with _LOCK:
        return _hashes(given.table)


def _add(totals: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    summed = np.zeros(3, np.int64)
    for each in totals:
        summed += each
    return tuple(summed.tolist())  # type: ignore[return-value]


class WriteCounts(beam.DoFn):
    """Writes pairs of each query before and after, and gives the record with the figures."""

    def __init__(self, given: Balancing, folder: str) -> None:
        self.given, self.folder = given, folder

    def process(self, _: Any, counts: bytes, kept: bytes, totals: tuple[int, int, int]) -> Iterator[bytes]:
        """Gives the record."""
        count, left = np.frombuffer(counts, np.int64), np.frombuffer(kept, np.int64)
        options = self.given.read
        table = queries.counts_table(queries.load(self.given.table), count, left)
        with TableWriter(self.folder, "balance.parquet", queries.COUNTS_SCHEMA) as writer:
            writer.write(table)
        facts = {
            **self.given.lists,
            **options.model_dump(mode="json", exclude={"queries"}),
            "pairs": totals[0],
            "matched": totals[1],
            "kept": totals[2],
            **queries.figures(count, left, table, options.threshold),
        }
        part = {**writer.part().model_dump(), "role": "balance"}
        record = {"order": COUNTS_ORDER, "parts": [part], "balance": facts}
        yield orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def decide(matches: beam.PCollection, given: Balancing, folder: str) -> tuple[beam.PCollection, beam.PCollection]:
    """Which pairs stay.

    Args:
        matches: (bucket or part, `Matches`) of all rows, each once.
        given: What to do.
        folder: Where the counts go.

    Returns:
        (bucket or part, (first row, why bytes)), and the record of the counts.
    """

    def summed(name: str, pieces: beam.PCollection) -> beam.PCollection:
        return pieces | name >> beam.CombineGlobally(SumCounts(given.n))

    counted = matches | "count matches" >> beam.Map(lambda item: _count(np.frombuffer(item[1][4], np.int32)))
    counts = beam.pvalue.AsSingleton(summed("sum counts", counted))
    bounds: Any = b""
    if given.read.mode == "cap":
        found = (
            matches
            | "candidates" >> beam.ParDo(Candidates(given), counts)
            | "by query" >> beam.GroupByKey()
            | "bounds" >> beam.ParDo(Bounds(given.read.threshold))
        )
        # Each query has one bound: summing puts them in their places.
        bounds = beam.pvalue.AsSingleton(summed("gather bounds", found))
    decided = matches | "decide" >> beam.ParDo(Decide(given), counts, bounds).with_outputs("kept", "totals", main="why")
    kept = beam.pvalue.AsSingleton(summed("sum kept", decided.kept))
    totals = beam.pvalue.AsSingleton(decided.totals | "sum totals" >> beam.CombineGlobally(_add))
    record = (
        matches.pipeline
        | "counts" >> beam.Create([None])
        | "write counts" >> beam.ParDo(WriteCounts(given, folder), counts, kept, totals)
    )
    return decided.why, record


def ledger_step(source: str, unit: str, why: pa.StringArray) -> Step:
    """The books of some rows of one source: `why` is null where a row is kept."""
    dropped = reasons.count(why)
    kept = len(why) - sum(dropped.values())
    return Step(source=source, step="balance", unit=unit, rows_in=len(why), kept=kept, rows_out=kept, dropped=dropped)


class Search(beam.DoFn):
    """Searches a bucket's pairs."""

    def __init__(self, given: Balancing) -> None:
        self.given = given

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[int, Matches]]:
        """Gives (bucket, matches)."""
        bucket, piece = element
        rows = from_ipc([piece])
        yield bucket, self.given.matches(rows.column("right_text"), rows.column("key"), 0)


class Thin(beam.DoFn):
    """Takes what was dropped out of a bucket."""

    def __init__(self, order: int, seed: int) -> None:
        self.order, self.seed = order, seed

    def process(self, element: tuple[int, dict[str, list[Any]]]) -> Iterator[Any]:
        """Gives (bucket, IPC bytes) of the survivors, and by tag the record and examples of what was dropped."""
        bucket, both = element
        rows = from_ipc(both["rows"])
        why = reasons_in(both["why"], rows.num_rows)
        steps = []
        for source in sorted(pc.unique(rows.column("source")).to_pylist()):
            of_source = pc.equal(rows.column("source"), source)
            mine = why.filter(of_source)
            steps.append(ledger_step(source, "pairs", mine).model_dump())
            yield from examples.tagged(rows.filter(of_source), mine, source, self.seed)
        record = {"order": self.order, "steps": steps}
        yield beam.pvalue.TaggedOutput("records", orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
        yield bucket, to_ipc(rows.filter(pc.is_null(why)))


def reasons_in(pieces: Iterable[tuple[int, bytes]], n: int) -> pa.StringArray:
    """Why each of a bucket's or part's rows is dropped, from the pieces that `decide` gave; null: kept.

    Raises:
        RuntimeError: A row was not decided on, which must not happen.
    """
    ordered = sorted(pieces)
    why = np.frombuffer(b"".join(piece for _, piece in ordered), np.uint8)
    if len(why) != n:
        raise RuntimeError(f"balance: {n} rows, but {len(why)} decisions")
    return balance.reason_names(why)


def thin(
    rows: beam.PCollection, given: Balancing, folder: str, order: int
) -> tuple[beam.PCollection, beam.PCollection, beam.PCollection]:
    """Balances buckets of pairs: the surviving (bucket, IPC bytes), the records, and examples of what was dropped."""
    why, record = decide(rows | "search" >> beam.ParDo(Search(given)), given, folder)
    out = (
        {"rows": rows, "why": why}
        | "join balance" >> beam.CoGroupByKey()
        | "thin" >> beam.ParDo(Thin(order, given.seed)).with_outputs("records", "examples", main="rows")
    )
    return out.rows, (out.records, record) | "balance records" >> beam.Flatten(), out.examples
