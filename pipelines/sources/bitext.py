"""Reads line-aligned bitext: line n of one file translates line n of the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

import pyarrow as pa

from pipelines.sources.reading import BOM, BrokenStreamError, Reading, SourceError, bounded_lines, open_decompressed
from pipelines.sources.spec import BitextSource

ROWS = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("left_text", pa.string()),
        pa.field("right_text", pa.string()),
        pa.field("left_lang", pa.string()),
        pa.field("right_lang", pa.string()),
    ]
)
BATCH_ROWS = 2048
_ENDED: Final = object()


def _lines(url: str, limit: int, fault: list[BrokenStreamError]) -> Iterator[bytes | None]:
    with open_decompressed(url) as file:
        try:
            lines = bounded_lines(file, limit)
            if (first := next(lines, _ENDED)) is not _ENDED:
                yield first.removeprefix(BOM) if first is not None else None  # type: ignore[attr-defined]
            yield from lines
        except BrokenStreamError as error:
            fault.append(error)


def check(source: BitextSource, left_url: str, right_url: str) -> None:
    """Counts both sides before anything is taken from them.

    A damaged compressed file ends early and may be the shorter one: its sound lines are still aligned, and reading logs the damage.

    Raises:
        SourceError: The two files have different numbers of lines; pairs from them would be shifted.
    """
    counts, damaged = [], []
    for url in (left_url, right_url):
        faults: list[BrokenStreamError] = []
        counts.append(sum(1 for _ in _lines(url, source.max_record_bytes, faults)))
        damaged.append(bool(faults))
    left, right = counts
    if left != right and not damaged[left > right]:
        raise _misaligned(left_url, left, right_url, right)


def _misaligned(left_url: str, left: int, right_url: str, right: int) -> SourceError:
    return SourceError(f"bitext is not aligned: {left_url} has {left} lines, {right_url} has {right}")


def read(source: BitextSource, left_url: str, right_url: str, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads the two files in step.

    Args:
        source: The recipe's words on the source.
        left_url: Where the one side lies.
        right_url: Where the other side lies.
        path: Name of the left file relative to the source, for origins and errors.
        reading: Counts and logs.

    Yields:
        Batches of `ROWS`, at most `BATCH_ROWS` rows.

    Raises:
        SourceError: One side has more lines than the other, and the other is not damaged.
    """
    faults: tuple[list[BrokenStreamError], list[BrokenStreamError]] = ([], [])
    pairs = zip_longest(
        _lines(left_url, source.max_record_bytes, faults[0]),
        _lines(right_url, source.max_record_bytes, faults[1]),
        fillvalue=_ENDED,
    )
    rows: list[list[str]] = []
    number = 0
    alone = [0, 0]  # lines of the left, of the right, whose partner is lost
    for left, right in pairs:
        if left is _ENDED or right is _ENDED:
            alone[left is _ENDED] += 1
            continue
        number += 1
        at = f"line {number}"
        if left is None or right is None:
            reading.error(path, at, "line_too_long", f"more than {source.max_record_bytes} bytes")
            continue
        row = [f"{reading.source}/{path}#{number}"]
        for url, line in ((left_url, left), (right_url, right)):
            try:
                row.append(line.decode("utf-8"))  # type: ignore[attr-defined]
            except UnicodeDecodeError as error:
                reading.error(path, at, "invalid_utf8", f"{url.rsplit('/', 1)[-1]}: {error}")
                break
        if len(row) < 3:
            continue
        reading.records += 1
        rows.append(row)
        if len(rows) == BATCH_ROWS:
            yield _batch(source, rows)
            rows = []
    if rows:
        yield _batch(source, rows)
    for side, other in ((0, 1), (1, 0)):
        if alone[other] and not faults[side]:
            raise _misaligned(left_url, number + alone[0], right_url, number + alone[1])
        for fault in faults[side]:
            name = (left_url, right_url)[side].rsplit("/", 1)[-1]
            lost = max(1, alone[other])
            reading.error(path, f"after line {number}", fault.reason, f"{name}: {fault}", rows=lost)
    if number == 0 and not reading.records:
        reading.error(path, "file", "empty_file", "no lines")


def _batch(source: BitextSource, rows: list[list[str]]) -> pa.RecordBatch:
    count = len(rows)
    origins, lefts, rights = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    languages = [pa.repeat(pa.scalar(code, pa.string()), count) for code in source.languages]
    return pa.RecordBatch.from_arrays([origins, pa.nulls(count, pa.string()), lefts, rights, *languages], schema=ROWS)
