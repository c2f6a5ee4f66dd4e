"""Records of parquet files: photographs with texts, or rows of a table of alt-texts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pairs.images import ImageError
from pipelines import storage
from pipelines.sources.image_columns import Columns, columns_of
from pipelines.sources.image_records import checked_image, facts_of, texts_of, too_long, value_at
from pipelines.sources.reading import Reading
from pipelines.sources.spec import ImageTextSource

UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError)
"""What opening and reading a hostile parquet file raises."""
_STATUS, _DOWNLOADED = "status", "success"
_PARQUET_BATCH = 256  # records at once: bounds the photographs in memory


def read_parquet(
    source: ImageTextSource,
    url: str,
    path: str,
    unit: Mapping[str, Any],
    reading: Reading,
    blob: storage.AtomicFile,
    blob_ref: str,
) -> Iterator[dict[str, Any]]:
    try:
        file = pq.ParquetFile(storage.open_read(url))
        schema = file.schema_arrow
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if min(counts, default=0) < 0 or sum(counts) != file.metadata.num_rows:
            raise ValueError(f"the footer says {file.metadata.num_rows} rows, its row groups {counts}")
    except UNREADABLE as error:
        reading.error(path, "file", "corrupt", error)
        return
    columns = columns_of(source, url, schema)
    # img2dataset tells by it why a picture is not there.
    wanted = sorted({*columns.top, *({_STATUS} if columns.image and schema.names.count(_STATUS) == 1 else ())})
    first, last = unit.get("groups", [0, len(counts)])
    for group in range(first, last):
        row = sum(counts[:group])
        end = row + counts[group]
        batches = file.iter_batches(_PARQUET_BATCH, row_groups=[group], columns=wanted)
        fault: object = "the row group holds fewer rows than the footer says"
        while row < end:
            try:
                batch = next(batches)
            except StopIteration:
                break
            except UNREADABLE as error:
                fault = error
                break
            for values in _parquet_rows(batch.slice(0, end - row), path, row, reading):
                if values is not None:
                    record = _parquet_record(source, columns, values, path, row, reading, blob, blob_ref)
                    if record is not None:
                        yield record
                row += 1
        if row < end:
            reading.error(path, f"rows {row}-{end - 1}", "corrupt", fault, rows=end - row)


def _parquet_rows(batch: pa.RecordBatch, path: str, row: int, reading: Reading) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch as Python values, None (and an error) for one that has none, such as a string that is not UTF-8."""
    whole: list[dict[str, Any]] = []
    with contextlib.suppress(*UNREADABLE):
        whole = batch.to_pylist(maps_as_pydicts="lossy")
    if whole:
        yield from whole
        return
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist(maps_as_pydicts="lossy")[0]
        except UNREADABLE as error:
            reason = "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "malformed_row"
            reading.error(path, f"row {row + index}", reason, error)
            yield None


def _parquet_record(
    source: ImageTextSource,
    columns: Columns,
    values: Mapping[str, Any],
    path: str,
    row: int,
    reading: Reading,
    blob: storage.AtomicFile,
    blob_ref: str,
) -> dict[str, Any] | None:
    try:
        texts = texts_of(columns, values)
    except UnicodeDecodeError as error:
        reading.error(path, f"row {row}", "invalid_utf8", error)
        return None
    if (length := too_long(source, texts)) is not None:
        reading.error(path, f"row {row}", "text_too_long", f"{length} bytes")
        return None
    image = None
    if columns.image is not None:
        value = value_at(values, columns.image)
        data = value.get("bytes") if isinstance(value, Mapping) else value
        if not isinstance(data, bytes):
            status = values.get(_STATUS)
            if value is None and isinstance(status, str) and status != _DOWNLOADED:
                reading.drop("not_downloaded")
            else:
                reading.error(path, f"row {row}", "no_image", "the image column is null here")
            return None
        try:
            image = checked_image(source, data, len(data), blob_ref, blob.tell())
        except ImageError as error:
            reading.error(path, f"row {row}", error.reason, error)
            return None
        blob.write(data)
    reading.records += 1
    return {"at": f"{path}#{row}", "texts": texts, "image": image, **facts_of(columns, values)}
