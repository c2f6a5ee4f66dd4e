"""Lists of queries to balance by: read once, checked, boiled down to one table of queries, each once, in a fixed order."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairs.balance import MAX_QUERY_CHARS, BalanceOptions, tidy_queries
from pipelines import storage
from pipelines.sources.reading import BOM, BrokenStreamError, SourceError, bounded_lines, open_decompressed
from pipelines.tables import TableWriter

CODE = "1"
TABLE = "queries.parquet"
SCHEMA = pa.schema([pa.field("query", pa.string(), nullable=False)])
MAX_QUERIES = 10_000_000
_LINE_BYTES = 4 * MAX_QUERY_CHARS + 100
_JSON_BYTES = 1 << 28
_JSON = (".json", ".json.gz", ".json.zst")
_COUNT = re.compile(r"\s+[0-9]+(?:\.[0-9]+)?$")


def files_of(places: tuple[str, ...]) -> list[str]:
    """The files that hold the queries, sorted.

    Raises:
        SourceError: A place holds no file.
    """
    found: set[str] = set()
    for place in places:
        try:
            files = storage.expand(place)
        except storage.StorageError as error:
            raise SourceError(f"balance.queries: {error}") from error
        found.update(files)
    return sorted(found)


def form_of(url: str) -> str:
    """How a file is read by its name: what belongs, beside its content, into the digest of a list."""
    return "json" if url.lower().endswith(_JSON) else "lines"


def read(url: str, counted: str) -> tuple[list[str], dict[str, Any]]:
    """The entries of one list.

    Args:
        url: A file that `files_of` gave.
        counted: As in `BalanceOptions`.

    Returns:
        The entries as they stand there, empty ones included, and what was seen: entries, counted.

    Raises:
        SourceError: The file is broken, not UTF-8, or has an entry too long to be a query; names the file and the line.
    """
    try:
        entries = _json(url) if form_of(url) == "json" else list(_lines(url))
    except (OSError, BrokenStreamError, gzip.BadGzipFile) as error:
        raise SourceError(f"balance.queries: {url}: cannot be read: {error}") from error
    is_counted = False
    if form_of(url) == "lines":
        tabs = any("\t" in entry for entry in entries)
        filled = [entry for entry in entries if entry.strip()]
        is_counted = counted == "yes" or (
            counted == "auto" and len(filled) > 1 and all(_COUNT.search(entry.rstrip()) for entry in filled)
        )
        if tabs and counted != "no":  # columns: the query is the first
            entries, is_counted = [entry.partition("\t")[0] for entry in entries], True
        elif is_counted:
            entries = [_COUNT.sub("", entry.rstrip()) for entry in entries]
    return entries, {"entries": len(entries), "counted": is_counted}


def _lines(url: str) -> Iterator[str]:
    with open_decompressed(url) as file:
        for number, line in enumerate(bounded_lines(file, _LINE_BYTES), 1):
            if number > MAX_QUERIES:
                raise SourceError(f"balance.queries: {url}: more than {MAX_QUERIES:,} lines")
            if line is None:
                raise SourceError(
                    f"balance.queries: {url}, line {number}: more than {_LINE_BYTES:,} bytes: no query is so long"
                )
            if number == 1:
                line = line.removeprefix(BOM)
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise SourceError(
                    f"balance.queries: {url}, line {number}: not UTF-8 ({error.reason} at byte {error.start + 1})"
                ) from error
            yield _bounded(text, url, f"line {number}")


def _bounded(text: str, url: str, place: str) -> str:
    if len(text) > MAX_QUERY_CHARS:
        raise SourceError(
            f"balance.queries: {url}, {place}: {len(text):,} characters; a query has at most {MAX_QUERY_CHARS:,}"
        )
    return text


def _json(url: str) -> list[str]:
    lines: list[bytes] = []
    size = 0
    with open_decompressed(url) as file:
        for line in bounded_lines(file, _JSON_BYTES):
            size += _JSON_BYTES + 1 if line is None else len(line) + 1
            if line is None or size > _JSON_BYTES:
                raise SourceError(f"balance.queries: {url}: more than {_JSON_BYTES:,} bytes of JSON")
            lines.append(line)
    try:
        found = orjson.loads(b"\n".join(lines).removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        raise SourceError(f"balance.queries: {url}, line {error.lineno}: not JSON: {error.msg}") from error
    if isinstance(found, dict):  # query -> count
        found = list(found)
    if not isinstance(found, list):
        raise SourceError(f"balance.queries: {url}: holds {type(found).__name__}; a list of strings is wanted")
    if len(found) > MAX_QUERIES:
        raise SourceError(f"balance.queries: {url}: more than {MAX_QUERIES:,} entries")
    for number, entry in enumerate(found, 1):
        if not isinstance(entry, str):
            raise SourceError(f"balance.queries: {url}, entry {number}: {type(entry).__name__}; a string is wanted")
        _bounded(entry, url, f"entry {number}")
    return found


def gather(options: BalanceOptions, files: list[str]) -> tuple[pa.StringArray, dict[str, Any]]:
    """The queries of all lists, each once, sorted, and what was read.

    Args:
        options: Its `case` and `counted` count.
        files: As `files_of` gives them; their order does not matter.

    Returns:
        The queries as `tidy_queries` gives them; lists (file name -> entries, whether counts stood behind them, empty),
        empty, duplicates and queries, summed.

    Raises:
        SourceError: A list cannot be used, or all together hold no query.
    """
    every: list[pa.StringArray] = []
    lists: list[dict[str, Any]] = []
    for url in files:
        entries, facts = read(url, options.counted)
        tidy = tidy_queries(pa.array(entries, pa.string()), options)
        filled = tidy.filter(pc.not_equal(tidy, ""))
        lists.append({"list": url.rsplit("/", 1)[-1], **facts, "empty": len(tidy) - len(filled)})
        every.append(filled)
    column = pa.concat_arrays(every) if every else pa.array([], pa.string())
    unique = pc.unique(column)
    if not len(unique):
        raise SourceError(f"balance.queries: no query in {', '.join(files)}")
    if len(unique) > MAX_QUERIES:
        raise SourceError(f"balance.queries: {len(unique):,} queries; at most {MAX_QUERIES:,} can be matched")
    ordered = unique.take(pc.sort_indices(unique))
    facts = {
        "lists": sorted(lists, key=lambda item: (item["list"], item["entries"])),
        "empty": sum(item["empty"] for item in lists),
        "duplicates": len(column) - len(unique),
        "queries": len(unique),
    }
    return ordered, facts


def compile_lists(options: BalanceOptions, files: list[str], folder: str) -> tuple[TableWriter, dict[str, Any]]:
    """Writes the queries of all lists as one table, see `gather`; returns the finished writer and what was read."""
    queries, facts = gather(options, files)
    with TableWriter(folder, TABLE, SCHEMA) as table:
        table.write(pa.RecordBatch.from_arrays([queries], schema=SCHEMA))
    return table, facts


def load(url: str) -> pa.StringArray:
    """The queries that `compile_lists` wrote."""
    with storage.open_read(url) as file:
        column = pq.read_table(file).column("query").combine_chunks()
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


COUNTS_SCHEMA = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),  # pairs that hold it, before
        pa.field("kept", pa.int64(), nullable=False),  # of these, the pairs that were kept
    ]
)


def counts_table(queries: pa.StringArray, count: np.ndarray, kept: np.ndarray) -> pa.RecordBatch:
    """Pairs of each query before and after, most first, equal counts by query."""
    order = np.argsort(-count, kind="stable")  # the queries themselves are sorted
    columns = [queries.take(pa.array(order)), pa.array(count[order], pa.int64()), pa.array(kept[order], pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=COUNTS_SCHEMA)


def figures(count: np.ndarray, kept: np.ndarray, top: pa.RecordBatch, threshold: int) -> dict[str, Any]:
    """What a report says of the distribution: how many queries are met, how many are above the threshold, the greatest."""
    met = np.sort(count[count > 0])
    left = np.sort(kept[count > 0])
    return {
        "met": len(met),
        "above": int((count > threshold).sum()),
        "matches": int(count.sum()),
        "matches_kept": int(kept.sum()),
        "top_share": _top_share(met),
        "top_share_kept": _top_share(left),
        "top": [list(row.values()) for row in top.slice(0, TOP).to_pylist()],
    }


TOP = 20


def _top_share(ordered: np.ndarray) -> float:
    """What part of all matches the first hundredth of the met queries has."""
    total = int(ordered.sum())
    return round(float(ordered[-max(1, len(ordered) // 100) :].sum()) / total, 6) if total else 0.0
