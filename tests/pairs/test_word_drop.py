"""A word-drop pair is the sentence with some words missing, never all, never none."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pairs import characters, drop_items, keys, normalise, segmenters
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
        "🇩🇪",
        "dogs'",
        "„Nein“,",
        "«",
        "»",
        "D.C.",
        "-",
        "ក្រុម",
        "ဖတ်",
        "ས་",
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


def results(text: str, rate: float = 0.5, seeds: int = 80) -> set[str]:
    found = {dropped(text, seed, rate=rate) for seed in range(seeds)}
    assert None not in found
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "wanted", "never"),
    [
        ("He (the old man) said so.", ["He (old man) said so.", "He (the old) said so."], ["()", "( ", " )"]),
        ("He said “yes” to them.", ["He said to them."], ["“”", "“ ", " ”"]),
        ('She "really" meant it.', ["She meant it."], ['""']),
        ("One, two, three and four.", ["One, three and four.", "One, two, and four."], [",,", ", ,", ",."]),
        ("Hola, ¿qué tal, amigo?", ["Hola, ¿tal, amigo?", "Hola, ¿qué, amigo?"], ["¿?", "¿,"]),
        ("Il a dit : « Oui, merci » et partit !", ["Il a dit : « merci » et partit !"], ["«»", "« »", ",  »", ", »"]),
        (
            "The dogs' house isn't well-known.",
            ["The house isn't well-known.", "The dogs' house well-known."],
            ["isn' ", "well-."],
        ),
        ("Mr. Smith went to Rome.", ["Smith went to Rome."], ["Mr Smith", "..", ". ."]),
        ("Wir kamen – sahen – und siegten.", ["Wir – sahen – und siegten.", "Wir kamen – und siegten."], ["– –", "–."]),
        ("Only 5% of $3.50 is left today.", ["Only of $3.50 is left today."], ["%", "$"][:0]),
        ("قال: نعم، بالطبع، ثم غادر.", ["قال: بالطبع، ثم غادر."], ["،،", "،."]),
        ("他说：“好的，没问题。”就走了。", [], ["“”", "，，", "，。", "：，"]),
    ],
)
def test_spacing_and_punctuation_stay_natural(text: str, wanted: list[str], never: list[str]) -> None:
    found = results(text, 0.35, 300)
    for one in wanted:
        assert one in found, one
    for part in never:
        assert not any(part in one for one in found), part
    assert not any("  " in one or one != one.strip() for one in found)


def cores(text: str, joined: list[bool] | None = None) -> list[str]:
    column = characters.decode(pa.array([text]))
    items = drop_items.parse(column, np.array(joined or [False] * len(text), bool))
    at = np.flatnonzero(items.kind == drop_items.CORE).tolist()
    return [text[items.first[item] : items.last[item]] for item in at]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't (well-known) “dogs' house”, $3.50!", "Don't|well-known|dogs'|house|$3.50"),
        ("我爱👩‍💻和🇩🇪🇫🇷朋友。", "我|爱|和|朋|友"),
        ("我用iPhone12拍2019年照片", "我|用|iPhone12|拍|2019|年|照|片"),
        ("เขาไปเที่ยวทะเลกับน้ำ", "เขา|ไป|เที่|ย|ว|ทะ|เล|กั|บ|น้ำ"),
        ("ຂ້ອຍມັກໄປຕະຫຼາດ", "ຂ້|ອ|ຍ|ມັ|ກ|ໄປ|ຕະ|ຫຼາ|ດ"),
        ("ខ្ញុំស្រឡាញ់ខ្មែរ", "ខ្ញុំ|ស្រ|ឡាញ់|ខ្មែ|រ"),
        ("မြန်မာစာဖတ်နိုင်တယ်", "မြန်|မာ|စာ|ဖတ်|နိုင်|တယ်"),
        ("བོད་ཀྱི་སྐད་ཡིག", "བོད་|ཀྱི་|སྐད་|ཡིག"),
        ("「きゃりーぱみゅ」が時々", "きゃ|りー|ぱ|みゅ|が|時々"),
        ("यह क्षेत्र स्त्री", "यह|क्षेत्र|स्त्री"),
        ("안녕하세요 여러분", "안녕하세요|여러분"),
        ('‎שלום, "עולם" — ד"ר', '‎שלום|עולם|ד"ר'),
        ("… – & 👍 !!", ""),
    ],
)
def test_what_a_word_is(text: str, words: str) -> None:
    """Runs between spaces without the punctuation around them; in scripts without spaces, syllables as near as signs tell."""
    assert cores(text) == [word for word in words.split("|") if word]


def test_a_segmenters_words_are_kept_together() -> None:
    text = "我们今天去公园"
    assert cores(text, [False, True, False, True, False, False, True]) == ["我们", "今天", "去", "公园"]


def test_conjuncts_of_spaced_scripts_are_parts_of_words() -> None:
    words = ["यह", "क्षेत्र", "बहुत", "स्त्री", "विज्ञान", "है"]
    for found in results(" ".join(words)):
        assert set(found.split()) <= set(words)


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


@given(
    st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=8), st.sampled_from(["right", "left", "one", "both"])
)
def test_on_which_side_words_are_missing(rows: list[tuple[str, str]], sides: str) -> None:
    tidy = [tuple(normalise.tidy(pa.array(list(row))).to_pylist()) for row in rows]
    options = WordDropOptions(sides=sides, sentences="both", rate=0.4, min_words=2)  # type: ignore[arg-type]
    found, reasons = word_drop(sentence_pairs(tidy), options, 1)
    assert len(reasons) == len(rows)
    whole = {text for row in tidy for text in row}
    for row in found.to_pylist():
        left, right = row["left_text"], row["right_text"]
        assert left != right
        if sides == "right":
            assert left in whole
        elif sides == "left":
            assert right in whole
        elif sides == "one":
            assert left in whole or right in whole
        assert any(is_subsequence(left, text) and is_subsequence(right, text) for text in whole)
    kept = sum(reason is None for reason in reasons.to_pylist())
    assert kept <= found.num_rows <= 2 * kept
    assert set(reasons.to_pylist()) <= {None, "too_few_words", "identical"}


def test_one_side_or_the_other_is_drawn_and_both_sentences_give_pairs() -> None:
    rows = [(f"Left sentence number {n} is here.", f"Right sentence number {n} is there.") for n in range(60)]
    one, _ = word_drop(sentence_pairs(rows), WordDropOptions(sides="one"), 3)
    whole = [row["left_text"].count(" ") > row["right_text"].count(" ") for row in one.to_pylist()]
    assert 15 < sum(whole) < 45
    both, reasons = word_drop(
        sentence_pairs([*rows, ("Oh.", "One sentence of words.")]), WordDropOptions(sentences="both"), 3
    )
    assert both.num_rows == 121, "of the last pair one sentence is long enough"
    assert reasons.null_count == 61


@pytest.mark.parametrize(
    ("name", "lang", "text", "word"),
    [
        ("jieba", "zh", "我们今天下午去公园玩", "公园"),
        ("pythainlp", "th", "เขาไปเที่ยวทะเลกับเพื่อน", "ทะเล"),
        ("budoux", "ja", "今日はとても天気がいいです", "天気"),
    ],
)
def test_segmenters_that_are_installed(name: segmenters.Name, lang: str, text: str, word: str) -> None:
    pytest.importorskip(name)
    (starts,) = segmenters.starts([text], name, lang)
    assert starts[0] == 0
    assert len(starts) < len(text)
    assert text.index(word) in starts
    column, langs = pa.array([text] * 40), pa.array([f"{lang}-XX"] * 40)
    options = WordDropOptions(segmenters={lang: name}, rate=0.4, min_words=2)
    cut = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    for found in drop(column, keys.draw(pa.array(range(40)).cast(pa.string()), 0, "t"), options, langs).to_pylist():
        rest = found
        for one in cut:
            if rest.startswith(one):
                rest = rest.removeprefix(one)
        assert rest == "", "whole words are missing"
    assert segmenters.release(name).startswith(name)


def test_a_segmenter_is_for_its_languages_and_must_be_there() -> None:
    with pytest.raises(ValidationError, match="jieba knows the words of zh; th is none"):
        WordDropOptions(segmenters={"th": "jieba"})
    with pytest.raises(segmenters.SegmenterError, match="is not installed"):
        segmenters.release("nothing")  # type: ignore[arg-type]
