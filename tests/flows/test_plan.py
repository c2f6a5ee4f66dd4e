"""`--plan`: what would run and what it will cost, from real files and finished stages; nothing is run or written."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from flows import lookahead, plan
from flows.prepare import prepare
from pipelines import stage, storage
from pipelines.ledger import Step
from pipelines.manifest import Part
from pipelines.sources.inputs import Inputs, find
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource
from pipelines.stage import Outcome
from tests import tars
from tests.pipelines.publish.made_version import photograph

pytestmark = pytest.mark.engine  # importing the flow imports Prefect

DOCUMENT = json.dumps({"text": "One sentence is here. Another one follows it."}).encode() + b"\n"
RECIPE: dict[str, Any] = {
    "name": "planned",
    "sources": {
        "docs": {"type": "documents", "path": "docs.jsonl"},
        "pics": {"type": "image_text", "path": "pics.parquet"},
        "lines": {"type": "bitext", "left": "a.de", "right": "a.en", "languages": ["de", "en"]},
    },
    "pairs": {"image_alt": {}, "sentences": {}, "translations": {}, "word_drop": {}},
    "shards": {"samples": 100, "per_kind": {"image_alt": 30}},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "docs.jsonl").write_bytes(DOCUMENT * 250)
    pq.write_table(
        pa.table({"image": [b"x"] * 130, "caption": ["a"] * 130}), folder / "pics.parquet", row_group_size=50
    )
    (folder / "a.de").write_bytes(b"eins\n" * 70)
    (folder / "a.en").write_bytes(b"one\n" * 70)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def draw(recipe: Path, root: Path) -> dict[str, plan.Row]:
    rows = plan.draw_up(prepare(str(recipe), str(root)))
    assert len({row.stage for row in rows}) == len(rows)
    return {row.stage: row for row in rows}


def test_a_fresh_build_has_everything_to_do(recipe: Path, tmp_path: Path) -> None:
    rows = draw(recipe, tmp_path / "root")
    kinds = ("image_alt", "sentences", "translations", "word_drop")
    assert set(rows) == (
        {f"annotate-{name}" for name in RECIPE["sources"]}
        | {kind if kind == "word_drop" else f"select-{kind}" for kind in kinds}
        | {f"{what}-{kind}" for what in ("render", "verify") for kind in kinds}
    )
    assert not any(row.done for row in rows.values())
    assert all(row.seconds > 0 for row in rows.values())
    # What can be told without running anything is told; the rest has no key yet.
    assert {name for name, row in rows.items() if row.key is not None} == {
        f"annotate-{name}" for name in RECIPE["sources"]
    }
    assert [(rows[f"annotate-{name}"].rows, rows[f"annotate-{name}"].exact) for name in ("docs", "pics", "lines")] == [
        (250, False),
        (130, True),
        (70, False),
    ]
    for kind in kinds:
        row = rows[f"render-{kind}"]
        assert row.shards == -(-row.rows // (30 if kind == "image_alt" else 100))
        assert row.bytes
        assert not row.exact


def test_planning_writes_nothing_but_fingerprints_and_is_the_same_again(recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = draw(recipe, root)
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()) == [
        "cache/aligned.json",
        "cache/fingerprints.json",
    ]
    assert draw(recipe, root) == first
    assert draw(recipe, tmp_path / "elsewhere") == first


def finish(root: Path, what: stage.Stage, counts: list[int], held: int = 0) -> None:
    """A finished stage of parts with so many rows."""

    def body(folder: str) -> Outcome:
        parts = []
        for number, count in enumerate([*counts, *([held] if held else [])]):
            role = "table" if number < len(counts) else "validation"
            file = storage.write_bytes(storage.join(folder, f"part-{number}"), b"x" * count)
            parts.append(Part(path=f"part-{number}", bytes=file.bytes, sha256=file.sha256, rows=count, role=role))
        total = sum(counts) + held
        return Outcome(parts, [Step(source="s", step="x", unit="rows", rows_in=total, kept=total, rows_out=total)])

    assert stage.run(str(root), what, body)[1]


def test_a_finished_stage_is_told_and_makes_the_next_one_known(recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    finish(root, prepare(str(recipe), str(root)).annotate_stage("pics"), [40, 77])
    rows = draw(recipe, root)
    done = rows["annotate-pics"]
    assert (done.done, done.exact, done.rows, done.bytes, done.seconds) == (True, True, 117, 117, 0.0)
    assert rows["select-image_alt"].key is not None
    assert not rows["select-image_alt"].done
    assert rows["render-image_alt"].key is None
    build = prepare(str(recipe), str(root))
    annotated = stage.done(str(root), build.annotate_stage("pics"))
    assert annotated is not None
    finish(root, build.pairs_stage("image_alt", {"pics": annotated}), [60], held=4)
    rows = draw(recipe, root)
    row = rows["render-image_alt"]
    assert rows["select-image_alt"].rows == 64, "what is held out is a pair too"
    assert (row.rows, row.exact, row.shards) == (64, True, 3)
    assert row.key is not None


def test_a_part_that_is_gone_makes_it_to_do_again(recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    what = prepare(str(recipe), str(root)).annotate_stage("pics")
    finish(root, what, [40, 77])
    (root / what.folder / "part-1").unlink()
    assert not draw(recipe, root)["annotate-pics"].done


def test_changed_input_is_other_work(recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    before = draw(recipe, root)
    (recipe.parent / "docs.jsonl").write_bytes(DOCUMENT * 251)
    after = draw(recipe, root)
    changed = {name for name in before if before[name].key != after[name].key}
    assert changed == {"annotate-docs"}


def test_what_is_shown_names_each_stage_and_the_sum(recipe: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    plan.show(str(recipe), str(tmp_path / "root"), 2, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    rows = draw(recipe, tmp_path / "root")
    for name in rows:
        assert name in text
    assert f"0 of {len(rows)} stages are done" in text
    assert "on 2 workers" in text


def test_a_missing_file_is_named(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "docs.jsonl").unlink()
    with pytest.raises(SourceError, match=r"sources\.docs: no file at .*docs\.jsonl"):
        draw(recipe, tmp_path / "root")


def test_texts_and_bytes_of_photographs_are_looked_at(recipe: Path, tmp_path: Path) -> None:
    """Would catch a plan of a row an image, of 40 kB each, whatever the files hold."""
    images = [photograph(number, "jpg") for number in range(40)]
    texts = [[f"text {number} of {at}" for at in range(5)] + ["", "text 0"] for number in range(40)]
    pq.write_table(pa.table({"image": images, "texts": texts}), recipe.parent / "pics.parquet")
    rows = draw(recipe, tmp_path / "root")
    assert rows["annotate-pics"].rows == 40 * 6
    assert not rows["annotate-pics"].exact
    assert rows["select-image_alt"].rows == 192
    mean = sum(map(len, images)) / 40
    assert rows["render-image_alt"].bytes == pytest.approx(192 * (mean + 4500), rel=0.01)
    told = yaml.safe_load(recipe.read_text())
    told["sources"]["pics"]["texts"] = "one"
    recipe.write_text(yaml.safe_dump(told))
    assert draw(recipe, tmp_path / "root")["annotate-pics"].rows == 40


# --- how many rows a source has ----------------------------------------------------------------------------------------------


def tar(samples: int) -> bytes:
    parts = (("jpg", 5000), ("txt", 40), ("json", 200))
    return tars.tar(*((f"{number:06d}.{end}", bytes(size)) for number in range(samples) for end, size in parts))


def inputs(tmp_path: Path, name: str, data: bytes) -> Inputs:
    (tmp_path / name).write_bytes(data)
    model: Any = DocumentsSource if ".jsonl" in name else ImageTextSource
    source = model(type="documents" if model is DocumentsSource else "image_text", path=name)
    return find("src", source, lambda path: str(tmp_path / path), str(tmp_path))


@pytest.mark.parametrize(
    ("name", "data", "least", "most"),
    [
        ("a.jsonl", DOCUMENT * 1000, 1000, 1000),
        ("a.jsonl", DOCUMENT * 100_000, 90_000, 110_000),
        ("a.jsonl", b"", 0, 0),
        ("a.jsonl.gz", gzip.compress(DOCUMENT * 1000), 1000, 1000),
        ("a.csv", b"url,text\n" + b"u,t\n" * 999, 999, 1000),
        ("a.tar", tar(100), 60, 160),
        ("a.tar", tar(800), 500, 1200),
        ("a.tar", bytes(10240), 0, 0),
        ("a.tar", b"", 0, 1),
        ("a.tar", b"garbage" * 1000, 0, 1),
        ("a.parquet", b"garbage", 0, 0),
        ("a.parquet", b"", 0, 0),
        ("a.jsonl.gz", gzip.compress(DOCUMENT * 1000)[:60], 0, 1000),
        ("a.jsonl.zst", b"garbage", 0, 0),
        ("a.jsonl", b"x" * 5_000_000, 0, 10),
    ],
)  # fmt: skip
def test_rows_are_estimated_from_any_file(tmp_path: Path, name: str, data: bytes, least: int, most: int) -> None:
    rows, exact = lookahead.rows_in(inputs(tmp_path, name, data))
    assert least <= rows <= most
    assert not exact


def test_bitext_counts_one_side(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"eins\nzwei\n")
    (tmp_path / "b").write_bytes(b"one\ntwo\n")
    source = BitextSource(type="bitext", left="a", right="b", languages=("de", "en"))
    found = find("src", source, lambda path: str(tmp_path / path), str(tmp_path))
    assert lookahead.rows_in(found) == (2, False)
