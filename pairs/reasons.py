"""Why rows are dropped: the first rule that each failed, and the counts that the ledger and the report need."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow


def first_failure(masks: Mapping[str, pa.BooleanArray], n: int) -> pa.StringArray:
    """The name of the first rule that each row fails.

    Args:
        masks: For each rule, in order, n booleans: True = the row fails it. Null counts as False.
        n: Number of rows, needed where no rule is given.

    Returns:
        n strings; null = the row is kept.

    Raises:
        ValueError: A mask is not n long.
    """
    names = list(masks)
    index = np.full(n, -1, np.int32)
    for number in range(len(names) - 1, -1, -1):
        fails = masks[names[number]]
        if len(fails) != n:
            raise ValueError(f"rule {names[number]!r} has {len(fails)} answers for {n} rows")
        index[arrow.mask(fails)] = number
    indices = pa.array(index, mask=index < 0)
    return pa.array(names, pa.string()).take(indices)


def count(reasons: pa.StringArray) -> dict[str, int]:
    """How many rows each reason dropped: name -> rows, sorted by name, kept rows left out."""
    found = pc.value_counts(arrow.strings(reasons))
    pairs = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    return dict(sorted((name, rows) for name, rows in pairs if name is not None))


def alone(masks: Mapping[str, pa.BooleanArray]) -> dict[str, int]:
    """How many rows each rule alone would drop: name -> rows, in rule order, zeros included."""
    return {name: int(arrow.mask(fails).sum()) for name, fails in masks.items()}
