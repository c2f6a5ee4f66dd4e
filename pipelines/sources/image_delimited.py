"""Records of CSV and TSV files: rows of a table of alt-texts."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipelines.sources.image_columns import columns_of
from pipelines.sources.reading import BOM, BrokenStreamError, Reading, SourceError, bounded_lines, open_decompressed
from pipelines.sources.spec import ImageTextSource


def read_delimited(
    source: ImageTextSource, url: str, path: str, reading: Reading, delimiter: str
) -> Iterator[dict[str, Any]]:
    """Rows of a delimited table with a header. A quoted field of a CSV may span lines; a row's number is that of its first line."""
    with open_decompressed(url) as raw:
        lines = _decoded_lines(raw, path, reading, source.max_record_bytes)
        rows = _csv_rows(lines, path, reading, source.max_record_bytes) if delimiter == "," else _tsv_rows(lines)
        first = next(rows, None)
        if first is None:
            if not reading.records:
                reading.error(path, "file", "empty_file", "no header")
            return
        at, header = first
        if reading.records:
            raise SourceError(f"{url}: its first line, which must name the columns, cannot be read")
        columns = columns_of(source, url, pa.schema([(name, pa.string()) for name in header]))
        for at, row in rows:
            if len(row) != len(header):
                reading.error(path, f"line {at}", "malformed_row", f"{len(row)} fields, the header has {len(header)}")
                continue
            values = dict(zip(header, row, strict=True))
            language = values[columns["language"]] if "language" in columns else None
            names = [columns[role] for role in ("text", "texts") if role in columns]
            reading.records += 1
            yield {
                "at": f"{path}#{at}",
                "url": values[columns["url"]] if "url" in columns else None,
                "texts": [(language, values[name]) for name in names],
                "image": None,
            }


def _decoded_lines(raw: Any, path: str, reading: Reading, limit: int) -> Iterator[tuple[int, str | None]]:
    """Number and text of each line; None for one that is in error, which is logged here."""
    number = 0
    try:
        for line in bounded_lines(raw, limit):
            number += 1
            if line is None:
                reading.error(path, f"line {number}", "line_too_long", f"more than {limit} bytes")
                yield number, None
                continue
            try:
                text = (line.removeprefix(BOM) if number == 1 else line).decode("utf-8")
            except UnicodeDecodeError as error:
                reading.error(path, f"line {number}", "invalid_utf8", error)
                yield number, None
                continue
            yield number, text
    except BrokenStreamError as error:
        reading.error(path, f"after line {number}", error.reason, error)


def _tsv_rows(lines: Iterator[tuple[int, str | None]]) -> Iterator[tuple[int, list[str]]]:
    """A line is a row; quotes are text. Empty lines are none."""
    for number, text in lines:
        if text:
            yield number, text.split("\t")


def _csv_rows(
    lines: Iterator[tuple[int, str | None]], path: str, reading: Reading, limit: int
) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their first line.

    A quote that is never closed must cost the row that it stands in, not all that follow: after a row that cannot be, reading goes
    on with the row's second line.
    """
    csv.field_size_limit(limit)
    ahead: deque[tuple[int, str | None]] = deque()
    taken: list[tuple[int, str | None]] = []

    def feed() -> Iterator[str]:
        size = 0
        while (item := ahead.popleft() if ahead else next(lines, None)) is not None:
            if item[1] is None and not taken:
                continue  # already logged
            taken.append(item)
            if item[1] is None:
                raise csv.Error("a line inside a quoted field cannot be read")
            size += len(item[1])
            if size > limit:
                raise csv.Error(f"a quoted field of more than {limit} characters")
            yield item[1] + "\n"

    while True:
        taken.clear()
        try:
            row = next(csv.reader(feed(), strict=True), None)
        except csv.Error as error:
            number, text = taken[0]
            assert text is not None
            ahead.extendleft(reversed(taken[1:]))
            # A lone line whose quotes pair up can be read, if not by the letter: `"a" b,c`.
            lenient = [] if text.count('"') % 2 else _leniently(text)
            if not lenient:
                reading.error(path, f"line {number}", "malformed_row", error)
                continue
            row = lenient
        if row is None:
            return
        if row:  # an empty line is none
            yield taken[0][0], row


def _leniently(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []
