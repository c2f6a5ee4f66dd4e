"""Lines, draws and hosts, each against a plain version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import flags, hosts, neighbours, normalise, paragraphs, signs


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
    assert found.text.to_pylist() == ["a & b", "c d", "Sprühregen", "e f", "é"]
    assert (found.doc.tolist(), found.number.tolist()) == ([0, 0, 0, 2, 2], [0, 2, 3, 0, 1])
    both = paragraphs.lines(pa.array(["frame\nbody\nframe", "frame"]))
    assert paragraphs.reasons_of(both).to_pylist() == ["repeated", None, "repeated", None]


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

    sentences = pa.array([f"Sentence {n}." for n in range(at)], pa.string())
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
