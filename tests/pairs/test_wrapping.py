"""Wrapped text: what `textwrap` breaks is found and put together again; what is no wrapped text is left alone."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import wrapping

ENGLISH = (
    "The old harbour was quiet that morning, for most of the boats had come back before the storm. Only the two "
    "sisters, who lived in the last house on the pier, had seen the light that went out on the rocks. They said nothing "
    "of it to anyone, and nobody asked them. Years later one of them told the story to a man from the newspaper."
)
GERMAN = (
    "Der alte Hafen war an diesem Morgen still, denn die meisten Boote waren schon vor dem Sturm zurückgekehrt. Nur die "
    "beiden Schwestern, die im letzten Haus an der Mole wohnten, hatten das Licht gesehen, das auf den Felsen erlosch."
)
JAPANESE = (
    "その朝、古い港は静かでした。ほとんどの船が嵐の前に戻っていたからです。桟橋の端の家に住む二人の姉妹だけが、岩の上で消えた明かりを見ていました。"
    * 2
)
RUSSIAN = (
    "В то утро старая гавань была тиха, потому что почти все лодки вернулись ещё до бури. Только две сестры видели свет на скалах. "
    * 3
)


def wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def broken(text: str, length: int) -> list[str]:
    return [text[at : at + length] for at in range(0, len(text), length)]


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, RUSSIAN.strip()])
@pytest.mark.parametrize("width", [60, 72, 79])
def test_paragraphs_are_put_together_again(text: str, width: int) -> None:
    lines = [*wrapped(text, width), "", *wrapped(text, width)]
    at = wrapping.width(lines)
    assert at is not None
    assert width - 12 < at <= width
    assert wrapping.unwrap("\n".join(lines), at) == f"{text}\n\n{text}"


def test_scripts_without_spaces_are_joined_without_one() -> None:
    lines = broken(JAPANESE, 35)
    at = wrapping.width(lines)
    assert at == 70, "a wide character takes two columns"
    assert wrapping.unwrap("\n".join(lines), at) == JAPANESE


@pytest.mark.parametrize(
    "lines",
    [
        [ENGLISH, GERMAN, ENGLISH, GERMAN],  # a line is a paragraph
        [f"Sentence number {n} is on a line of its own." for n in range(40)],  # a corpus, line by line
        ["het 551045", "wat 286935", "sy 240764", "que 5083052", "la 4825603"],  # a list of words
        ["Whose woods these are I think I know.", "His house is in the village though;"] * 8,  # verse
        ["red", "green", "blue"],
        [],
        ["", ""],
    ],
    ids=["paragraphs", "sentences", "words", "verse", "items", "nothing", "empty"],
)
def test_what_is_not_wrapped_is_told(lines: list[str]) -> None:
    assert wrapping.width(lines) is None


def test_what_stands_on_its_own_line_stays_there() -> None:
    body = wrapped(ENGLISH, 72)
    kept = [
        "A HEADING",
        "",
        *body,
        "- an item of a list that is quite long and goes on",
        "- another one",
        "        -- its author",
    ]
    at = wrapping.width(kept)
    assert at is not None
    joined = wrapping.unwrap("\n".join(kept), at).split("\n")
    assert joined == ["A HEADING", "", ENGLISH, *kept[-3:]]


def test_authors_set_in_below_short_quotations_do_not_hide_the_wrapping() -> None:
    quotation = [
        "A copy of the universe is not what is required of art; one of the damned",
        "things is ample.",
        "\t\t-- Rebecca West",
        "",
    ]
    lines = [*quotation, "Art is long.", "\t\t-- Hippocrates", "", "Less is more.", "\t\t-- Robert Browning", ""] * 4
    at = wrapping.width(lines)
    assert at is not None
    assert wrapping.unwrap("\n".join(quotation), at).split("\n")[:2] == [" ".join(quotation[:2]), quotation[2]]


def test_a_hyphen_at_the_end_stays_and_a_dash_keeps_its_space() -> None:
    assert wrapping.unwrap("It was a well-\nknown house", 72) == "It was a well-known house"
    assert (
        wrapping.unwrap("it was in version .12 -\nand then it was gone", 72)
        == "it was in version .12 - and then it was gone"
    )


@given(st.lists(st.text(alphabet=st.sampled_from("ab -.,A1é犬ก\t\u0301"), max_size=90), max_size=30))
def test_nothing_but_white_space_and_line_ends_changes(lines: list[str]) -> None:
    text = "\n".join(lines)
    at = wrapping.width(lines) or 40
    joined = wrapping.unwrap(text, at)
    assert "".join(joined.split()) == "".join(text.split())
    assert joined.count("\n") <= text.count("\n")
