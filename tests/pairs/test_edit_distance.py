"""Edit distance against the plain table of Wagner and Fischer, and what holds of any distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import edit_distance

TEXTS = st.lists(st.text("ab ñ中😀", max_size=12), min_size=1, max_size=6)


def plain(a: Sequence[object], b: Sequence[object]) -> int:
    line = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        line, before = [i], line
        for j, right in enumerate(b, 1):
            line.append(min(before[j] + 1, line[-1] + 1, before[j - 1] + (left != right)))
    return line[-1]


def share(distance: int, a: Sequence[object], b: Sequence[object]) -> float:
    return distance / max(len(a), len(b), 1)


@given(TEXTS, st.randoms(use_true_random=False))
def test_as_the_plain_table_says(lefts: list[str], random: object) -> None:
    rights = lefts[::-1]
    found = edit_distance.of_characters(pa.array(lefts), pa.array(rights))
    words = edit_distance.of_words(pa.array(lefts), pa.array(rights))
    for row, (a, b) in enumerate(zip(lefts, rights, strict=True)):
        assert found[row] == np.float32(share(plain(a, b), a, b))
        assert words[row] == np.float32(share(plain(a.split(), b.split()), a.split(), b.split()))


@given(st.text("abc ", max_size=20), st.text("abc ", max_size=20))
def test_it_is_a_distance(a: str, b: str) -> None:
    for of in (edit_distance.of_characters, edit_distance.of_words):
        there, back, same = of(pa.array([a, b, a]), pa.array([b, a, a]))
        assert there == back
        assert 0 <= there <= 1
        assert same == 0


@pytest.mark.parametrize(
    ("left", "right", "characters", "words"),
    [
        ("kitten", "sitting", 3 / 7, 1.0),
        ("the old house", "the house", 4 / 13, 1 / 3),
        ("", "", 0, 0),
        ("", "abc", 1, 1),
        ("中文句子", "中文", 0.5, 1),
    ],
)
def test_known_distances(left: str, right: str, characters: float, words: float) -> None:
    assert edit_distance.of_characters(pa.array([left]), pa.array([right]))[0] == pytest.approx(characters)
    assert edit_distance.of_words(pa.array([left]), pa.array([right]))[0] == pytest.approx(words)


def test_case_spaces_and_punctuation_are_folded_away_and_symbols_stay() -> None:
    folded = edit_distance.folded(pa.array(["  He said: “Yes!”  ", "a-b_c", "5 € + 3", None]))
    assert folded.to_pylist() == ["he said yes", "a b c", "5 € + 3", None]


def test_long_sides_are_bounded() -> None:
    long = "a" * (edit_distance.MAX_UNITS + 500)
    assert edit_distance.of_characters(pa.array([long]), pa.array([long[: edit_distance.MAX_UNITS]]))[0] == 0
    assert edit_distance.of_words(pa.array(["a " * 3000]), pa.array(["a " * 2000]))[0] == 0
