"""sizes.json and the wids index, read as their readers read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.dataset import DatasetManifest, ShardEntry
from pipelines.publish.index import sizes, wids_index

Version = tuple[Path, DatasetManifest]


def test_sizes_are_found_by_the_base_name_of_a_shard(version: Version) -> None:
    """open_clip: sum(int(sizes[os.path.basename(shard)]) for shard in shards)."""
    folder, manifest = version
    read = json.loads(sizes(manifest))
    shards = sorted((folder / "train").glob("*.tar"))
    assert sum(int(read[shard.name]) for shard in shards) == sum(manifest.samples().values())
    assert len(read) == len(shards)


def test_wids_index_names_every_shard_beside_itself(version: Version) -> None:
    folder, manifest = version
    read = json.loads(wids_index(manifest, "image_alt"))
    assert read["wids_version"] == 1
    assert [shard["nsamples"] for shard in read["shardlist"]] == [7, 5]
    for shard in read["shardlist"]:
        assert (folder / "train" / shard["url"]).stat().st_size == shard["filesize"]


def test_wids_reads_every_sample(version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reader itself, where it is installed: webdataset ships wids up to 0.2.111 and no more in 1.0."""
    wids = pytest.importorskip("wids")
    folder, manifest = version
    for shard in manifest.shards:
        (tmp_path / Path(shard.path).name).symlink_to(folder / shard.path)
    index = tmp_path / "image_alt.wids.json"
    index.write_bytes(wids_index(manifest, "image_alt"))
    dataset = wids.ShardListDataset(str(index), cache_dir=str(tmp_path / "cache"), transformations=[])
    assert len(dataset) == 12
    keys = {dataset[number]["__key__"] for number in range(12)}
    assert len(keys) == 12
    assert {".text.png", ".txt", ".json"} <= set(dataset[11])


def test_an_empty_shard_is_in_no_wids_index(version: Version) -> None:
    _, manifest = version
    empty = ShardEntry(
        path="train/sentences-000009.tar",
        kind="sentences",
        bytes=1024,
        sha256="0" * 64,
        samples=0,
        first_key="",
        last_key="",
    )
    more = manifest.model_copy(update={"shards": [*manifest.shards, empty]})
    assert wids_index(more, "sentences") == wids_index(manifest, "sentences")
    assert json.loads(sizes(more))["sentences-000009.tar"] == 0


def test_the_same_manifest_gives_the_same_bytes(version: Version) -> None:
    _, manifest = version
    shuffled = manifest.model_copy(update={"shards": manifest.shards[::-1]})
    assert sizes(shuffled) == sizes(manifest)
    assert wids_index(shuffled, "image_alt") == wids_index(manifest, "image_alt")
