"""What normalising changed of each row, against a plain version that goes row by row."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import normalise
from pairs.normalise import REPAIRS

CASES = {
    "A red house": set(),
    "": set(),
    " A red house\n": {"white_space"},
    "A  red\thouse": {"white_space"},
    '"A ""fine"" thing"': {"csv_quotes"},
    "Salt &amp;amp; Pepper": {"escapes"},
    "Salt u0026 Pepper": {"escapes"},
    "<b>Angry</b> Birds": {"markup"},
    "SprÃ¼hregen": {"mojibake"},
    "Mu\u0308ller": {"nfc"},
    "soft\u00adhyphen \u200bhere": {"invisible"},
    "tamale pie with serving spoon.jpg": {"extension"},
    '"<i>One</i> &quot;two&quot;\u00a0 three"': {"csv_quotes", "markup", "escapes", "white_space"},
    "Con đại\u0301 thử\x07": {"nfc", "invisible"},
}


def names(mask: int) -> set[str]:
    return {name for at, name in enumerate(REPAIRS) if mask >> at & 1}


def test_each_kind_of_repair_is_told_apart() -> None:
    texts = pa.array(list(CASES), pa.string())
    clean, changed = normalise.clean_counted(texts)
    assert [names(mask) for mask in changed.tolist()] == list(CASES.values())
    assert clean.equals(normalise.clean(texts))
    assert set().union(*CASES.values()) == set(REPAIRS)
    counts = normalise.count_repairs(pa.array(changed))
    assert counts == {name: sum(name in found for found in CASES.values()) for name in REPAIRS}


def plainly(text: str) -> tuple[str, set[str]]:
    """One row through one step at a time."""
    found = set()
    for name, functions in normalise._STEPS:
        before = text
        for function in functions:
            text = function(pa.array([text], pa.string()))[0].as_py()
        if text != before:
            found.add(name)
    return text, found


PIECES = [
    "A",
    " ",
    "  ",
    "&amp;",
    "&lt;b&gt;",
    "<b>",
    '"',
    '""',
    "Ã¼",
    "u\u0308",
    "\u200b",
    "\n",
    "d",
    ".jpg",
    " of ",
    "u003c",
    "\u00a0",
    "东",
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=20))
def test_a_row_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    clean, changed = normalise.clean_counted(pa.array(texts, pa.string()))
    expected = [plainly(text) for text in texts]
    assert clean.to_pylist() == [text for text, _ in expected]
    assert [names(mask) for mask in changed.tolist()] == [found for _, found in expected]


@pytest.mark.parametrize(("name", "column"), [("img2dataset_laion_test_10000", "TEXT"), ("html_img_alt", "alt")])
def test_real_rows(shared: Path, name: str, column: str) -> None:
    texts = pq.read_table(shared / "alttext" / f"{name}.parquet").column(column).combine_chunks().fill_null("")
    clean, changed = normalise.clean_counted(texts)
    moved = [before != after for before, after in zip(texts.to_pylist(), clean.to_pylist(), strict=True)]
    assert [mask != 0 for mask in changed.tolist()] == moved, "a row counts as changed just where it is"
    for at in range(0, len(texts), 37):
        assert plainly(texts[at].as_py()) == (clean[at].as_py(), names(int(changed[at])))
    counts = normalise.count_repairs(pa.array(changed))
    if column == "TEXT":
        assert counts["csv_quotes"] == 195, "the rows that begin with an escaped quote"
