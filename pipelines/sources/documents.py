"""Reads C4-style documents: one json object a line, plain or compressed."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pyarrow as pa

from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    bounded_lines,
    json_fault,
    open_decompressed,
    text_of,
)
from pipelines.sources.spec import DocumentsSource

ROWS = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
    ]
)
BATCH_ROWS = 512


def read(source: DocumentsSource, url: str, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file.

    Args:
        source: The recipe's words on the source.
        url: Where the file lies.
        path: Its name relative to the source, for origins and errors.
        reading: Counts and logs.

    Yields:
        Batches of `ROWS`, at most `BATCH_ROWS` rows.
    """
    names = [source.columns.text] if isinstance(source.columns.text, str) else source.columns.text
    origins: list[str] = []
    urls: list[str | None] = []
    texts: list[str | None] = []

    def batch() -> pa.RecordBatch:
        result = pa.RecordBatch.from_arrays(
            [pa.array(origins), pa.array(urls, pa.string()), pa.array(texts, pa.string())], schema=ROWS
        )
        origins.clear()
        urls.clear()
        texts.clear()
        return result

    number = 0
    with open_decompressed(url) as file:
        try:
            for line in bounded_lines(file, source.max_record_bytes):
                number += 1
                at = f"line {number}"
                if line is None:
                    reading.error(path, at, "line_too_long", f"more than {source.max_record_bytes} bytes")
                    continue
                if number == 1:
                    line = line.removeprefix(BOM)
                if not line.strip():
                    continue  # an empty line between records is no record
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    reading.error(path, at, json_fault(line), error)
                    continue
                found = [text_of(record.get(name)) for name in names] if isinstance(record, dict) else []
                if not any(text is not None for text in found):
                    reading.error(path, at, "no_text", f"no string in field {' or '.join(names)}")
                    continue
                reading.records += 1
                origins.append(f"{reading.source}/{path}#{number}")
                urls.append(text_of(record.get(source.columns.url)) if source.columns.url else None)
                texts.append("".join(text or "" for text in found))
                if len(origins) == BATCH_ROWS:
                    yield batch()
        except BrokenStreamError as error:
            reading.error(path, f"after line {number}", error.reason, error)
        else:
            if number == 0:
                reading.error(path, "file", "empty_file", "no lines")
    if origins:
        yield batch()
