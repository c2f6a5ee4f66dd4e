"""The few things about Arrow arrays that every module here needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs.schema import PAIR_SCHEMA

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array without chunks or a dictionary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column


def strings(column: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """The column as plain strings; a column of nulls alone becomes strings too."""
    column = plain(column)
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def mask(column: pa.Array) -> Bools:
    """A boolean array as NumPy booleans, null as False."""
    if column.null_count:
        column = column.fill_null(False)
    filled: Bools = column.to_numpy(zero_copy_only=False).astype(bool, copy=False)
    return filled


def bytes_and_offsets(column: pa.Array) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of a string or binary array end to end, and where each value starts.

    Args:
        column: String, binary, large string or large binary of n rows; null rows are empty.

    Returns:
        uint8 (total bytes,), and int64 (n + 1,) offsets into it, the first 0.
    """
    n = len(column)
    if n == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    if column.null_count:
        column = column.fill_null(
            b"" if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type) else ""
        )
    wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    kind = np.int64 if wide else np.int32
    _, offset_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offset_buffer, kind)[column.offset : column.offset + n + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def from_bytes(data: bytes | npt.NDArray[np.uint8], offsets: Ints) -> pa.StringArray:
    """Strings from their UTF-8 bytes end to end and the n + 1 offsets of the values; the bytes must be valid UTF-8."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers).cast(pa.string())


def nulls(n: int, kind: pa.DataType) -> pa.Array:
    """n nulls of a type."""
    return pa.nulls(n, kind)


def constant(value: str, n: int) -> pa.StringArray:
    """One string n times."""
    return pa.repeat(pa.scalar(value, pa.string()), n)


def replace_rows(column: pa.StringArray, rows: Bools, values: list[str | None] | pa.StringArray) -> pa.StringArray:
    """The column with the marked rows replaced, in order, by the values."""
    if not rows.any():
        return column
    return pc.replace_with_mask(column, pa.array(rows), pa.array(values, pa.string()))


def matches(column: pa.StringArray, pattern: str) -> pa.BooleanArray:
    """Where RE2 finds the pattern; null rows are False."""
    return pc.match_substring_regex(column, pattern).fill_null(False)


def sub(column: pa.StringArray, pattern: str, replacement: str, *, where: str | None = None) -> pa.StringArray:
    """The pattern replaced, by RE2, in the rows that hold it.

    Searching is several times faster than rebuilding the whole column, and most rows need no change.

    Args:
        column: Strings.
        pattern: RE2 pattern.
        replacement: RE2 replacement (`\\1` for groups).
        where: A cheaper pattern that every row to change matches; the pattern itself by default.
    """
    rows = mask(matches(column, where or pattern))
    if not rows.any():
        return column
    if rows.all():
        return pc.replace_substring_regex(column, pattern, replacement)
    changed = pc.replace_substring_regex(column.filter(pa.array(rows)), pattern, replacement)
    return pc.replace_with_mask(column, pa.array(rows), changed)


def per_value(column: pa.StringArray, function: Any) -> pa.StringArray:
    """A Python function applied once to each distinct value: for columns of few distinct values, such as language
    tags."""
    encoded = column.dictionary_encode()
    mapped = pa.array([function(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return mapped.take(encoded.indices)


def pair_batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """A batch of `PAIR_SCHEMA` from its columns, all of one length; casts what differs in type."""
    arrays = []
    for field in PAIR_SCHEMA:
        column = plain(columns[field.name])
        arrays.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=PAIR_SCHEMA)


def json_objects(fields: Mapping[str, pa.Array]) -> pa.StringArray:
    """JSON objects, one a row, keys sorted.

    Args:
        fields: Columns of one length n: floats (rounded to 4 digits, not finite = null), integers, booleans, strings.

    Returns:
        n strings such as `{"lang":"en","lang_prob":0.9812}`; a null value is written as null.
    """
    parts: list[Any] = []
    for number, name in enumerate(sorted(fields)):
        column = plain(fields[name])
        if pa.types.is_floating(column.type):
            values = column.cast(pa.float64())
            finite = pc.is_finite(values)
            text = pc.if_else(finite, pc.round(values, 4), None).cast(pa.string())
            # Readers that take a column's type from its first values must find a fraction in each: 1.0, not 1.
            whole = pc.invert(pc.match_substring_regex(text, r"[.e]"))
            text = pc.if_else(whole, pc.binary_join_element_wise(text, ".0", ""), text)
        elif pa.types.is_string(column.type):
            text = _json_strings(column)
        elif pa.types.is_null(column.type):
            text = column.cast(pa.string())
        else:
            text = column.cast(pa.string())
        parts.append(("{" if number == 0 else ",") + json.dumps(name) + ":")
        parts.append(text.fill_null("null"))
    if not parts:
        raise ValueError("json_objects needs at least one field")
    return pc.binary_join_element_wise(*parts, "}", "")


def _json_strings(column: pa.StringArray) -> pa.StringArray:
    rare = mask(matches(column, r"[\x00-\x1f\x7f]"))
    text = pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), '"', '\\"')
    text = pc.binary_join_element_wise('"', text, '"', "")
    if rare.any():
        text = replace_rows(
            text, rare, [json.dumps(v, ensure_ascii=False) for v in column.filter(pa.array(rare)).to_pylist()]
        )
    return text
