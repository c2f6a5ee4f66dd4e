"""Counts against plain Python over the same text, in many scripts."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import characters, normalise

TEXT = st.text(
    st.one_of(
        st.sampled_from("ab Z9,;#  .!éßñ\u0301日本語カナไทยدवि한국Привет😀\t\n\u00a0\u200d"),
        st.characters(blacklist_categories=["Cs"]),
    ),
    max_size=60,
)


def plain(text: str) -> dict[str, int]:
    """Counts as a reader would make them, from unicodedata alone."""
    category = [unicodedata.category(c) for c in text]
    space = [g[0] == "Z" or c in "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85" for c, g in zip(text, category, strict=True)]
    return {
        "chars": len(text),
        "letters": sum(g[0] in "LM" for g in category),
        "digits": sum(g == "Nd" for g in category),
        "puncts": sum(g[0] in "PS" for g in category),
        "spaces": sum(space),
        "hashtags": sum(a == "#" and g[0] == "L" for a, g in zip(text, category[1:], strict=False)),
    }


@given(st.lists(st.one_of(st.none(), TEXT), max_size=6))
def test_counts_equal_plain_python(texts: list[str | None]) -> None:
    found = characters.measure(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        expected = plain(text or "")
        # planes 2 and up are letters by range here, and unassigned code points there are not looked at
        if any(ord(c) >= 0x20000 for c in text or ""):
            continue
        assert {name: int(getattr(found, name)[row]) for name in expected} == expected


@given(st.lists(TEXT, max_size=6))
def test_code_points_come_back_as_the_same_texts(texts: list[str]) -> None:
    column = characters.decode(pa.array(texts, pa.string()))
    assert characters.encode(column.code, column.row, column.n).to_pylist() == texts


@pytest.mark.parametrize(
    ("text", "words", "script", "repetition"),
    [
        ("A dog's life, in 12 pictures", 6, "Latn", 0.0),
        ("big Big, BIG dog", 4, "Latn", 0.5),
        ("白色的猫", 2, "Hani", 0.0),
        ("哈哈哈哈哈哈", 3, "Hani", 0.8),
        ("สวัสดีครับ", 2, "Thai", 0.0),
        ("белая кошка", 2, "Cyrl", 0.0),
        ("सफ़ेद बिल्ली", 2, "Deva", 0.0),
        ("قطة بيضاء", 2, "Arab", 0.0),
        ("하얀 고양이", 2, "Hang", 0.0),
        ("iPhone の写真", 3, "Latn", 0.0),
        ("... !!! ---", 0, None, 0.0),
        ("", 0, None, 0.0),
    ],
)
def test_words_scripts_and_repetition(text: str, words: int, script: str | None, repetition: float) -> None:
    found = characters.measure(pa.array([text]))
    assert int(found.words[0]) == words
    assert characters.script_codes(found.script).to_pylist() == [script]
    assert found.repetition[0] == pytest.approx(repetition, abs=0.01)


def test_runs_and_alphabets_inside_a_word() -> None:
    found = characters.measure(pa.array(["wow!!!!!!!", "1000000", "Mосква", "Москва", "iPhoneの", "a - b"]))
    assert found.longest_run.tolist()[:2] == [7, 0], "digits repeat in every number"
    assert found.script_switches.tolist() == [0, 0, 1, 0, 0, 0], "a Latin M before Cyrillic letters"


def test_expected_scripts_weigh_han_thrice() -> None:
    texts = pa.array(["最大OFF!", "only Latin", "Россия", "123"])
    share = characters.measure(
        texts, expected=[frozenset(["Hani"]), frozenset()], which=pa.array([0, 0, 0, 0]).to_numpy()
    )
    assert share.expected_share.tolist() == pytest.approx([6 / 9, 0, 0, 1])
    free = characters.measure(
        texts, expected=[frozenset(["Hani"]), frozenset()], which=pa.array([1, 1, 1, 1]).to_numpy()
    )
    assert free.expected_share.tolist() == [1, 1, 1, 1]


def test_scripts_of_the_languages_of_flores_are_told_apart() -> None:
    samples = {
        "Grek": "γάτα",
        "Hebr": "חתול",
        "Beng": "বিড়াল",
        "Taml": "பூனை",
        "Geor": "კატა",
        "Armn": "կատու",
        "Khmr": "ឆ្មា",
        "Mymr": "ကြောင်",
        "Laoo": "ແມວ",
        "Ethi": "ድመት",
        "Hira": "ねこ",
        "Kana": "ネコ",
        "Tibt": "ཞི་མི",
        "Sinh": "පූසා",
    }
    found = characters.script_codes(characters.measure(pa.array(list(samples.values()))).script)
    assert found.to_pylist() == list(samples)


@given(st.lists(TEXT, max_size=5))
def test_nfc_is_nfc(texts: list[str]) -> None:
    """Arrow 25's own utf8_normalize gives decomposed text for NFC; this is what that would break."""
    assert normalise.nfc(pa.array(texts, pa.string())).to_pylist() == [unicodedata.normalize("NFC", t) for t in texts]


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_tidy_text_stays_as_it_is(texts: list[str]) -> None:
    once = normalise.tidy(pa.array(texts, pa.string()))
    assert normalise.tidy(once).equals(once)
    for text in once.to_pylist():
        assert text == text.strip()
        assert not set(text) & set("\x00\n\t\u00a0\ufeff\u200b")
