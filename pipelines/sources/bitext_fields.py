"""Whether the sides that a bitext's recipe names are in the first records of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.sources.bitext_rows import likeness
from pipelines.sources.bitext_tables import UNREADABLE, parquet_columns, record_texts, tags_of, tsv_columns
from pipelines.sources.image_columns import holds_texts
from pipelines.sources.json_heads import HEAD_BYTES, HEAD_RECORDS, no_lines, objects
from pipelines.sources.reading import BOM, SourceError, head_of, listed, meant
from pipelines.sources.spec import BitextSource


def look_at_pipes(source: BitextSource, url: str) -> None:
    """Looks for two sides in a file's first lines.

    Raises:
        SourceError: None of them has any.
    """
    lines = head_of(url, HEAD_BYTES).split(b"\n")[:HEAD_RECORDS]
    if any(lines) and not any(b"|||" in line for line in lines):
        raise SourceError(f"{url}: no ||| in its first {len(lines)} lines; say another `format`")


def look_at_tsv(source: BitextSource, url: str) -> None:
    """Holds a file's first lines against the recipe; an empty file is no fault here.

    Raises:
        SourceError: The first line has not the columns that the recipe names, or no line has so many.
    """
    text = head_of(url, HEAD_BYTES).removeprefix(BOM).decode("utf-8", "replace")
    lines = text.removesuffix("\n").split("\n")[:HEAD_RECORDS] if text else []
    if not lines:
        return
    rows = [line.removesuffix("\r").split("\t") for line in lines]
    left, right, ident, _ = tsv_columns(source, rows[0], url)
    if left == right:
        raise SourceError(f"{url}: left and right are one column, {left} (from 0): {lines[0][:80]!r}")
    most = max(len(row) for row in rows)
    last = max(left, right, ident or 0)
    if last >= most:
        what = f"has {most} columns" if most > 1 else "has no tab in its first lines"
        raise SourceError(
            f"{url}: {what}, column {last} (from 0) is wanted; its first line is {lines[0][:80]!r}: say `columns`, or `format`"
        )
    if (source.columns.left, source.columns.right) == (None, None) and most > 2:
        for side in (left, right):
            if not any(char.isalpha() for row in rows for char in "".join(row[side : side + 1])):
                raise SourceError(
                    f"{url}: column {side} (from 0) was taken for a side, and its first {len(rows)} lines have no letter there; "
                    f"its first line is {lines[0][:80]!r}: name the sides in `columns`"
                )


def look_at_jsonl(source: BitextSource, url: str) -> None:
    """Holds a file's first objects against the recipe; a file without any is no fault here unless it is no JSON lines.

    Raises:
        SourceError: None of them has a field that the recipe names, or that is called by a language.
    """
    head = head_of(url, HEAD_BYTES)
    records = list(objects(head, url))
    if not records:
        if (what := no_lines(head, url)) is not None:
            raise SourceError(what)
        return
    names = list(dict.fromkeys(name for record in records for name in record))
    wanted = [source.columns.left, source.columns.right]
    if wanted != [None, None]:
        wanted = [name if name is not None else tag for name, tag in zip(wanted, tags_of(source), strict=True)]
    elif all(record_texts(record, source) is None for record in records):
        raise SourceError(
            f"{url}: neither `translation` nor a field called by a language in its first {len(records)} records; "
            f"there are {listed(names)}: name them in `columns`"
        )
    elif not any(_lists_languages(record) for record in records):
        texts = [pair for record in records for pair in record_texts(record, source) or []]
        _both_languages(source, url, f"in its first {len(records)} records", [tag for tag, _ in texts])
    for column in (*wanted, source.columns.id):
        if column is None:
            continue
        if isinstance(column, int):
            raise SourceError(f"{url}: columns: {column}: positions are for tsv; give the name")
        if column not in names:
            raise SourceError(
                f"{url}: no column {column!r} in its first {len(records)} records; there are {listed(names)}"
                f"{meant(column, names)}"
            )


def _lists_languages(record: Mapping[str, Any]) -> bool:
    """Whether a record may have other languages than the next: Hugging Face's TranslationVariableLanguages."""
    field = record.get("translation")
    return isinstance(field, Mapping) and isinstance(field.get("language"), list)


def _both_languages(source: BitextSource, url: str, where: str, there: Sequence[str | None]) -> None:
    """Holds the languages that are there against the recipe's.

    Raises:
        SourceError: One of the recipe's is not there.
    """
    for tag in tags_of(source):
        if not any(likeness(tag, name) for name in there):
            have = listed(sorted({str(name) for name in there}))
            raise SourceError(f"{url}: no text in {tag} {where}; there are {have}: see `languages`, or name `columns`")


def look_at_parquet(source: BitextSource, url: str) -> None:
    """Holds a file's columns against the recipe.

    Raises:
        SourceError: One that the recipe names is not there, or holds no text.
    """
    try:
        with storage.open_read(url) as file:
            schema = pq.ParquetFile(file).schema_arrow
    except UNREADABLE:
        return  # reading will tell
    names = parquet_columns(source, schema.names, url)
    if source.columns.left is None and source.columns.right is None:
        kind = schema.types[schema.names.index("translation")] if "translation" in names else None
        if kind is None:
            _both_languages(source, url, "among its columns", names)
        elif pa.types.is_struct(kind) and kind.get_field_index("language") < 0:
            _both_languages(source, url, "in `translation`", [kind.field(at).name for at in range(kind.num_fields)])
    for name in names:
        kind = schema.types[schema.names.index(name)]
        if name != source.columns.id and not (holds_texts(kind) or pa.types.is_null(kind)):
            raise SourceError(f"{url}: the column {name!r} is {kind}; strings are wanted")
