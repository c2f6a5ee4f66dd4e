"""What the recipe names and no record has is told before anything is read; a record without it among others is a bad record."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from PIL import Image

from pipelines.sources import json_heads
from pipelines.sources.inputs import Inputs, find
from pipelines.sources.reading import SourceError, meant
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource
from tests.tars import tar_of

Look = Callable[..., Inputs]
MODELS: Mapping[str, Any] = {"documents": DocumentsSource, "image_text": ImageTextSource, "bitext": BitextSource}


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Finds a source of the files that are given as name -> bytes."""

    def run(kind: str, files: Mapping[str, bytes], path: str = "*", **fields: Any) -> Inputs:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        if kind == "bitext":
            fields.setdefault("languages", ("de", "en"))
        source = MODELS[kind].model_validate({"type": kind, "path": path, **fields})
        return find("mine", source, lambda p: f"{folder}/{p}", str(tmp_path / "root"))

    return run


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def table(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


DOCUMENT = {"text": "A harbour.", "url": "https://example.org/", "contents": None}


# --- documents -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", lines(DOCUMENT, DOCUMENT)),
        ("a.json", b"\xef\xbb\xbf" + lines(DOCUMENT, DOCUMENT).replace(b"\n", b"\r\n")),
        ("a.json.gz", gzip.compress(lines(DOCUMENT, 5, DOCUMENT))),
        ("a.tar", tar_of({"x/picture.png": b"\x89PNG", "x/b.jsonl": lines(DOCUMENT, DOCUMENT)})),
        ("a.tgz", gzip.compress(tar_of({"b.json.gz": gzip.compress(lines(DOCUMENT, DOCUMENT))}))),
    ],
)
def test_a_field_that_no_document_has(look: Look, name: str, data: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        look("documents", {name: data}, columns={"text": "content"})
    assert str(caught.value).startswith("sources.mine: /")
    assert str(caught.value).endswith(
        f"data/{name}: no column 'content' for text in its first 2 records; there are text, url, contents; did you mean 'contents'?"
    )
    assert look("documents", {name: data}).files
    assert look("documents", {name: data}, columns={"text": ["text"], "url": "url"}).files
    with pytest.raises(SourceError, match="no column 'adress' for url"):
        look("documents", {name: data}, columns={"url": "adress"})
    with pytest.raises(SourceError, match="no column 'title' for text"):
        look("documents", {name: data}, columns={"text": ["title", "text"]})


def test_a_field_that_no_row_of_parquet_has(look: Look) -> None:
    data = table(text=["a"], number=[1], more=[{"text": "a"}])
    with pytest.raises(
        SourceError, match=r"t: no column 'TEXT' for text; there are text, number, more; did you mean 'text'\?"
    ):
        look("documents", {"a.parquet": data}, columns={"text": "TEXT"})
    with pytest.raises(SourceError, match="the column 'number' for text is int64; a string is wanted"):
        look("documents", {"a.parquet": data}, columns={"text": "number"})
    with pytest.raises(SourceError, match=r"the column 'more' for text is struct<.*a string is wanted"):
        look("documents", {"a.parquet": data}, columns={"text": "more"})
    for kind in (pa.large_string(), pa.string(), pa.binary(), pa.null(), pa.dictionary(pa.int8(), pa.string())):
        assert look("documents", {"a.parquet": table(text=pa.array([None], kind))}).files


@pytest.mark.parametrize(
    ("value", "called"), [({"en": "a"}, "an object"), (["a"], "a list"), (5, "a number"), (True, "true or false")]
)
def test_a_field_that_is_no_text_in_any_document(look: Look, value: Any, called: str) -> None:
    with pytest.raises(
        SourceError, match=f"the column 'text' for text is {called} in its first 2 records; a string is wanted"
    ):
        look("documents", {"a.jsonl": lines({"text": None}, {"text": value})})
    assert look("documents", {"a.jsonl": lines({"text": value}, {"text": "a"})}).files


def test_a_document_without_the_field_among_others_is_a_bad_record(look: Look) -> None:
    assert look("documents", {"a.jsonl": lines({}, {"other": 1}, *[{}] * 90, DOCUMENT)}).files
    missing = lines(*[{"other": 1}] * json_heads.HEAD_RECORDS, DOCUMENT)
    with pytest.raises(SourceError, match=r"no column 'text' for text in its first 100 records; there are other$"):
        look("documents", {"a.jsonl": missing})


def test_a_field_that_one_of_the_files_has_is_there(look: Look) -> None:
    """`text` may be a list of what different files call it, and a file of facts may lie beside the others."""
    files = {
        "a.jsonl": b"",
        "b.jsonl": lines({"name": "facts"}),
        "c.jsonl": lines({"body": "a"}),
        "d.jsonl": lines(DOCUMENT),
    }
    assert look("documents", files, columns={"text": ["text", "body"]}).files
    with pytest.raises(
        SourceError,
        match=r"b\.jsonl: no column 'content' for text in its first 1 records, nor in 2 files beside it; there are name, body",
    ):
        look("documents", files, columns={"text": ["text", "content"]})
    with pytest.raises(
        SourceError, match=r"b\.jsonl: no column 'text' for text in its first 30 records; there are name$"
    ):
        look("documents", {**files, "b.jsonl": lines({"name": "facts"}) * 30})
    with pytest.raises(SourceError, match=r"b\.parquet: no column 'text' for text; there are body"):
        look("documents", {"a.parquet": table(text=["x"]), "b.parquet": table(body=["x"])})


@pytest.mark.parametrize("kind", ["documents", "image_text", "bitext"])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gzip.compress(b'{"text": "x"}\n'), r"is compressed, and .* ends in \.gz"),
        (zstandard.compress(b'{"text": "x"}\n'), r"is compressed, and .* ends in \.zst"),
        (bz2.compress(b'{"text": "x"}\n'), r"is compressed, and .* ends in \.bz2"),
        (lzma.compress(b'{"text": "x"}\n'), r"is compressed, and .* ends in \.xz"),
        ('{"text": "x"}\n'.encode("utf-16"), r"is UTF-16; UTF-8 is wanted"),
        (b"PAR1", r"is parquet, and would be read as jsonl; .*`format: parquet`"),
        (b"PK\x03\x04", r"is a zip archive, and would be read as jsonl"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(look: Look, kind: str, data: bytes, what: str) -> None:
    with pytest.raises(SourceError, match=rf"sources\.mine: .*/b\.jsonl: {what}"):
        look(kind, {"a.jsonl": lines({"text": "x", "de": "eins", "en": "one"}), "b.jsonl": data})


def test_sides_of_bitext_that_are_not_what_their_names_say(look: Look) -> None:
    for data in (gzip.compress(b"eins\n"), "eins\n".encode("utf-16")):
        with pytest.raises(SourceError, match=r"/a: is (compressed|UTF-16)"):
            look("bitext", {"a": data, "b": b"one\n"}, path=None, left="a", right="b")
    assert look("bitext", {"a.GZ": gzip.compress(b"eins\n"), "b": b"one\n"}, path=None, left="a.GZ", right="b").files
    assert look("bitext", {"a.tmx": "<tmx/>".encode("utf-16")}).files, "XML says itself how it is written"


def test_files_that_tell_nothing_are_left_to_the_reading(look: Look) -> None:
    files = {
        "a.jsonl": b"",
        "b.json.gz": b"no gzip",
        "c.parquet": b"PAR1",
        "d.tar": b"\0" * 700,
        "e.jsonl": b'{"text": "cut',
        "f.tar.gz": gzip.compress(tar_of({"x.txt": b"text"}))[:-20],
        "g.txt": b"text",
        "h.wet": b"WARC/1.0",
        "i.jsonl": b"\n\n",
        "j.tar.zst": b"\x28\xb5\x2f\xfd broken",
    }
    assert len(look("documents", files).files) == len(files)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.json", b'[{"text": "x"}]', "holds one array; one object a line"),
        ("a.json", b'{\n "text": "x"\n}\n', "holds one object over several lines"),
        ("a.csv", b"url,text\nu,a\n", "is read as JSON lines, .* it begins with 'url,text'; .*`format`"),
        (
            "a.tar",
            tar_of({"b.tar": tar_of({"c.jsonl": lines(DOCUMENT)}), "d.md": b"x"}),
            r"no member of it is read .* b\.tar, d\.md",
        ),
    ],
)
def test_files_that_are_no_json_lines(look: Look, name: str, data: bytes, what: str) -> None:
    with pytest.raises(SourceError, match=rf"sources\.mine: /.*/{name}: {what}"):
        look("documents", {name: data})


def test_a_readme_that_a_glob_takes_along_is_named(look: Look) -> None:
    files = {"a.jsonl": lines(DOCUMENT), "readme.md": b"# The set\n"}
    with pytest.raises(SourceError, match=r"readme\.md: .*it begins with '# The set'; leave it out of `path`"):
        look("documents", files)
    assert look("documents", files, path="*.jsonl").files
    assert look("documents", {"part-00000": lines(DOCUMENT), "part.00001": lines(DOCUMENT)}).files


# --- bitext ----------------------------------------------------------------------------------------------------------------


def test_columns_of_tsv(look: Look) -> None:
    data = b"n\tsource\ttarget\r\n1\teins\tone\r\n"
    with pytest.raises(
        SourceError, match=r"no column 'Target' in its first line: n, source, target; did you mean 'target'\?"
    ):
        look("bitext", {"a.tsv": data}, columns={"left": "source", "right": "Target"})
    with pytest.raises(
        SourceError, match=r"a\.tsv: has 3 columns, column 3 \(from 0\) is wanted; its first line is 'n"
    ):
        look("bitext", {"a.tsv": data}, columns={"left": 1, "right": 3})
    with pytest.raises(SourceError, match=r"b\.tsv: has no tab in its first lines"):
        look("bitext", {"a.tsv": data, "b.tsv": b"eins,one\nzwei,two\n"})
    assert look("bitext", {"a.tsv": data, "b.tsv": b"", "c.tsv": b"\xef\xbb\xbfeins\n\xe4\tone"}).files
    assert look("bitext", {"a.tsv": data}, columns={"left": "source", "right": "target", "id": 0}).files


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_fields_of_bitext(look: Look, name: str) -> None:
    def made(*records: dict[str, Any]) -> bytes:
        return (
            lines(*records)
            if name == "a.jsonl"
            else table(**{key: [r.get(key) for r in records] for key in records[0]})
        )

    pair = {"src_text": "eins", "tgt_text": "one", "id": "7"}
    with pytest.raises(
        SourceError, match=r"mine: .*no column '?tgt_txt'?.*src_text, tgt_text, id.*did you mean 'tgt_text'"
    ):
        look("bitext", {name: made(pair)}, columns={"left": "src_text", "right": "tgt_txt"})
    with pytest.raises(SourceError, match=r"no column '?number'?"):
        look("bitext", {name: made(pair)}, columns={"left": "src_text", "right": "tgt_text", "id": "number"})
    with pytest.raises(SourceError, match=r"`translation`.*src_text, tgt_text, id.*name them in `columns`"):
        look("bitext", {name: made(pair)})
    assert look("bitext", {name: made(pair)}, columns={"left": "src_text", "right": "tgt_text", "id": "id"}).files
    assert look("bitext", {name: made({"translation": {"de": "eins", "en": "one"}})}).files
    assert look("bitext", {name: made({"de": "eins", "en-US": "one"})}).files


def test_a_column_of_numbers_is_not_taken_for_a_side(look: Look) -> None:
    data = b"0.9\teins\tone\n0.8\tzwei\ttwo\n"
    with pytest.raises(
        SourceError, match=r"column 0 \(from 0\) was taken for a side, and its first 2 lines have no letter there"
    ):
        look("bitext", {"a.tsv": data})
    assert look("bitext", {"a.tsv": data}, columns={"left": 1, "right": 2}).files
    assert look("bitext", {"a.tsv": b"1\t2\n"}).files, "two columns leave no choice"
    with pytest.raises(SourceError, match="left and right are one column, 1"):
        look("bitext", {"a.tsv": b"de\ten\neins\tone\n"}, columns={"left": "en", "right": 1})
    with pytest.raises(ValueError, match="left and right are one column"):
        look("bitext", {"a.tsv": data}, columns={"left": 1, "right": 1})


def test_pipes_that_are_not_there(look: Look) -> None:
    with pytest.raises(SourceError, match=r"a\.tsv: no \|\|\| in its first 2 lines"):
        look("bitext", {"a.tsv": b"eins\tone\nzwei\ttwo"}, format="pipes")
    assert look("bitext", {"a.tsv": b"broken\neins ||| one\n", "b.tsv": b""}, format="pipes").files


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_languages_that_are_not_there(look: Look, name: str) -> None:
    def made(**fields: Any) -> bytes:
        return lines(fields) if name == "a.jsonl" else table(**{key: [value] for key, value in fields.items()})

    for fields in ({"de": "eins", "fr": "un"}, {"translation": {"de": "eins", "fr": "un"}}):
        with pytest.raises(SourceError, match=r"no text in en (in|among) .*; there are de.*: see `languages`"):
            look("bitext", {name: made(**fields)})
    several = {"language": ["de", "fr"], "translation": ["eins", "un"]}
    assert look("bitext", {name: made(translation=several)}).files, "the next record may have others"
    assert look("bitext", {name: made(translation={"de": "eins", "en-GB": "one"})}).files


def test_a_file_is_not_both_sides(look: Look) -> None:
    with pytest.raises(SourceError, match=r"different files; .*/a is named twice"):
        look("bitext", {"a": b"eins\n"}, path=None, left="a", right="./a")


def test_json_of_bitext_that_is_no_lines(look: Look) -> None:
    with pytest.raises(SourceError, match="holds one array"):
        look("bitext", {"a.json": b'[{"de": "eins", "en": "one"}]'})
    with pytest.raises(SourceError, match="it begins with 'eins"):
        look("bitext", {"a.json": b"eins\tone\n"})
    assert look(
        "bitext",
        {"a.jsonl": lines({"other": 1}, {"de": "eins", "en": "one"}), "b.jsonl": b"", "c.jsonl": b'{"de": "cut'},
    ).files


def test_numbers_in_the_place_of_sentences(look: Look) -> None:
    with pytest.raises(SourceError, match="the column 'en' is int64; strings are wanted"):
        look("bitext", {"a.parquet": table(de=["eins"], en=[1])})


# --- photographs in tars ---------------------------------------------------------------------------------------------------


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


def samples(count: int, **members: Any) -> bytes:
    made = {
        f"{number:03d}.{ending}": data if isinstance(data, bytes) else json.dumps(data).encode()
        for number in range(count)
        for ending, data in {"png": picture(), **members}.items()
    }
    return tar_of(made)


@pytest.mark.parametrize("columns", [{"text": "captoin"}, {"text": ["caption", "captoin"]}, {"tags": "captoin"}])
def test_a_column_that_no_sample_of_a_tar_has(look: Look, columns: dict[str, Any]) -> None:
    files = {"a.tar": samples(30, json={"caption": "A harbour", "key": 1}, txt=b"A harbour")}
    with pytest.raises(
        SourceError,
        match=r"sources\.mine: .*a\.tar: no column 'captoin' for (text|tags) in its first 20 samples; there are members json, png, "
        r"txt and json fields .*caption, key; .*did you mean 'caption'\?",
    ):
        look("image_text", files, columns=columns)
    assert look("image_text", files, columns={"text": ["txt", "caption"]}).files


def test_a_member_that_is_read_by_nobody_is_no_column(look: Look) -> None:
    files = {"a.tar": samples(3, caption=b"A harbour")}
    with pytest.raises(
        SourceError, match=r"no column 'caption' for text in its first 3 samples; there are members caption, png"
    ):
        look("image_text", files, columns={"text": "caption"})
    with pytest.raises(
        SourceError,
        match=r"a\.tar: no text in its first 3 samples; there are members caption, png and json",
    ):
        look("image_text", files)


def test_samples_without_the_column_among_others_are_none_of_the_recipes_faults(look: Look) -> None:
    bare, full = samples(2), samples(2, json={"meta": {"alt": "A harbour", "more": [{"x": 1}]}, "url": None})
    files = {"a.tar": b"", "b.tar": bare, "c.tar": full, "d.tar": b"broken"}
    assert look("image_text", files, columns={"text": "meta.alt", "texts": "meta.more.x", "url": "url"}).files
    with pytest.raises(SourceError, match=r"b\.tar: no column 'meta\.title' for text in its first 4 samples"):
        look("image_text", files, columns={"text": "meta.title"})
    assert look("image_text", {"a.tar": samples(2, json=b"{", txt=b"\xff")}).files, (
        "what is broken is told by the reading"
    )
    assert look("image_text", {"a.tar": b"broken"}).files


def test_tars_without_pictures_and_tars_that_are_compressed(look: Look) -> None:
    with pytest.raises(SourceError, match=r"a\.tar: no picture in its first 2 samples; there are members txt"):
        look("image_text", {"a.tar": tar_of({"a.txt": b"x", "b.txt": b"y"})})
    with pytest.raises(SourceError, match=r"a\.tar: no picture in its first 1 samples; there are members tar"):
        look("image_text", {"a.tar": tar_of({"a.tar": samples(1, txt=b"x")})})
    for name in ("a.tar.gz", "a.tgz", "a.TAR.GZ", "a.tar"):
        with pytest.raises(SourceError, match=rf"sources\.mine: /.*/{name}: a compressed tar cannot be read at random"):
            look("image_text", {name: gzip.compress(samples(1, txt=b"x"))})


# --- tables of images and texts --------------------------------------------------------------------------------------------


def test_headers_with_spaces_and_other_delimiters(look: Look, read_rows: Any) -> None:
    took = read_rows("a.csv", b"url, Caption \nhttps://x.org/,A harbour\n")
    assert [(row["text"], row["url"]) for row in took.rows] == [("A harbour", "https://x.org/")]
    for data, mark in ((b"url;caption\nu;x\n", "';'"), (b"url\tcaption\nu\tx\n", r"'\\t'")):
        with pytest.raises(SourceError, match=rf"a\.csv: no column of texts; .*; {mark} parts no fields here"):
            look("image_text", {"a.csv": data})


def test_tables_compressed_in_any_of_the_ways(read_rows: Any) -> None:
    data = b"url,caption\nhttps://x.org/,A harbour\n"
    for name, pack in (("a.csv.bz2", bz2.compress), ("a.csv.xz", lzma.compress), ("a.CSV.GZ", gzip.compress)):
        assert [row["text"] for row in read_rows(name, pack(data)).rows] == ["A harbour"]


def test_a_mark_at_the_beginning_of_a_member_is_no_text(read_rows: Any) -> None:
    took = read_rows("a.tar", samples(1, txt=b"\xef\xbb\xbfA harbour"))
    assert [row["text"] for row in took.rows] == ["A harbour"]


@pytest.mark.parametrize(
    ("word", "names", "hint"),
    [
        ("TEXT", ["text"], "'text'"),
        ("alt_texts", ["image", "alt_text"], "'alt_text'"),
        ("x", ["text"], ""),
        ("x", [], ""),
    ],
)
def test_what_is_offered_for_a_wrong_name(word: str, names: list[str], hint: str) -> None:
    assert meant(word, names) == (f"; did you mean {hint}?" if hint else "")
