"""What is held out: groups stay whole, nothing that is held out is in training, and no choice depends on what else is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pairs import holdout, keys, translations
from pairs.holdout import HoldoutOptions
from pairs.schema import PAIR_SCHEMA

SEED = 5
HALF = HoldoutOptions(share=0.5, most=1000)


def pairs(kind: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    made = []
    for number, row in enumerate(rows):
        image = {"sha256": row.get("sha256"), "phash": row.get("phash")} if "sha256" in row else None
        left = row.get("left")
        made.append({
            "key": keys.content_key(kind, left, row["right"], row.get("sha256"), str(number)), "kind": kind, "image": image,
            "left_text": left, "right_text": row["right"], "left_lang": None, "right_lang": "en",
            "source": row.get("source", "s"), "origin": row.get("origin", f"f#{number}"), "url": None,
            "scores": row.get("scores", "{}"),
        })  # fmt: skip
    return pa.RecordBatch.from_pylist(made, schema=PAIR_SCHEMA)


def split(batch: pa.RecordBatch, options: HoldoutOptions = HALF) -> dict[str, Any]:
    """All three steps over one batch, as the job does them over many."""
    draws = holdout.draws(batch, SEED)
    held = holdout.least(draws, options)
    out = holdout.among(draws, held)
    shown, _ = holdout.contents(batch.filter(pa.array(out)))
    others, _ = holdout.contents(batch.filter(pa.array(~out)))
    return {**holdout.divide(batch, held, np.intersect1d(shown, others), SEED), "held": held}


PHOTOGRAPHS = st.lists(
    st.fixed_dictionaries(
        {
            "sha256": st.integers(0, 30).map(lambda n: f"{n:064x}"),
            "phash": st.none() | st.integers(0, 40),
            "right": st.sampled_from(["A dog.", "a dog", "Ein Hund", "猫", "...", "!!!"]) | st.text("ab ", max_size=4),
        }
    ),
    max_size=60,
)


@given(PHOTOGRAPHS)
def test_no_photograph_and_no_text_is_on_both_sides(rows: list[dict[str, Any]]) -> None:
    """Names the bug of a split by pair: the second caption of a held-out photograph would be trained on."""
    batch = pairs("image_alt", rows)
    found = split(batch)
    train, held = found["train"].to_pylist(), found["validation"].to_pylist()
    assert len(train) + len(held) + found["dropped"] == len(rows), "every pair is in training, held out or counted"
    for what in (lambda row: row["image"]["sha256"], lambda row: row["image"]["phash"] or None):
        assert not {what(row) for row in train} & {what(row) for row in held} - {None}
    said = [
        set(translations.identity(pa.array([row["right_text"] for row in part], pa.string())).to_pylist()) - {""}
        for part in (train, held)
    ]
    assert not said[0] & said[1]


@given(PHOTOGRAPHS, st.randoms())
def test_a_group_goes_where_it_goes_whatever_else_is_there(rows: list[dict[str, Any]], random: Any) -> None:
    batch = pairs("image_alt", rows)
    some = batch.filter(pa.array([random.random() < 0.5 for _ in rows], pa.bool_()))
    draws, fewer = holdout.draws(batch, SEED), holdout.draws(some, SEED)
    assert set(holdout.least(fewer, HALF).tolist()) <= set(holdout.least(draws, HALF).tolist())


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=50).map(lambda values: np.array(values, np.uint64)),
    st.integers(0, 50),
    st.integers(1, 10),
)
def test_the_least_of_parts_is_the_least_of_all(draws: holdout.UInt64, at: int, most: int) -> None:
    options = HoldoutOptions(share=0.5, most=most)
    parts = [holdout.least(part, options) for part in (draws[:at], draws[at:])]
    whole = holdout.least(draws, options)
    assert holdout.least(np.concatenate(parts), options).tolist() == whole.tolist()
    assert len(whole) <= most
    assert (whole < 2**63).all()


def test_a_share_is_a_share() -> None:
    rows = [{"sha256": f"{n:064x}", "right": f"text {n}"} for n in range(4000)]
    found = split(pairs("image_alt", rows), HoldoutOptions(share=0.1, most=100_000))
    assert 330 < found["validation"].num_rows < 470
    few = split(pairs("image_alt", rows), HoldoutOptions(share=0.1, most=7))
    assert few["validation"].num_rows == 7
    assert set(few["held"].tolist()) < set(found["held"].tolist()), "a lesser bound holds out some of the same"


def test_sentences_and_their_word_drops_go_by_document() -> None:
    origins = [f"d.json#{document}#{paragraph}.0" for document in range(40) for paragraph in range(3)]
    sentences = [{"left": f"left {o}", "right": f"right {o}", "origin": o} for o in origins]
    both = [holdout.draws(pairs(kind, sentences), SEED) for kind in ("sentences", "word_drop")]
    assert (both[0] == both[1]).all(), "what is made from held-out sentences must be held out with them"
    by_document = both[0].reshape(40, 3)
    assert (by_document == by_document[:, :1]).all()
    assert len(np.unique(by_document)) == 40
    other = pairs("sentences", [{**row, "source": "other"} for row in sentences])
    assert not set(holdout.draws(other, SEED).tolist()) & set(both[0].tolist()), "files of two sources may share a name"


def test_back_translations_go_where_their_sentences_went() -> None:
    """With the document, or with the translations, of the sentence; not with the file that the bitext lies in."""
    documents = [{"left": f"l {n}", "right": f"r {n}", "origin": f"d.json#{n}#0.0"} for n in range(20)]
    drawn = holdout.draws(pairs("sentences", documents), SEED)
    back = [{**row, "right": "again", "scores": '{"distance":0.2,"group":null}'} for row in documents]
    assert (holdout.draws(pairs("back_translation", back), SEED) == drawn).all()
    bitext = [
        {
            "left": "Good day",
            "right": "Guten Tag",
            "origin": f"a.de#{n}",
            "scores": f'{{"group":"{n:016x}","left_chars":8}}',
        }
        for n in range(20)
    ]
    drawn = holdout.draws(pairs("translations", bitext), SEED)
    back = [
        {**row, "scores": f'{{"distance":0.2,"group":"{n:016x}","original":"left"}}'} for n, row in enumerate(bitext)
    ]
    assert (holdout.draws(pairs("back_translation", back), SEED) == drawn).all()
    assert len(np.unique(drawn)) == 20


def test_translations_go_by_the_group_that_was_written() -> None:
    rows = [
        {"left": "Good day", "right": "Guten Tag", "scores": '{"group":"00000000000000aa","left_chars":8}'},
        {"left": "Bonjour", "right": "Good day", "scores": '{"group":"00000000000000aa","left_chars":7}'},
        {"left": "Good day", "right": "Guten Tag"},
        {"left": "guten tag!", "right": "GOOD DAY"},
        {"left": "Guten Tag", "right": "Buenos días"},
    ]
    draws = holdout.draws(pairs("translations", rows), SEED)
    assert draws[0] == draws[1]
    assert draws[2] == draws[3], "without a group it is the sentence, whichever side, case or mark it has"
    assert len(set(draws.tolist())) >= 3


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 0.6}, {"most": 0}, {"much": 1}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HoldoutOptions.model_validate(wrong)


@pytest.mark.parametrize("kind", sorted(holdout._GROUP))
def test_no_rows_are_no_fault(kind: str) -> None:
    found = split(pairs(kind, []))
    assert (found["train"].num_rows, found["validation"].num_rows, found["dropped"]) == (0, 0, 0)
