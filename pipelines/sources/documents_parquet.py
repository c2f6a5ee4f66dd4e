"""Reads documents from parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.sources.documents_rows import Rows
from pipelines.sources.reading import Reading, text_of
from pipelines.sources.spec import DocumentsSource

UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError)
"""What opening and reading a hostile parquet file raises."""
_BATCH = 256
_MAX_COLUMN_BYTES = 1 << 31
"""Bytes of one column in one row group that are decoded; parquet is decoded a row group at a time."""


def read(source: DocumentsSource, url: str, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file; see `documents.read`. A document's origin names its row, from 0."""
    names = source.columns.texts()
    try:
        file = pq.ParquetFile(storage.open_read(url))
        have = set(file.schema_arrow.names)
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if min(counts, default=0) < 0 or sum(counts) != file.metadata.num_rows:
            raise ValueError(f"the footer says {file.metadata.num_rows} rows, its row groups {counts}")
    except UNREADABLE as error:
        reading.error(path, "file", "corrupt", error)
        return
    if not have & set(names):
        columns = ", ".join(sorted(have))
        reading.error(
            path,
            "file",
            "no_text",
            f"no column {' or '.join(names)}; the columns are {columns}",
            rows=max(1, sum(counts)),
        )
        return
    address = source.columns.url if source.columns.url in have else None
    wanted = sorted(have & {*names, *([address] if address else [])})
    if not counts or not sum(counts):
        reading.error(path, "file", "empty_file", "no rows")
    rows = Rows()
    for group, count in enumerate(counts):
        row = sum(counts[:group])
        end = row + count
        fault: object = "the row group holds fewer rows than the footer says"
        largest = _largest(file, group, wanted)
        if largest > _MAX_COLUMN_BYTES:
            reading.error(
                path, f"rows {row}-{end - 1}", "too_large", f"{largest} bytes in a column of a row group", rows=count
            )
            continue
        batches = file.iter_batches(_BATCH, row_groups=[group], columns=wanted)
        while row < end:
            try:
                values = next(batches).slice(0, end - row).to_pydict()
            except StopIteration:
                break
            except UNREADABLE as error:
                fault = error
                break
            for at in range(len(values[wanted[0]])):
                text = _text([values[name][at] for name in names if name in values], source, path, row, reading)
                if text is not None:
                    reading.records += 1
                    full = rows.add(
                        f"{reading.source}/{path}#{row}", text_of(values[address][at]) if address else None, text
                    )
                    if full is not None:
                        yield full
                row += 1
        if row < end:
            reading.error(path, f"rows {row}-{end - 1}", "corrupt", fault, rows=end - row)
    if len(rows):
        yield rows.batch()


def _largest(file: pq.ParquetFile, group: int, wanted: list[str]) -> int:
    """Bytes of the largest wanted column of a row group, as the footer says."""
    facts = file.metadata.row_group(group)
    chunks = [facts.column(number) for number in range(facts.num_columns)]
    return max(
        (chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in wanted), default=0
    )


def _text(values: list[Any], source: DocumentsSource, path: str, row: int, reading: Reading) -> str | None:
    """The text of a row; None, and an error, where it has none."""
    found = []
    for value in values:
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError as error:
                reading.error(path, f"row {row}", "invalid_utf8", error)
                return None
        found.append(text_of(value))
    if not any(text is not None for text in found):
        reading.error(path, f"row {row}", "no_text", "no string in the text columns")
        return None
    text = "".join(text or "" for text in found)
    if len(text) > source.max_record_bytes or len(text.encode()) > source.max_record_bytes:
        reading.error(path, f"row {row}", "document_too_long", f"more than {source.max_record_bytes} bytes")
        return None
    return text
