"""Publishing: all at once or not at all, never changed, the champion named last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.dataset import DatasetManifest, ShardEntry, load
from pipelines.publish import champion, version


@pytest.fixture
def manifest() -> DatasetManifest:
    made = DatasetManifest(
        name="small", version="", recipe={}, lineage={}, render={}, models={}, mix={}, shards=[], tables=[], ledger={}
    )
    made.version = version.version_of(made)
    return made


@pytest.fixture
def shard(tmp_path: Path) -> str:
    path = tmp_path / "shard.tar"
    path.write_bytes(b"pixels")
    return str(path)


def _visible(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_publish_then_promote(tmp_path: Path, manifest: DatasetManifest, shard: str) -> None:
    root = tmp_path / "root"
    done = version.publish(str(root), manifest, {"train/a.tar": shard}, {"README.md": b"card"})
    assert done.new
    assert load(done.folder).version == manifest.version
    assert not (root / "datasets/small/champion.json").exists(), "published is not yet promoted"
    champion.promote(str(root), done)
    named = json.loads((root / "datasets/small/champion.json").read_text())
    assert named["version"] == manifest.version
    assert named["manifest_sha256"] == storage.sha256_of(f"{done.folder}/MANIFEST.json")
    again = version.publish(str(root), manifest, {"train/a.tar": shard}, {"README.md": b"another card"})
    assert not again.new
    assert Path(again.folder, "README.md").read_bytes() == b"card", "a version is never changed"
    assert champion.promote(str(root), again) == named, "promoting the champion again changes nothing"


def test_a_missing_file_leaves_nothing(tmp_path: Path, manifest: DatasetManifest) -> None:
    root = tmp_path / "root"
    with pytest.raises(OSError, match="absent"):
        version.publish(str(root), manifest, {"train/a.tar": str(tmp_path / "absent.tar")}, {"README.md": b"card"})
    assert _visible(root) == set()


def test_a_shard_that_changed_since_it_was_written_is_not_published(
    tmp_path: Path, manifest: DatasetManifest, shard: str
) -> None:
    """A finished stage is recognised by the sizes of its parts; a flipped byte must not get through to a version."""
    entry = ShardEntry(
        path="train/image_alt-000000.tar",
        kind="image_alt",
        bytes=6,
        sha256=storage.sha256_of(shard),
        samples=1,
        first_key="",
        last_key="",
    )
    whole = manifest.model_copy(update={"shards": [entry]})
    Path(shard).write_bytes(b"pixelz")
    with pytest.raises(storage.StorageError, match="has changed"):
        version.publish(str(tmp_path / "root"), whole, {entry.path: shard}, {})
    assert _visible(tmp_path / "root") == set()


def test_what_a_killed_publisher_left_is_swept(tmp_path: Path, manifest: DatasetManifest, shard: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = tmp_path / "root/datasets/small"
    dead, alive = folder / f".publishing-abc-{gone.pid}", folder / f".publishing-abc-{os.getppid()}"
    for path in (dead, alive):
        path.mkdir(parents=True)
        (path / "half.tar").write_bytes(b"half")
    version.publish(str(tmp_path / "root"), manifest, {"train/a.tar": shard}, {})
    assert not dead.exists()
    assert alive.exists(), "another build may be publishing right now"


def test_equal_builds_get_equal_names(manifest: DatasetManifest) -> None:
    other = manifest.model_copy(update={"version": "whatever"})
    assert version.version_of(other) == manifest.version
    changed = manifest.model_copy(update={"mix": {"image_alt": 1.0}})
    assert version.version_of(changed) != manifest.version
