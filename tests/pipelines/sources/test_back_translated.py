"""Corpora that were translated back before: both sides in one language, from the readers of bitext, and what hostile ones cost."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines.sources import bitext
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import BitextSource

Read = Callable[..., Any]
PAIRS = [("He went home.", "He walked home."), ("It rains.", "It is raining.")]
COLUMNS = {"left": "sentence", "right": "back"}


@pytest.fixture
def read(take: Callable[..., Any], tmp_path: Path) -> Read:
    """Writes a corpus, checks and reads it as a build does; gives the sides of its pairs and its faults."""

    def run(data: bytes, name: str, **fields: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        path = tmp_path / name
        path.write_bytes(data)
        told = {"languages": ("en", "en-GB"), **fields}
        source = BitextSource(type="bitext", role="back_translation", path=str(path), **told)
        unit = {"url": str(path), "path": name}
        bitext.check(source, unit)
        took = take(lambda reading: bitext.read(source, unit, reading))
        assert {row["left_lang"] for row in took.rows} <= {"en"}
        return [(row["left_text"], row["right_text"]) for row in took.rows], took.faults()

    return run


def parquet(columns: dict[str, list[str]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


LINES = [json.dumps({"sentence": left, "back": right, "n": 1}).encode() for left, right in PAIRS]
TABLE = parquet({"sentence": [left for left, _ in PAIRS], "back": [right for _, right in PAIRS]})


@pytest.mark.parametrize(
    ("name", "data", "fields"),
    [
        ("a.tsv", "".join(f"{left}\t{right}\n" for left, right in PAIRS).encode(), {}),
        ("a.txt", "".join(f"{left} ||| {right}\n" for left, right in PAIRS).encode(), {"format": "pipes"}),
        ("a.jsonl", b"\n".join(LINES), {"columns": COLUMNS}),
        ("a.parquet", TABLE, {"columns": COLUMNS}),
    ],
)
def test_both_sides_of_one_language_are_kept_apart(read: Read, name: str, data: bytes, fields: dict[str, Any]) -> None:
    found, faults = read(data, name, **fields)
    assert found == PAIRS
    assert faults == []


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.tmx", b"<tmx><body/></tmx>", "tmx tells its sides apart by language.*write it as tsv"),
        ("a.zip", b"PK\x03\x04", "moses_zip tells its sides apart by language"),
        ("a.jsonl", b"\n".join(LINES), "jsonl tells its sides apart by language.*name both sides in `columns`"),
        ("a.parquet", TABLE, "name both sides in `columns`"),
    ],
)
def test_formats_that_name_sides_by_language_are_refused(read: Read, name: str, data: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read(data, name)


def test_two_languages_are_no_back_translation() -> None:
    with pytest.raises(ValidationError, match="in the sentence's own language"):
        BitextSource(type="bitext", role="back_translation", path="a.tsv", languages=("en", "de"))
    with pytest.raises(ValidationError, match="must differ, but for role back_translation"):
        BitextSource(type="bitext", path="a.tsv", languages=("en", "en"))


def test_hostile_lines_cost_themselves(read: Read) -> None:
    lines = [b"Ger\xe4t\tx", b"alone", b"x" * (10 << 20) + b"\ty", b"", f"{PAIRS[0][0]}\t{PAIRS[0][1]}".encode()]
    found, faults = read(b"\n".join(lines) + b"\n", "a.tsv")
    assert found[-1] == PAIRS[0]
    assert [reason for _, reason in faults] == ["invalid_utf8", "one_sided", "line_too_long", "one_sided"]


def test_a_truncated_archive_gives_what_it_has(read: Read) -> None:
    text = "".join(f"Sentence number {n} went out.\tSentence number {n} has gone out.\n" for n in range(50_000))
    whole = gzip.compress(text.encode(), mtime=0)
    found, faults = read(whole[: len(whole) // 2], "a.tsv.gz")
    assert 1000 < len(found) < 50_000
    assert len(faults) == 1
    assert found[7] == ("Sentence number 7 went out.", "Sentence number 7 has gone out.")
