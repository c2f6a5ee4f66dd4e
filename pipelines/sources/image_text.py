"""Reads photographs with alt-texts: parquet, WebDataset tars, and CSV/TSV, JSON lines or parquet tables without photographs.

A record is an image with its texts (or a row of a table); what is handed on is a row per text, columns `ROWS`. Photographs' bytes
are checked here once, and go to a blob file beside the table (tars: they stay where they are and are pointed at).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pairs.keys import content_key
from pairs.schema import IMAGE_REF
from pipelines import storage
from pipelines.sources.delimited_layout import delimited_layout
from pipelines.sources.image_columns import Columns, columns_of
from pipelines.sources.image_delimited import read_delimited
from pipelines.sources.image_json import json_columns, read_json_lines
from pipelines.sources.image_parquet import UNREADABLE, read_parquet
from pipelines.sources.image_records import Text
from pipelines.sources.image_webdataset import read_webdataset
from pipelines.sources.reading import Reading, SourceError
from pipelines.sources.spec import ImageTextSource
from pipelines.sources.unpacking import ENDINGS

ROWS = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("text_role", pa.string()),  # the column that the text is from; null where there is no text
        pa.field("lang_hint", pa.string()),
        pa.field("image", IMAGE_REF),
        pa.field(
            "declared_width", pa.int32()
        ),  # px, as the table says; null where there is a picture or nothing is said
        pa.field("declared_height", pa.int32()),
    ]
)
SIMILARITY = pa.field("similarity", pa.float32())
"""Of image and text, as the table says: a further column where the recipe names it."""
Row = tuple[Any, ...]
"""The values of `ROWS`, and of `SIMILARITY`."""

BATCH_ROWS = 16_384  # the rules' patterns are compiled once a batch: with fewer rows that is half of the work
_PHOTOGRAPH_ROWS = 1024  # where photographs are decoded that is no part of it, and progress shows more often
_BATCH_CHARACTERS = 16 << 20  # or so many characters of text: bounds the memory
UNIT_ROWS = 50_000  # records of parquet per unit of work
_ENDINGS = (
    (".parquet", "parquet"), (".tar", "webdataset"), (".csv", "csv"), (".tsv", "tsv"),
    (".jsonl", "jsonl"), (".ndjson", "jsonl"), (".json", "jsonl"),
)  # fmt: skip
_DELIMITER = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file's beginning (or footer) tells.

    Attributes:
        photographs: Whether it brings photographs.
        columns: The roles that it has; None where the format has no schema (webdataset).
        groups: Rows of each row group of a parquet file.
    """

    photographs: bool
    columns: Columns | None = None
    groups: tuple[int, ...] = ()


def inspect(source: ImageTextSource, url: str) -> Facts | None:
    """Looks at a file's footer or first lines; None for one that cannot be opened, or is empty: reading will tell.

    Raises:
        SourceError: A column that the recipe names is not there, or the file is not as the recipe says.
    """
    kind = file_format(source, url)
    if kind == "webdataset":
        return Facts(photographs=True)
    try:
        if kind == "parquet":
            with storage.open_read(url) as file:
                parquet = pq.ParquetFile(file)
                groups = tuple(parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups))
                found = columns_of(source, url, parquet.schema_arrow)
            return Facts(found.image is not None, found, groups)
        if kind == "jsonl":
            there = json_columns(source, url)
            return Facts(photographs=False, columns=there)
        layout = delimited_layout(source, url, _DELIMITER[kind])
        return Facts(photographs=False, columns=layout.columns if layout is not None else None)
    except UNREADABLE:
        return None


def plan(source: ImageTextSource, url: str, facts: Facts | None = None) -> list[dict[str, Any]]:
    """Cuts one file into units of work: row-group ranges of a parquet file, whole files otherwise.

    Args:
        source: The recipe's words on the source.
        url: Where the file lies.
        facts: What `inspect` gave for it; looked up if not given.

    Raises:
        SourceError: See `inspect`.
    """
    if file_format(source, url) != "parquet":
        return [{}]
    facts = facts or inspect(source, url)
    groups = facts.groups if facts is not None else ()  # the unit itself logs what is wrong with the file
    units: list[dict[str, Any]] = []
    first, rows = 0, 0
    for index, count in enumerate(groups):
        rows += count
        if rows >= UNIT_ROWS or index == len(groups) - 1:
            units.append({"groups": [first, index + 1]})
            first, rows = index + 1, 0
    return units or [{}]


def has_images(source: ImageTextSource, url: str) -> bool | None:
    """Tells whether a file brings photographs; None for one that cannot be opened."""
    facts = inspect(source, url)
    return facts.photographs if facts is not None else None


def file_format(source: ImageTextSource, url: str) -> str:
    """The format of one file: as the recipe says, else by its name.

    Raises:
        SourceError: The name tells nothing.
    """
    if source.format != "auto":
        return source.format
    name = PurePosixPath(url).name.lower()
    if name.endswith(".tgz"):
        return "webdataset"  # refused in words of its own
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    for ending, result in _ENDINGS:
        if name.endswith(ending):
            return result
    raise SourceError(
        f"{url}: format unknown; name it in the recipe (format: parquet | webdataset | csv | tsv | jsonl)"
    )


def read(
    source: ImageTextSource,
    url: str,
    path: str,
    unit: Mapping[str, Any],
    reading: Reading,
    blob: storage.AtomicFile,
    blob_ref: str,
    seed: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Reads one unit of work.

    Args:
        source: The recipe's words on the source.
        url: Where the file lies.
        path: Its name relative to the source, for origins and errors.
        unit: One of `plan`'s.
        reading: Counts and logs.
        blob: Takes the bytes of photographs that do not lie in a tar.
        blob_ref: What an image's `part` says for bytes in `blob`.
        seed: The recipe's, for sources that draw one of an image's texts.

    Yields:
        Batches of `ROWS`, and `SIMILARITY` where the recipe names it, at most `BATCH_ROWS` rows and a few more.
    """
    kind = file_format(source, url)
    if kind == "webdataset":
        records = read_webdataset(source, url, path, reading)
    elif kind == "parquet":
        records = read_parquet(source, url, path, unit, reading, blob, blob_ref)
    elif kind == "jsonl":
        records = read_json_lines(source, url, path, reading)
    else:
        records = read_delimited(source, url, path, reading, _DELIMITER[kind])
    schema = ROWS if source.columns.similarity is None else ROWS.append(SIMILARITY)
    rows: list[Row] = []
    characters = 0
    for record in records:
        more = _rows_of(source, reading.source, record, seed)
        rows.extend(more)
        characters += sum(len(row[2] or "") for row in more)
        most = BATCH_ROWS if record["image"] is None else min(BATCH_ROWS, _PHOTOGRAPH_ROWS)
        if len(rows) >= most or characters >= _BATCH_CHARACTERS:
            yield _batch(rows, schema)
            rows, characters = [], 0
    if rows:
        yield _batch(rows, schema)


def _batch(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(zip(*rows, strict=True), schema, strict=False)  # similarity is the last, and may not be wanted
    return pa.RecordBatch.from_arrays([pa.array(values, field.type) for values, field in columns], schema=schema)


def _rows_of(source: ImageTextSource, name: str, record: dict[str, Any], seed: int) -> list[Row]:
    """One row per distinct text, or of the one that is asked for.

    A record without any gives one row with null, for the rules to count.
    """
    image, at = record["image"], f"{name}/{record['at']}"
    # A picture that is there says itself how large it is.
    size = (record.get("width"), record.get("height")) if image is None else (None, None)
    chosen = _chosen(source, record, seed)
    return [
        (
            f"{at}.{number}" if number else at,
            record["url"],
            text.text,
            text.role,
            text.language,
            image,
            *size,
            record.get("similarity"),
        )
        for number, text in enumerate(chosen)
    ]


def _chosen(source: ImageTextSource, record: dict[str, Any], seed: int) -> list[Text]:
    if len(record["texts"]) == 1:
        return list(record["texts"])
    texts: dict[str, Text] = {}
    for text in record["texts"]:
        if text.text is not None:
            texts.setdefault(text.text, text)
    # An empty title beside a caption is no text.
    texts = {text: found for text, found in texts.items() if text.strip()} or dict(list(texts.items())[:1])
    if source.texts == "first":
        texts = dict(list(texts.items())[:1])
    if source.texts == "one" and len(texts) > 1:
        # By what the picture is, so that its copies in other files get the same text.
        image = record["image"]["sha256"] if record["image"] is not None else record["url"] or record["at"]
        drawn = min(texts, key=lambda text: content_key(str(seed), "texts", image, text))
        texts = {drawn: texts[drawn]}
    return list(texts.values()) or [Text(None, None)]
