"""Lists of queries: their formats, what is counted of them, and lists that cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairs.balance import BalanceOptions, Matcher
from pipelines import queries
from pipelines.sources.reading import SourceError


def gathered(*paths: Path, **given: object) -> tuple[list[str], dict[str, object]]:
    options = BalanceOptions.model_validate({"queries": [str(path) for path in paths], **given})
    column, facts = queries.gather(options, queries.files_of(options.queries))
    return column.to_pylist(), facts


def write(path: Path, data: bytes | str) -> Path:
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_lines_json_and_counts(tmp_path: Path) -> None:
    words = write(tmp_path / "words.txt", "\ufeffdog\r\n\r\ngolden_retriever\ncatch 22\nDog\n")
    frequent = write(tmp_path / "frequent.gz", "the 100\nnew york 7\nowl 3\n\n")
    listed = write(tmp_path / "metadata.json", json.dumps(["Eiffel Tower", "owl", "", "東京"]))
    columns = write(tmp_path / "columns.tsv", "bus\t17\tx\nred bus\t5\ty\n")
    found, facts = gathered(words, frequent, listed, columns)
    assert found == sorted(
        ["dog", "golden retriever", "catch 22", "the", "new york", "owl", "eiffel tower", "東京", "bus", "red bus"]
    )
    assert facts == {
        "lists": [
            {"list": "columns.tsv", "entries": 2, "counted": True, "empty": 0},
            {"list": "frequent.gz", "entries": 4, "counted": True, "empty": 1},
            {"list": "metadata.json", "entries": 4, "counted": False, "empty": 1},
            {"list": "words.txt", "entries": 5, "counted": False, "empty": 1},
        ],
        "empty": 3,
        "duplicates": 2,
        "queries": 10,
    }
    assert gathered(columns, listed, frequent, words) == (found, facts)


def test_whether_numbers_are_counts_can_be_said(tmp_path: Path) -> None:
    planes = write(tmp_path / "planes.txt", "boeing 707\nboeing 747\n")
    assert gathered(planes)[0] == ["boeing"]
    assert gathered(planes, counted="no")[0] == ["boeing 707", "boeing 747"]
    mixed = write(tmp_path / "mixed.txt", "dog 12\ncat\n")
    assert gathered(mixed)[0] == ["cat", "dog 12"]
    assert gathered(mixed, counted="yes")[0] == ["cat", "dog"]


def test_the_case_of_queries(tmp_path: Path) -> None:
    words = write(tmp_path / "words.txt", "Polish\npolish\n")
    assert gathered(words)[0] == ["polish"]
    assert gathered(words, case="exact")[0] == ["Polish", "polish"]


def test_objects_of_counts_and_compiled_tables(tmp_path: Path) -> None:
    counts = write(tmp_path / "entry_counts.json.gz", json.dumps({"dog": 5, "cat": 2}))
    options = BalanceOptions(queries=(str(counts),))
    table, facts = queries.compile_lists(options, [str(counts)], str(tmp_path))
    assert facts["queries"] == table.rows == 2
    assert queries.load(str(tmp_path / queries.TABLE)).to_pylist() == ["cat", "dog"]
    assert pq.read_table(tmp_path / queries.TABLE).schema.equals(queries.SCHEMA)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"", "no query in"),
        ("a.txt", b"\n \n\xe2\x80\x8b\n", "no query in"),
        ("a.json", b"[]", "no query in"),
        ("a.txt", b"dog\ncat\n" + b"x" * 10_000_000 + b"\n", "a.txt, line 3: more than"),
        ("a.gz", b"dog\n" + b"x" * 10_000_000 + b"\n", "a.gz, line 2: more than"),
        ("a.txt", b"dog\n" + b"x" * 2000 + b"\n", "a.txt, line 2: 2,000 characters"),
        ("a.txt", b"dog\n\xff\xfe\n", "a.txt, line 2: not UTF-8"),
        ("a.json", b"dog\n", "not JSON"),
        ("a.json", b'["dog",\n"cat"\n"owl"]', "a.json, line 3: not JSON"),
        ("a.json", b'["dog", 7]', "a.json, entry 2: int; a string is wanted"),
        ("a.json", b'"dog"', "holds str; a list of strings"),
        ("a.json", b'["\xff"]', "not JSON"),
        ("a.json", b'["dog", "' + b"x" * 10_000_000 + b'"]', "entry 2: 10,000,000 characters"),
    ],
)
def test_lists_that_cannot_be_used_are_named(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = write(tmp_path / name, data)
    with pytest.raises(SourceError, match=r"balance\.queries: ") as error:
        gathered(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 400


def test_files_that_are_not_there_or_broken(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file at"):
        gathered(tmp_path / "none.txt")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"dog\n" * 10_000)[:-12])
    with pytest.raises(SourceError, match=r"cut\.gz: cannot be read"):
        gathered(cut)
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(json.dumps(["dog"] * 10_000).encode())[:-12])
    with pytest.raises(SourceError, match=r"cut\.json\.gz: cannot be read"):
        gathered(cut)
    plain = tmp_path / "plain.gz"
    plain.write_bytes(b"dog\n")
    with pytest.raises(SourceError, match=r"plain\.gz: cannot be read"):
        gathered(plain)
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(b" " * (300 << 20), 1))
    with pytest.raises(SourceError, match=r"bomb\.json\.gz: more than"):
        gathered(bomb)


def test_the_real_lists(shared: Path) -> None:
    found, facts = gathered(shared / "data/metadata/*.gz")
    assert facts["queries"] == len(found) == len(set(found))
    assert {item["list"]: item["counted"] for item in facts["lists"]} == {  # type: ignore[attr-defined]
        path.name: not path.name.startswith("wordnet") for path in (shared / "data/metadata").glob("*.gz")
    }
    assert sum(item["entries"] for item in facts["lists"]) == facts["queries"] + facts["duplicates"] + facts["empty"]  # type: ignore
    assert {"golden retriever", "'s gravenhage", "strasse", "مشاكل", "很大", "пожалуйста"} <= set(found)
    one = Matcher.of(pa.array(found), BalanceOptions(queries=("x",)))
    rows, ids = one.match(pa.array(["A Golden Retriever in Baden-Baden", "很大的狗"]))
    held = {(row, found[query]) for row, query in zip(rows, ids, strict=True)}
    assert {(0, "golden retriever"), (0, "golden"), (0, "a"), (1, "很大"), (1, "狗")} <= held
