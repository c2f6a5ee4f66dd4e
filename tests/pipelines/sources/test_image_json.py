"""JSON lines as alt-text: fields by name and by path, several texts, and lines that are not what they should be."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

Read = Callable[..., Any]


def lines(*records: Any) -> bytes:
    return b"".join(
        (r if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode()) + b"\n" for r in records
    )


def said(took: Any) -> list[tuple[str | None, str | None, str | None]]:
    return [(row["text"], row["lang_hint"], row["text_role"]) for row in took.rows]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson", "a.jsonl.gz", "a.json.zst"])
def test_lines_in_whatever_they_are_packed(read_rows: Read, name: str) -> None:
    data = b"\xef\xbb\xbf" + lines(
        {"URL": "u", "TEXT": "ein Haus", "WIDTH": 640, "HEIGHT": 480.0, "lang": "de"}, b"", {"text": "b"}
    )
    if name.endswith("gz"):
        data = gzip.compress(data)
    if name.endswith("zst"):
        data = zstandard.compress(data)
    took = read_rows(name, data)
    assert said(took) == [("ein Haus", "de", "text"), ("b", None, "text")]
    first = took.rows[0]
    assert (first["url"], first["declared_width"], first["declared_height"]) == ("u", 640, 480)
    assert [row["origin"] for row in took.rows] == [f"src/{name}#1", f"src/{name}#3"]


def test_fields_by_path(read_rows: Read) -> None:
    record = {"meta": {"image": {"src": "u", "w": "640px"}, "alts": [{"v": "a"}, {"v": "b"}]}, "a.b": "dotted"}
    columns = {"text": ["meta.alts.v", "a.b"], "url": "meta.image.src", "width": "meta.image.w", "similarity": "meta.s"}
    took = read_rows(
        "a.jsonl", lines({**record, "meta": {**record["meta"], "s": 0.25}}, {"a.b": "alone"}), columns=columns
    )
    assert said(took) == [
        ("a", None, "meta.alts.v"),
        ("b", None, "meta.alts.v"),
        ("dotted", None, "a.b"),
        ("alone", None, "a.b"),
    ]
    assert [row["similarity"] for row in took.rows] == [0.25, 0.25, 0.25, None]
    assert took.rows[0]["declared_width"] == 640


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b", "a", None, ""], [("a", None), ("b", None)]),
        ([["a"], ["b", ["c"]]], [("a", None), ("b", None), ("c", None)]),
        ({"de": "a", "en": ["b", "c"], "fr": None}, [("a", "de"), ("b", "en"), ("c", "en")]),
        ([{"lang": "de", "text": "a"}, {"language": "en", "caption": "b"}], [("a", "de"), ("b", "en")]),
        # Crossmodal-3600: captions of many languages, the plain ones beside the tokenised.
        (
            {"ar": {"caption": ["أ", "ب"], "caption/tokenized": ["x"]}, "de": {"caption": ["c"]}},
            [("أ", "ar"), ("ب", "ar"), ("c", "de")],
        ),
        ([], [(None, None)]),
        (["", " "], [("", None)]),
    ],
)  # fmt: skip
def test_texts_in_the_forms_they_come_in(read_rows: Read, value: Any, expected: list[Any]) -> None:
    took = read_rows("a.jsonl", lines({"captions": value}))
    assert [(row["text"], row["lang_hint"]) for row in took.rows] == expected


ALL = {
    "title": "A title", "alt": "An alt", "caption": "A caption", "tags": ["red", "old house", ""], "usertags": "a, b",
    "caption_de": "Ein Haus", "url": "https://e.org/1.jpg",
}  # fmt: skip


def test_several_columns_are_several_texts(read_rows: Read) -> None:
    columns = {"text": ["title", "alt", "caption"], "tags": ["tags", "usertags"]}
    took = read_rows("a.jsonl", lines(ALL), columns=columns)
    expected = [
        ("A title", None, "title"),
        ("An alt", None, "alt"),
        ("A caption", None, "caption"),
        ("red, old house", None, "tags"),
        ("a, b", None, "usertags"),
    ]
    assert said(took) == expected
    assert [row["origin"] for row in took.rows] == ["src/a.jsonl#1", *(f"src/a.jsonl#1.{n}" for n in range(1, 5))]
    assert said(read_rows("a.jsonl", lines(ALL), columns=columns, texts="first")) == expected[:1]
    drawn = {said(read_rows("a.jsonl", lines(ALL), seed, columns=columns, texts="one"))[0] for seed in range(60)}
    assert drawn == set(expected)


def test_one_column_a_language(read_rows: Read) -> None:
    took = read_rows("a.jsonl", lines(ALL), columns={"text": {"en": ["caption", "title"], "de": "caption_de"}})
    assert said(took) == [("A caption", "en", "caption"), ("A title", "en", "title"), ("Ein Haus", "de", "caption_de")]


def test_the_usual_names_in_their_order(read_rows: Read) -> None:
    """Of several usual names one is read: an `alt` before a `caption`, which in a crawl is there for few pictures."""
    assert said(read_rows("a.jsonl", lines(ALL))) == [("An alt", None, "alt")]
    assert said(read_rows("a.jsonl", lines({**ALL, "TEXT": "A text"}))) == [("A text", None, "text")]
    assert said(read_rows("a.jsonl", lines({"title": "t", "caption": "c"}))) == [("c", None, "caption")]


def test_lines_that_are_not_what_they_should_be_cost_themselves_alone(read_rows: Read) -> None:
    deep = b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    took = read_rows(
        "a.jsonl",
        lines(
            {"text": "first"}, b"{", b"[1]", b'"text"', {"text": 5}, {"text": None}, deep,
            b'{"text": "a\0b"}', b'{"text": "\\u0000x"}', b'{"text": "Ger\xe4t"}',
            b'{"text": "twice", "text": "last"}', b'{"text": "cut \\ud83d"}', {"other": 1}, {"text": {"a": [[[1]]]}},
            {"text": "last one"},
        ),
        max_record_bytes=1 << 20,
    )  # fmt: skip
    assert [row["text"] for row in took.rows] == ["first", None, "\0x", "last", "cut ", None, None, "last one"]
    assert took.faults() == [
        ("line 2", "malformed_json"),
        ("line 3", "wrong_type"),
        ("line 4", "wrong_type"),
        ("line 5", "wrong_type"),
        ("line 7", "malformed_json"),
        ("line 8", "malformed_json"),
        ("line 10", "invalid_utf8"),
    ]


@pytest.mark.parametrize("at", [0, 1])
def test_a_line_of_a_hundred_megabytes_costs_itself_alone(read_rows: Read, at: int) -> None:
    good = [lines({"text": f"text {number}"}) for number in range(3)]
    data = b"".join([*good[:at], b'{"text": "' + b"x" * (100 << 20) + b'"}\n', *good[at:]])
    packed = gzip.compress(data, 1)
    del data
    tracemalloc.start()
    took = read_rows("a.jsonl.gz", packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["text"] for row in took.rows] == ["text 0", "text 1", "text 2"]
    assert took.faults() == [(f"line {at + 1}", "line_too_long")]
    assert peak < 32 << 20


def test_a_truncated_file_keeps_what_came_before(read_rows: Read) -> None:
    whole = gzip.compress(lines(*({"text": f"text {n * n}"} for n in range(5000))))
    took = read_rows("a.jsonl.gz", whole[: len(whole) // 2])
    assert [row["text"] for row in took.rows] == [f"text {n * n}" for n in range(len(took.rows))]
    assert took.rows
    assert took.faults() == [(f"after line {len(took.rows)}", "truncated")]


def test_an_empty_file_is_an_error(read_rows: Read) -> None:
    assert read_rows("a.jsonl", b"").faults() == [("file", "empty_file")]


def test_sizes_as_html_and_tables_write_them(read_rows: Read) -> None:
    given = ["640", "640px", " 12.5 ", 7, 7.9, "100%", "auto", "", None, 0, -3, True, "1e3", 2**40, [5]]
    took = read_rows("a.jsonl", lines(*({"text": "t", "width": value, "height": 9} for value in given)))
    assert [row["declared_width"] for row in took.rows] == [640, 640, 12, 7, 7, *[None] * 10]
    assert {row["declared_height"] for row in took.rows} == {9}


def test_the_size_of_the_original_goes_before_that_of_the_copy(read_rows: Read) -> None:
    record = {"text": "t", "width": 256, "height": 256, "original_width": 1024, "original_height": 768}
    rows = read_rows("a.jsonl", lines(record, {**record, "original_height": None})).rows
    assert [(row["declared_width"], row["declared_height"]) for row in rows] == [(1024, 768), (1024, None)]
    rows = read_rows("a.jsonl", lines(record), columns={"width": "width", "height": "height"}).rows
    assert (rows[0]["declared_width"], rows[0]["declared_height"]) == (256, 256)
