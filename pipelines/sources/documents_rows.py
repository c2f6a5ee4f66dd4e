"""The rows that all readers of documents give, gathered into batches."""

from __future__ import annotations

import pyarrow as pa

ROWS = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
    ]
)
BATCH_ROWS = 4096  # a batch's patterns take milliseconds to be made ready
BATCH_BYTES = 16 << 20
"""A batch ends with the document that brings it to this many bytes of text: memory stays bounded however long they are."""


class Rows:
    """Documents on their way into a batch."""

    def __init__(self) -> None:
        self._origins: list[str] = []
        self._urls: list[str | None] = []
        self._texts: list[str] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._origins)

    def add(self, origin: str, url: str | None, text: str) -> pa.RecordBatch | None:
        """Adds a document; gives the batch that it fills."""
        self._origins.append(origin)
        self._urls.append(url)
        self._texts.append(text)
        self._bytes += len(text)
        return self.batch() if len(self) >= BATCH_ROWS or self._bytes >= BATCH_BYTES else None

    def batch(self) -> pa.RecordBatch:
        """What has been gathered."""
        columns = [
            pa.array(self._origins, pa.string()),
            pa.array(self._urls, pa.string()),
            pa.array(self._texts, pa.string()),
        ]
        self.__init__()  # type: ignore[misc]
        return pa.RecordBatch.from_arrays(columns, schema=ROWS)
