"""What may go: nothing that a kept version, a champion, or a build at work needs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipelines import lease, retire
from pipelines.dataset import DatasetError, DatasetManifest, encode

OLD = 10_000_000


def _stage(root: Path, name: str) -> None:
    folder = root / "stages" / name
    (folder / "records").mkdir(parents=True)
    (folder / "part-0").write_bytes(b"x" * 100)
    (folder / "MANIFEST.json").write_text("{}")
    for path in folder.iterdir():
        os.utime(path, (OLD, OLD))


def _version(root: Path, name: str, number: str, stages: list[str], when: int) -> None:
    lineage: dict[str, Any] = {
        stage.rpartition("-")[0]: {"key": stage.rpartition("-")[2], "digest": "", "inputs": {}, "code": "1"}
        for stage in stages
    }
    if lineage:
        next(iter(lineage.values()))["inputs"] = {"queries": "9" * 16}
    manifest = DatasetManifest(
        name=name, version=number, recipe={}, lineage=lineage, render={}, models={}, mix={}, shards=[], ledger={}
    )
    folder = root / "datasets" / name / number
    folder.mkdir(parents=True)
    (folder / "MANIFEST.json").write_bytes(encode(manifest))
    os.utime(folder / "MANIFEST.json", (OLD + when, OLD + when))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four versions of one data set, the oldest of which is the champion, one of another, and stages of each."""
    keys = {letter: letter * 16 for letter in "abcdef"}
    for letter in "abcde":
        _stage(tmp_path, f"select-x-{keys[letter]}")
    _stage(tmp_path, "queries-" + "9" * 16)
    _stage(tmp_path, "select-x-" + keys["f"])
    for when, letter in enumerate("abcd"):
        _version(tmp_path, "one", letter * 12, [f"select-x-{keys[letter]}"], when)
    _version(tmp_path, "two", "e" * 12, [f"select-x-{keys['e']}"], 0)
    champion = {"version": "a" * 12, "manifest_sha256": ""}
    (tmp_path / "datasets/one/champion.json").write_text(json.dumps(champion))
    return tmp_path


def _names(found: retire.Retirement) -> tuple[set[str], set[str]]:
    return {name.rpartition("/")[2][0] for name in found.versions}, {
        name.rpartition("-")[2][0] for name in found.stages
    }


def test_what_goes_and_what_stays(root: Path) -> None:
    found = retire.plan(str(root), keep=2, min_age_seconds=0)
    assert _names(found) == ({"b"}, {"b", "f"})
    assert found.kept["one/" + "a" * 12] == "champion"
    assert found.kept["queries-" + "9" * 16] == "a kept version is made of it"
    assert found.bytes > 200
    everything = sorted(path for path in root.rglob("*") if path.is_file())
    assert sorted(path for path in root.rglob("*") if path.is_file()) == everything, "a plan removes nothing"


def test_carrying_it_out(root: Path) -> None:
    found = retire.plan(str(root), keep=2, min_age_seconds=0)
    told: list[str] = []
    retire.carry_out(str(root), found, told.append)
    assert len(told) == 3
    assert not (root / "datasets/one" / ("b" * 12)).exists()
    assert {path.name.rpartition("-")[2][0] for path in (root / "stages").iterdir()} == set("acde9")
    again = retire.plan(str(root), keep=2, min_age_seconds=0)
    assert (again.versions, again.stages) == ([], [])


def test_what_is_young_or_at_work_stays(root: Path) -> None:
    _stage(root, "render-y-" + "7" * 16)
    os.utime(root / "stages" / ("render-y-" + "7" * 16) / "MANIFEST.json")
    with lease.hold(str(root), "select-x-" + "f" * 16):
        found = retire.plan(str(root), keep=2, min_age_seconds=3600)
    assert _names(found) == ({"b"}, {"b"})
    assert found.kept["select-x-" + "f" * 16] == "a build is at it"
    assert found.kept["render-y-" + "7" * 16] == "young"


def test_a_version_that_was_promoted_meanwhile_stays(root: Path) -> None:
    found = retire.plan(str(root), keep=2, min_age_seconds=0)
    (root / "datasets/one/champion.json").write_text(json.dumps({"version": "b" * 12, "manifest_sha256": ""}))
    retire.carry_out(str(root), found)
    assert (root / "datasets/one" / ("b" * 12)).is_dir()


def test_a_version_that_cannot_be_read_stops_it_all(root: Path) -> None:
    """What it was made of is not known, so nothing may be taken for unneeded."""
    (root / "datasets/one" / ("d" * 12) / "MANIFEST.json").write_text("{}")
    with pytest.raises(DatasetError, match="cannot be read"):
        retire.plan(str(root), keep=1, min_age_seconds=0)
