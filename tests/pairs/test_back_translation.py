"""Back-translations: which sentences are chosen, and what each rule drops of what comes back."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs import back_translation
from pairs.back_translation import RULES, BackTranslationOptions
from pairs.language import LanguageIdentifier
from pairs.schema import PAIR_SCHEMA

Row = tuple[str, str]


def returned(rows: list[Row], lang: str = "en", **columns: Any) -> pa.RecordBatch:
    n = len(rows)
    told = {
        "origin": [f"t/a.en#{number}" for number in range(n)],
        "url": pa.nulls(n, pa.string()),
        "left_text": [left for left, _ in rows],
        "right_text": pa.array([right for _, right in rows], pa.string()),
        "left_lang": [lang] * n,
        "right_lang": [lang] * n,
        **columns,
    }
    return pa.RecordBatch.from_pydict(told)


def why(lid: LanguageIdentifier, rows: list[Row], lang: str = "en", **options: Any) -> list[str | None]:
    chosen = BackTranslationOptions(**options)
    measured = back_translation.annotate(returned(rows, lang), options=chosen, lid=lid)
    return back_translation.select(measured, chosen).to_pylist()


GOOD = [
    ("He finished this work on his own.", "He completed this work alone."),
    ("The bakery on the corner opens at 7 on Sundays.", "The baker's at the corner opens on Sundays at 7."),
    ("In 2019 the town had 4,512 inhabitants.", "The town had 4512 people in 2019."),
]


def test_the_same_in_other_words_is_kept(lid: LanguageIdentifier) -> None:
    assert why(lid, GOOD) == [None] * len(GOOD)
    assert why(
        lid, [("这家商店星期天早上七点开门，晚上九点关门。", "这家店周日上午七点营业，夜里九点打烊。")], "zh"
    ) == [None]
    assert why(lid, [("ฉันชอบกินข้าวผัดกับกุ้งตัวใหญ่", "ผมชอบทานข้าวผัดใส่กุ้งใหญ่ๆ")], "th") == [None], (
        "no spaces, no words to count"
    )


@pytest.mark.parametrize(
    ("rule", "left", "right"),
    [
        ("empty", "Something went in here.", ""),
        ("empty", "Something went in here.", "   "),
        ("identical", "The old house is empty.", "the old house  is empty"),
        (
            "too_close",
            "I have seen where she bought all of her shoes.",
            "I have seen were she bought all of her shoes.",
        ),
        ("too_far", "We meet every Monday night.", "Reached monthly is our fulfilled darkness."),
        ("too_short", "May I go?", "Go may I?"),
        ("length_ratio", "She lives in a small town by the sea with her two daughters.", "She lives by the sea."),
        ("numbers_differ", "The bridge was built in 1875 by the town.", "The town built the bridge in 1785."),
        (
            "wrong_language",
            "The old house at the end of the road is empty.",
            "La casa vieja al final del camino está vacía.",
        ),
        ("wrong_script", "The old house at the end is empty.", "Старый дом в конце дороги давно пуст."),
        (
            "repetition",
            "The council will meet again next week to decide.",
            "The the the the the the the the council will.",
        ),
        ("markup", "Click here to read the whole story.", "Press {{here|now}} for the '''entire''' story."),
        ("mojibake", "The café on the corner is closed today.", "The caf\ufffd at the corner has shut today."),
        ("no_letters", "The final score was 3 to 2 for us.", "3 - 2 : 5 - 4 :: 7"),
    ],
)
def test_each_rule(lid: LanguageIdentifier, rule: str, left: str, right: str) -> None:
    assert why(lid, [(left, right)]) == [rule]
    alone = why(lid, [(left, right)], order=[rule])
    assert alone == [rule], "it does not lean on another rule"
    assert why(lid, [(left, right)], order=[other for other in RULES if other != rule]) != [rule]


def test_too_long(lid: LanguageIdentifier) -> None:
    assert why(lid, [("A good sentence. " * 80, "A fine sentence. " * 80)], max_chars=1000, max_repetition=None) == [
        "too_long"
    ]


def test_words_that_the_engine_marked(lid: LanguageIdentifier) -> None:
    counts = [(0, 0), (2, 0), (3, 0), (0, 1)]
    rows = [("He finished this work on time.", "He completed this work punctually.")] * 4
    batch = returned(rows, unknown=[unknown for unknown, _ in counts], failed=[failed for _, failed in counts])
    chosen = BackTranslationOptions()
    measured = back_translation.annotate(batch, options=chosen, lid=lid)
    assert back_translation.select(measured, chosen).to_pylist() == [None, None, "untranslated", "untranslated"]
    off = BackTranslationOptions(max_untranslated=None)
    assert back_translation.select(measured, off).null_count == 4


def test_every_rule_can_be_switched_off(lid: LanguageIdentifier) -> None:
    rows = [("May I go?", "3 - 2 : 5"), ("Same.", "Same."), ("x " * 3000, "")]
    assert why(lid, rows, order=[]) == [None] * 3


def test_every_option_of_a_shared_rule_is_handed_on() -> None:
    chosen = BackTranslationOptions(
        max_chars=77, min_chars=5, max_length_ratio=9.0, language_min_prob=0.1, identical=False
    )
    told = chosen.as_translations()
    assert (told.max_chars, told.min_chars, told.max_length_ratio, told.language_min_prob) == (77, 5, 9.0, 0.1)
    assert not told.identical
    assert not told.fragment


def test_pairs_say_which_side_was_there_first(lid: LanguageIdentifier) -> None:
    rows = [(f"He finished work number {n} on his own.", f"He completed work number {n} alone.") for n in range(40)]
    measured = back_translation.annotate(returned(rows), options=BackTranslationOptions(), lid=lid)
    pairs = back_translation.to_pairs(measured, source="t", seed=3)
    assert pairs.schema == PAIR_SCHEMA
    lefts = 0
    for (sentence, back), pair in zip(rows, pairs.to_pylist(), strict=True):
        first = f'"original":"{"left" if pair["left_text"] == sentence else "right"}"' in pair["scores"]
        assert first
        assert {pair["left_text"], pair["right_text"]} == {sentence, back}
        lefts += pair["left_text"] == sentence
    assert 8 < lefts < 32, "the side is drawn"
    turned = back_translation.annotate(returned([(b, a) for a, b in rows]), options=BackTranslationOptions(), lid=lid)
    assert back_translation.to_pairs(turned, source="t", seed=3).column("key") == pairs.column("key")


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=8), st.randoms())
def test_any_text_is_measured_and_neighbours_do_not_matter(rows: list[Row], random: Any) -> None:
    lid = LanguageIdentifier()
    rows = [(a.encode("utf-8", "ignore").decode(), b.encode("utf-8", "ignore").decode()) for a, b in rows]
    chosen = BackTranslationOptions()
    together = back_translation.annotate(returned(rows), options=chosen, lid=lid)
    reason = back_translation.select(together, chosen)
    order = list(range(len(rows)))
    random.shuffle(order)
    apart = back_translation.annotate(returned([rows[at] for at in order]), options=chosen, lid=lid)
    assert back_translation.select(apart, chosen) == reason.take(pa.array(order, pa.int64()))
    assert pc.max(together.column("distance")).as_py() in (None, *together.column("distance").to_pylist())
