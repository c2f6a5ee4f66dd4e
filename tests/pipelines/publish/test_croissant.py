"""croissant.json against mlcroissant: valid, and its records are those of the shards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mlcroissant
import pytest

from pipelines.dataset import DatasetManifest
from pipelines.publish.croissant import croissant

Version = tuple[Path, DatasetManifest]

_READ = """
import json, sys
import mlcroissant
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
told = {}
for records in dataset.metadata.record_sets:
    name = records.uuid
    rows = list(dataset.records(name))
    key = f"{name}/key"
    value = f"{name}/{name.rpartition('-')[2]}"
    told[name] = {
        row[key].decode(): list(row[value].size) if hasattr(row[value], "size") else row[value].decode() for row in rows
    }
print(json.dumps(told))
"""


def test_mlcroissant_finds_no_error(version: Version) -> None:
    """The one warning left: datePublished is recommended, and a version holds no date to give."""
    dataset = mlcroissant.Dataset(jsonld=json.loads(croissant(version[1])))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert all("datePublished" in warning for warning in issues.warnings), issues.warnings
    assert len(issues.warnings) <= 1


def test_every_shard_and_table_is_there_with_its_hash(version: Version) -> None:
    manifest = version[1]
    files = {item["@id"]: item for item in json.loads(croissant(manifest))["distribution"] if "sha256" in item}
    for entry in [*manifest.shards, *manifest.tables]:
        assert files[entry.path]["sha256"] == entry.sha256
        assert files[entry.path]["contentSize"] == f"{entry.bytes} B"
    assert len(files) == len(manifest.shards) + len(manifest.tables)


def test_mlcroissant_reads_the_records(version: Version, tmp_path: Path) -> None:
    """Offline, from the version's folder; in a process of its own, since the library fixes its cache when imported."""
    folder, manifest = version
    (tmp_path / "train").symlink_to(folder / "train")
    (tmp_path / "croissant.json").write_bytes(croissant(manifest))
    environment = {**os.environ, "CROISSANT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(tmp_path / "croissant.json")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    for kind, samples in manifest.samples().items():
        names = [f"{kind}-{member}" for member in ("left", "right", "text", "rest")]
        keys = [set(told[name]) for name in names]
        assert all(found == keys[0] for found in keys), "the record sets of a kind share their keys"
        assert len(keys[0]) == samples
        assert all(size == [224, 224] for size in told[f"{kind}-right"].values())
        assert all(json.loads(rest)["key"] == key for key, rest in told[f"{kind}-rest"].items())


@pytest.mark.parametrize("text", ['"}],"x":[{"', "\ud800 lone", "{{braces}} \\input{x}", "<script>", "\x00"])
def test_hostile_titles_stay_text(version: Version, text: str) -> None:
    manifest = version[1].model_copy(update={"recipe": {"card": {"title": text, "description": text, "license": text}}})
    read = json.loads(croissant(manifest))
    assert read["name"] == text.replace("\ud800", "�")
    assert read["@type"] == "sc:Dataset"


def test_the_same_manifest_gives_the_same_bytes(version: Version) -> None:
    again = DatasetManifest.model_validate_json(version[1].model_dump_json())
    assert croissant(again) == croissant(version[1])
