"""Shard indexes for readers that want counts before they open a tar: `sizes.json` and wids, one of each a split."""

from __future__ import annotations

import json
from typing import Any

from pipelines.dataset import DatasetManifest

WIDS_VERSION = 1


def _encode(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def sizes(manifest: DatasetManifest, split: str = "train") -> bytes:
    """`<split>/sizes.json`: shard file name -> samples, which open_clip and its kin look up by a shard's base name."""
    return _encode({shard.path.rsplit("/", 1)[-1]: shard.samples for shard in manifest.shards if shard.split == split})


def wids_index(manifest: DatasetManifest, kind: str, split: str = "train") -> bytes:
    """`<split>/<kind>.wids.json`: a shard index of version 1, for `wids.ShardListDataset`.

    Empty shards are left out: an index into them never resolves.

    Args:
        manifest: The version.
        kind: Whose shards.
        split: Of which split. Default: train.

    Returns:
        JSON; `url` is relative to the index's own place, `filesize` in bytes. No shards of that kind: an empty list,
        which wids refuses to open.
    """
    shards = [shard for shard in manifest.shards if shard.kind == kind and shard.split == split and shard.samples]
    return _encode(
        {
            "__kind__": "wids-shard-index-v1",
            "wids_version": WIDS_VERSION,
            "name": f"{manifest.name}-{manifest.version}-{kind}" + ("" if split == "train" else f"-{split}"),
            "shardlist": [
                {
                    "url": shard.path.rsplit("/", 1)[-1],
                    "nsamples": shard.samples,
                    "filesize": shard.bytes,
                    "sha256": shard.sha256,
                }
                for shard in sorted(shards, key=lambda shard: shard.path)
            ],
        }
    )
