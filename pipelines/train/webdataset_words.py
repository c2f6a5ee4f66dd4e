"""A version as words of a WebDataset trainer's command line: shard patterns, a factor for each, a count of samples.

open_clip's `--train-data` takes patterns joined by `::`, each a brace expression of its own, and
`--train-data-upsampling-factors` a factor for each. With `--dataset-resampled` it draws shard after shard, each with a chance in
proportion to its factor, and reads a shard whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines import storage
from pipelines.dataset import DatasetManifest, ShardEntry


def _of(manifest: DatasetManifest, kind: str, split: str = "train") -> list[ShardEntry]:
    """A kind's shards of a split; those held out are for no trainer to train on."""
    return [shard for shard in manifest.shards if shard.kind == kind and shard.split == split and shard.samples]


def shards(manifest: DatasetManifest, folder: str, mix: Mapping[str, float], split: str = "train") -> str:
    """Patterns of the shards, one or more a kind, joined by `::`.

    Shards whose numbers follow each other are one pattern: a word of a command has room for some thousand paths, a version more.

    Args:
        manifest: The version's.
        folder: Its folder or URL.
        mix: Kinds with weight; the others are left out.
        split: Shards to train on, or those that the build held out.

    Raises:
        ValueError: The folder's name cannot stand in such a list, or there are no shards of this split.
    """
    if re.search(r"::|[{}\\]|^pipe:", folder):
        raise ValueError(
            f"shards: the path {folder} holds '::', a brace or a backslash, which lists of shards give a meaning of their own"
        )
    found = [pattern for kind in mix for pattern in _patterns(_of(manifest, kind, split), folder)]
    if not found:
        raise ValueError(f"shards: the version has none of {', '.join(mix)} in its split {split}")
    return "::".join(found)


def upsampling(manifest: DatasetManifest, mix: Mapping[str, float]) -> str:
    """Factors for the patterns of `shards`, in their order, joined by `::`.

    A kind with n of N samples and weight w gets w / (n / N): a shard's chance times its samples, summed over the kind, is then in
    proportion to w, however the samples are spread over shards. 1 means as often as the version has it.
    """
    counts = {kind: sum(shard.samples for shard in _of(manifest, kind)) for kind in mix}
    total = sum(counts.values())
    return "::".join(
        f"{weight * total / counts[kind]:.6g}" for kind, weight in mix.items() for _ in _runs(_of(manifest, kind))
    )


def samples(manifest: DatasetManifest, mix: Mapping[str, float], split: str = "train") -> int:
    """Samples of the kinds with weight."""
    return sum(shard.samples for kind in mix for shard in _of(manifest, kind, split))


def _runs(entries: list[ShardEntry]) -> list[tuple[str, str, str]]:
    """Start of the paths, first and last number of each run of shards whose numbers follow each other."""
    found: list[tuple[str, str, str]] = []
    for entry in entries:
        start, number = entry.path[: -len("000000.tar")], entry.path[-len("000000.tar") : -len(".tar")]
        if found and found[-1][0] == start and int(number) == int(found[-1][2]) + 1:
            found[-1] = (start, found[-1][1], number)
        else:
            found.append((start, number, number))
    return found


def _patterns(entries: list[ShardEntry], folder: str) -> list[str]:
    return [
        storage.join(folder, f"{start}{first}.tar" if first == last else f"{start}{{{first}..{last}}}.tar")
        for start, first, last in _runs(entries)
    ]
