"""One survivor for every pair, and where the recipe asks so for every text and every picture: the least hash."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, keys, near

Rule = Literal["duplicate_text", "duplicate_image"]
Bools = npt.NDArray[np.bool_]
UInt64 = npt.NDArray[np.uint64]


class DuplicateOptions(BaseModel):
    """What may not come twice, beside the pair itself, which never does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: bool = Field(False, description="duplicate_text: of the pairs with one text keep one")
    image: Literal["keep", "exact", "near"] = Field(
        "keep",
        description="duplicate_image: of the pairs with one picture keep one: exact: the same bytes; near: also those whose "
        "perceptual hash is within `distance`; keep: a picture may have many texts",
    )
    distance: int = Field(
        4, ge=0, le=near.MAX_DISTANCE, description="near: bits of the 64-bit perceptual hash that may differ"
    )

    def rounds(self) -> list[Rule]:
        """The rules that are on, in the order in which they are applied, each to the survivors of the one before."""
        found: list[Rule] = ["duplicate_text"] if self.text else []
        return found if self.image == "keep" else [*found, "duplicate_image"]


def identities(batch: pa.RecordBatch, rule: Rule, options: DuplicateOptions) -> dict[str, tuple[UInt64, UInt64, Bools]]:
    """What pairs are compared by.

    Args:
        batch: n rows of `PAIR_SCHEMA` with pictures.
        rule: Which rule.
        options: Its bounds.

    Returns:
        Name -> (uint64 (n,) values to compare; uint64 (n,) groups: only rows of one group can be duplicates; bool (n,) whether
        a row takes part). A row is compared under each name, for `near` in one group a band.
    """
    n = batch.num_rows
    every = np.ones(n, bool)
    if rule == "duplicate_text":
        text = keys.draw(batch.column("right_text"), 0, "text")
        return {"text": (text, text, every)}
    sha256 = keys.draw(pc.struct_field(batch.column("image"), "sha256"), 0, "image")
    found = {"exact": (sha256, sha256, every)}
    if options.image == "near":
        phash = pc.struct_field(batch.column("image"), "phash")
        has = arrow.mask(pc.is_valid(phash))
        hashes = phash.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64)
        for number, band in enumerate(near.bands(hashes, options.distance)):
            found[f"near{number}"] = (hashes, keys.draw(band, number, "band"), has)
    return found


def ranks(batch: pa.RecordBatch, seed: int) -> UInt64:
    """uint64 (n,): hash(seed, key); of duplicates the least survives."""
    return keys.draw(batch.column("key"), seed, "dedupe")


def beaten(values: UInt64, order: npt.NDArray[np.int64], distance: int | None) -> Bools:
    """Which rows of a group have a duplicate that comes before them.

    Args:
        values: uint64 (n,), as `identities` gives them.
        order: int64 (n,), all different: each row's place among all by rank.
        distance: Bits of the values that may differ; None: the values must be equal.
    """
    return near.beaten(values, order, distance or 0)


def beyond(values: UInt64, order: npt.NDArray[np.int64], bound: int) -> Bools:
    """Which rows of a group have `bound` others of the same value before them.

    Args:
        values: uint64 (n,).
        order: int64 (n,), all different: each row's place among all by rank.
        bound: How many rows of one value stay.
    """
    by_value = np.lexsort((order, values))
    _, first, count = np.unique(values[by_value], return_index=True, return_counts=True)
    lost = np.zeros(len(values), bool)
    lost[by_value] = np.arange(len(values)) - np.repeat(first, count) >= bound
    return lost


def drop_duplicates(batch: pa.RecordBatch, seed: int) -> tuple[pa.RecordBatch, int]:
    """Keeps one row of each key: the one whose hash(seed, origin) is least, ties by origin, then by the row's own
    content.

    Args:
        batch: Rows of `PAIR_SCHEMA` (only `key` and `origin` are needed), every key's rows all in this batch, in any
            order.
        seed: The recipe's seed.

    Returns:
        The survivors sorted by key, and how many rows were dropped. The same for any order of the input.
    """
    if batch.num_rows == 0:
        return batch, 0
    origin = arrow.strings(batch.column("origin"))
    table = pa.table(
        {
            "key": batch.column("key"),
            "draw": pa.array(keys.draw(origin, seed, "dedupe")),
            "origin": origin,
            "rest": _rest(batch),
        }
    )
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names])
    ordered = arrow.strings(table.column("key")).take(order)
    first = np.ones(len(ordered), bool)
    first[1:] = arrow.mask(pc.not_equal(ordered[1:], ordered[:-1]))
    survivors = order.filter(pa.array(first))
    return batch.take(survivors), batch.num_rows - len(survivors)


def _rest(batch: pa.RecordBatch) -> pa.StringArray:
    """What tells rows of one key and one origin apart: their other text columns."""
    names = ("left_text", "right_text", "left_lang", "right_lang", "source", "url", "scores")
    columns = [arrow.strings(batch.column(name)).fill_null("") for name in names if name in batch.schema.names]
    return pc.binary_join_element_wise(*columns, "\x00") if columns else arrow.constant("", batch.num_rows)
