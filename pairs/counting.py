"""Counts over all rows: how many rows and pictures have one text, how many texts one picture has.

Counting needs what is equal in one place; these functions take what was brought there, as hashes, and know no engine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, keys

UInt64 = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

COUNTS: Final = ("rows_per_text", "images_per_text", "texts_per_image")
"""The columns that counting adds to an annotated batch, int64."""

BY_TEXT: Final = ("rows_per_text", "images_per_text")
"""Those that need all rows of one text together; the other needs all rows of one picture."""


def identities(batch: pa.RecordBatch) -> tuple[UInt64, UInt64]:
    """What tells texts and pictures apart.

    Args:
        batch: n rows as `alt_text.annotate` returns them.

    Returns:
        Two uint64 (n,): a hash of the normalised text; a hash of the picture's sha256, or where there is no picture of its
        address, or where there is none of the row's origin.
    """
    names = batch.schema.names
    image = arrow.strings(batch.column("origin"))
    if "url" in names:
        image = pc.coalesce(arrow.strings(batch.column("url")), image)
    if "image" in names and not pa.types.is_null(batch.schema.field("image").type):
        image = pc.coalesce(pc.struct_field(batch.column("image"), "sha256"), image)
    return keys.draw(batch.column("text"), 0, "text"), keys.draw(image, 0, "image")


def rows_per(key: UInt64) -> Ints:
    """int64 (n,): how many rows have each row's key."""
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse], np.int64)


def distinct_per(key: UInt64, other: UInt64) -> Ints:
    """int64 (n,): how many distinct values of `other` go with each row's key."""
    if not len(key):
        return np.zeros(0, np.int64)
    order = np.lexsort((other, key))
    k, o = key[order], other[order]
    new_key = np.ones(len(k), bool)
    new_key[1:] = k[1:] != k[:-1]
    new_pair = new_key.copy()
    new_pair[1:] |= o[1:] != o[:-1]
    group = np.cumsum(new_key) - 1
    counts = np.bincount(group[new_pair])
    result = np.empty(len(k), np.int64)
    result[order] = counts[group]
    return result


def count(name: str, key: UInt64, other: UInt64) -> Ints:
    """One of `COUNTS` of n rows, all rows of each key among them.

    Args:
        name: Which.
        key: Hashes of the texts (`BY_TEXT`) or of the pictures.
        other: Hashes of the other.
    """
    return rows_per(key) if name == "rows_per_text" else distinct_per(key, other)


def with_counts(batch: pa.RecordBatch, counted: dict[str, Ints] | None = None) -> pa.RecordBatch:
    """The batch with its counts.

    Args:
        batch: n rows as `alt_text.annotate` returns them.
        counted: Count -> int64 (n,); by default the rows of this batch are all there are.
    """
    if counted is None:
        text, image = identities(batch)
        counted = {name: count(name, *((text, image) if name in BY_TEXT else (image, text))) for name in COUNTS}
    for name, values in counted.items():
        batch = batch.append_column(name, pa.array(values, pa.int64()))
    return batch
