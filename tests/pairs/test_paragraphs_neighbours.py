"""Lines, draws and hosts, each against a plain version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import flags, hosts, neighbours, normalise, paragraphs, sentence_facts, signs, spans
from pairs.paragraphs import Lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A sentence of plain prose, 1. of 2.", None),
        ("• an item", "list"), ("1) an item", "list"), ("iv. an item", "list"), ("- an item", "list"),
        ("-5 degrees were measured.", None),
        ("Home | News | Contact", "navigation"), ("a | b", None), ("Start › Shop › Schuhe", "navigation"),
        ("if (x) { return 1; }", "code"), ("He said: wait; then he left.", None), ("#include <stdio.h>", "code"),
        ("x" * 20_001, "too_long"),
    ],
)  # fmt: skip
def test_lines(line: str, reason: str | None) -> None:
    found = paragraphs.lines(pa.array([line]))
    assert paragraphs.reasons_of(found).to_pylist() == [reason]


def test_lines_are_tidied_and_keep_their_numbers() -> None:
    found = paragraphs.lines(
        pa.array(["a &amp; b\r\n\n  c\u00a0 d\u200b \u2028SprÃ¼hregen", None, "<p>e</p><br>f\ne\u0301"])
    )
    assert found.spans.texts().to_pylist() == ["a & b", "c d", "Sprühregen", "e f", "é"]
    assert (found.doc.tolist(), found.number.tolist()) == ([0, 0, 0, 2, 2], [0, 2, 3, 0, 1])
    both = paragraphs.lines(pa.array(["frame\nbody\nframe", "frame"]))
    assert paragraphs.reasons_of(both).to_pylist() == ["repeated", None, "repeated", None]


# What the compiled passes say, as patterns: each was what the code ran before it had the passes.
_CODE = paragraphs._CODE
_CODE_SIGNS = r"[{};=>(<#/$]|^import "
_LIST = r"^\s*(?:[•·▪►●○◦‣*»›→✓✔■◆]|[-–—] |\(?[0-9ivx]{1,3}[.)] |[a-z]\) |#)"
_NAVIGATION = r"(?:\|[^|]*){2}|(?:›[^›]*){2}|(?:→[^→]*){2}|(?: [·•] [^·•]*){3}"
_END = (
    r"[.!?…。！？｡．।॥؟۔።։៕។၊။༎᠃⁇⁈⁉‼‽᱾᱿෴]['\"”’»›“‘«*_)」』】〉》）］〕\]]*"
    r"(?:[ \x{FE0F}\x{200D}]*[\x{2600}-\x{27BF}\x{1F000}-\x{1FAFF}])*$|།$"
)
_PIECES = st.sampled_from(
    [
        *"abinx19 .,;:|{}[]()=>/<#$*-–•·›→»⟶é中😀☀\ufe0f\u200d'\"!?।", "function(", "function (", "import x", "def f(",
        "public class ", "public static", "=>", " · ", " • ", "1. ", "(iv) ", "a) ", "www.", "//", "''", "click here",
        "Cookie", "COOKIES", "subſcribe", "@", "me@x-y.org", "ü@", ".é", "ï¿½", "Ã¼", "Â ", "â€", "Ð°Ñ",
        "РџСЂРё", "Р", "С", "Ђ", "ж", "?", "??? ??", "\ufffd", "\x85", "читать далее", "点击",
    ]
)  # fmt: skip
_TEXTS = st.lists(st.lists(_PIECES, max_size=12).map("".join), max_size=6)


def _plain_tidy(texts: list[str | None]) -> list[list[str]]:
    """Documents as lines by the repairs alone, one document at a time."""
    found = []
    for text in texts:
        column = normalise.strip_markup(normalise.unescape(pa.array([text or ""])))
        lines = pa.array(normalise.line_ends(column).to_pylist()[0].split("\n"))
        repaired = paragraphs._repair(lines)
        tidy = normalise.pc.utf8_trim(normalise.spaces(normalise.nfc(repaired)), " ").to_pylist()
        found.append([line for line in tidy if line])
    return found


_RAW = st.sampled_from(
    [*"ab &<>[:;ÃÂâ¼€\r\n\x0b\x85\xa0\xad\u2028\u200b\u3000\u0301\u0323\u094d\u093c\ue000é中가ᅡ\U0001f600\U000e0101", "  ", "\r\n",
     "<b>", "<br>", "<!--", "-->", "&amp;", "&#10;", "&nbsp;", "[:en]", "SprÃ¼h", "Р°"]
)  # fmt: skip


@given(st.lists(st.none() | st.lists(_RAW, max_size=12).map("".join), max_size=5))
def test_lines_are_those_of_the_repairs_alone(texts: list[str | None]) -> None:
    found = paragraphs.lines(pa.array(texts, pa.string()))
    lines: list[list[str]] = [[] for _ in texts]
    for doc, line in zip(found.doc.tolist(), found.spans.texts().to_pylist(), strict=True):
        lines[doc].append(line)
    assert lines == _plain_tidy(texts)


def _lines(texts: list[str]) -> tuple[Lines, pa.StringArray]:
    found = paragraphs.lines(pa.array(texts, pa.string()))
    return found, found.spans.texts()


@given(_TEXTS)
def test_reasons_of_lines_are_those_of_patterns(texts: list[str]) -> None:
    found, column = _lines(texts)
    code = [a and b for a, b in zip(*(flags.found(column, p).to_pylist() for p in (_CODE, _CODE_SIGNS)), strict=True)]
    items = flags.found(normalise.pc.utf8_slice_codeunits(column, 0, 8), _LIST).to_pylist()
    bars = flags.found(column, _NAVIGATION).to_pylist()
    lines = list(zip(found.doc.tolist(), column.to_pylist(), strict=True))
    wanted = [
        "repeated"
        if lines.count(line) > 1
        else "code"
        if code[n]
        else "list"
        if items[n]
        else "navigation"
        if bars[n]
        else None
        for n, line in enumerate(lines)
    ]
    assert paragraphs.reasons_of(found).to_pylist() == wanted


@given(_TEXTS)
def test_facts_of_sentences_are_those_of_patterns(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    found = sentence_facts.measure(spans.decode(column))
    assert found["has_end"].tolist() == flags.found(column, _END).to_pylist()
    assert found["begins_small"].tolist() == flags.found(column, r"^\p{Ll}+(?:[ ,;:'’]|$)").to_pylist()
    assert found["begins_large"].tolist() == flags.found(column, r"^[^\pL\pN]*[\p{Lu}\p{Lt}]").to_pylist()
    assert found["is_boilerplate"].tolist() == flags.found(column, sentence_facts.BOILERPLATE).to_pylist()
    either = flags.found(column, flags.URL).to_pylist(), flags.found(column, flags.EMAIL).to_pylist()
    assert found["is_url"].tolist() == [a or b for a, b in zip(*either, strict=True)]
    assert found["is_mojibake"].tolist() == flags.found(column, flags.MOJIBAKE).to_pylist()
    assert found["is_markup"].tolist() == flags.found(column, flags.MARKUP).to_pylist()


def test_each_literal_stands_in_what_its_pattern_finds() -> None:
    for literal, pattern in sentence_facts._BOILERPLATE.items():
        plain = pattern.replace(r"\b", "").replace(r"\w+", "и").replace("?:", "").replace("s?", "").replace(" ?", " ")
        first = plain.split("(")[0] + plain.split("(")[1].split("|")[0].split(")")[0] if "(" in plain else plain
        assert literal in first.lower(), pattern


def test_lines_stay_what_they_are_while_somebody_holds_them() -> None:
    """Code points lie in memory that is used again: only when nothing refers to it."""
    first = paragraphs.lines(pa.array(["one line", "another"]))
    part = first.spans.take(np.array([1]))
    second = paragraphs.lines(pa.array(["x\ny"]))
    assert first.spans.texts().to_pylist() == ["one line", "another"]
    del first
    third = paragraphs.lines(pa.array(["zzzzzzzz"]))
    found = [spans_.texts().to_pylist() for spans_ in (part, second.spans, third.spans)]
    assert found == [["another"], ["x", "y"], ["zzzzzzzz"]]


_BITS = st.sampled_from(
    [*"ab /\\&<@:|{}[]=('\"wW\t\r\n\x0b\x85\xa0\xad\u2028\u200b\u3000\ufeff\ue000é中😀", "  ", "//", "www", "''"]
)


@given(st.lists(st.lists(_BITS, max_size=8).map("".join), max_size=6))
def test_a_sign_that_is_not_there_is_in_no_text(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    held = signs.scan(column)
    for text, bits in zip(texts, held.tolist(), strict=True):
        assert bool(bits & signs.NON_ASCII) == (not text.isascii())
        for bit, sign in ((signs.AT, "@"), (signs.TAG, "<"), (signs.SLASHES, "//"), (signs.BAR, "|"), (signs.AMP, "&")):
            assert bool(bits & bit) == (sign in text)
    odd = held & (signs.INVISIBLE | signs.SPACES) != 0
    untouched = pa.array(texts, pa.string()).filter(pa.array(~odd))
    assert normalise.spaces(untouched).equals(untouched)
    quiet = column.filter(pa.array(held & signs.LINE_END == 0))
    assert normalise.line_ends(quiet).equals(quiet)
    no_url = held & (signs.SLASHES | signs.WWW) == 0
    assert not any(flags.found(column.filter(pa.array(no_url)), flags.URL).to_pylist())


def plain_draw(left: list[int], doc: list[int], hashes: list[int], limit: int | None, bad: set[int]) -> list[int]:
    chosen: list[int] = []
    for document in sorted(set(doc)):
        used: set[int] = set()
        mine = sorted((n for n in range(len(doc)) if doc[n] == document), key=lambda n: hashes[n])
        taken = []
        for n in mine:
            if left[n] in bad or (limit is not None and (len(taken) >= limit or {left[n], left[n] + 1} & used)):
                continue
            taken.append(n)
            used |= {left[n], left[n] + 1}
        chosen += taken or mine[:1]
    return sorted(chosen)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32), st.sampled_from([1, 2, 4, None]),
    st.sets(st.integers(0, 50)),
)  # fmt: skip
def test_draws_are_those_of_a_plain_loop(sizes: list[int], seed: int, limit: int | None, bad: set[int]) -> None:
    left, doc, at = [], [], 0
    for document, size in enumerate(sizes):
        left += list(range(at, at + size - 1))
        doc += [document] * (size - 1)
        at += size
    hashes = np.random.default_rng(seed).integers(0, 2**63, len(left)).astype(np.uint64)

    def check(facts: dict[str, Any], lefts: np.ndarray) -> np.ndarray:
        assert (facts["chars"][lefts] > 0).all(), "measured before it is asked for"
        return np.array([0 if place in bad else -1 for place in lefts.tolist()], np.int64)

    sentences = spans.decode(pa.array([f"Sentence {n}." for n in range(at)], pa.string()))
    drawn = neighbours.draw(sentences, np.array(left, np.int64), np.array(doc, np.int64), hashes, limit, check)
    assert drawn.chosen.tolist() == plain_draw(left, doc, hashes.tolist(), limit, bad)


def test_hosts() -> None:
    urls = [
        "https://WWW.Example.org:80/a",
        "http://user@example.org?x",
        "example.org/a",
        None,
        "ftp://www2.a.b.",
        "https://münchen.de/",
    ]
    assert hosts.hosts(pa.array(urls)).to_pylist() == ["example.org", "example.org", None, None, "a.b", "münchen.de"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30), st.integers(1, 4))
def test_the_least_of_each_host_stay(rows: list[tuple[int, int]], limit: int) -> None:
    values, ranks = (np.array([row[at] for row in rows], np.uint64) for at in (0, 1))
    over = hosts.over(values, ranks, np.arange(len(rows)), limit)
    for host in set(values.tolist()):
        mine = sorted((int(ranks[n]), n) for n in range(len(rows)) if values[n] == host)
        assert [bool(over[n]) for _, n in mine] == [place >= limit for place in range(len(mine))]
