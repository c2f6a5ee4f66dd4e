"""Documents from parquet, plain text, WET and WARC, and from file systems that are not this machine's."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines import storage
from pipelines.sources import documents, inputs
from pipelines.sources.spec import DocumentsSource
from tests.tars import tar_of

Read = Callable[..., Any]


@pytest.fixture
def read(take: Callable[..., Any], tmp_path: Path) -> Read:
    def run(data: bytes, name: str, **fields: Any) -> Any:
        (tmp_path / name).write_bytes(data)
        source = DocumentsSource(type="documents", path=name, **fields)
        return take(lambda reading: documents.read(source, str(tmp_path / name), name, reading))

    return run


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("c4-train.00000-of-01024.json.gz", "jsonl"), ("a.jsonl.zst", "jsonl"), ("part.parquet", "parquet"),
        ("book.txt.gz", "text"),
        ("CC-MAIN-1.warc.wet.gz", "wet"), ("sample.wet.txt", "wet"), ("CC-MAIN-1.warc.gz", "warc"), ("data", "jsonl"),
    ],
)  # fmt: skip
def test_formats_by_name(name: str, kind: str) -> None:
    assert documents.file_format(DocumentsSource(type="documents", path=name), f"folder.txt/{name}") == kind
    assert documents.file_format(DocumentsSource(type="documents", path=name, format="text"), name) == "text"


def parquet(tmp_path: Path, columns: dict[str, Any], **how: Any) -> bytes:
    pq.write_table(pa.table(columns), tmp_path / "made.parquet", **how)
    return (tmp_path / "made.parquet").read_bytes()


def test_parquet(read: Read, tmp_path: Path) -> None:
    columns = {"text": ["one", None, "three", "x" * 2000], "url": ["https://a", "b", None, "d"], "other": [1, 2, 3, 4]}
    took = read(parquet(tmp_path, columns, row_group_size=2), "docs.parquet", max_record_bytes=1024)
    assert took.rows == [
        {"origin": "src/docs.parquet#0", "url": "https://a", "text": "one"},
        {"origin": "src/docs.parquet#2", "url": None, "text": "three"},
    ]
    assert took.faults() == [("row 1", "no_text"), ("row 3", "document_too_long")]
    took = read(
        parquet(tmp_path, {"a": [b"Ger\xe4t", b"sound"], "b": ["x", "y"]}), "docs.parquet", columns={"text": ["a", "b"]}
    )
    assert [row["text"] for row in took.rows] == ["soundy"]
    assert took.faults() == [("row 0", "invalid_utf8")]
    took = read(parquet(tmp_path, {"body": ["a", "b"]}), "docs.parquet")
    assert took.faults() == [("file", "no_text")]
    assert took.reading.records == 2


def test_damaged_parquet(read: Read, tmp_path: Path) -> None:
    texts = [f"{number} " * 200 for number in range(1000)]
    whole = parquet(tmp_path, {"text": texts}, row_group_size=100, compression="none", use_dictionary=False)
    assert len(read(whole, "docs.parquet").rows) == 1000
    assert read(whole[: len(whole) // 2], "docs.parquet").faults() == [("file", "corrupt")]
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 300] = b"\xff" * 300
    took = read(bytes(broken), "docs.parquet")
    assert took.reading.records == 1000


def test_plain_text(read: Read) -> None:
    text = b"First line.\n\nSecond paragraph.\r\n\n\n Third \n"
    took = read(text, "book.txt")
    assert took.rows == [
        {"origin": "src/book.txt#1", "url": None, "text": "First line.\n\nSecond paragraph.\n\n\n Third "}
    ]
    took = read(b"\xef\xbb\xbf\n" + text, "book.txt", text_documents="blank_line")
    assert [(row["origin"], row["text"]) for row in took.rows] == [
        ("src/book.txt#2", "First line."),
        ("src/book.txt#4", "Second paragraph."),
        ("src/book.txt#7", " Third "),
    ]


def test_wrapped_text(read: Read) -> None:
    line = b"The old harbour was quiet that morning, for most of the boats had come\r\n"
    paragraph = (
        line + b"back before the storm, and only the two sisters who lived in the last\r\nhouse had seen the light.\r\n"
    )
    text = b"\xef\xbb\xbf" + b"\r\n".join([paragraph] * 4)
    took = read(text, "book.txt", text_documents="blank_line")
    assert {row["text"] for row in took.rows} == {paragraph.replace(b"\r\n", b" ").decode().strip()}
    assert [row["origin"] for row in took.rows] == [f"src/book.txt#{number}" for number in (1, 5, 9, 13)]
    assert [row["text"].count("\n") for row in read(text, "book.txt").rows] == [6]
    took = read(text, "book.txt", text_documents="blank_line", text_lines="paragraphs")
    assert [row["text"].count("\n") for row in took.rows] == [2] * 4
    took = read(b"One line that goes\non here.", "book.txt", text_lines="wrapped")
    assert [row["text"] for row in took.rows] == ["One line that goes on here."]
    took = read(gzip.compress(text * 2)[:-20], "book.txt.gz", text_documents="blank_line")
    assert took.faults()[-1][1] == "truncated", "what was met while looking ahead is told"


def test_colours_of_a_terminal_are_no_text(read: Read) -> None:
    took = read(b"See \x1b[35;1m\xe2\x80\x9cUNIX\xe2\x80\x9d\x1b[m and [1] here.", "tip.txt")
    assert [row["text"] for row in took.rows] == ["See “UNIX” and [1] here."]


MEMBERS = {
    "part/a.jsonl": b'{"text": "one", "url": "https://a.de/"}\n{"text": "two"}\nno json\n',
    "part/b.json.gz": gzip.compress(b'{"text": "three"}\n'),
    "c.txt": "Grüße".encode(),
    "README.md": b"# no document",
    "._c.txt": b"what Macs add",
    "d.parquet": b"PAR1",
    "e.jsonl.bz2": bz2.compress(b'{"text": "four"}'),
    "f.json.xz": lzma.compress(b'{"text": "five"}'),
}


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz"])
def test_tars(read: Read, ending: str) -> None:
    pack = {".tar": bytes, ".tar.zst": zstandard.compress, ".tar.bz2": bz2.compress, ".tar.xz": lzma.compress}
    took = read(pack.get(ending, gzip.compress)(tar_of(MEMBERS)), f"x{ending}")
    place = f"src/x{ending}"
    assert [(row["origin"], row["text"]) for row in took.rows] == [
        (f"{place}/part/a.jsonl#1", "one"), (f"{place}/part/a.jsonl#2", "two"), (f"{place}/part/b.json.gz#1", "three"),
        (f"{place}/c.txt#1", "Grüße"), (f"{place}/e.jsonl.bz2#1", "four"), (f"{place}/f.json.xz#1", "five"),
    ]  # fmt: skip
    assert took.faults() == [("line 3", "malformed_json"), ("file", "unreadable_member")]
    assert took.errors[0]["path"] == f"x{ending}/part/a.jsonl"
    assert took.reading.dropped == {"not_documents": 2}


def test_damaged_tars(read: Read) -> None:
    lines = b"".join(b'{"text": "line %d"}\n' % number for number in range(5000))
    whole = tar_of({"a.jsonl": lines, "b.jsonl": lines})
    for data, name in (
        (whole[: len(whole) // 2 + 9000], "x.tar"),
        (gzip.compress(whole, 0)[: len(whole) // 2 + 9000], "x.tar.gz"),
    ):
        took = read(data, name)
        assert 5000 < len(took.rows) < 6000, "all lines before the cut"
        assert [reason for _, reason in took.faults()] == ["truncated"]
        assert took.errors[0]["path"] == f"{name}/b.jsonl"
    took = read(tar_of({"eng.dev": b"A text of a member without an ending."}), "x.tar", format="text")
    assert [row["text"] for row in took.rows] == ["A text of a member without an ending."]
    assert [reason for _, reason in read(b"no tar" * 500, "x.tar").faults()] == ["broken_member"]


def test_hostile_plain_text(read: Read) -> None:
    long = b"x" * 3000
    took = read(
        b"good\n\n" + long + b"\n\nGer\xe4t\n\n" + b"a line\n" * 400 + b"\nlast",
        "t.txt",
        text_documents="blank_line",
        max_record_bytes=1024,
    )
    assert [row["text"] for row in took.rows] == ["good", "last"]
    assert took.faults() == [
        ("line 3", "document_too_long"),
        ("line 5", "invalid_utf8"),
        ("line 7", "document_too_long"),
    ]
    assert read(b"a line\n" * 400, "t.txt", max_record_bytes=1024).faults() == [("line 1", "document_too_long")]
    assert read(b"\n\n", "t.txt").faults() == []
    half = gzip.compress(b"some text that is long enough\n" * 500)[:-40]
    assert read(half, "t.txt.gz").faults()[-1][1] == "truncated"


def record(kind: str, body: bytes, address: str = "https://example.org/", more: bytes = b"") -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {address}\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + more + b"\r\n" + body + b"\r\n\r\n"


def page(html: bytes, status: str = "200 OK", kind: str = "text/html; charset=utf-8", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}\r\n".encode()
    return record("response", head + html, more=b"Content-Type: application/http; msgtype=response\r\n")


def test_wet(read: Read) -> None:
    archive = (
        record("warcinfo", b"software: x") + record("conversion", "Grüße.\nZweite Zeile.".encode(), "https://a.de/")
        + record("conversion", b"Ger\xe4t") + record("conversion", b"x" * 5000) + record("conversion", b"last")
    )  # fmt: skip
    took = read(archive, "CC.warc.wet", max_record_bytes=4096)
    assert took.rows == [
        {"origin": "src/CC.warc.wet#2", "url": "https://a.de/", "text": "Grüße.\nZweite Zeile."},
        {"origin": "src/CC.warc.wet#5", "url": "https://example.org/", "text": "last"},
    ]
    assert took.faults() == [("record 3", "invalid_utf8"), ("record 4", "document_too_long")]
    assert len(read(zstandard.compress(archive), "CC.warc.wet.zst", max_record_bytes=4096).rows) == 2


def test_damaged_archives(read: Read) -> None:
    archive = b"".join(gzip.compress(record("conversion", f"text {number} ".encode() * 500)) for number in range(50))
    assert len(read(archive, "a.warc.wet.gz").rows) == 50
    took = read(archive[: len(archive) // 2], "a.warc.wet.gz")
    assert 20 <= len(took.rows) <= 25
    assert [reason for _, reason in took.faults()] == ["truncated"]
    plain = gzip.decompress(archive)
    took = read(plain[: len(plain) // 2 + 100], "a.warc.wet")
    assert [reason for _, reason in took.faults()] == ["truncated"]
    start = plain.index(b"WARC/1.0", len(plain) // 2)
    took = read(
        plain[:start] + b"junk\njunk\n" + plain[start:].replace(b"Content-Length: ", b"Content-Length: x", 1),
        "a.warc.wet",
    )
    assert len(took.rows) == 49
    assert [reason for _, reason in took.faults()] == ["malformed_warc"] * 3
    assert len(read(plain.replace(b"\r\n", b"\n"), "a.warc.wet").rows) == 50
    assert read(b"no archive at all\n" * 100, "a.warc.wet").faults()[0][1] == "malformed_warc"
    assert [reason for _, reason in read(gzip.compress(b""), "a.warc.wet.gz").faults()] == ["empty_file"]


def test_an_archive_that_holds_what_the_other_format_is_for(read: Read) -> None:
    pytest.importorskip("resiliparse")
    texts, pages = record("warcinfo", b"x") + record("conversion", b"a text"), page(b"<p>A page.</p>")
    for data, kind in ((texts, "warc"), (pages, "wet")):
        took = read(data, "a.gz.x", format=kind)
        assert took.faults() == [("file", "no_documents")]
        assert f"{data.count(b'WARC/1.0')} records, and no" in took.errors[0]["detail"]
    for data, kind in ((texts, "wet"), (pages, "warc")):
        assert len(read(data, "a.gz.x", format=kind).rows) == 1


def test_warc(read: Read) -> None:
    pytest.importorskip("resiliparse")
    paragraph = "<p>The old harbour was quiet that morning. Only a few boats had come back before the storm.</p>"
    html = "<html><head><title>t</title><script>var x = 1;</script></head><body><nav><a href=/>Home</a></nav>"
    html += f"<article>{paragraph * 3}</article></body></html>"
    archive = (
        page(html.encode()) + page(html.encode(), status="404 Not Found") + page(b"\x89PNG", kind="image/png")
        + page(gzip.compress(html.encode()), more="Content-Encoding: gzip\r\n")
        + page(gzip.compress(b"<p>" + b"a " * 10_000_000), more="Content-Encoding: gzip\r\n")
        + page(b"<div>" * 5000 + b"x")
        + page("<p>Füße und Straßen.</p>".encode("latin-1"), kind="text/html; charset=iso-8859-1")
        + record("request", b"GET / HTTP/1.1\r\n\r\n")
    )  # fmt: skip
    took = read(archive, "a.warc")
    texts = [row["text"] for row in took.rows]
    assert len(texts) == 3
    assert texts[0].count("The old harbour was quiet that morning. Only a few boats") == 3
    assert "var x" not in texts[0]
    assert texts[1] == texts[0]
    assert "Füße und Straßen." in texts[2]
    assert took.faults() == [("record 5", "document_too_long"), ("record 6", "html_too_deep")]
    assert took.reading.dropped == {"not_answered": 1, "not_html": 1}


@pytest.mark.parametrize(("cut", "whole"), [(0.6, 2), (0.501, 2), (0.9, 3), (1.0, 4)])
def test_a_warc_cut_in_the_middle(read: Read, cut: float, whole: int) -> None:
    pytest.importorskip("resiliparse")
    html = b"<html><body>" + b"<p>The old harbour was quiet that morning. Only a few boats had come back.</p>" * 200
    pages = [page(html)] * 4
    for data, name in ((b"".join(pages), "a.warc"), (b"".join(map(gzip.compress, pages)), "a.warc.gz")):
        took = read(data[: int(len(data) * cut)], name)
        assert [row["origin"] for row in took.rows] == [f"src/{name}#{number}" for number in range(1, whole + 1)]
        assert took.faults() == ([] if cut == 1 else [(f"after record {whole}", "truncated")])


@pytest.mark.parametrize("name", ["dolma-sample-0000.warc.gz", "resiliparse-warcfile.warc.gz", "cc_net-sample.wet.txt"])
def test_real_archives(name: str, take: Callable[..., Any]) -> None:
    pytest.importorskip("resiliparse")
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / "c4"
    if not folder.is_dir():
        pytest.skip("no real samples beside the repository")
    source = DocumentsSource(type="documents", path=name)
    took = take(lambda reading: documents.read(source, str(folder / name), name, reading))
    assert took.rows
    assert all(row["url"] for row in took.rows)


def test_other_file_systems(tmp_path: Path, take: Callable[..., Any]) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("b", "a"):
        lines = [json.dumps({"text": f"{name} {number}", "url": f"https://{name}"}) for number in range(3)]
        memory.pipe_file(f"/crawl/{name}.json.gz", gzip.compress("\n".join(lines).encode()))
    source = DocumentsSource(type="documents", path="memory://crawl/*.json.gz")
    found = inputs.find("crawl", source, lambda path: path, str(tmp_path / "root"))
    assert [path for path, _ in found.files] == ["a.json.gz", "b.json.gz"]
    took = take(lambda reading: documents.read(source, found.files[0][1], found.files[0][0], reading))
    assert [row["text"] for row in took.rows] == ["a 0", "a 1", "a 2"]


def test_hub_addresses_are_the_hubs_own_file_system() -> None:
    pytest.importorskip("huggingface_hub")
    assert not storage.is_local("hf://datasets/allenai/c4/en/*.json.gz")
    assert fsspec.get_filesystem_class("hf").__name__ == "HfFileSystem"
