"""The table of scores beside an annotated part: row for row, so that selecting lays them side by side."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairs.similarity import COLUMN
from pipelines import storage
from pipelines.ledger import LedgerError

SCHEMA = pa.schema([(COLUMN, pa.float32()), ("error", pa.string())])
"""The score, null where there is none; and why, null too where there is no image to score."""


class Scores:
    """The scores of one part."""

    def __init__(self, url: str) -> None:
        """Reads them: a number and mostly no word a row."""
        with storage.open_read(url) as file:
            self._table = pq.read_table(file, schema=SCHEMA)
        self._url = url

    def beside(self, batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
        """The rows that are not in error, with their score as the column `similarity`.

        Args:
            batch: Rows of the annotated part.
            first: The number of its first row in the part.

        Raises:
            LedgerError: The table has other rows than the part.
        """
        mine = self._table.slice(first, batch.num_rows)
        if mine.num_rows != batch.num_rows:
            raise LedgerError(f"{self._url}: ends after {self._table.num_rows} rows, before its annotated part")
        score, error = (mine.column(name).combine_chunks() for name in (COLUMN, "error"))
        if COLUMN in batch.schema.names:  # a score that the source brought: the model's takes its place
            scored = batch.set_column(batch.schema.get_field_index(COLUMN), COLUMN, score)
        else:
            scored = batch.append_column(COLUMN, score)
        return scored.filter(pc.is_null(error))
