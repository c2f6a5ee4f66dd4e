"""Counts of pairs under the same unambiguous names wherever a person reads them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from flows import display, inspection
from flows.context import Built
from flows.progress import Board
from flows.report import ReportData, render_report
from pipelines import dataset
from pipelines.dataset import DatasetManifest
from pipelines.ledger import Step
from pipelines.publish.card import card
from tests.pipelines.publish.made_version import make_version


@pytest.fixture
def held(tmp_path: Path) -> DatasetManifest:
    """12 pairs of photographs, of which the second shard's 5 are held out; 9 of sentences."""
    manifest = make_version(tmp_path, kinds={"image_alt": [7, 5], "sentences": [9]})
    (tmp_path / "validation").mkdir()
    place = "validation/image_alt-000000.tar"
    (tmp_path / manifest.shards[1].path).rename(tmp_path / place)
    manifest.shards[1] = manifest.shards[1].model_copy(update={"path": place, "split": "validation"})
    (tmp_path / "MANIFEST.json").write_bytes(dataset.encode(manifest))
    return manifest


def words(text: str) -> str:
    return " ".join(re.sub(r"[|│┃]", " ", text).split())


def summary_of(manifest: DatasetManifest) -> str:
    out = io.StringIO()
    built = Built("folder", "version", manifest, "0" * 64, "report.html", promoted=True)
    display.summary(built, Board(), Console(file=out, width=160))
    return words(out.getvalue())


def test_pairs_are_the_sum_of_what_is_trained_on_and_what_is_held_out(held: DatasetManifest, tmp_path: Path) -> None:
    assert held.pairs() == {
        "image_alt": {"pairs": 12, "to train on": 7, "held out": 5},
        "sentences": {"pairs": 9, "to train on": 9, "held out": 0},
    }
    out = io.StringIO()
    inspection.inspect_anything(str(tmp_path), tmp_path / "sheet.png", 1, 0, Console(file=out, width=160))
    for text in (summary_of(held), words(out.getvalue()), words(card(held).decode())):
        assert "pairs to train on held out shards" in text
        assert re.search(r"image_alt\W.*?12 7 5 2 ", text)
    assert " 21 16 5 3 " in words(card(held).decode()), "the sum of all kinds"
    page = words(re.sub("<[^>]*>", " ", render_report(ReportData(held)).decode()))
    assert "kind pairs to train on held out share" in page
    assert "image_alt 12 7 5 57.1 %" in page
    assert "21 pairs, of them 5 held out" in page


def test_where_nothing_is_held_out_there_is_one_count(tmp_path: Path) -> None:
    manifest = make_version(tmp_path)
    assert manifest.pairs()["image_alt"] == {"pairs": 12}
    assert "kind pairs shards" in words(summary_of(manifest).replace("━", "").replace("─", ""))
    assert "held out" not in render_report(ReportData(manifest)).decode().split('id="shards"')[1]


def inspected(folder: Path, manifest: DatasetManifest) -> str:
    (folder / "MANIFEST.json").write_bytes(dataset.encode(manifest))
    out = io.StringIO()
    inspection.inspect_anything(str(folder), folder / "sheet.png", 1, 0, Console(file=out, width=200))
    return words(out.getvalue())


def test_languages_that_are_not_named_are_summed_and_sides_are_not_mixed(tmp_path: Path) -> None:
    manifest = make_version(tmp_path, kinds={"sentences": [9], "translations": [6]})
    many = {f"l{number}": 100 - number for number in range(11)}
    manifest.languages = {
        "sentences": {"left": many, "right": many},
        "translations": {"left": {"en": 6}, "right": {"de": 4, "fr": 2}},
    }
    text = inspected(tmp_path, manifest)
    assert text.count("l0 100, l1 99") == 1, "the same on both sides: said once"
    assert "l7 93, + 3 more 273" in text
    assert "l8" not in text
    assert re.search(r"left: en 6 .*right: de 4, fr 2", text)


def test_a_table_without_photographs_is_told_and_its_rows_are_no_pairs(tmp_path: Path) -> None:
    manifest = make_version(tmp_path)
    step = Step(source="meta", step="filter", unit="rows", rows_in=20, kept=17, rows_out=17, dropped={"url": 3})
    manifest = manifest.model_copy(update={"shards": [], "mix": {}, "languages": {}, "ledger": {"tables": [step]}})
    text = summary_of(manifest)
    assert "meta 17 1,234 tables/meta-000000.parquet" in text
    assert "pairs" not in text
    page = words(re.sub("<[^>]*>", " ", render_report(ReportData(manifest)).decode().split("<main>")[1]))
    assert "17 rows in filtered tables" in page
    assert "17 pairs" not in page
