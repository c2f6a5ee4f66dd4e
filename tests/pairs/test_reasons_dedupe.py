"""The first rule wins; one row of each key survives, whatever the order."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pytest

from pairs import arrow, dedupe, reasons
from pairs.schema import PAIR_SCHEMA


def test_the_first_failed_rule_is_the_reason() -> None:
    masks = {"a": pa.array([True, False, False, None]), "b": pa.array([True, True, False, False])}
    found = reasons.first_failure(masks, 4)
    assert found.to_pylist() == ["a", "b", None, None]
    assert reasons.count(found) == {"a": 1, "b": 1}
    assert reasons.alone(masks) == {"a": 1, "b": 2}


def test_no_rules_keep_everything() -> None:
    assert reasons.first_failure({}, 3).to_pylist() == [None] * 3
    assert reasons.count(reasons.first_failure({}, 3)) == {}


def test_a_mask_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="rule 'a'"):
        reasons.first_failure({"a": pa.array([True])}, 2)


def pairs(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                "key": key, "kind": "sentences", "image": None, "left_text": "l", "right_text": "r", "left_lang": None,
                "right_lang": None, "source": "s", "origin": origin, "url": None, "scores": "{}",
            }
            for key, origin in rows
        ],
        schema=PAIR_SCHEMA,
    )  # fmt: skip


def test_one_row_of_each_key_survives_sorted_and_in_any_order() -> None:
    rows = [(f"{number % 40:032x}", f"f#{number}") for number in range(200)]
    first, dropped = dedupe.drop_duplicates(pairs(rows), 5)
    assert dropped == 160
    assert first.column("key").to_pylist() == sorted({key for key, _ in rows})
    for seed in range(3):
        random.Random(seed).shuffle(rows)  # noqa: S311
        again, _ = dedupe.drop_duplicates(pairs(rows), 5)
        assert again.equals(first), "the survivor must not depend on the order of the rows"
    other, _ = dedupe.drop_duplicates(pairs(rows), 6)
    assert other.column("origin").to_pylist() != first.column("origin").to_pylist(), "the seed chooses the survivor"


def test_deduplicating_twice_or_nothing_changes_nothing() -> None:
    once, _ = dedupe.drop_duplicates(pairs([("a", "1"), ("a", "2"), ("b", "1")]), 0)
    again, dropped = dedupe.drop_duplicates(once, 0)
    assert dropped == 0
    assert again.equals(once)
    empty, dropped = dedupe.drop_duplicates(pairs([]), 0)
    assert (empty.num_rows, dropped) == (0, 0)


def test_json_objects_are_json_whatever_the_values() -> None:
    fields = {
        "z": pa.array([1.23456, float("nan"), None], pa.float32()),
        "a": pa.array(['q"\\\n\x01é', "", None]),
        "n": pa.array([1, -2, None]),
        "flag": pa.array([True, False, None]),
        "nothing": pa.nulls(3),
    }
    found = arrow.json_objects(fields).to_pylist()
    assert [json.loads(text) for text in found] == [
        {"a": 'q"\\\n\x01é', "flag": True, "n": 1, "nothing": None, "z": 1.2346},
        {"a": "", "flag": False, "n": -2, "nothing": None, "z": None},
        {"a": None, "flag": None, "n": None, "nothing": None, "z": None},
    ]
    assert list(json.loads(found[0])) == sorted(fields)
