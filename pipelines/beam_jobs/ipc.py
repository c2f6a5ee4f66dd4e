"""Pairs between the steps of a job: Arrow's own stream format, so that a shuffle moves bytes and not Python objects."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from pairs.schema import PAIR_SCHEMA


def to_ipc(batch: pa.RecordBatch) -> bytes:
    """One batch as a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_ipc(pieces: Iterable[bytes]) -> pa.RecordBatch:
    """The rows of several streams as one batch of pairs."""
    tables = [pa.ipc.open_stream(piece).read_all() for piece in pieces]
    table = pa.concat_tables(tables).combine_chunks() if tables else PAIR_SCHEMA.empty_table()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=PAIR_SCHEMA)
