"""Balancing as a whole: the jobs against the rule in plain Python, the same bytes however they are run, faults in lists."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.stages import Build
from pairs import keys
from pipelines.ledger import check_chain
from pipelines.manifest import StageManifest
from tests.e2e.test_alt_text_job import FILES, build, photograph, rows_of, run

pytestmark = pytest.mark.engine

THINGS = ("dog", "cat", "bus", "oak tree", "lamp", "owl", "yak", "zebu")
QUERIES = [*THINGS, "Dog", "house", "", "never met", "東京", "คน"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred and forty small pictures; things are met the less often the later they stand."""
    folder = tmp_path_factory.mktemp("balance")
    rng = np.random.default_rng(3)
    share = np.array([0.5 ** (at + 1) for at in range(len(THINGS))])
    texts = []
    for at in range(130):
        some = rng.choice(THINGS, p=share / share.sum(), size=1 + at % 2, replace=False)
        texts.append(f"The {' and the '.join(some)} number{at} quietly standing outside")
    texts += [f"Hotdogs {at} on offer this morning" for at in range(6)] + [
        "東京タワー夜景",
        "คนเดินถนนยาว",
        "Lamps, never a Bus",
    ]
    rows = [(photograph(at, (64, 64)), text) for at, text in enumerate(texts)]
    rows += rows[:7]  # the same pairs once more: they count once
    order = rng.permutation(len(rows))
    for number, part in enumerate(np.array_split(order, 3)):
        chosen = [rows[at] for at in part]
        table = pa.table({"image": [data for data, _ in chosen], "caption": [text for _, text in chosen]})
        pq.write_table(table, folder / f"{number}.parquet")
    (folder / "words.txt").write_text("\n".join(QUERIES[:6]) + "\n", "utf-8")
    (folder / "more.json").write_text(json.dumps(QUERIES[6:], ensure_ascii=False), "utf-8")
    return folder


def options(mode: str, threshold: int = 6, **more: Any) -> dict[str, Any]:
    return {"balance": {"queries": ["words.txt", "more.json"], "mode": mode, "threshold": threshold, **more}}


def holds(text: str) -> set[str]:
    """The queries of a text, for these texts: words between spaces and commas, letters anywhere for the two others."""
    spaced = f" {text.lower().replace(',', ' ')} "
    return {q.lower() for q in QUERIES if q and (q in text if q in ("東京", "คน") else f" {q.lower()} " in spaced)}


def expected(table: pa.Table, mode: str, threshold: int, seed: int = 7) -> tuple[set[str], dict[str, int]]:
    """The keys that are kept and the counts, by the rule as its papers say it, from single draws."""
    rows = list(zip(table.column("key").to_pylist(), map(holds, table.column("right_text").to_pylist()), strict=True))
    counts = Counter(query for _, held in rows for query in held)
    draws = dict(zip(table.column("key").to_pylist(), keys.draw(table.column("key"), seed, "balance"), strict=True))
    hashes = {query: keys.draw(pa.array([query]), 0, "query").view(np.int64) for query in counts}
    kept = set()
    for query, count in counts.items():
        having = sorted((int(draws[key]), key) for key, held in rows if query in held)
        for place, (draw, key) in enumerate(having):
            one = keys.unit(keys.child_draw(np.array([draw], np.uint64), hashes[query]))[0]
            if (place < threshold) if mode == "cap" else (one < min(1, threshold / count)):
                kept.add(key)
    return kept, dict(counts)


@pytest.fixture(scope="module")
def unbalanced(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    made = build(inputs, tmp_path_factory.mktemp("root"), FILES)
    return rows_of(made, run(made)[1])


Done = dict[str, tuple[Build, StageManifest, StageManifest]]


@pytest.fixture(scope="module")
def done(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    root = tmp_path_factory.mktemp("root")
    found = {}
    for mode in ("probability", "cap"):
        made = build(inputs, root, FILES, **options(mode))
        found[mode] = (made, *run(made))
    return found


@pytest.mark.parametrize("mode", ["probability", "cap"])
def test_what_is_kept_and_counted_is_what_the_rule_says(done: Done, unbalanced: pa.Table, mode: str) -> None:
    made, annotated, pairs = done[mode]
    steps = {step.step: step for step in check_chain([annotated.ledger, pairs.ledger])}
    assert list(steps) == ["read", "filter", "unique", "balance"]
    assert steps["unique"].dropped == {"duplicate_pair": 7}, "what is balanced is unique"
    kept, counts = expected(unbalanced, mode, 6)
    table = rows_of(made, pairs)
    assert set(table.column("key").to_pylist()) == kept
    assert table.column("key").to_pylist() == sorted(kept)
    assert steps["balance"].dropped == {"unmatched": 6, "balanced_out": unbalanced.num_rows - 6 - len(kept)}
    assert 20 < len(kept) < 80
    (part,) = [part for part in pairs.parts if part.role == "balance"]
    counted = pq.read_table(Path(made.root, pairs.folder, part.path)).to_pylist()
    after = Counter(query for text in table.column("right_text").to_pylist() for query in holds(text))
    assert {row["query"]: row["count"] for row in counted if row["count"]} == counts
    assert {row["query"]: row["kept"] for row in counted if row["kept"]} == dict(after)
    assert len(counted) == 12, "queries that nothing holds are there too"
    facts = pairs.facts["balance"]
    assert (facts["queries"], facts["duplicates"], facts["empty"]) == (12, 1, 1)
    assert (facts["pairs"], facts["matched"], facts["kept"]) == (
        unbalanced.num_rows,
        unbalanced.num_rows - 6,
        len(kept),
    )
    assert facts["top"][0] == list(counted[0].values()) == ["dog", counts["dog"], after["dog"]]
    shown = pairs.facts["examples"]["web"]
    assert {row["right_text"].split()[0] for row in shown["unmatched"]} == {"Hotdogs"}
    assert shown["balanced_out"]


@pytest.mark.parametrize("mode", ["probability", "cap"])
def test_four_workers_and_shuffled_files_and_lists_give_the_same_bytes(
    done: Done, inputs: Path, tmp_path: Path, mode: str
) -> None:
    _, _, pairs = done[mode]
    given = options(mode)
    given["balance"]["queries"].reverse()
    again = run(build(inputs, tmp_path, FILES[::-1], workers=4, **given))[1]
    assert [part.sha256 for part in again.parts] == [part.sha256 for part in pairs.parts]
    assert again.facts == pairs.facts
    assert again.digest == pairs.digest


def test_more_buckets_give_the_same_pairs_and_counts(
    done: Done, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.stages.select.buckets", lambda size: 5)
    for mode, (made, _, pairs) in done.items():
        other = build(inputs, tmp_path, FILES, workers=2, **options(mode))
        many = run(other)[1]
        assert len(many.tables()) > 1 == len(pairs.tables())
        assert rows_of(other, many).equals(rows_of(made, pairs))
        assert many.facts == pairs.facts
        assert many.ledger == pairs.ledger
        counts = [[part.sha256 for part in one.parts if part.role == "balance"] for one in (many, pairs)]
        assert counts[0] == counts[1]


def test_a_threshold_reruns_selection_alone_and_the_lists_content_is_in_the_key(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("dog\n")
    given = {"balance": {"queries": [str(tmp_path / "words.txt")], "threshold": 5}}
    made = build(inputs, tmp_path / "root", FILES, **given)
    before = StageManifest(stage="x", key="0" * 16, config={}, inputs={}, code="1", parts=[], ledger=[])
    key = made.pairs_stage("image_alt", {"web": before}).key
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "words.txt").write_text("dog\n")
    moved = {"balance": {"queries": [str(folder / "words.txt")], "threshold": 5}}
    assert build(inputs, tmp_path / "root", FILES, **moved).pairs_stage("image_alt", {"web": before}).key == key
    (tmp_path / "words.txt").write_text("cat\n")
    other = build(inputs, tmp_path / "root", FILES, **given)
    assert other.pairs_stage("image_alt", {"web": before}).key != key
    assert other.annotate_stage("web").key == made.annotate_stage("web").key


@pytest.mark.parametrize("mode", ["probability", "cap"])
def test_tables_without_photographs_are_balanced_over_all_their_parts(tmp_path: Path, mode: str) -> None:
    texts = [f"A big {'dog' if at % 3 else 'yak'} number{at} outside" for at in range(60)] + ["Quite other things"] * 2
    for number in range(3):
        chosen = texts[number::3]
        urls = [f"https://e/{number}/{at}.jpg" for at in range(len(chosen))]
        pq.write_table(pa.table({"url": urls, "caption": chosen}), tmp_path / f"{number}.parquet")
    (tmp_path / "words.txt").write_text("dog\nyak\n")
    found = []
    for workers, files in ((1, FILES), (4, FILES[::-1])):
        given = {"balance": {"queries": ["words.txt"], "mode": mode, "threshold": 10}}
        made = build(tmp_path, tmp_path / f"root{workers}", files, workers=workers, **given)
        annotated, _ = made.annotate("web")
        table, _ = made.filter_table("web", annotated)
        steps = {step.step: step for step in check_chain([annotated.ledger, table.ledger])}
        assert list(steps) == ["read", "filter", "balance"]
        rows = rows_of(made, table)
        if mode == "cap":
            assert steps["balance"].dropped == {"unmatched": 2, "balanced_out": 40}
            assert Counter("dog" in text for text in rows.column("text").to_pylist()) == {True: 10, False: 10}
        else:
            renamed = rows.rename_columns(["right_text" if name == "text" else name for name in rows.column_names])
            assert steps["balance"].dropped["unmatched"] == 2
            assert 8 < renamed.num_rows < 34
        assert steps["balance"].kept == rows.num_rows == table.rows
        (part,) = [part for part in table.parts if part.role == "balance"]
        counted = pq.read_table(Path(made.root, table.folder, part.path)).to_pylist()
        assert [(row["query"], row["count"]) for row in counted] == [("dog", 40), ("yak", 20)]
        assert sum(row["kept"] for row in counted) == rows.num_rows
        found.append(table)
    assert found[0].digest == found[1].digest


def test_a_build_publishes_the_counts_and_shows_them(inputs: Path, tmp_path: Path, cli: Any) -> None:
    import yaml

    recipe = {
        "name": "alt",
        "sources": {"web": {"type": "image_text", "path": [str(inputs / file) for file in FILES]}},
        "pairs": {"image_alt": {"balance": {"queries": [str(inputs / "words.txt")], "threshold": 4, "mode": "cap"}}},
        "runtime": {"workers": 2},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = cli("build", tmp_path / "recipe.yaml", "--root", tmp_path / "root")
    assert done.returncode == 0, done.stderr
    (folder,) = [path.parent for path in (tmp_path / "root/datasets/alt").glob("*/MANIFEST.json")]
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    (entry,) = manifest["balance"]
    assert entry["path"] == "balance/image_alt.parquet"
    counted = pq.read_table(folder / entry["path"])
    assert counted.num_rows == entry["rows"] == 6
    page = (folder / "report.html").read_text()
    assert 'id="balance"' in page
    assert "oak tree" in page
    assert "balanced_out" in page
    assert "balance/image_alt.parquet" in (folder / "README.md").read_text()
    assert cli("verify", folder).returncode == 0
    (folder / entry["path"]).chmod(0o644)
    (folder / entry["path"]).write_bytes(b"other")
    broken = cli("verify", folder)
    assert broken.returncode == 1
    assert "balance/image_alt.parquet: gone, or not the file that was published" in broken.stdout


def test_a_list_that_cannot_be_used_stops_the_build_before_it_starts(inputs: Path, tmp_path: Path, cli: Any) -> None:
    (tmp_path / "bad.txt").write_bytes(b"dog\ncat\n\xff\xfe\n")
    recipe = (
        f"name: alt\nsources: {{web: {{type: image_text, path: '{inputs}/*.parquet'}}}}\n"
        "pairs: {image_alt: {balance: {queries: [bad.txt]}}}\n"
    )
    (tmp_path / "recipe.yaml").write_text(recipe)
    done = cli("build", tmp_path / "recipe.yaml", "--root", tmp_path / "root")
    assert done.returncode != 0
    assert "bad.txt, line 3: not UTF-8" in done.stderr + done.stdout
    assert not (tmp_path / "root" / "stages").exists()


@pytest.mark.parametrize("mode", ["probability", "cap"])
def test_where_the_rules_keep_nothing_there_is_nothing_to_balance(inputs: Path, tmp_path: Path, mode: str) -> None:
    made = build(inputs, tmp_path, FILES, min_words=200, **options(mode))
    _, pairs = run(made)
    assert pairs.rows == 0
    assert pairs.facts["balance"]["pairs"] == pairs.facts["balance"]["met"] == 0
    (part,) = [part for part in pairs.parts if part.role == "balance"]
    assert part.rows == 12
