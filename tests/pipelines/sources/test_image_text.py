"""Photographs and alt-texts as strangers store them: parquet, tables of text, tars."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines import storage
from pipelines.sources import image_text
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import ImageTextSource
from tests.tars import tar

Read = Callable[..., Any]


def picture(number: int = 0, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((16 + number, 16)).save(out, kind)
    return out.getvalue()


PICTURE = picture()


@pytest.fixture
def read(take: Callable[..., Any], tmp_path: Path) -> Read:
    """Reads a file unit by unit, as a build does, and checks what each picture points at."""

    def run(name: str, data: bytes | None = None, **fields: Any) -> Any:
        url = str(tmp_path / name)
        if data is not None:
            Path(url).write_bytes(data)
        source = ImageTextSource(type="image_text", path=name, **fields)
        blob_url = str(tmp_path / "blob")

        def units(reading: Any) -> Any:
            with storage.AtomicFile(blob_url) as blob:
                for unit in image_text.plan(source, url):
                    yield from image_text.read(source, url, name, unit, reading, blob, "root:blob")

        took = take(units)
        for row in took.rows:
            if (image := row["image"]) is not None:
                place = (
                    blob_url if image["part"] == "root:blob" else str(tmp_path / image["part"].removeprefix("source:"))
                )
                data = Path(place).read_bytes()[image["offset"] : image["offset"] + image["length"]]
                assert Image.open(io.BytesIO(data)).size == (image["width"], image["height"])
        return took

    return run


def texts(took: Any) -> list[str | None]:
    return [row["text"] for row in took.rows]


# --- parquet -----------------------------------------------------------------------------------------------------------------


def parquet(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


STRINGS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}
BYTES = {
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "struct": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    "struct of large": pa.struct([("path", pa.string()), ("bytes", pa.large_binary())]),
    "fixed": pa.binary(len(PICTURE)),
}


@pytest.mark.parametrize("kind", STRINGS)
def test_a_string_is_read_in_whatever_type_it_is_stored(read: Read, kind: str) -> None:
    values = pa.array(["one", None, "drei ü", ""], pa.string()).cast(STRINGS[kind])
    took = read("a.parquet", parquet(pa.table({"caption": values})))
    assert texts(took) == ["one", None, "drei ü", ""]
    assert [row["origin"] for row in took.rows] == [f"src/a.parquet#{row}" for row in range(4)]


@pytest.mark.parametrize("kind", BYTES)
def test_pictures_are_read_in_whatever_type_they_are_stored(read: Read, kind: str) -> None:
    struct = kind.startswith("struct")
    values = [{"bytes": PICTURE, "path": "x"} if struct else PICTURE, None]
    took = read("a.parquet", parquet(pa.table({"image": pa.array(values, BYTES[kind]), "text": ["a", "b"]})))
    assert texts(took) == ["a"]
    assert took.faults() == [("row 1", "no_image")]


def test_a_struct_without_its_bytes_has_no_image(read: Read) -> None:
    column = pa.array([{"bytes": None, "path": "x"}, {"bytes": b"", "path": "y"}], BYTES["struct"])
    took = read("a.parquet", parquet(pa.table({"image": column, "text": ["a", "b"]})))
    assert took.faults() == [("row 0", "no_image"), ("row 1", "empty")]


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("text", pa.array([[1, 2]]), "'text' for text is list<"),
        ("caption", pa.array([1]), "'caption' for text is int64"),
        ("caption", pa.array([["a"]]), "columns.texts"),
        ("caption", pa.array([{"a": 1}]), "'caption' for text is struct"),
    ],
)
def test_a_column_of_the_wrong_type_is_named_with_its_type(
    read: Read, column: str, values: pa.Array, says: str
) -> None:
    """Every row of it would be dropped for want of a text, and the build would end with nothing."""
    with pytest.raises(SourceError) as caught:
        read("a.parquet", parquet(pa.table({column: values})))
    assert says in str(caught.value)
    assert "a.parquet" in str(caught.value)


def test_a_named_image_column_must_hold_bytes(read: Read) -> None:
    data = parquet(pa.table({"picture": ["https://a"], "text": ["a"]}))
    with pytest.raises(SourceError, match="'picture' for image is string"):
        read("a.parquet", data, columns={"image": "picture"})


def test_a_column_of_addresses_called_image_makes_a_table_without_photographs(read: Read, tmp_path: Path) -> None:
    took = read("a.parquet", parquet(pa.table({"image": ["https://a"], "text": ["a"], "url": ["https://a"]})))
    assert texts(took) == ["a"]
    assert took.rows[0]["image"] is None
    assert image_text.has_images(ImageTextSource(type="image_text", path="x"), str(tmp_path / "a.parquet")) is False


def test_a_missing_column_is_named_with_those_there_are(read: Read) -> None:
    data = parquet(pa.table({"words": ["a"], "other": [1]}))
    with pytest.raises(SourceError, match=r"no column of texts; there are words, other"):
        read("a.parquet", data)
    with pytest.raises(SourceError, match=r"no column 'wrods' for text; there are words, other"):
        read("a.parquet", data, columns={"text": "wrods"})
    assert texts(read("a.parquet", data, columns={"text": "words"})) == ["a"]


def test_two_columns_of_one_name_are_an_error(read: Read) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(SourceError, match="2 columns are called 'text'"):
        read("a.parquet", parquet(table))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([["a", None, "b"], [], None]), [("a", None), ("b", None), (None, None), (None, None)]),
        (pa.array([[{"lang": "de", "text": "a"}, {"lang": None, "text": "b"}]]), [("a", "de"), ("b", None)]),
        (pa.array([[("de", "a"), ("en", "b")]], pa.map_(pa.string(), pa.string())), [("a", "de"), ("b", "en")]),
        (pa.array([{"de": "a", "en": None}]), [("a", "de")]),
        (pa.array([[1, 2]]), [(None, None)]),
        (pa.array(["a"]), [("a", None)]),
        (pa.array(["a"]).cast(pa.dictionary(pa.int8(), pa.string())), [("a", None)]),
        (pa.nulls(1), [(None, None)]),
    ],
)
def test_several_texts_in_the_forms_they_come_in(read: Read, column: pa.Array, expected: list[Any]) -> None:
    took = read("a.parquet", parquet(pa.table({"texts": column})))
    assert [(row["text"], row["lang_hint"]) for row in took.rows] == expected
    assert took.reading.records == len(column)


def test_the_first_of_several_texts(read: Read) -> None:
    data = parquet(pa.table({"texts": [[None, "b", "c"], ["d"]]}))
    assert texts(read("a.parquet", data, texts="first")) == ["b", "d"]
    assert texts(read("a.parquet", data)) == ["b", "c", "d"]


def test_one_of_several_texts_is_drawn_by_the_picture(read: Read) -> None:
    """The same draw wherever the row lies; over many pictures every place of the list is drawn."""
    rows = [[f"{letter}{number}" for letter in "abc"] for number in range(60)]
    urls = [f"https://e/{number}.jpg" for number in range(60)]
    data = parquet(pa.table({"texts": rows, "url": urls}))
    drawn = texts(read("a.parquet", data, texts="one"))
    assert [text[1:] for text in drawn if text] == [str(number) for number in range(60)]
    assert {text[0] for text in drawn if text} == set("abc")
    backwards = parquet(pa.table({"texts": [row[::-1] for row in rows[::-1]], "url": urls[::-1]}))
    assert texts(read("b.parquet", backwards, texts="one"))[::-1] == drawn


def test_strings_that_are_not_utf8_cost_their_rows_alone(read: Read) -> None:
    """Arrow does not check strings when it reads them."""
    bad = pa.array([b"good", b"Ger\xe4t", b"fine"])
    unchecked = pa.StringArray.from_buffers(3, bad.buffers()[1], bad.buffers()[2])
    for column in (unchecked, bad):
        took = read("a.parquet", parquet(pa.table({"text": column})))
        assert texts(took) == ["good", "fine"]
        assert took.faults() == [("row 1", "invalid_utf8")]


def test_a_value_that_python_cannot_hold_costs_its_row_alone(read: Read) -> None:
    """A date of the year 292277 is sound Arrow and no Python datetime."""
    when = pa.array([0, 2**62, 5], pa.timestamp("ms"))
    took = read("a.parquet", parquet(pa.table({"text": ["a", "b", "c"], "url": when}), version="2.6"))
    assert texts(took) == ["a", "c"]
    assert took.faults() == [("row 1", "malformed_row")]


def test_bad_pictures_cost_their_rows_alone_with_the_reason(read: Read) -> None:
    jpeg = picture(kind="JPEG")
    pictures = [
        PICTURE,
        b"<html>",
        jpeg[: len(jpeg) // 2],
        picture(kind="GIF"),
        b"",
        picture(50),
        PICTURE + bytes(4096),
    ]
    took = read(
        "a.parquet",
        parquet(pa.table({"image": pictures, "text": [str(n) for n in range(7)]})),
        max_image_pixels=20 * 16,
        max_image_bytes=4096,
    )
    assert texts(took) == ["0"]
    assert took.faults() == [
        ("row 1", "not_an_image"),
        ("row 2", "truncated"),
        ("row 3", "unsupported_format"),
        ("row 4", "empty"),
        ("row 5", "too_many_pixels"),
        ("row 6", "too_many_bytes"),
    ]


def test_a_text_too_long_costs_its_row_alone(read: Read) -> None:
    data = parquet(pa.table({"text": ["a", "ü" * 513, "ü" * 512, "b"], "texts": [[], [], [], ["x" * 1025]]}))
    took = read("a.parquet", data, max_record_bytes=1024)
    assert texts(took) == ["a", "ü" * 512]
    assert took.faults() == [("row 1", "text_too_long"), ("row 3", "text_too_long")]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_no_rows_is_read(read: Read, rows: int) -> None:
    took = read("a.parquet", parquet(pa.table({"text": pa.array(["a"] * rows, pa.string())})))
    assert (len(took.rows), took.errors) == (rows, [])


def test_a_table_of_no_row_groups_is_read(read: Read, tmp_path: Path) -> None:
    pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("text", pa.string())])).close()
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 0
    took = read("a.parquet")
    assert (took.rows, took.errors) == ([], [])


ROWS = 1000
SOUND = pa.table({"text": [f"text {n * n}" for n in range(ROWS)], "lang": ["en"] * ROWS})


@pytest.mark.parametrize("keep", [0, 3, 4, 8, 100, -1, -4, -8, -9, -100])
def test_a_cut_file_is_one_error(read: Read, keep: int) -> None:
    took = read("a.parquet", parquet(SOUND)[:keep])
    assert took.faults() == [("file", "corrupt")]


def test_damage_in_one_row_group_costs_that_group_alone(read: Read, tmp_path: Path) -> None:
    data = bytearray(parquet(SOUND, row_group_size=100, compression="zstd"))
    footer = pq.ParquetFile(io.BytesIO(data)).metadata
    column = footer.row_group(3).column(0)
    begin = column.dictionary_page_offset or column.data_page_offset
    data[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    took = read("a.parquet", bytes(data))
    assert texts(took) == [f"text {n * n}" for n in range(ROWS) if not 300 <= n < 400]
    assert took.faults() == [("rows 300-399", "corrupt")]
    assert took.errors[0]["rows"] == 100


def test_units_cover_each_row_once(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_text, "UNIT_ROWS", 250)
    took = read("a.parquet", parquet(SOUND, row_group_size=70))
    assert [row["origin"] for row in took.rows] == [f"src/a.parquet#{n}" for n in range(ROWS)]
    assert texts(took) == SOUND["text"].to_pylist()


def test_flipped_bytes_never_stop_a_build_or_invent_rows(read: Read) -> None:
    """Bytes of a sound file are changed at random: the books balance (the fixture sees to it) and nothing else is raised."""
    data = parquet(SOUND.slice(0, 200), row_group_size=50)
    noise = random.Random(11)  # noqa: S311
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(noise.randint(1, 4)):
            broken[noise.randrange(len(broken))] = noise.randrange(256)
        try:
            took = read("a.parquet", bytes(broken))
        except SourceError as error:
            assert "a.parquet" in str(error)  # noqa: PT017 (either outcome is right)
        else:
            assert took.rows or took.errors


def test_a_file_of_no_known_format_is_named(read: Read) -> None:
    with pytest.raises(SourceError, match=r"a\.arrow: format unknown"):
        read("a.arrow", b"x")


# --- csv, tsv ----------------------------------------------------------------------------------------------------------------


def test_quotes_commas_and_line_ends_in_fields(read: Read) -> None:
    data = b'url,caption\r\nu1,"a, b"\r\nu2,"two\r\nlines"\r\nu3,"say ""hi"""\r\n\r\nu4,plain\x85\xc2\x85 5" wide\r\n'
    took = read("a.csv", data.replace(b"\x85\xc2\x85", "\x85\u2028".encode()))
    assert [(row["origin"], row["url"], row["text"]) for row in took.rows] == [
        ("src/a.csv#2", "u1", "a, b"),
        ("src/a.csv#3", "u2", "two\nlines"),
        ("src/a.csv#5", "u3", 'say "hi"'),
        ("src/a.csv#7", "u4", 'plain\x85\u2028 5" wide'),
    ]
    assert not took.errors


@pytest.mark.parametrize("number", [0, 1, 37, 98, 99])
def test_a_quote_that_is_never_closed_costs_its_row_alone(read: Read, number: int) -> None:
    """The standard library's reader gives the rest of the file as one field."""
    rows = [f'u{n},"text {n}"' if n % 3 == 0 else f"u{n},text {n}" for n in range(100)]
    rows[number] = f'u{number},"text {number}'
    took = read("a.csv", ("url,text\n" + "\n".join(rows) + "\n").encode())
    assert texts(took) == [f"text {n}" for n in range(100) if n != number]
    assert took.faults() == [(f"line {number + 2}", "malformed_row")]


def test_many_unclosed_quotes_cost_no_more_than_their_rows(read: Read) -> None:
    rows = [f"u{n},text {n}" if n % 10 else f'u{n},"text {n}' for n in range(200)]
    took = read("a.csv", ("url,text\n" + "\n".join(rows) + "\n").encode())
    assert {f"text {n}" for n in range(200) if n % 10} <= set(texts(took))


def test_a_quoted_field_above_the_bound_costs_its_row_alone(read: Read) -> None:
    long = "\n".join(["word"] * 1000)
    took = read("a.csv", f'url,text\nu1,a\nu2,"{long}\nu3,b\n'.encode(), max_record_bytes=1024)
    assert took.faults()[0] == ("line 3", "malformed_row")
    assert texts(took) == ["a", "b"]


def test_a_bad_line_inside_a_quoted_field_costs_the_whole_row(read: Read) -> None:
    """The row must not be kept with a hole in it."""
    took = read("a.csv", b'url,text\nu1,"one\nGer\xe4t\nthree"\nu2,good\n')
    assert "good" in texts(took)
    assert not any("one" in (text or "") for text in texts(took))
    assert {("line 3", "invalid_utf8"), ("line 2", "malformed_row")} <= set(took.faults())


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_ragged_rows_are_errors(read: Read, ending: str) -> None:
    data = b"url,text,lang\nu1,a,en\nu2,b\nu3,c,en,more\nu4\nu5,d,en\n"
    took = read(f"a.{ending}", data if ending == "csv" else data.replace(b",", b"\t"))
    assert [(row["text"], row["lang_hint"]) for row in took.rows] == [("a", "en"), ("d", "en")]
    assert took.faults() == [("line 3", "malformed_row"), ("line 4", "malformed_row"), ("line 5", "malformed_row")]


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_odd_but_sound_characters_are_text(read: Read, ending: str) -> None:
    comma = "," if ending == "csv" else "\t"
    data = f"\ufeffurl{comma}text\nu1{comma}a\0b\nu2{comma}it's 5\u2032 wide\n"
    took = read(f"a.{ending}", data.encode())
    assert [(row["url"], row["text"]) for row in took.rows] == [("u1", "a\0b"), ("u2", "it's 5\u2032 wide")]


def test_quotes_in_a_tsv_are_text(read: Read) -> None:
    took = read("a.tsv", b'url\ttext\nu1\t"quoted"\nu2\t"open\nu3\tb\rc\n')
    assert texts(took) == ['"quoted"', '"open', "b\rc"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.csv", b"url;caption\nu1;a\n"), ("a.tsv", b"url,caption\nu1,a\n"), ("a.csv", b"url\tcaption\nu1\ta\n")],
)
def test_the_wrong_delimiter_is_told_by_the_header(read: Read, name: str, data: bytes) -> None:
    with pytest.raises(SourceError, match=r"no column of texts; there are url.caption"):
        read(name, data)


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_a_table_without_a_header_is_an_error(read: Read, data: bytes) -> None:
    assert read("a.csv", data).faults() == [("file", "empty_file")]


def test_a_header_alone_is_a_table_of_no_rows(read: Read) -> None:
    took = read("a.csv", b"url,text\n")
    assert (took.rows, took.errors) == ([], [])


def test_a_header_that_cannot_be_read_is_not_replaced_by_the_next_line(read: Read) -> None:
    with pytest.raises(SourceError, match="first line"):
        read("a.csv", b"url,text,Gr\xf6\xdfe\ntext,text,text\nu,v,w\n")


def test_two_columns_of_one_name_in_a_header(read: Read) -> None:
    with pytest.raises(SourceError, match="2 columns are called 'text'"):
        read("a.csv", b"text,text\na,b\n")


def test_a_truncated_table_keeps_what_came_before(read: Read) -> None:
    whole = gzip.compress(b"url,text\n" + b"".join(b"u,text %d\n" % (n * n) for n in range(5000)))
    took = read("a.csv.gz", whole[: len(whole) // 2])
    assert texts(took) == [f"text {n * n}" for n in range(len(took.rows))]
    assert took.faults() == [(f"after line {len(took.rows) + 1}", "truncated")]


# --- webdataset --------------------------------------------------------------------------------------------------------------


def fields(**values: Any) -> bytes:
    return json.dumps(values).encode()


def test_samples_are_neighbours_of_one_name(read: Read) -> None:
    data = tar(
        ("x/a.jpg", picture(kind="JPEG")), ("x/a.txt", b"one"), ("x/a.json", fields(url="u", lang="en")),
        ("y/a.PNG", PICTURE), ("y/a.json", fields(caption="two", texts={"de": "zwei", "en": "two"})),
        ("README", b"no sample"), ("b.txt", b"three"), ("b.png", PICTURE),
    )  # fmt: skip
    took = read("a.tar", data)
    assert [(row["origin"], row["text"], row["lang_hint"]) for row in took.rows] == [
        ("src/a.tar#x/a", "one", "en"),
        ("src/a.tar#y/a", "two", "en"),
        ("src/a.tar#y/a.1", "zwei", "de"),
        ("src/a.tar#b", "three", None),
    ]
    assert took.rows[0]["url"] == "u"
    assert not took.errors


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([("a.txt", b"t")], "no_image"),
        ([("a.jpg", b"garbage"), ("a.txt", b"t")], "not_an_image"),
        ([("a.gif", picture(kind="GIF")), ("a.txt", b"t")], "unsupported_format"),
        ([("a.jpg", b""), ("a.txt", b"t")], "empty"),
        ([("a.png", PICTURE), ("a.txt", b"Ger\xe4t")], "invalid_utf8"),
        ([("a.png", PICTURE), ("a.json", b"{")], "malformed_text"),
        ([("a.png", PICTURE), ("a.json", b"[" * 100_000)], "malformed_text"),
        ([("a.png", PICTURE), ("a.txt", b"x" * 5000)], "text_too_long"),
        ([("a.png", PICTURE), ("a.txt", b"x" * 20_000)], "malformed_text"),
        ([("a.png", PICTURE + bytes(20_000)), ("a.txt", b"t")], "too_many_bytes"),
        ([("a.png", PICTURE), ("a.txt", b"t"), ("a.txt", b"u")], "duplicate_member"),
        ([("a.png", PICTURE), ("a.PNG", picture(3)), ("a.txt", b"t")], "duplicate_member"),
    ],
)
def test_a_bad_sample_is_one_error(read: Read, bad: list[tuple[str, bytes]], reason: str) -> None:
    data = tar(("0.png", PICTURE), ("0.txt", b"before"), *bad, ("z.png", PICTURE), ("z.txt", b"after"))
    took = read("a.tar", data, max_record_bytes=4096, max_image_bytes=16_384)
    assert texts(took) == ["before", "after"]
    assert took.faults() == [("sample a", reason)]


def test_a_sample_without_a_text_goes_on_to_the_rules(read: Read) -> None:
    data = tar(
        ("a.png", PICTURE), ("b.png", PICTURE), ("b.json", b"[]"), ("c.png", PICTURE), ("c.json", fields(caption=5))
    )
    took = read("a.tar", data)
    assert texts(took) == [None, None, None]


def test_samples_that_interleave_are_taken_apart_and_all_accounted(read: Read) -> None:
    """Webdataset groups neighbours; a member that lies apart is a sample of its own."""
    data = tar(("a.png", PICTURE), ("b.png", PICTURE), ("a.txt", b"one"), ("b.txt", b"two"))
    took = read("a.tar", data)
    assert texts(took) == [None, None]
    assert took.faults() == [("sample a", "no_image"), ("sample b", "no_image")]


def test_a_name_that_comes_again_has_an_origin_of_its_own(read: Read) -> None:
    sample = [("a.png", PICTURE), ("a.json", fields(texts=["x", "y"]))]
    other = [("b.png", PICTURE), ("b.txt", b"z")]
    took = read("a.tar", tar(*sample, *other, *sample, *other) + tar(*sample, *other))
    assert texts(took) == ["x", "y", "z"] * 3
    assert len({row["origin"] for row in took.rows}) == 9


def test_hidden_files_of_a_mac_do_not_split_samples(read: Read) -> None:
    data = tar(("./._a.png", b"?"), ("./a.png", PICTURE), ("./._a.txt", b"?"), ("./a.txt", b"one"), (".DS_Store", b"?"))
    took = read("a.tar", data)
    assert texts(took) == ["one"]
    assert not took.errors


def test_names_that_are_not_utf8_can_be_written(read: Read) -> None:
    name = "caf\udce9"
    took = read("a.tar", tar((f"{name}.png", PICTURE), (f"{name}.txt", b"one")))
    assert texts(took) == ["one"]


def test_a_cut_in_a_sample_costs_that_sample(read: Read) -> None:
    data = tar(("a.png", PICTURE), ("a.txt", b"one"), ("b.png", PICTURE), ("b.txt", b"two" * 300))
    end = data.index(b"two" * 300) + 100
    took = read("a.tar", data[:end])
    assert texts(took) == ["one"]
    assert took.faults() == [("sample b", "truncated")]


def test_links_and_climbing_names_are_logged_by_name(read: Read) -> None:
    out = io.BytesIO(tar(("a.png", PICTURE), ("a.txt", b"one"), ("../b.png", PICTURE)))
    with tarfile.open(fileobj=out, mode="a") as archive:
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    took = read("a.tar", out.getvalue())
    assert texts(took) == ["one"]
    assert [(e["position"].split(" at ")[0], e["reason"]) for e in took.errors] == [
        ("member ../b.png", "unsafe_name"),
        ("member c.png", "not_a_file"),
    ]


def test_a_sample_of_very_many_members_does_not_fill_the_memory(read: Read) -> None:
    import tracemalloc

    data = tar(("a.png", PICTURE), ("a.txt", b"one"), *((f"a.x{n}", bytes(100_000)) for n in range(300)))
    tracemalloc.start()
    took = read("a.tar", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts(took) == ["one"]
    assert peak < len(data) + (10 << 20), "all members were held"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst"])
def test_a_compressed_tar_is_refused_with_the_remedy(read: Read, name: str) -> None:
    with pytest.raises(SourceError, match="unpack it"):
        read(name, gzip.compress(tar(("a.png", PICTURE))))
