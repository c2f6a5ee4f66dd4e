"""Tables as they are published: without a header, with other columns than text and address, quoted or not."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources import delimited_layout
from pipelines.sources.delimited_layout import looks_quoted
from pipelines.sources.reading import SourceError

Read = Callable[..., Any]
CC3M = (
    "a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/TpFyrudaT6I/s640/IMGP5548.JPG\n"
    "sierra looked stunning in this top and this skirt\thttp://78.media.tumblr.com/3b133294bdc7c7784b78.jpg\n"
    'młody mężczyzna "na moście"\thttps://example.org/a?b=1,2\n'
).encode()
LABELLED = b"".join(line + b"\tbus,road\t/m/01bjv,/m/06gfj\t0.93,0.9\n" for line in CC3M.splitlines())
CC12M = b"".join(b"\t".join(line.split(b"\t")[::-1]) + b"\n" for line in CC3M.splitlines())
PAIRS = [tuple(line.split("\t")) for line in CC3M.decode().splitlines()]


def pairs(took: Any) -> list[tuple[str, str]]:
    return [(row["text"], row["url"]) for row in took.rows]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("data", [CC3M, LABELLED, CC12M], ids=["cc3m", "labelled", "cc12m"])
def test_a_table_as_published_needs_no_word_in_the_recipe(read_rows: Read, data: bytes, bom: bytes) -> None:
    took = read_rows("train.tsv", bom + data)
    assert pairs(took) == PAIRS
    assert [row["origin"] for row in took.rows] == [f"src/train.tsv#{number}" for number in (1, 2, 3)]
    assert {row["text_role"] for row in took.rows} == {"text"}


@pytest.mark.parametrize(
    "fields",
    [
        {"columns": {"text": 0, "url": 1}},
        {"columns": {"text": 0, "url": 1}, "header": False},
        {"names": ["caption", "url", "labels", "mids", "scores"]},
        {"names": ["a", "b", "c", "d", "e"], "columns": {"text": "a", "url": "b"}},
    ],
)
def test_columns_by_position_or_by_given_names(read_rows: Read, fields: dict[str, Any]) -> None:
    assert pairs(read_rows("train.tsv.gz", gzip.compress(LABELLED), **fields)) == PAIRS


def test_labels_as_tags_are_one_text_more(read_rows: Read) -> None:
    took = read_rows("train.tsv", LABELLED, columns={"text": 0, "url": 1, "tags": 2})
    assert [row["text"] for row in took.rows[:2]] == ["a very typical bus station", "bus,road"]
    assert [row["text_role"] for row in took.rows[:2]] == ["text", "column_2"]


def test_a_header_is_one_even_with_positions(read_rows: Read) -> None:
    took = read_rows("a.tsv", b"caption\turl\na dog\thttps://e.org/1\n", columns={"text": 0, "url": 1})
    assert pairs(took) == [("a dog", "https://e.org/1")]
    assert took.rows[0]["text_role"] == "caption"


def test_the_first_of_a_table_of_words_alone_is_no_header_where_the_recipe_says_so(read_rows: Read) -> None:
    data = b"a dog\t17\na cat\t18\n"
    assert [row["text"] for row in read_rows("a.tsv", data, columns={"text": 0}).rows] == ["a dog", "a cat"]
    assert [row["text"] for row in read_rows("a.tsv", data, names=["text", "id"]).rows] == ["a dog", "a cat"]
    with pytest.raises(SourceError, match="say header: false"):
        read_rows("a.tsv", data)
    with pytest.raises(SourceError, match=r"does not tell which column is the text: a dog \| 17"):
        read_rows("a.tsv", data, header=False)


def test_given_names_that_are_the_header_are_not_a_row(read_rows: Read) -> None:
    data = b"Caption\tUrl\na dog\thttps://e.org/1\n"
    assert pairs(read_rows("a.tsv", data, names=["caption", "url"])) == [("a dog", "https://e.org/1")]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"columns": {"text": "caption"}},
            r"no column 'caption' for text; .*without a header: its first line is a very",
        ),
        ({"columns": {"text": 5}}, "no column 5: there are 2, counted from 0"),
        ({"names": ["text"]}, "gives 1 names, the first line has 2 columns"),
        ({"header": True}, "no column of texts"),
    ],
)
def test_what_does_not_fit_is_said(read_rows: Read, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read_rows("train.tsv", CC3M, **fields)


def test_a_ragged_row_and_a_long_line_cost_themselves_alone(read_rows: Read) -> None:
    long = b"x" * 5000 + b"\thttps://e.org/l\n"
    took = read_rows(
        "a.tsv", CC3M + b"no address\n" + long + CC3M, columns={"text": 0, "url": 1}, max_record_bytes=4096
    )
    assert pairs(took) == PAIRS * 2
    assert took.faults() == [("line 4", "malformed_row"), ("line 5", "line_too_long")]


# --- quoting -----------------------------------------------------------------------------------------------------------------

HARD = [
    'say "hi"', '"whole"', "tab\there", "two\nlines", "plain", "", 'ends in "', '""', "Käse, 5' breit", "a\rb", "-5", "1.5",
]  # fmt: skip
WRITERS = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "nonnumeric": csv.QUOTE_NONNUMERIC}


def table(texts: list[str], quoting: int, header: bool, end: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t", quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    if header:
        writer.writerow(["url", "text"])
    writer.writerows([f"https://e.org/{number}", text] for number, text in enumerate(texts))
    return out.getvalue().encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("quoting", WRITERS)
def test_a_quoted_tsv_is_read_as_it_was_meant(read_rows: Read, quoting: str, header: bool, end: str) -> None:
    took = read_rows("a.tsv", table(HARD, WRITERS[quoting], header, end))
    assert [row["text"] for row in took.rows] == HARD
    assert not took.errors


def test_quotes_that_are_text_stay(read_rows: Read) -> None:
    """The forms that real captions have, and what a wrong guess would make of them."""
    texts = ['"A ""fine"" thing"', '"whole"', '5" wide', '"open', 'a "b" c', '"a" b']
    data = "".join(f"https://e.org/{number}\t{text}\n" for number, text in enumerate(texts)).encode()
    assert [row["text"] for row in read_rows("a.tsv", data).rows] == texts
    assert [row["text"] for row in read_rows("a.tsv", data, quoting="none").rows] == texts
    assert [row["text"] for row in read_rows("a.csv", data.replace(b"\t", b","), quoting="none").rows] == texts


def test_the_recipe_decides_where_it_says(read_rows: Read) -> None:
    data = b'https://e.org/1\t"whole"\nhttps://e.org/2\tplain\n'
    assert [row["text"] for row in read_rows("a.tsv", data).rows] == ['"whole"', "plain"]
    assert [row["text"] for row in read_rows("a.tsv", data, quoting="csv").rows] == ["whole", "plain"]


fields = st.text(st.sampled_from(list('ab"\t\n ,ü1')), max_size=8)


@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=8), st.sampled_from(sorted(WRITERS)))
def test_what_a_writer_had_to_quote_is_seen(rows: list[tuple[str, str]], quoting: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter="\t", quoting=WRITERS[quoting], lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    must = any(set(field) & set('"\t\n') for row in rows for field in row)
    quoted = looks_quoted(out.getvalue().split("\n"), "\t")
    if must:
        assert quoted
    elif quoting == "minimal":
        assert not quoted or "" in {field for row in rows for field in row}


@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=8))
def test_lines_of_an_unquoted_file_are_not_joined(rows: list[tuple[str, str]]) -> None:
    """Whatever stands in them: where the guess is `quoted`, every line's quotes are those of a quoted file."""
    lines = ["\t".join(field.replace("\t", " ").replace("\n", " ") for field in row) for row in rows]
    if looks_quoted(lines, "\t"):
        list(csv.reader((line + "\n" for line in lines), delimiter="\t", strict=True))  # raises where they are not


def test_a_head_that_is_cut_inside_a_field_is_no_proof_against(
    read_rows: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ['say "hi"', *(f"line {number}\nline" for number in range(200))]
    data = table(texts, csv.QUOTE_MINIMAL, header=True)
    for size in range(600, 640):
        monkeypatch.setattr(delimited_layout, "_HEAD_BYTES", size)
        assert [row["text"] for row in read_rows("a.tsv", data).rows] == texts


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_flipped_bytes_never_stop_a_build_or_invent_rows(read_rows: Read, name: str) -> None:
    """Bytes of sound files are changed at random: the books balance (the fixture sees to it) and nothing else is raised."""
    if name == "a.jsonl":
        data = b"".join(
            b'{"text": ["a %d", {"lang": "de", "text": "b"}], "url": "u", "width": "%dpx"}\n' % (n, n)
            for n in range(30)
        )
    else:
        data = table(
            [f'text "{number}"' if number % 3 else f"text\n{number}" for number in range(30)], csv.QUOTE_MINIMAL, True
        )
        data = data.replace(b"\t", b",") if name == "a.csv" else data
    noise = random.Random(11)  # noqa: S311
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(noise.randint(1, 6)):
            broken[noise.randrange(len(broken))] = noise.choice(b'"\t\n\0\xff,{}[]:x\r')
        try:
            took = read_rows(name, bytes(broken))
        except SourceError as error:
            assert name in str(error)  # noqa: PT017 (either outcome is right)
        else:
            assert took.rows or took.errors
