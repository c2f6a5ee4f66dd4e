"""Records of JSON lines: one object a line, an image's texts and address; pictures themselves are not read from json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pipelines.sources.image_columns import Columns, RecordColumns
from pipelines.sources.image_records import facts_of, texts_of, too_long, value_at
from pipelines.sources.json_heads import HEAD_BYTES, is_there, objects
from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    SourceError,
    bounded_lines,
    head_of,
    json_fault,
    json_value,
    listed,
    meant,
    open_decompressed,
)
from pipelines.sources.spec import ImageTextSource


def read_json_lines(source: ImageTextSource, url: str, path: str, reading: Reading) -> Iterator[dict[str, Any]]:
    """The objects of a file. Of a key that comes twice in one object the last value counts, as in most readers of json."""
    columns_of = RecordColumns(source, url)
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
                    values = json_value(line)
                except orjson.JSONDecodeError as error:
                    reading.error(path, at, json_fault(line), error)
                    continue
                if not isinstance(values, dict):
                    reading.error(path, at, "wrong_type", f"an object is wanted, this is {type(values).__name__}")
                    continue
                columns = columns_of(values)
                texts = texts_of(columns, values)
                if not texts and (fault := _wrong(columns, values)) is not None:
                    reading.error(path, at, "wrong_type", fault)
                    continue
                if (length := too_long(source, texts)) is not None:
                    reading.error(path, at, "text_too_long", f"{length} bytes")
                    continue
                reading.records += 1
                yield {"at": f"{path}#{number}", "texts": texts, "image": None, **facts_of(columns, values)}
        except BrokenStreamError as error:
            reading.error(path, f"after line {number}", error.reason, error)
        else:
            if number == 0:
                reading.error(path, "file", "empty_file", "no lines")


def _wrong(columns: Columns, values: dict[str, Any]) -> str | None:
    """What stands in the place of a text and is none; None where nothing does."""
    for column in columns.texts:
        value = value_at(values, column.path)
        if isinstance(value, bool | int | float):
            return f"{'.'.join(column.path)} is a {type(value).__name__}, not a text"
    return None


def json_columns(source: ImageTextSource, url: str) -> Columns | None:
    """The roles that a file's first objects have, each where the first object that has it has it; None where there is no object.

    Raises:
        SourceError: The file is one array or one object over many lines, or no object among the first 100 has a column that the
            recipe names, or any text.
    """
    columns_of = RecordColumns(source, url)
    found: dict[str, Any] = {}
    texts: dict[tuple[str, ...], Any] = {}
    names: dict[str, None] = {}
    records = 0
    for values in objects(head_of(url, HEAD_BYTES), url):
        records += 1
        names |= dict.fromkeys(values)
        columns = columns_of(values)
        for column in columns.texts:
            if is_there(values, column.path):
                texts.setdefault(column.path, column)
        for role, path in columns.paths():
            if role != "text" and is_there(values, path):
                found.setdefault(role, path)
    if not records:
        return None
    wanted = columns_of(names)
    for role, path in wanted.paths():
        named = getattr(source.columns, role) is not None or (
            role == "text" and any(getattr(source.columns, name) is not None for name in ("text", "texts", "tags"))
        )
        if named and path not in texts and path != found.get(role):
            name = ".".join(path)
            raise SourceError(
                f"{url}: no column {name!r} for {role} in its first {records} objects; there are {listed(names)}"
                f"{meant(name, names)}"
            )
    if not texts:
        raise SourceError(f"{url}: no column of texts; there are {listed(names)}; name it in columns.text")
    return Columns(texts=tuple(texts.values()), **found)
