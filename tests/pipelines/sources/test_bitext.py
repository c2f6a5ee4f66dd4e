"""Two files in step: never a shifted pair, never a lost line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import bitext
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import BitextSource

Read = Callable[..., Any]


@pytest.fixture
def read(take: Callable[..., Any], tmp_path: Path) -> Read:
    """Checks and reads two files, as a build does."""

    def run(
        left: bytes, right: bytes, names: tuple[str, str] = ("a.de", "a.en"), check: bool = True, **fields: Any
    ) -> Any:
        urls = [str(tmp_path / name) for name in names]
        for name, data in zip(names, (left, right), strict=True):
            (tmp_path / name).write_bytes(data)
        source = BitextSource(type="bitext", left=names[0], right=names[1], languages=("de", "en"), **fields)
        if check:
            bitext.check(source, {"url": urls[0], "right_url": urls[1]})
        unit = {"url": urls[0], "right_url": urls[1], "path": names[0]}
        return take(lambda reading: bitext.read(source, unit, reading))

    return run


def lines(prefix: str, count: int) -> bytes:
    return b"".join(f"{prefix} {number * number}\n".encode() for number in range(1, count + 1))


def sides(took: Any) -> list[tuple[str, str]]:
    return [(row["left_text"], row["right_text"]) for row in took.rows]


def test_lines_are_paired_with_their_languages(read: Read) -> None:
    took = read(b"eins\r\n\n  drei ", b"one\ntwo\nthree\n")
    assert took.rows == [
        {
            "origin": f"src/a.de#{number}",
            "url": None,
            "left_text": left,
            "right_text": right,
            "left_lang": "de",
            "right_lang": "en",
        }
        for number, (left, right) in enumerate([("eins", "one"), ("", "two"), ("  drei ", "three")], start=1)
    ]


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\0", "\ufeff"])
def test_only_a_line_feed_ends_a_line(read: Read, char: str) -> None:
    """Python's own splitlines would shift all lines that follow."""
    took = read(f"x\na{char}b\nc\n".encode(), b"X\nAB\nC\n")
    assert sides(took) == [("x", "X"), (f"a{char}b", "AB"), ("c", "C")]


@pytest.mark.parametrize(("left", "right"), [(3, 2), (2, 3), (0, 2), (2, 0), (2049, 2048)])
def test_unequal_counts_stop_before_anything_is_read(read: Read, left: int, right: int) -> None:
    with pytest.raises(SourceError) as caught:
        read(lines("l", left), lines("r", right))
    words = str(caught.value)
    assert f"a.de has {left} lines" in words
    assert f"a.en has {right}" in words


def test_a_file_that_changes_after_the_count_is_not_paired_in_silence(read: Read) -> None:
    with pytest.raises(SourceError, match=r"a\.de has 3 lines, .*a\.en has 2"):
        read(lines("l", 3), lines("r", 2), check=False)


def test_two_empty_files_are_an_error(read: Read) -> None:
    assert read(b"", b"").faults() == [("file", "empty_file")]


def test_the_side_of_an_undecodable_line_is_named(read: Read) -> None:
    took = read("eins\nGerät\ndrei\n".encode("latin-1"), b"one\ndevice\nthree\n")
    assert sides(took) == [("eins", "one"), ("drei", "three")]
    assert took.faults() == [("line 2", "invalid_utf8")]
    assert "a.de" in took.errors[0]["detail"]
    took = read(b"eins\nzwei\n", b"one\n\xff\n")
    assert "a.en" in took.errors[0]["detail"]
    assert read(b"\xff\nzwei\n", b"\xff\ntwo\n").faults() == [("line 1", "invalid_utf8")], (
        "one line in error is one row"
    )


def test_a_line_too_long_on_one_side_shifts_nothing(read: Read) -> None:
    took = read(b"eins\n" + b"x" * 5000 + b"\ndrei\n", b"one\ntwo\nthree\n", max_record_bytes=1024)
    assert sides(took) == [("eins", "one"), ("drei", "three")]
    assert took.faults() == [("line 2", "line_too_long")]


def test_a_mark_at_the_beginning_is_no_text(read: Read) -> None:
    assert sides(read(b"\xef\xbb\xbfeins\n", b"\xef\xbb\xbfone\n")) == [("eins", "one")]


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_truncated_side_costs_the_lines_that_lose_their_partner(read: Read, damaged: int) -> None:
    plain = [lines("l", 5000), lines("r", 5000)]
    packed = [gzip.compress(side) for side in plain]
    packed[damaged] = packed[damaged][: len(packed[damaged]) // 2]
    took = read(*packed, names=("a.de.gz", "a.en.gz"))
    good = len(took.rows)
    assert 0 < good < 5000
    assert sides(took) == [
        (left.decode(), right.decode())
        for left, right in zip(plain[0].splitlines()[:good], plain[1].splitlines()[:good], strict=True)
    ]
    assert took.faults() == [(f"after line {good}", "truncated")]
    assert took.errors[0]["rows"] == 5000 - good
    assert ("a.de.gz", "a.en.gz")[damaged] in took.errors[0]["detail"]


def test_both_sides_truncated(read: Read) -> None:
    packed = [gzip.compress(lines(prefix, 5000)) for prefix in "lr"]
    took = read(packed[0][:5000], packed[1][:7000], names=("a.de.gz", "a.en.gz"))
    assert took.rows
    assert [error["reason"] for error in took.errors] == ["truncated", "truncated"]


def test_damage_does_not_excuse_a_sound_side_that_is_too_short(read: Read) -> None:
    """The damaged file has more lines than the whole other one: the pairs are shifted, whatever its end held."""
    packed = gzip.compress(lines("l", 5000))
    with pytest.raises(SourceError, match="not aligned"):
        read(packed[: len(packed) // 2], lines("r", 10), names=("a.de.gz", "a.en"))


def test_batches_end_where_they_should(read: Read) -> None:
    count = 2 * bitext.BATCH_ROWS + 1
    took = read(lines("l", count), lines("r", count))
    assert [row["origin"] for row in took.rows] == [f"src/a.de#{number}" for number in range(1, count + 1)]
