"""Json lines that strangers wrote."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import documents
from pipelines.sources.spec import DocumentsSource

Read = Callable[..., Any]


@pytest.fixture
def read(take: Callable[..., Any], tmp_path: Path) -> Read:
    def run(data: bytes, name: str = "docs.jsonl", **fields: Any) -> Any:
        (tmp_path / name).write_bytes(data)
        source = DocumentsSource(type="documents", path=name, **fields)
        return take(lambda reading: documents.read(source, str(tmp_path / name), name, reading))

    return run


def line(text: object = "a text", **rest: object) -> bytes:
    return json.dumps({"text": text, **rest}).encode() + b"\n"


def test_lines_become_rows_with_their_numbers(read: Read) -> None:
    took = read(
        line("one", url="https://a") + b"\n  \r\n" + line("two").rstrip(b"\n") + b"\r\n" + line("three").rstrip(b"\n")
    )
    assert took.rows == [
        {"origin": "src/docs.jsonl#1", "url": "https://a", "text": "one"},
        {"origin": "src/docs.jsonl#4", "url": None, "text": "two"},
        {"origin": "src/docs.jsonl#5", "url": None, "text": "three"},
    ]
    assert not took.errors


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "malformed_json"),
        (b"null", "no_text"),
        (b"[]", "no_text"),
        (b'"text"', "no_text"),
        (b"{}", "no_text"),
        (b'{"text": null}', "no_text"),
        (b'{"text": 5}', "no_text"),
        (b'{"text": ["a"]}', "no_text"),
        (b'{"text": "a"} {"text": "b"}', "malformed_json"),
        (b'{"text": "\xed\xa0\x80"}', "invalid_utf8"),
        (b'{"text": "Ger\xe4t"}', "invalid_utf8"),
        (b'{"text": NaN}', "no_text"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "malformed_json"),
        (b"\0\0\0", "malformed_json"),
        (b"x" * 2000, "malformed_json"),
        ('{"text": "a"}'.encode("utf-16"), "invalid_utf8"),
    ],
)
def test_a_bad_line_is_one_error_with_its_number(read: Read, bad: bytes, reason: str) -> None:
    took = read(line("before") + bad + b"\n" + line("after"), max_record_bytes=2 << 20)
    assert [row["text"] for row in took.rows] == ["before", "after"]
    assert took.faults() == [("line 2", reason)]


def test_a_line_of_ten_megabytes_is_one_error(read: Read) -> None:
    took = read(line("before") + line("x" * 10_000_000) + line("after"))
    assert [row["text"] for row in took.rows] == ["before", "after"]
    assert took.faults() == [("line 2", "line_too_long")]


def test_odd_but_sound_text_is_kept_as_it_is(read: Read) -> None:
    texts = ["", " ", "a\0b", "\u2028 and \x85 and \r\n inside", "\U0001f469\u200d\U0001f680", "\ufeffx"]
    took = read(b"".join(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n" for text in texts))
    assert [row["text"] for row in took.rows] == texts


def test_a_mark_at_the_beginning_costs_no_line(read: Read) -> None:
    took = read(b"\xef\xbb\xbf" + line("one") + line("two"))
    assert [row["text"] for row in took.rows] == ["one", "two"]


def test_of_a_key_that_comes_twice_the_last_counts(read: Read) -> None:
    assert [row["text"] for row in read(b'{"text": "a", "text": "b"}\n').rows] == ["b"]


def test_several_fields_are_joined_and_one_of_them_is_enough(read: Read) -> None:
    data = b'{"title": "A ", "body": "b"}\n{"body": "b"}\n{"title": 1, "body": "b"}\n{"title": 1}\n'
    took = read(data, columns={"text": ["title", "body"], "url": None})
    assert [row["text"] for row in took.rows] == ["A b", "b", "b"]
    assert took.faults() == [("line 4", "no_text")]
    assert "title or body" in took.errors[0]["detail"]


@pytest.mark.parametrize("name", ["docs.jsonl", "docs.jsonl.gz"])
def test_an_empty_file_is_an_error(read: Read, name: str) -> None:
    data = gzip.compress(b"") if name.endswith(".gz") else b""
    assert read(data, name).faults() == [("file", "empty_file")]


def test_lines_before_a_truncation_are_kept(read: Read) -> None:
    whole = gzip.compress(b"".join(line(f"text {number * number}") for number in range(5000)))
    took = read(whole[: len(whole) // 2], "docs.jsonl.gz")
    assert took.rows
    assert [row["text"] for row in took.rows] == [f"text {number * number}" for number in range(len(took.rows))]
    assert took.faults() == [(f"after line {len(took.rows)}", "truncated")]


def test_batches_end_where_they_should(read: Read) -> None:
    count = 2 * documents.BATCH_ROWS + 1
    took = read(b"".join(line(str(number)) for number in range(count)))
    assert [row["text"] for row in took.rows] == [str(number) for number in range(count)]
