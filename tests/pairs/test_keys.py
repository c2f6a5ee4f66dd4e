"""Keys tell every row of values apart, and draws depend on seed, stage and key alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import keys

VALUES = st.one_of(st.none(), st.text(max_size=40), st.binary(max_size=40))


def test_content_keys_are_32_hex_digits() -> None:
    found = keys.content_keys(pa.array(["a", "ü", None]), pa.array([b"\x00", b"", None])).to_pylist()
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in found)
    assert len(set(found)) == 3


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=8, unique=True))
def test_rows_of_values_that_differ_have_keys_that_differ(rows: list[tuple[object, object]]) -> None:
    as_bytes = {tuple(v.encode() if isinstance(v, str) else v for v in row) for row in rows}
    assert len({keys.content_key(*row) for row in rows}) == len(as_bytes), (
        "strings and their UTF-8 bytes alone are the same"
    )


@pytest.mark.parametrize(
    ("a", "b"), [(("ab", "c"), ("a", "bc")), (("", None), (None, "")), (("a",), ("a", "")), (("a",), ("a", None))]
)
def test_the_border_between_columns_counts(a: tuple[str | None, ...], b: tuple[str | None, ...]) -> None:
    assert keys.content_key(*a) != keys.content_key(*b)


def test_columns_and_single_rows_agree_in_any_layout() -> None:
    text = pa.chunked_array([["x", None], ["größe", ""]])
    found = keys.content_keys(text, pa.array(["1", "2", "1", "2"]).dictionary_encode())
    assert found.to_pylist() == [keys.content_key(a, b) for a, b in zip(text.to_pylist(), "1212", strict=True)]


def test_columns_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="one length"):
        keys.content_keys(pa.array(["a"]), pa.array(["a", "b"]))


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), min_size=1, max_size=20), st.integers(0, 19))
def test_a_draw_does_not_depend_on_the_rows_around_it(rows: list[str | None], at: int) -> None:
    at %= len(rows)
    column = pa.array(rows, pa.string())
    alone = keys.draw(column.slice(at, 1), 7, "stage")
    assert keys.draw(column, 7, "stage")[at] == alone[0]


def test_seed_stage_and_key_all_matter() -> None:
    key = pa.array(["k"])
    draws = {
        int(keys.draw(key, 1, "a")[0]), int(keys.draw(key, 2, "a")[0]), int(keys.draw(key, 1, "b")[0]),
        int(keys.draw(pa.array(["K"]), 1, "a")[0]), int(keys.draw(pa.array(["k\x00"]), 1, "a")[0]),
        int(keys.draw(pa.array([""]), 1, "a")[0]), int(keys.draw(pa.array([None], pa.string()), 1, "a")[0]),
    }  # fmt: skip
    assert len(draws) == 7


def test_draws_of_hex_keys_are_uniform_and_independent_bit_by_bit() -> None:
    key = keys.content_keys(pa.array([str(number) for number in range(20_000)]))
    draws = keys.draw(key, 3, "test")
    bits = (draws[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert abs(bits.mean(axis=0) - 0.5).max() < 0.02, "five standard deviations"
    other = keys.draw(key, 4, "test")
    assert abs(np.corrcoef(keys.unit(draws), keys.unit(other))[0, 1]) < 0.03
    uniform = keys.uniform(key, 3, "test")
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert np.abs(np.histogram(uniform, 10, (0, 1))[0] - 2000).max() < 220


def test_draws_of_near_keys_do_not_collide() -> None:
    names = [f"file-{a}.jsonl#{b}" for a in range(50) for b in range(400)]
    assert len(np.unique(keys.draw(np.array(names, object), 0, "s"))) == len(names)
    assert len(np.unique(keys.draw(np.arange(20_000), 0, "s"))) == 20_000


def test_no_rows() -> None:
    assert keys.draw(pa.array([], pa.string()), 0, "s").shape == (0,)
    assert len(keys.content_keys(pa.array([], pa.string()))) == 0
