"""The jobs of consecutive sentences as a whole: books that balance, a bound per host, the same bytes however they are run."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flows.recipe import Loaded, parse
from flows.stages import Build
from pairs import hosts
from pipelines.ledger import check_chain
from pipelines.manifest import StageManifest

pytestmark = pytest.mark.engine

THINGS = ("harbour", "garden", "station", "library", "village", "bridge", "market", "castle", "museum", "forest")
DEEDS = (
    "closed before the long winter",
    "opened after two quiet years",
    "changed hands in the spring",
    "stood empty for a decade",
)


def document(number: int) -> str:
    chance = np.random.default_rng(number)
    said = [
        f"The old {THINGS[chance.integers(10)]} near the river {DEEDS[chance.integers(4)]}, as people of house {number} remember."
        for _ in range(12)
    ]
    return " ".join(said[:6]) + "\n• a list with an item in it\nHome | News | About | Contact\n" + " ".join(said[6:])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    rows = [
        {"text": document(at), "url": f"https://{'www.' if at % 2 else ''}host{at % 3}.org/{at}"} for at in range(60)
    ]
    rows += [
        {"text": document(at), "url": f"https://mirror.net/{at}"} for at in range(10)
    ]  # the same documents elsewhere
    rows += [{"text": document(100), "url": None}, {"text": "Too short."}]
    lines = [json.dumps(row) for row in rows]
    (folder / "a.json.gz").write_bytes(gzip.compress("\n".join([*lines[:30], '{"text": "Ger']).encode()))
    (folder / "b.jsonl").write_text("\n".join(lines[30:50]))
    pq.write_table(
        pa.Table.from_pylist(rows[50:], pa.schema({"text": pa.string(), "url": pa.string()})), folder / "c.parquet"
    )
    (folder / "d.json.gz").write_bytes(gzip.compress("\n".join(lines).encode())[:700])
    return folder


FILES = ["a.json.gz", "b.jsonl", "c.parquet", "d.json.gz"]


def build(inputs: Path, root: Path, files: list[str], workers: int = 1, **options: Any) -> Build:
    recipe = {
        "name": "said",
        "seed": 7,
        "sources": {"crawl": {"type": "documents", "path": [str(inputs / file) for file in files]}},
        "pairs": {"sentences": options},
        "runtime": {"workers": workers, "beam": {"bytes_per_process": 1}},
    }
    return Build(Loaded(parse(yaml.safe_dump(recipe)), str(inputs)), str(root))


def run(made: Build) -> tuple[StageManifest, StageManifest]:
    annotated, _ = made.annotate("crawl")
    return annotated, made.make_pairs("sentences", {"crawl": annotated})[0]


def rows_of(made: Build, manifest: StageManifest) -> list[dict[str, Any]]:
    tables = [pq.read_table(Path(made.root, manifest.folder, part.path)) for part in manifest.tables()]
    return pa.concat_tables(tables).to_pylist()


@pytest.fixture(scope="module")
def done(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, StageManifest, StageManifest]:
    made = build(inputs, tmp_path_factory.mktemp("root"), FILES, max_pairs_per_host=20)
    return made, *run(made)


def test_every_document_line_and_neighbour_has_its_reason(done: tuple[Build, StageManifest, StageManifest]) -> None:
    made, annotated, pairs = done
    steps = {step.step: step for step in check_chain([annotated.ledger, pairs.ledger])}
    assert list(steps) == ["read", "mine", "lines", "draw", "filter", "unique", "bound hosts"]
    assert set(steps["read"].errors) == {"malformed_json", "truncated"}
    assert steps["mine"].dropped == {"too_short": 1}
    assert set(steps["lines"].dropped) == {"list", "navigation"}
    assert steps["draw"].dropped["not_drawn"] > 0
    assert steps["unique"].dropped["duplicate_pair"] > 0
    assert set(steps["bound hosts"].dropped) == {"max_pairs_per_host"}
    rows = rows_of(made, pairs)
    of = Counter(hosts.hosts(pa.array([row["url"] for row in rows], pa.string())).to_pylist())
    assert {of["host0.org"], of["host1.org"], of["host2.org"]} == {20}
    assert of[None] == 4, "a document without an address is not bounded"


def test_the_bound_keeps_the_least_hashes(
    done: tuple[Build, StageManifest, StageManifest], inputs: Path, tmp_path: Path
) -> None:
    made, _, pairs = done
    free = build(inputs, tmp_path, FILES)
    assert free.annotate_stage("crawl").key == made.annotate_stage("crawl").key, "the bound re-runs the selection alone"
    all_pairs = run(free)[1]
    some = {row["key"] for row in rows_of(made, pairs)}
    assert some < {row["key"] for row in rows_of(free, all_pairs)}


def test_four_workers_and_shuffled_files_give_the_same_bytes(
    done: tuple[Build, StageManifest, StageManifest], inputs: Path, tmp_path: Path
) -> None:
    _, annotated, pairs = done
    again = run(build(inputs, tmp_path, FILES[::-1], workers=4, max_pairs_per_host=20))
    assert [part.sha256 for part in again[0].parts] == [part.sha256 for part in annotated.parts]
    assert [part.sha256 for part in again[1].parts] == [part.sha256 for part in pairs.parts]
    assert again[1].digest == pairs.digest, "the books and the examples too"
