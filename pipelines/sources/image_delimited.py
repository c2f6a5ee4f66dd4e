"""Records of CSV and TSV files: rows of a table of alt-texts."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

from pipelines.sources.delimited_layout import is_quoted, layout_of
from pipelines.sources.image_records import facts_of, texts_of
from pipelines.sources.reading import BOM, BrokenStreamError, Reading, SourceError, bounded_lines, open_decompressed
from pipelines.sources.spec import ImageTextSource


def read_delimited(
    source: ImageTextSource, url: str, path: str, reading: Reading, delimiter: str
) -> Iterator[dict[str, Any]]:
    """Rows of a delimited table, with or without a header. A quoted field may span lines; a row's number is its first line's."""
    quoted = is_quoted(source, url, delimiter)
    with open_decompressed(url) as raw:
        lines = _decoded_lines(raw, path, reading, source.max_record_bytes)
        limit = source.max_record_bytes
        rows = _quoted_rows(lines, path, reading, limit, delimiter) if quoted else _plain_rows(lines, delimiter)
        first = next(rows, None)
        if first is None:
            if not reading.records:
                reading.error(path, "file", "empty_file", "no header")
            return
        if reading.records and source.header is not False and source.names is None:
            raise SourceError(f"{url}: its first line, which must name the columns, cannot be read")
        layout = layout_of(source, url, first[1], quoted)
        names, columns = layout.names, layout.columns
        for at, row in rows if layout.header else itertools.chain([first], rows):
            if len(row) != len(names):
                reading.error(
                    path, f"line {at}", "malformed_row", f"{len(row)} fields, the first line has {len(names)}"
                )
                continue
            values = dict(zip(names, row, strict=True))
            reading.records += 1
            yield {"at": f"{path}#{at}", "texts": texts_of(columns, values), "image": None, **facts_of(columns, values)}


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


def _plain_rows(lines: Iterator[tuple[int, str | None]], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """A line is a row; quotes are text. Empty lines are none."""
    for number, text in lines:
        if text:
            yield number, text.split(delimiter)


def _quoted_rows(
    lines: Iterator[tuple[int, str | None]], path: str, reading: Reading, limit: int, delimiter: str
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
            row = next(csv.reader(feed(), delimiter=delimiter, strict=True), None)
        except csv.Error as error:
            number, text = taken[0]
            assert text is not None
            ahead.extendleft(reversed(taken[1:]))
            # A lone line whose quotes pair up can be read, if not by the letter: `"a" b,c`.
            lenient = [] if text.count('"') % 2 else _leniently(text, delimiter)
            if not lenient:
                reading.error(path, f"line {number}", "malformed_row", error)
                continue
            row = lenient
        if row is None:
            return
        if row:  # an empty line is none
            yield taken[0][0], row


def _leniently(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)  # a lone CR
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
