"""Parquet between stages: zstd, written atomically, the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.manifest import Part

ROW_GROUP_ROWS = 8192


class TableWriter:
    """Writes record batches of one schema as one Parquet part. The schema is the first batch's unless given.

    Batches are gathered into row groups of `ROW_GROUP_ROWS` rows, so that the bytes do not depend on how rows were batched.
    """

    def __init__(self, folder: str, path: str, schema: pa.Schema | None = None) -> None:
        self.path = path
        self.rows = 0
        self._file = storage.AtomicFile(storage.join(folder, path), keep_empty=False)
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0

    def __enter__(self) -> TableWriter:
        self._file.__enter__()
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends rows."""
        if self._schema is None:
            self._schema = batch.schema
        self.rows += batch.num_rows
        self._held.append(batch)
        self._held_rows += batch.num_rows
        while self._held_rows >= ROW_GROUP_ROWS:
            self._flush(ROW_GROUP_ROWS)

    def _flush(self, rows: int) -> None:
        table = pa.Table.from_batches(self._held, schema=self._schema)
        if self._writer is None:
            self._writer = pq.ParquetWriter(pa.PythonFile(self._file, mode="w"), self._schema, compression="zstd")
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=ROW_GROUP_ROWS)
        self._held = table.slice(rows).to_batches()
        self._held_rows -= rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._schema is not None:
            try:
                if self._held_rows or self._writer is None:
                    self._flush(self._held_rows)
                assert self._writer is not None
                self._writer.close()
            except BaseException as fault:
                self._forget()
                self._file.__exit__(type(fault), fault, fault.__traceback__)
                raise
        if kind is not None:
            self._forget()
        self._file.__exit__(kind, error, trace)

    def _forget(self) -> None:
        """Keeps the half-made writer from writing its footer when it is collected."""
        if self._writer is not None:
            self._writer.is_open = False

    def part(self, **facts: object) -> Part:
        """The record of the finished file."""
        return Part(path=self.path, bytes=self._file.bytes, sha256=self._file.sha256, rows=self.rows, facts=dict(facts))


def read_batches(url: str, rows: int = 4096, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file in batches; `columns` (`a`, or `a.b` inside a struct) reads those alone."""
    with storage.open_read(url) as file:
        yield from pq.ParquetFile(file).iter_batches(rows, columns=columns)


def read_rows(url: str, first: int, last: int) -> pa.Table:
    """Rows `first` to `last` (exclusive) of a Parquet file; reads only the row groups that hold them."""
    with storage.open_read(url) as file:
        parquet = pq.ParquetFile(file)
        groups: list[int] = []
        begin = start = 0
        for group in range(parquet.num_row_groups):
            end = begin + parquet.metadata.row_group(group).num_rows
            if begin < last and end > first:
                if not groups:
                    start = begin
                groups.append(group)
            begin = end
        return parquet.read_row_groups(groups).slice(first - start, last - first)
