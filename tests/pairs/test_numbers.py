"""Numbers of texts: against a plain reading of them, and pairs of numbers on both sides of the rule."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import numbers


def of(*texts: str) -> list[list[int]]:
    return numbers.lists(pa.array(texts, pa.string())).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("none, at all.", []),
        ("1,200 and 3.400 and 5'600 and 7 800", [1200, 3400, 5600, 7800]),
        ("1 200 1\u00a0200 1\u202f200", [1200, 1200, 1200]),
        ("1,00,000 and 12,34,567", [100000, 1234567]),
        ("in 1984 200 people", [1984, 200]),
        ("12.03.2020", [12, 3, 2020]),
        ("२०१९ ٤٥ ４５", [2019, 45, 45]),
        ("４億５０００万", [4, 5000]),
        ("4.2", [4, 42, 2]),
        ("4,2", [4, 42, 2]),
        ("8:30", [8, 30]),
        ("0.123", [0, 123]),
        ("x2² ½", [2]),
    ],
)
def test_numbers_are_read_in_any_script(text: str, found: list[int]) -> None:
    assert of(text) == [found]


@given(st.lists(st.text(st.sampled_from("0123456789४ ab-/")), max_size=8))
def test_runs_of_digits_without_marks_are_numbers(texts: list[str]) -> None:
    texts = [text.replace(" ", "  ") for text in texts]  # two spaces set no thousands apart
    assert of(*texts) == [[int(run[:18]) for run in re.findall(r"\d+", text)] for text in texts]


@given(st.lists(st.tuples(st.integers(1, 10**12), st.sampled_from([",", ".", "'", "\xa0"])), min_size=1, max_size=5))
def test_thousands_are_joined_whatever_sets_them_apart(values: list[tuple[int, str]]) -> None:
    texts = [f"{value:,}".replace(",", mark or " ") for value, mark in values]
    assert of(*texts) == [[value] for value, _ in values]


def test_parts_of_a_column_give_the_same() -> None:
    texts = pa.array(["1 2", None, "", "x", "3,000"], pa.string()).fill_null("")
    whole = numbers.lists(texts).to_pylist()
    assert (
        [numbers.lists(texts.slice(at, 1)).to_pylist()[0] for at in range(5)] == whole == [[1, 2], [], [], [], [3000]]
    )


@pytest.mark.parametrize(
    ("left", "right", "differ", "missing"),
    [
        ("It was in 1984.", "Im Jahr 1984.", False, False),
        ("It was in 1984.", "Im Jahr 1985.", True, False),
        ("15,000 parcels", "15 tisíc zásilek", False, False),
        ("4,200,000 kuna", "4,2 млн кун", False, False),
        ("2.4 million gave", "1,3 млн дали", True, False),
        ("the 1880s", "80er Jahre", False, False),
        ("built in the 1800s", "aus dem 19. Jahrhundert", False, False),
        ("at 22:00", "at 10 PM", False, False),
        ("39,316 cases and 4,795 deaths on 30 April", "38 802 случая, 4711 умерло на 30 апреля", True, False),
        ("39,316 cases on 30 April", "30 апреля", False, False),
        ("three men", "5 Männer", False, False),
        ("7 men", "5 Männer", False, False),
        ("Over 200 people", "Более двухсот", False, True),
        ("13 people", "тринадцать", False, False),
        ("कुत्ता २०१९ में", "in 2019", False, False),
    ],
)
def test_what_does_not_fit(left: str, right: str, differ: bool, missing: bool) -> None:
    for one, other in ((left, right), (right, left)):
        sides = [numbers.lists(pa.array(["", one, ""])), numbers.lists(pa.array(["", other, "8"]))]
        found = numbers.differ(*sides, 10)
        assert [column.tolist() for column in found] == [[False, differ, False], [False, missing, False]]


@given(st.lists(st.lists(st.integers(0, 3000), max_size=4), max_size=6))
def test_equal_numbers_in_any_order_fit(rows: list[list[int]]) -> None:
    left = pa.array(rows, pa.list_(pa.int64()))
    right = pa.array([row[::-1] for row in rows], pa.list_(pa.int64()))
    differ, missing = numbers.differ(left, right, 1)
    assert not differ.any()
    assert not missing.any()
    assert np.array_equal(numbers.differ(right, left, 1)[0], differ)
