"""One survivor for every key."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, keys


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
