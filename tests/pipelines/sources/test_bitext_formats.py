"""Each format of bitext: what is read, and what hostile files cost."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines.sources import bitext
from pipelines.sources.bitext_rows import likeness
from pipelines.sources.reading import Reading, SourceError
from pipelines.sources.spec import BitextSource

Read = Callable[..., Any]


@pytest.fixture
def read(take: Callable[..., Any], tmp_path: Path) -> Read:
    """Writes a file with both sides, checks and reads it as a build does."""

    def run(data: bytes, name: str, languages: tuple[str, str] = ("de", "en"), **fields: Any) -> Any:
        path = tmp_path / name
        path.write_bytes(data)
        source = BitextSource(type="bitext", path=str(path), languages=languages, **fields)
        unit = {"url": str(path), "path": name}
        bitext.check(source, unit)
        return take(lambda reading: bitext.read(source, unit, reading))

    return run


def sides(took: Any) -> list[tuple[str, str]]:
    return [(row["left_text"], row["right_text"]) for row in took.rows]


def places(took: Any) -> list[str]:
    return [row["origin"].split("#", 1)[1] for row in took.rows]


# --- one line, both sides --------------------------------------------------------------------------------------------------------


def test_pipes(read: Read) -> None:
    took = read(b"ein Haus ||| a house\nohne\na ||| b ||| c\n ||| leer\n", "a.src-tgt")
    assert sides(took) == [("ein Haus", "a house"), ("", "leer")]
    assert took.faults() == [("line 2", "one_sided"), ("line 3", "too_many_sides")]


def test_tsv_without_a_header(read: Read) -> None:
    took = read('eins\tone\textra\n"zwei"\t2,\nallein\n\u2028drei\tthree\n'.encode(), "a.tsv")
    assert sides(took) == [("eins", "one"), ('"zwei"', "2,"), ("\u2028drei", "three")]
    assert took.faults() == [("line 3", "one_sided")]


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("index\ten\tde", {}),
        ("id\ten-US\tDE", {}),
        ("id\ttarget\tsource", {}),
        ('"id"\t"en"\t"de"', {}),
        ('"n"\t"y"\t"x"', {"columns": {"left": "x", "right": "y"}}),
        ("n\ttranslation\toriginal", {"columns": {"left": "original", "right": "translation"}}),
        ("n\tx\ty", {"columns": {"left": "y", "right": 1}}),
    ],
)
def test_tsv_columns_are_found_by_their_header(read: Read, header: str, fields: dict[str, Any]) -> None:
    assert sides(read(f"{header}\n7\tone\teins\n".encode(), "a.tsv", **fields)) == [("eins", "one")]


def test_tsv_columns_by_number_and_an_id(read: Read) -> None:
    took = read(b"doc 4\tone\teins\n", "a.tsv", columns={"left": 2, "right": 1, "id": 0})
    assert sides(took) == [("eins", "one")]
    assert places(took) == ["1:doc 4"]
    with pytest.raises(SourceError, match=r"no column 'de_text' in its first line: a, b"):
        read(b"a\tb\n", "b.tsv", columns={"left": "de_text"})


def test_jsonl(read: Read) -> None:
    lines = [
        {"translation": {"de": "eins", "en": "one", "fr": "un"}},
        {"id": 9, "translation": {"de-AT": "zwei", "en_GB": "two"}},
        {"translation": {"language": ["de", "en", "en"], "translation": ["drei", "three", "3 of them"]}},
        {"de": "vier", "en": "four"},
        {"translation": {"de": "allein"}},
        {"text": "nothing"},
        [1, 2],
        {"translation": {"de": None, "en": "x"}},
    ]
    data = b"\n".join(map(orjson.dumps, lines)) + b'\n\n{"broken\n' + b'{"de": "\xff", "en": "x"}\n'
    took = read(data, "a.jsonl", columns={"id": "id"})
    assert sides(took) == [
        ("eins", "one"), ("zwei", "two"), ("drei", "three"), ("drei", "3 of them"), ("vier", "four"),
    ]  # fmt: skip
    assert places(took) == ["1", "2:9", "3:1", "3:2", "4"]
    assert [reason for _, reason in took.faults()] == [
        "one_sided", "no_text", "no_text", "one_sided", "malformed_json", "invalid_utf8",
    ]  # fmt: skip
    own = read(b'{"src": "eins", "tgt": "one"}\n', "b.jsonl", columns={"left": "src", "right": "tgt"})
    assert sides(own) == [("eins", "one")]


@pytest.mark.parametrize("kind", ["struct", "map", "columns"])
def test_parquet(read: Read, tmp_path: Path, kind: str) -> None:
    texts = [{"de": "eins", "en": "one"}, {"de": None, "en": "two"}, {"de": "drei", "en": "three"}]
    if kind == "struct":
        table = pa.table({"translation": pa.array(texts, pa.struct([("de", pa.string()), ("en", pa.string())]))})
    elif kind == "map":
        table = pa.table({"translation": pa.array([list(t.items()) for t in texts], pa.map_(pa.string(), pa.string()))})
    else:
        table = pa.table({"de": [t["de"] for t in texts], "en": [t["en"] for t in texts], "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "made")
    data = (tmp_path / "made").read_bytes()
    took = read(data, "a.parquet")
    assert sides(took) == [("eins", "one"), ("drei", "three")]
    assert took.faults() == [("row 1", "one_sided")]
    assert read(data[: len(data) // 2], "cut.parquet").faults() == [("file", "corrupt")]
    if kind == "columns":
        with pytest.raises(SourceError, match="no column src; it has de, en, n"):
            read(data, "b.parquet", columns={"left": "src"})


def test_parquet_whose_writer_did_not_mark_its_strings(read: Read, tmp_path: Path) -> None:
    table = pa.table({"de": [b"f\xc3\xbcnf", b"Ger\xe4t", b"drei"], "en": [b"five", b"device", None]})
    pq.write_table(table, tmp_path / "made")
    took = read((tmp_path / "made").read_bytes(), "a.parquet")
    assert sides(took) == [("fünf", "five")]
    assert took.faults() == [("row 1", "invalid_utf8"), ("row 2", "one_sided")]


@pytest.mark.parametrize(
    ("name", "line"), [("a.tsv", "ä\tb"), ("a.src-tgt", "ä ||| b"), ("a.jsonl", '{"de": "ä", "en": "b"}')]
)
def test_bytes_that_are_no_utf8_long_lines_and_cut_files(read: Read, name: str, line: str) -> None:
    data = line.encode() + b"\n" + line.encode("latin-1") + b"\n" + b"x" * 5000 + b"\n" + line.encode() + b"\n"
    took = read(data, name, max_record_bytes=1024)
    assert took.faults() == [("line 2", "invalid_utf8"), ("line 3", "line_too_long")]
    assert sides(took) == [("ä", "b")] * 2
    packed = gzip.compress("".join(f"{line}{number * number}\n" for number in range(9999)).encode())
    cut = read(packed[: len(packed) // 2], name + ".gz")
    assert cut.errors[-1]["reason"] == "truncated"
    assert len(cut.rows) > 100 or name == "a.jsonl"
    assert read(b"", name).faults() == [("file", "empty_file")]


# --- Moses zip -------------------------------------------------------------------------------------------------------------------


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def lines(prefix: str, count: int) -> bytes:
    return b"".join(f"{prefix} {number * number}\n".encode() for number in range(1, count + 1))


def test_a_moses_zip_is_two_files(read: Read) -> None:
    members = {"README": b"x\n", "c.de-en.xml": b"<x/>", "__MACOSX/._c.de-en.de": b"\0", "c.de-en.de": lines("l", 3)}
    took = read(zipped({**members, "c.de-en.en": lines("r", 3)}), "a.zip")
    assert sides(took) == [("l 1", "r 1"), ("l 4", "r 4"), ("l 9", "r 9")]
    assert places(took) == ["1", "2", "3"]
    both = {**members, "c.de-en.en": lines("r", 3), "d.de": b"x\n", "d.en": b"y\n"}
    assert places(read(zipped(both), "b.zip")) == ["c.de-en.de:1", "c.de-en.de:2", "c.de-en.de:3", "d.de:1"]


def test_a_one_sided_zip_is_refused(read: Read) -> None:
    with pytest.raises(SourceError, match=r"end in \.de and \.en; it holds README, c\.de"):
        read(zipped({"README": b"", "c.de": b"x\n"}), "a.zip")


def test_a_zip_with_unequal_sides_names_both_and_their_counts(read: Read) -> None:
    with pytest.raises(SourceError, match=r"a\.zip/c\.de has 3 lines, .*a\.zip/c\.en has 2"):
        read(zipped({"c.de": lines("l", 3), "c.en": lines("r", 2)}), "a.zip")


def test_damaged_zips(read: Read) -> None:
    data = zipped({"c.de": lines("l", 5000), "c.en": lines("r", 5000)})
    assert read(data[:-30], "cut.zip").faults() == [("file", "corrupt")]
    assert read(b"PK\x03\x04 no zip", "not.zip").faults() == [("file", "corrupt")]
    broken = bytearray(data)
    broken[5000:5010] = b"\0" * 10
    took = read(bytes(broken), "damaged.zip")
    assert [error["reason"] for error in took.errors] == ["corrupt"]
    expected = list(zip(lines("l", 5000).decode().splitlines(), lines("r", 5000).decode().splitlines(), strict=True))
    assert sides(took) == expected[: len(took.rows)], "what is before the damage is aligned"


def test_a_zip_bomb_is_not_unpacked_for_ever(read: Read) -> None:
    side = b"a line\n" + b"\0" * (64 << 20)
    took = read(zipped({"c.de": side, "c.en": side}), "bomb.zip")
    assert sides(took) == [("a line", "a line")]
    assert {error["reason"] for error in took.errors} == {"zip_bomb"}


# --- TMX -------------------------------------------------------------------------------------------------------------------------


def tmx(body: str, head: str = "<?xml version='1.0' encoding='UTF-8'?>\n<!DOCTYPE tmx SYSTEM 'tmx14.dtd'>\n") -> bytes:
    return f'{head}<tmx version="1.4"><header srclang="en"/><body>{body}</body></tmx>'.encode()


def unit(de: str, en: str, tag: str = "en") -> str:
    return f'<tu><tuv xml:lang="de"><seg>{de}</seg></tuv><tuv xml:lang="{tag}"><seg>{en}</seg></tuv></tu>'


def test_tmx_units_languages_and_inline_codes(read: Read) -> None:
    body = (
        '<tu tuid="a 1" srclang="en"><note>no text</note><tuv xml:lang="EN-us"><prop>x</prop><seg>one</seg></tuv>'
        '<tuv xml:lang="fr"><seg>un</seg></tuv><tuv lang="de_AT"><seg>eins</seg></tuv></tu>'
        "<!-- <tu><tuv xml:lang='de'><seg>commented</seg></tuv></tu> -->"
        + unit(
            "zwei <bpt i='1'>&lt;b></bpt>fette<ept i='1'>&lt;/b></ept> <hi>Dinge</hi><ph>{0}</ph>",
            "two &amp; &#x1F; <it>x</it>things &nbsp;&unknown; &",
        )
        + '<tu><tuv xml:lang="de"><seg>drei</seg></tuv><tuv xml:lang="en"><seg>three</seg></tuv>'
        '<tuv xml:lang="en"><seg>3</seg></tuv></tu>'
        + unit("<![CDATA[vier < fünf]]>", "four", "en-GB")
    )  # fmt: skip
    took = read(tmx(body), "a.tmx")
    assert sides(took) == [
        ("eins", "one"),
        ("zwei fette Dinge", "two &   things \u00a0&unknown; &"),
        ("drei", "three"),
        ("drei", "3"),
        ("vier < fünf", "four"),
    ]
    assert places(took) == ["1:a 1", "2", "3:1", "3:2", "4"]
    assert {row["right_lang"] for row in took.rows} == {"en"}


def test_a_broken_unit_costs_itself(read: Read) -> None:
    good = unit("gut", "good")
    body = (
        good + "<tu><tuv xml:lang='de'><seg>offen</seg></tu>" + good + '<tu><tuv xml:lang="de"><seg>allein</seg></tuv></tu>'
        + "<tu>" + good + unit("x" * 5000, "long") + good
    )  # fmt: skip
    took = read(tmx(body).replace(b"allein", b"all\xffein"), "a.tmx", max_record_bytes=1024)
    assert sides(took) == [("gut", "good")] * 4
    assert [reason for _, reason in took.faults()] == [
        "malformed_xml", "invalid_utf8", "malformed_xml", "record_too_long",
    ]  # fmt: skip
    assert read(tmx('<tu><tuv xml:lang="de"><seg>allein</seg></tuv></tu>'), "b.tmx").faults() == [
        ("unit 1", "one_sided")
    ]


def test_an_entity_bomb_is_refused(read: Read) -> None:
    head = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    took = read(tmx(unit("&b;", "x"), head), "a.tmx")
    assert took.rows == []
    assert took.faults() == [("file", "entity_declaration")]
    outside = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    assert read(tmx(unit("&a;", "x"), outside), "b.tmx").faults() == [("file", "entity_declaration")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-1", "windows-1252", "utf-8-sig"])
def test_tmx_in_other_encodings(read: Read, encoding: str) -> None:
    name = {"utf-16-le": "UTF-16", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = tmx(unit("Tür", "door"), f"<?xml version='1.0' encoding='{name}'?>\n").decode()
    assert sides(read(text.encode(encoding), "a.tmx")) == [("Tür", "door")]
    unknown = tmx(unit("a", "b"), "<?xml version='1.0' encoding='klingon'?>")
    assert read(unknown, "b.tmx").faults() == [("file", "unknown_encoding")]


def test_a_truncated_tmx_keeps_what_came_before(read: Read) -> None:
    data = tmx("".join(unit(f"Zahl {n * n}", f"number {n * n}") for n in range(3000)))
    took = read(data[: len(data) // 2], "a.tmx")
    assert took.errors[-1]["reason"] == "truncated"
    assert 1400 < len(took.rows) < 1600
    packed = read(gzip.compress(data)[:9000], "b.tmx.gz")
    assert packed.errors[-1]["reason"] == "truncated"
    assert packed.rows
    assert read(b"<tmx><body></body></tmx>", "c.tmx").faults() == [("file", "empty_file")]


def test_a_large_tmx_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.tmx.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"<tmx><body>")
        for number in range(12):
            file.write((unit(f"Zahl {number}", "x" * 100) * 5000).encode())
        file.write(b"<tu>" + b"y" * (20 << 20) + b"</tu>" + unit("letzte", "last").encode() + b"</body></tmx>")
    source = BitextSource(type="bitext", path=str(path), languages=("de", "en"))
    reading = Reading("src")
    rows = 0
    tracemalloc.start()
    for batch in bitext.read(source, {"url": str(path), "path": "large.tmx.gz"}, reading):
        rows += batch.num_rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 60_001
    assert dict(reading.errors) == {"record_too_long": 1}
    assert peak < 48 << 20, "one record and one batch"


# --- WMT -------------------------------------------------------------------------------------------------------------------------

WMT = """<?xml version='1.0' encoding='utf-8'?>
<dataset id="t"><collection id="general">
<doc origlang="de" id="d 1" domain="news">
 <src lang="de"><p><seg id="1">eins</seg><seg id="2">zwei &amp; drei</seg></p><p><seg id="3">vier</seg></p></src>
 <ref lang="en" translator="A"><p><seg id="1">one</seg><seg id="2">two &amp; three</seg></p><p><seg id="3">four</seg></p></ref>
 <ref lang="en" translator="B"><p><seg id="1">1</seg><seg id="2">2 and 3</seg></p></ref>
 <ref lang="fr"><p><seg id="1">un</seg></p></ref>
 <hyp system="S" lang="en"><p><seg id="1">machine</seg><seg id="2">machine</seg><seg id="3">machine</seg></p></hyp>
</doc>
<doc id="d2"><src lang="de"><p><seg id="1">allein</seg></p></src><hyp system="S" lang="en"><p><seg id="1">m</seg></p></hyp></doc>
<doc id="d3"><src lang="cs"><p><seg id="1">x</seg></p></src><ref lang="en"><p><seg id="1">y</seg></p></ref></doc>
<doc id="d4"><src lang="de"><p><seg id="1">kaputt</p></src></doc>
</collection></dataset>"""


def test_wmt_xml_gives_references_and_no_hypotheses(read: Read) -> None:
    took = read(WMT.encode(), "t.xml")
    assert sides(took) == [
        ("eins", "one"), ("zwei & drei", "two & three"), ("vier", "four"), ("eins", "1"), ("zwei & drei", "2 and 3"),
    ]  # fmt: skip
    assert places(took) == ["d 1:1:A", "d 1:2:A", "d 1:3:A", "d 1:1:B", "d 1:2:B"]
    assert [reason for _, reason in took.faults()] == ["one_sided", "one_sided", "other_language", "malformed_xml"]
    back = read(WMT.encode(), "u.xml", languages=("en", "de"))
    assert sides(back) == [(right, left) for left, right in sides(took)], "the source may be the right side"


def test_wmt_xml_of_real_files(shared: Path) -> None:
    for name, languages, refs in (("en-zh", ("en", "zh"), 2), ("fr-de", ("fr", "de"), 1), ("ja-en", ("ja", "en"), 1)):
        folder = shared / "data/wmt/wmt22"
        url = str(folder / f"wmttest2022.{name}.all.xml.gz")
        source = BitextSource(type="bitext", path=url, languages=languages)
        reading = Reading("src")
        batches = list(bitext.read(source, {"url": url, "path": "t"}, reading))
        plain = (folder / f"generaltest2022.{name}.src.{languages[0]}").read_text(encoding="utf-8").split("\n")[:-1]
        assert sum(batch.num_rows for batch in batches) == refs * len(plain) - sum(reading.errors.values())
        assert {text.strip() for batch in batches for text in batch.column("left_text").to_pylist()} <= {
            line.strip() for line in plain
        }


SRC = """<srcset setid="t" srclang="any">
<doc docid="a" genre="news"><hl><seg id="1"> Fisch & Chips </seg></hl><p><seg id="2">a < b</seg>
<seg id="3">nur
hier</seg></p></doc></srcset>"""
REF = """<refset setid="t" srclang="any" trglang="en">
<DOC sysid="ref1" docid="a"><SEG id="2">a &lt; b!</SEG><seg id="1">Fish &amp; <b>chips</b></seg></DOC>
<doc sysid="ref2" docid="a"><seg id="1">F&C</seg></doc></refset>"""


def sgm(take: Any, folder: Path, left: str, right: str) -> Any:
    for name, text in (("s.sgm", left), ("r.sgm", right)):
        (folder / name).write_text(text, encoding="utf-8")
    source = BitextSource(type="bitext", left="s.sgm", right="r.sgm", languages=("de", "en"))
    unit = {"url": str(folder / "s.sgm"), "right_url": str(folder / "r.sgm"), "path": "s.sgm"}
    return take(lambda reading: bitext.read(source, unit, reading))


def test_sgm_is_matched_by_document_and_segment(take: Any, tmp_path: Path) -> None:
    took = sgm(take, tmp_path, SRC, REF)
    assert sides(took) == [("Fisch & Chips", "Fish & chips"), ("Fisch & Chips", "F&C"), ("a < b", "a < b!")]
    assert places(took) == ["a:1:1", "a:1:2", "a:2"]
    assert took.faults() == [("document a segment 3", "one_sided")]
    with pytest.raises(SourceError, match="what systems made"):
        sgm(take, tmp_path, SRC, REF.replace("refset", "tstset"))


# --- all of them -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b"a\tb\n", "tsv"),
        (b"a ||| b\tc\n", "pipes"),
        (b'\xef\xbb\xbf{"de": "a", "en": "b"}\n', "jsonl"),
        (zipped({"c.de": b"a\n", "c.en": b"b\n"}), "moses_zip"),
        (tmx(unit("a", "b")), "tmx"),
        (tmx(unit("a", "b"), "").decode().encode("utf-16"), "tmx"),
        (WMT.encode(), "wmt_xml"),
    ],
)
def test_the_format_shows_in_the_first_bytes(tmp_path: Path, data: bytes, format_: str) -> None:
    source = BitextSource(type="bitext", path="x", languages=("de", "en"))
    for name, content in (("noname", data), ("noname.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        assert bitext.file_format(source, str(tmp_path / name)) == format_
    (tmp_path / "what").write_bytes(b"plain words\n")
    with pytest.raises(SourceError, match="say `format`"):
        bitext.file_format(source, str(tmp_path / "what"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"left": "a"},
        {"path": "a", "left": "b", "right": "c"},
        {"left": "a", "right": []},
        {"left": "a", "right": "b", "format": "tmx"},
        {"path": "a", "format": "sgm"},
        {"path": "a", "columns": {"left": -1}},
        {"path": "a", "tokenized": "maybe"},
    ],
)
def test_recipes_that_fit_no_format(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BitextSource(type="bitext", languages=("de", "en"), **fields)


@pytest.mark.parametrize(
    ("wanted", "found", "mark"),
    [
        ("en", "en", 3), ("en", "EN_us", 2), ("en-US", "en", 2), ("pt-BR", "pt-PT", 1), ("zh-Hans", "zh-CN", 2),
        ("zh-Hans", "zh-TW", 0), ("sr-Latn", "sr-Cyrl", 0), ("en", "de", 0), ("en", None, 0), ("en", "x-default", 0),
    ],
)  # fmt: skip
def test_tags_that_answer(wanted: str, found: str | None, mark: int) -> None:
    assert likeness(wanted, found) == mark


def test_references_of_one_source_are_units_of_their_own() -> None:
    source = BitextSource(type="bitext", left="s", right=["a", "b"], languages=("de", "en"))
    made = bitext.units(source, [("s", "/s"), ("a", "/a"), ("b", "/b")])
    assert [(unit["index"], unit["right_url"], unit["mark"]) for unit in made] == [(0, "/a", ":1"), (1, "/b", ":2")]


def test_long_lines_make_small_batches(read: Read) -> None:
    data = b"".join(json.dumps({"de": "x" * 3_000_000, "en": str(n)}).encode() + b"\n" for n in range(12))
    took = read(data, "a.jsonl")
    assert len(took.rows) == 12
