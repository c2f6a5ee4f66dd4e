"""A word-drop pair is the sentence with some words missing, never all, never none."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import keys, normalise
from pairs.schema import PAIR_SCHEMA
from pairs.word_drop import WordDropOptions, drop, word_drop

WORDS = st.sampled_from(
    [
        "the",
        "dog,",
        "runs",
        "(fast)",
        "3.5",
        "Straße",
        "кот",
        "日本語",
        "ด้วย",
        "で",
        "。",
        "नमस्ते",
        "—",
        "...",
        "don't",
        "👩‍💻",
        "¿qué?",
    ]
)
SENTENCE = st.builds(
    lambda words, joint, end: joint.join(words) + end,
    st.lists(WORDS, min_size=0, max_size=14),
    st.sampled_from([" ", ""]),
    st.sampled_from([".", "!", "。", "", '?"', "।"]),
)


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)


def dropped(text: str, seed: int = 0, **options: float) -> str | None:
    column = pa.array([text])
    return drop(column, keys.draw(column, seed, "t"), WordDropOptions(**options)).to_pylist()[0]  # type: ignore[arg-type]


@given(SENTENCE, st.integers(0, 3), st.sampled_from([0.05, 0.3, 0.95]))
def test_a_result_is_the_sentence_with_characters_left_out(sentence: str, seed: int, rate: float) -> None:
    text = normalise.tidy(pa.array([sentence])).to_pylist()[0]
    result = dropped(text, seed, rate=rate, min_words=2)
    if result is not None:
        assert is_subsequence(result, text)
        assert result != text, "at least one word must be missing"
        assert any(character.isalnum() for character in result), "at least one word must be kept"
        assert result == " ".join(result.split(" ")).strip()
        assert "  " not in result


@given(st.lists(SENTENCE, min_size=2, max_size=6))
def test_a_result_does_not_depend_on_the_rows_around_it(sentences: list[str]) -> None:
    column = normalise.tidy(pa.array(sentences))
    draws = keys.draw(column, 1, "t")
    together = drop(column, draws, WordDropOptions(min_words=2)).to_pylist()
    alone = [
        drop(column.slice(i, 1), draws[i : i + 1], WordDropOptions(min_words=2)).to_pylist()[0]
        for i in range(len(sentences))
    ]
    assert together == alone


def test_the_seed_matters_and_only_it() -> None:
    text = "the quick brown fox jumps over the lazy dog and runs far away today."
    results = {dropped(text, seed) for seed in range(20)}
    assert len(results) > 8
    assert dropped(text, 5) == dropped(text, 5)


def test_the_rate_is_kept() -> None:
    words = " ".join(f"word{number}" for number in range(200))
    column = pa.array([f"{words} {number}" for number in range(100)])
    for rate in (0.1, 0.4):
        result = drop(column, keys.draw(column, 0, "t"), WordDropOptions(rate=rate))
        left = np.mean([len(text.split()) for text in result.to_pylist()])
        assert left / 201 == pytest.approx(1 - rate, abs=0.01)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("One two three four.", "."),
        ("Kommst du heute noch mit uns?", "?"),
        ("我们今天去公园玩。", "。"),
        ('He said "go now."', '."'),
        ("यह एक अच्छा दिन है।", "।"),
    ],
)
def test_what_ends_a_sentence_stays(text: str, end: str) -> None:
    for seed in range(30):
        result = dropped(text, seed, rate=0.5)
        assert result is not None
        assert result.endswith(end)
        assert not result.removesuffix(end).endswith((" ", ","))


def test_unspaced_scripts_lose_clusters_not_code_points() -> None:
    text = "สวัสดีครับเพื่อนทุกคนที่นี่วันนี้"
    for seed in range(20):
        result = dropped(text, seed, rate=0.4)
        assert result is not None
        assert not result.startswith(tuple("\u0e31\u0e34\u0e35\u0e37\u0e39\u0e48\u0e49")), "a mark never loses its base"
    japanese = dropped("私は毎日公園を散歩します。", 1, rate=0.3)
    assert japanese is not None
    assert " " not in japanese


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("One two.", False),
        ("One two three.", True),
        ("Wow!", False),
        ("", False),
        ("好的。", False),
        ("我们走。", True),
        ("... !!! ???", False),
    ],
)
def test_too_short_to_drop_from(text: str, made: bool) -> None:
    assert (dropped(text) is not None) == made


def sentence_pairs(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                "key": keys.content_key("sentences", left, right),
                "kind": "sentences",
                "image": None,
                "left_text": left,
                "right_text": right,
                "left_lang": "en",
                "right_lang": "en",
                "source": "s",
                "origin": f"f#{number}",
                "url": "u",
                "scores": "{}",
            }
            for number, (left, right) in enumerate(rows)
        ],
        schema=PAIR_SCHEMA,
    )


def test_pairs_of_pairs() -> None:
    rows = [(f"Left sentence number {n} is here.", f"Right sentence number {n} is there.") for n in range(50)] + [
        ("Oh.", "No.")
    ]
    found, reasons = word_drop(sentence_pairs(rows), WordDropOptions(), 3)
    assert found.schema.equals(PAIR_SCHEMA)
    assert reasons.to_pylist() == [None] * 50 + ["too_few_words"]
    assert found.num_rows == 50
    sides = {text.split()[0] for text in found.column("left_text").to_pylist()}
    assert sides == {"Left", "Right"}, "the side is drawn"
    for row in found.to_pylist():
        assert row["kind"] == "word_drop"
        assert row["key"] == keys.content_key("word_drop", row["left_text"], row["right_text"])
        scores = json.loads(row["scores"])
        assert scores["right_words"] < scores["left_words"]
    again, _ = word_drop(sentence_pairs(rows), WordDropOptions(), 3)
    assert again.equals(found)
    other, _ = word_drop(sentence_pairs(rows), WordDropOptions(), 4)
    assert not other.equals(found)
    assert word_drop(sentence_pairs([]), WordDropOptions(), 3)[0].num_rows == 0
