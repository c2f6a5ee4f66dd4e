"""Opens a published version for training: by its manifest, never by a glob, and with nothing trusted."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines import storage

MANIFEST: Final[str] = "MANIFEST.json"
PHOTOGRAPHS: Final[str] = "image_alt"
TRAIN: Final[str] = "train"
HELD_OUT: Final[str] = "validation"
_HEX: Final[frozenset[str]] = frozenset("0123456789abcdef")
_KIND: Final[re.Pattern[str]] = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
"""A kind's name becomes part of the names of plots."""
_SAMPLE_BYTES: Final[int] = 3 * 512
"""A sample is three members at least, each with a header: a count that no file of that length can hold would cost memory."""


class DataError(Exception):
    """The version cannot be trained on as it is; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Shard:
    """What the manifest promises of one tar.

    Attributes:
        path: The file.
        kind: Of all its samples.
        split: `train` or `validation`, what the build held out; a manifest that does not say means `train`.
        bytes: Length of the file.
        sha256: Hex digest of the file.
        samples: How many it holds.
        url: Where it lies in an object store, and `path` is what messages call it; empty for a file.
    """

    path: Path
    kind: str
    split: str
    bytes: int
    sha256: str
    samples: int
    url: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.url or str(self.path)


@dataclass(frozen=True, slots=True)
class Version:
    """A published version, as its manifest describes it. No shard has been opened yet.

    Attributes:
        folder: Where it lies.
        manifest_sha256: Hex digest of the manifest's bytes.
        shards: Every shard, in the manifest's order. A shard is named by its position here.
        mix: Kind -> weight, as published; empty if the manifest names none.
        render: The manifest's `render`: `spec`, and, where it names them, `digest` and `font`.
        text_size: (width, height) in px of a rendered text.
        background: Grey level 0..255 of a rendered text's ground.
    """

    folder: Path
    manifest_sha256: str
    shards: tuple[Shard, ...]
    mix: Mapping[str, float]
    render: Mapping[str, Any]
    text_size: tuple[int, int]
    background: int

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of pairs that there are shards to train on of, in order of their names."""
        return tuple(sorted({shard.kind for shard in self.shards if shard.split == TRAIN}))

    def of(self, kind: str, split: str = TRAIN) -> tuple[int, ...]:
        """Positions of the shards of a kind and a split, in the manifest's order."""
        return tuple(i for i, shard in enumerate(self.shards) if shard.kind == kind and shard.split == split)


def open_version(folder: Path | str, *, manifest_sha256: str | None = None) -> Version:
    """Reads the manifest and sees that each shard is there with its size. Bytes are held against their hash when a shard is opened.

    Args:
        folder: `<root>/datasets/<name>/<version>`, a path or a URL of an object store (`s3://`, `gs://`, `hf://`), whose shards are
            looked at when they are first needed.
        manifest_sha256: What the manifest must hash to. Default: whatever it does.

    Raises:
        DataError: No manifest, another manifest, or a shard that is missing or has another size.
    """
    url = "" if storage.is_local(str(folder)) else str(folder)
    manifest_name = storage.join(str(folder), MANIFEST)
    folder = Path(url) if url else storage.local_path(str(folder))
    try:
        data = storage.read_bytes(manifest_name)
    except (OSError, storage.StorageError) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"{manifest_name}: {said}; is this a published version?") from error
    digest = hashlib.sha256(data).hexdigest()
    if manifest_sha256 not in (None, digest):
        raise DataError(f"{manifest_name}: sha256 is {digest}, {manifest_sha256} was promised")
    try:
        manifest = json.loads(data)
        shards = tuple(_shard(folder, url, entry) for entry in manifest["shards"])
        render = dict(manifest["render"])
        spec = render["spec"]
        size, background = (int(spec["width"]), int(spec["height"])), int(spec["background"])
        mix = {str(kind): float(weight) for kind, weight in manifest.get("mix", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{manifest_name}: not a version's manifest: {error!r}") from error
    for shard in shards:
        if not shard.url:
            _there(shard)
    return Version(folder, digest, shards, mix, render, size, background)


def refuse_within(version: Version, out: Path) -> None:
    """Keeps results out of a published version, which never changes, but for its folder `training`.

    Raises:
        ValueError: `out` is the version's folder or lies in it, not below `training`.
    """
    folder, there = version.folder.resolve(), out.resolve()
    inside = there.relative_to(folder).parts if there.is_relative_to(folder) else None
    if inside is not None and (len(inside) < 2 or inside[0] != "training"):
        raise ValueError(
            f"out: {out} is part of the published version, which never changes; {version.folder / 'training' / 'NAME'} "
            "is a place for runs on it"
        )


def resolve_mix(version: Version, asked: Mapping[str, float]) -> dict[str, float]:
    """The weights of the kinds that are trained on, summing to 1.

    Args:
        version: Whose kinds.
        asked: Kind -> weight; a weight of 0 leaves a kind out. Empty: the version's own mix, or all kinds alike.

    Raises:
        DataError: A kind has a weight and no shards, no kind has a weight, or one is no finite number of 0 or more.
    """
    weights = asked or version.mix
    if not all(0 <= weight < math.inf for weight in weights.values()) or sum(weights.values()) == math.inf:
        said = ", ".join(f"{kind}={weight:g}" for kind, weight in weights.items())
        raise DataError(f"{version.folder}: a mix of {said}: weights are numbers of 0 or more with a finite sum")
    mix = {kind: weight for kind, weight in weights.items() if weight > 0}
    if not mix and not asked:
        mix = dict.fromkeys(version.kinds, 1.0)
    missing = sorted(set(mix) - set(version.kinds))
    if missing:
        raise DataError(
            f"no shards of kind {', '.join(missing)}; this version has {', '.join(version.kinds) or 'none'}"
        )
    if not mix:
        raise DataError(f"{version.folder}: no kind of pairs has a weight above 0")
    total = sum(mix.values())
    return {kind: mix[kind] / total for kind in sorted(mix)}


def _shard(folder: Path, url: str, entry: Mapping[str, Any]) -> Shard:
    split = entry.get("split", TRAIN)
    if split not in (TRAIN, HELD_OUT):
        raise ValueError(f"a shard's split is {TRAIN} or {HELD_OUT}, not {split!r}")
    sha256, length, samples = str(entry["sha256"]), int(entry["bytes"]), int(entry["samples"])
    if len(sha256) != 64 or not _HEX.issuperset(sha256) or length < 0 or not 0 <= samples <= length // _SAMPLE_BYTES:
        raise ValueError(f"{entry['path']!r} has an impossible sha256, size or count")
    if not _KIND.fullmatch(str(entry["kind"])):
        raise ValueError(f"a kind is named by letters, digits, _ and -, 64 at most, not {str(entry['kind'])[:80]!r}")
    path = _inside(folder, entry["path"])
    address = storage.join(url, entry["path"]) if url else ""
    return Shard(path, str(entry["kind"]), split, length, sha256, samples, address)


def _inside(folder: Path, path: str) -> Path:
    parts = Path(path).parts
    if Path(path).is_absolute() or ".." in parts or not parts:
        raise ValueError(f"a shard's path leaves the version: {path!r}")
    return folder / path


def _there(shard: Shard) -> None:
    try:
        found = shard.path.stat().st_size
    except OSError as error:
        raise DataError(f"{shard.path}: {error.strerror}") from error
    if found != shard.bytes:
        raise DataError(f"{shard.path}: {found} bytes, the manifest says {shard.bytes}")
