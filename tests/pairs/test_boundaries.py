"""Where sentences end, in many scripts; the pieces are always the text."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import abbreviations, boundaries


def cut(lang: str | None, text: str) -> list[str]:
    pieces, counts = boundaries.split(pa.array([text], pa.string()), pa.array([lang], pa.string()))
    found: list[str] = pieces.to_pylist()
    assert "".join(found) == text
    assert counts.tolist() == [len(found)]
    return [piece.strip() for piece in found]


@pytest.mark.parametrize(
    ("lang", "marked"),
    [
        # Abbreviations, initials, decimals, ordinals: | is where a sentence ends.
        ("en", "Dr. Smith met J. R. Hartley at 5 p.m. in the U.S. Senate.| He paid $3.50 to Acme Inc. on the spot."),
        ("en", "See Fig. 3 and pp. 4-5, i.e. the table.| It works at 3.5 GHz.| Then at 11 a.m.| The end."),
        ("en", "It costs 5 dollars.| The U.S.| It is big."),
        ("en", "1. First do this.| 2. Then do that."),
        ("en", "The website example.com is down.| Try v2.0.1 instead."),
        ("de", "Am 3. Oktober fuhr Dr. Müller z. B. nach Berlin, d. h. am Nationalfeiertag.| Er blieb bis zum 19. Dezember."),
        ("de", "Das geschah im 19. Jahrhundert.| Es war 2020.| Dann kam Hr. Meier usw.| Die Katze schlief."),
        ("fr", "M. Dupont habite au n° 5, bd. Voltaire.| Il a dit : « Bonjour ! »| Puis il est parti."),
        ("fr", "La tige mesure 15 mm.| Les fleurs sont blanches."),
        ("es", "El Sr. García llegó a EE. UU. ayer.| ¿Quién es?| ¡Nadie!"),
        ("cs", "V r. 1968 přišel např. Jan Palach.| Byl to tzv. svět.| Kam jdeme?"),
        ("ru", "В 2010 г. А. С. Пушкин и т. д. жили в г. Москве.| Он умер.| Цена 5 руб. за 3 кг.| Дорого!"),
        ("pl", "Prof. Nowak mieszka na ul. Długiej, np. z psem itp.| To jest dom."),
        ("tr", "Dr. Yılmaz 3. kata çıktı.| Sonra indi."),
        # Quotations and brackets.
        ("en", '"Is it true?" he asked.| "Yes!"| She left (at last.)| (Nobody saw it.)| Good.'),
        ("en", "“Go.”| ‘Why?’| They went… and came back.| Well...| Maybe."),
        ("de", "„Komm!“, rief er.| „Ich komme.“| Dann schwieg er."),
        # Emoji, marks in names, marks without a space.
        ("en", "Thanks! 😀| See you.| Yahoo! News is here."),
        ("en", "Wow!|That was it.| Really?| 👉Look here."),
        # Scripts.
        ("zh", "他说：“你好。”|然后走了。|真的吗？|是的！|价格是3.5元。|“走吧。”|他笑了。"),
        ("ja", "昨日は雨でした。|「行こう。」と彼は言った。|本当ですか？|はい！|Yahoo!ニュースです。"),
        ("ko", "안녕하세요.| 저는 학생입니다.| 정말요?| 네."),
        ("hi", "यह एक घर है।| डॉ. शर्मा आए।| क्या यह सच है?| हाँ|"),
        ("hi", "यह एक घर है |वह सुंदर है।"),
        ("ar", "ذهبت إلى المدرسة.| هل هذا صحيح؟| نعم!| شكرا."),
        ("ur", "یہ ایک گھر ہے۔| کیا یہ سچ ہے؟| ہاں۔"),
        ("el", "Πού πας;| Πάω σπίτι π.χ. τώρα.| Καλά."),
        ("hy", "Սա տուն է։| Այո։"),
        ("am", "ይህ ቤት ነው።| እሺ።"),
        ("km", "នេះជាផ្ទះ។| បាទ។"),
        ("my", "ဒါအိမ်ပါ။| ဟုတ်ကဲ့။"),
        ("ka", "ეს სახლია.| დიახ."),
        ("th", "สวัสดีครับ"),
        ("xh", "Ndiyahamba.| uTom uyeza."),
        (None, "Sen bi baas la.| Waaw waaw."),
        ("he", 'ד"ר כהן הגיע.| הוא עייף.'),
    ],
)  # fmt: skip
def test_boundaries(lang: str | None, marked: str) -> None:
    # A bar with a space on both sides, or before no end, is text.
    if lang == "hi" and " |" in marked:
        assert cut(lang, marked) == ["यह एक घर है |", "वह सुंदर है।"]
        return
    wanted = [piece.strip() for piece in marked.split("|") if piece.strip()]
    assert cut(lang, marked.replace("|", "")) == wanted


CASES = [
    tuple(part.strip() for part in line.split("‖"))
    for line in (Path(__file__).parent / "boundary_cases.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(("lang", "marked"), CASES)
def test_the_table_of_cases(lang: str, marked: str) -> None:
    """Abbreviations, numbers, addresses, quotations, emoji, lists, scripts: what is hard, by language."""
    wanted = [piece.strip() for piece in marked.split("|") if piece.strip()]
    assert cut(None if lang == "und" else lang, marked.replace(" | ", " ").replace("|", "")) == wanted


def test_thai_is_cut_at_spaces_between_long_runs() -> None:
    clause = "วันนี้อากาศดีมากเราจึงออกไปเดินเล่นในสวนสาธารณะใกล้บ้าน"
    assert cut("th", f"{clause} {clause}") == [clause, clause]
    assert cut("th", "ราคา 500 บาท ครับ") == ["ราคา 500 บาท ครับ"]


def test_a_row_knows_nothing_of_its_neighbours() -> None:
    texts = ["Dr. Smith came. He left.", "", None, "Am 3. Mai. Ja.", "他来了。我走了。"]
    langs = ["en", "en", None, "de", "zh"]
    pieces, counts = boundaries.split(pa.array(texts, pa.string()), pa.array(langs, pa.string()))
    assert counts.tolist() == [2, 1, 1, 2, 2]
    alone = [
        boundaries.split(pa.array([t], pa.string()), pa.array([lang], pa.string()))[0].to_pylist()
        for t, lang in zip(texts, langs, strict=True)
    ]
    assert pieces.to_pylist() == [piece for found in alone for piece in found]


_SIGNS = st.sampled_from(
    [*".!?…。！？।؟۔;:|\"'”“»«)(」*_-–#😀 \u00a0aAbZéЯя1 5中あกदمა", "... ", ". A", "e.g. ", "т. д. ", "\u200d"]
)


@given(
    st.lists(st.lists(_SIGNS, max_size=40).map("".join), min_size=1, max_size=5),
    st.sampled_from(["en", "de", "ja", "ru", "el", "hy", "th", "xx", ""]),
)
def test_the_pieces_are_the_text(texts: list[str], lang: str) -> None:
    pieces, counts = boundaries.split(pa.array(texts, pa.string()), pa.array([lang] * len(texts), pa.string()))
    found = pieces.to_pylist()
    at = 0
    for text, count in zip(texts, counts.tolist(), strict=True):
        assert "".join(found[at : at + count]) == text
        assert count == 1 or all(found[at : at + count]), "no piece is empty"
        at += count
    assert at == len(found)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    cut("en", text)


def test_lists_are_well_formed() -> None:
    found = abbreviations.lists()
    assert len(found) > 2000
    assert not [word for (_, word) in found if word.endswith(".")]
