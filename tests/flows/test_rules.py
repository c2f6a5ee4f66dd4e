"""The commands that show what alt-text rules do: the funnel of a preset, and rows for a person to read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows import rules
from flows.cli import app
from flows.recipe import RecipeError

TEXTS = [
    *[f"A wooden house number {number} beside the river" for number in range(30)],
    *["One text under many pictures"] * 12,
    "IMG_8535.JPG",
    "Logo",
    "dog",
    None,
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "alt.parquet"
    urls = [f"https://example.org/{number}.jpg" for number in range(len(TEXTS))]
    pq.write_table(pa.table({"url": urls, "alt": TEXTS, "title": ["unread"] * len(TEXTS)}), path)
    return path


def test_the_funnel_adds_up_for_every_preset(table: Path) -> None:
    (rows,) = rules.annotated([str(table)])
    for preset in rules.every_preset():
        found = rules.funnel(rows, rules.options_of(preset))
        assert found["in"] == len(TEXTS) == found["kept"] + sum(found["dropped"].values()), preset
    found = rules.funnel(rows, rules.options_of("align"))
    assert found["dropped"] == {"text_on_many_images": 12, "too_short": 3}, "IMG_8535.JPG is three unigrams"
    assert found["alone"]["too_short"] == 3


def test_samples_are_the_same_on_every_run_and_say_why(table: Path, tmp_path: Path) -> None:
    words = ["samples", str(table), "-n", "5", "-o"]
    for name in ("a", "b"):
        done = CliRunner().invoke(app, [*words, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [f"alt.parquet.{rule}.txt" for rule in ("boilerplate", "empty", "file_name", "kept")]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    kept = (tmp_path / "a" / "alt.parquet.kept.txt").read_text().splitlines()
    assert len(kept) == 5
    assert (tmp_path / "a" / "alt.parquet.file_name.txt").read_text().startswith("IMG_8535.JPG\t")


def test_a_preset_of_ones_own_and_another_column(table: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("order: [too_short]\nmin_words: 2\n")
    done = CliRunner().invoke(app, ["funnel", str(table), "--preset", str(mine), "--text", "title"])
    assert done.exit_code == 0, done.output
    assert "too_short" in done.output
    for wrong in ("nothing", str(tmp_path / "missing.yaml")):
        with pytest.raises(RecipeError, match="preset"):
            rules.options_of(wrong)
    assert CliRunner().invoke(app, ["funnel", str(tmp_path)]).exit_code != 0


@pytest.mark.parametrize("command", ["funnel", "samples"])
def test_a_preset_that_is_none_is_said_in_one_line_before_anything_else(table: Path, command: str) -> None:
    done = CliRunner().invoke(app, [command, str(table), "--preset", "cc13m"])
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith("error: no preset 'cc13m'; there are align, ")
    assert line.endswith("did you mean cc12m?")


def test_the_funnel_shows_what_balancing_does(table: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("house\nriver\nPictures\n\nhouse\nnever\n")
    (tmp_path / "mine.yaml").write_text("order: [empty]\nbalance: {queries: [words.txt], threshold: 5, mode: cap}\n")
    (rows,) = rules.annotated([str(table)])
    found = rules.balanced(rows, rules.options_of(str(tmp_path / "mine.yaml")))
    assert found is not None
    assert (found["in"], found["matched"], found["queries"], found["empty"], found["duplicates"]) == (45, 42, 4, 1, 1)
    assert found["dropped"] == {"unmatched": 3, "balanced_out": 32}
    assert found["top"] == [["house", 30, 5], ["river", 30, 5], ["pictures", 12, 5], ["never", 0, 0]]
    words = ["funnel", str(table), "--preset", "lit_yfcc", "--queries", str(tmp_path / "words.txt"), "--threshold", "5"]
    done = CliRunner().invoke(app, [*words, "--mode", "cap", "--top", "1"])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert ["balanced_out", "-32", "10"] in lines
    assert ["house", "30", "->", "5"] in lines
    assert not any(line[:1] == ["river"] for line in lines)
    assert rules.balanced(rows, rules.options_of("default")) is None
    assert CliRunner().invoke(app, [*words, "--mode", "best"]).exit_code != 0
    assert CliRunner().invoke(app, ["funnel", str(table), "--queries", str(tmp_path / "none.txt")]).exit_code != 0
