"""Files of which each line, or each row, holds both sides: tsv, `left ||| right`, json lines, parquet."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.sources.bitext_rows import Row, decode, identified, likeness, versions
from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    SourceError,
    bounded_lines,
    json_value,
    meant,
    open_decompressed,
    text_of,
)
from pipelines.sources.spec import BitextSource

_PARQUET_BATCH = 512
UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError)
_HEADERS = (  # what headers call the two sides, source first
    {"source", "src", "original", "source_text", "src_text", "sentence1", "text1"},
    {"target", "tgt", "trg", "translation", "reference", "ref", "mt", "target_text", "tgt_text", "sentence2", "text2"},
)


def lines(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, from 1; faults are logged."""
    name, number = url.rsplit("/", 1)[-1], 0
    try:
        with open_decompressed(url) as file:
            for line in bounded_lines(file, source.max_record_bytes):
                number += 1
                at = f"line {number}"
                if line is None:
                    reading.error(path, at, "line_too_long", f"more than {source.max_record_bytes} bytes")
                    continue
                text = decode(line.removeprefix(BOM) if number == 1 else line, name, reading, path, at)
                if text is not None:
                    yield number, text
    except BrokenStreamError as error:
        reading.error(path, f"after line {number}", error.reason, error)
    else:
        if number == 0:
            reading.error(path, "file", "empty_file", "no lines")


def read_pipes(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads `left ||| right`, as aligners take it."""
    for number, line in lines(source, url, path, reading):
        sides = line.split("|||")
        if len(sides) != 2:
            reason = "one_sided" if len(sides) < 2 else "too_many_sides"
            reading.error(path, f"line {number}", reason, f"{len(sides)} sides between |||")
            continue
        reading.records += 1
        yield str(number), sides[0].strip(), sides[1].strip()


# --- tab-separated ---------------------------------------------------------------------------------------------------------------


def _named(fields: Sequence[str]) -> list[str]:
    """The fields of a first line as names: a writer that quotes every field quotes these, too."""
    return [re.sub(r'^"(.*)"$', r"\1", field.strip()) for field in fields]


def _header(fields: Sequence[str], languages: tuple[str, str]) -> tuple[int, int] | None:
    """The columns that a first line names by language, or as source and target; None where it is no header."""
    names = [name.lower() for name in _named(fields)]
    found = []
    for side in (0, 1):
        marks = [
            likeness(languages[side], name) + 1 if likeness(languages[side], name) else int(name in _HEADERS[side])
            for name in names
        ]
        found.append(marks.index(max(marks)) if max(marks, default=0) else None)
    left, right = found
    return None if left is None or right is None or left == right else (left, right)


def tsv_columns(source: BitextSource, fields: Sequence[str], url: str) -> tuple[int, int, int | None, bool]:
    """Places of left, right and id in each line, and whether the first line is a header."""
    wanted = (source.columns.left, source.columns.right, source.columns.id)
    named = any(isinstance(column, str) for column in wanted)
    names = _named(fields)
    guessed = _header(fields, source.languages)

    def place(column: int | str | None, side: int) -> int | None:
        if isinstance(column, int):
            return column
        if column is not None:
            if column not in names:
                raise SourceError(
                    f"{url}: no column {column!r} in its first line: {', '.join(names)[:200]}{meant(column, names)}"
                )
            return names.index(column)
        return None if side == 2 else (guessed or (0, 1))[side]

    left, right = place(wanted[0], 0), place(wanted[1], 1)
    assert left is not None
    assert right is not None
    return left, right, place(wanted[2], 2), named or (guessed is not None and wanted[:2] == (None, None))


def read_tsv(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads tab-separated columns. Quotes are text, as bitext writes them; nothing but LF ends a line.

    Raises:
        SourceError: The recipe names a column that the first line does not.
    """
    places: tuple[int, int, int | None] | None = None
    for number, line in lines(source, url, path, reading):
        fields = line.split("\t")
        if places is None:
            left, right, ident, header = tsv_columns(source, fields, url)
            places = (left, right, ident)
            if header:
                continue
        left, right, ident = places
        if len(fields) <= max(left, right):
            reading.error(path, f"line {number}", "one_sided", f"{len(fields)} columns")
            continue
        reading.records += 1
        name = fields[ident] if ident is not None and ident < len(fields) else None
        yield identified(str(number), name), fields[left], fields[right]


# --- records with fields ---------------------------------------------------------------------------------------------------------


_PRIVATE = ("qaa", "qab")  # ISO 639-2's codes for local use


def tags_of(source: BitextSource) -> tuple[str, str]:
    """What tells the two sides apart: their languages; where these are one, codes that no language has."""
    return source.languages if source.role == "translations" else _PRIVATE


def record_texts(record: Mapping[str, Any], source: BitextSource) -> list[tuple[str | None, str]] | None:
    """The texts of a record with their languages; None where it has no field that may hold them."""
    wanted, tags = (source.columns.left, source.columns.right), tags_of(source)
    if wanted[0] is not None or wanted[1] is not None:
        found: list[tuple[str | None, str]] = []
        for column, tag in zip(wanted, tags, strict=True):
            found += _several(tag, record.get(str(column if column is not None else tag)))
        return found
    field = record.get("translation")
    if isinstance(field, list | tuple):  # Arrow's maps are lists of pairs
        field = dict(item for item in field if isinstance(item, tuple) and len(item) == 2) or None
    if not isinstance(field, Mapping):
        field = record if any(likeness(tag, str(name)) for tag in tags for name in record) else None
    if field is None:
        return None
    names, texts = field.get("language"), field.get("translation")
    if isinstance(names, list) and isinstance(texts, list):  # Hugging Face's TranslationVariableLanguages
        both = zip(names, texts, strict=False)
        return [(name, text) for name, text in both if isinstance(name, str) and isinstance(text, str)]
    return [pair for name, value in field.items() for pair in _several(str(name), value)]


def _several(tag: str, value: Any) -> list[tuple[str | None, str]]:
    values = value if isinstance(value, list) else [value]
    # Bytes: some writers of parquet do not mark their strings as UTF-8.
    values = [text.decode("utf-8") if isinstance(text, bytes) else text for text in values]
    return [(tag, text) for text in values if isinstance(text, str)]


def _rows(record: Any, source: BitextSource, number: int, reading: Reading, path: str, at: str) -> list[Row]:
    try:
        texts = record_texts(record, source) if isinstance(record, Mapping) else None
    except UnicodeDecodeError as error:
        reading.error(path, at, "invalid_utf8", error)
        return []
    if texts is None:
        there = ", ".join(map(str, record))[:200] if isinstance(record, Mapping) else type(record).__name__
        reading.error(path, at, "no_text", f"neither `translation` nor a field a language; it has {there}")
        return []
    length = max((len(text.encode("utf-8", "replace")) for _, text in texts), default=0)
    if length > source.max_record_bytes:
        reading.error(path, at, "text_too_long", f"{length} bytes")
        return []
    name = record.get(str(source.columns.id)) if source.columns.id is not None else None
    place = identified(str(number), name if isinstance(name, int) else text_of(name))
    return versions(texts, tags_of(source), reading, path, at, place)


def read_jsonl(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads json lines: Hugging Face's `{"translation": {"de": …, "en": …}}`, or a field for each side."""
    for number, line in lines(source, url, path, reading):
        if not line.strip():
            continue  # an empty line between records is no record
        try:
            record = json_value(line)
        except orjson.JSONDecodeError as error:
            reading.error(path, f"line {number}", "malformed_json", error)
            continue
        yield from _rows(record, source, number, reading, path, f"line {number}")


def read_parquet(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads parquet: a column `translation` (struct or map by language), or a column for each side."""
    try:
        file = pq.ParquetFile(storage.open_read(url))
        rows = file.metadata.num_rows
        names = parquet_columns(source, file.schema_arrow.names, url)
        batches = file.iter_batches(_PARQUET_BATCH, columns=names)
    except UNREADABLE as error:
        reading.error(path, "file", "corrupt", error)
        return
    row = 0
    fault: object = "it holds fewer rows than its footer says"
    while row < rows:
        try:
            batch = next(batches)
        except StopIteration:
            break
        except UNREADABLE as error:
            fault = error
            break
        for values in _values(batch, path, row, reading):
            if values is not None:
                yield from _rows(values, source, row, reading, path, f"row {row}")
            row += 1
    if row < rows:
        reading.error(path, f"rows {row}-{rows - 1}", "corrupt", fault, rows=rows - row)
    elif rows == 0:
        reading.error(path, "file", "empty_file", "no rows")


def parquet_columns(source: BitextSource, there: Sequence[str], url: str) -> list[str]:
    """The columns to read.

    Raises:
        SourceError: One of them is not there, or none tells which they are.
    """
    chosen = [source.columns.left, source.columns.right]
    if chosen == [None, None]:
        found = [name for name in there if name == "translation"]
        found = found or [name for name in there if any(likeness(tag, name) for tag in source.languages)]
    else:
        found = [str(name if name is not None else tag) for name, tag in zip(chosen, source.languages, strict=True)]
    if source.columns.id is not None:
        found.append(str(source.columns.id))
    missing = sorted(set(found) - set(there))
    if missing or not found:
        what = f"no column {', '.join(missing)}" if missing else "no column `translation`, and none named by a language"
        like = meant(missing[0], there) if missing else ""
        raise SourceError(f"{url}: {what}; it has {', '.join(there)[:200]}: name them in `columns`{like}")
    return found


def _values(batch: pa.RecordBatch, path: str, row: int, reading: Reading) -> Iterator[dict[str, Any] | None]:
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
