"""Opens a published version for training: by its manifest, verified, with nothing trusted."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

MANIFEST: Final[str] = "MANIFEST.json"
TRAIN: Final[str] = "train"
HELD_OUT: Final[str] = "validation"
PHOTOGRAPHS: Final[str] = "image_alt"
MAX_MEMBER_BYTES: Final[int] = 64 << 20
_MEMBER = re.compile(r"([0-9a-f]{1,128})\.(jpg|png|webp|text\.png|txt|json)")
_LEFT: Final[tuple[str, ...]] = ("jpg", "png", "webp")


class DataError(Exception):
    """The version cannot be trained on as it is; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one pair lies, and what tells it from others.

    Attributes:
        key: The sample's key.
        shard: Index into `Version.shards`.
        left: Offset and length in bytes of the left picture inside the shard.
        right: The same of the right text's picture.
        left_id: 63 bits of the hash of the left picture's bytes.
        right_id: 63 bits of the hash of the right text.
    """

    key: str
    shard: int
    left: tuple[int, int]
    right: tuple[int, int]
    left_id: int
    right_id: int


@dataclass(frozen=True, slots=True)
class Version:
    """A verified version.

    Attributes:
        folder: Where it lies.
        manifest_sha256: Hex digest of the manifest's bytes.
        shards: Paths of the shards.
        samples: Kind -> its samples to train on, in the order of shards and keys.
        held: Kind -> the samples that the build held out, in the same order; only kinds with any.
        mix: Kind -> weight, as published; empty if the manifest names none.
        text_size: (width, height) in px of a rendered text.
        background: Grey level 0..255 of a rendered text's ground.
    """

    folder: Path
    manifest_sha256: str
    shards: tuple[Path, ...]
    samples: Mapping[str, tuple[Sample, ...]]
    held: Mapping[str, tuple[Sample, ...]]
    mix: Mapping[str, float]
    text_size: tuple[int, int]
    background: int


def open_version(folder: Path, kinds: Sequence[str] | None = None, *, manifest_sha256: str | None = None) -> Version:
    """Reads the manifest, verifies each shard that it lists and indexes their samples.

    Args:
        folder: `<root>/datasets/<name>/<version>`.
        kinds: Only shards of these kinds are read. Default: all.
        manifest_sha256: What the manifest must hash to. Default: whatever it does.

    Raises:
        DataError: No manifest, another manifest, a kind without shards, a shard that is missing, changed or malformed.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise DataError(f"{folder / MANIFEST}: {error.strerror}; is this a published version?") from error
    digest = hashlib.sha256(data).hexdigest()
    if manifest_sha256 not in (None, digest):
        raise DataError(f"{folder / MANIFEST}: sha256 is {digest}, {manifest_sha256} was promised")
    try:
        manifest = json.loads(data)
        listed = [
            (e["kind"], e.get("split", TRAIN), _inside(folder, e["path"]), e["bytes"], e["sha256"], e["samples"])
            for e in manifest["shards"]
        ]
        if strange := {split for _, split, *_ in listed} - {TRAIN, HELD_OUT}:
            raise ValueError(f"a shard's split is {TRAIN} or {HELD_OUT}, not {strange.pop()!r}")
        spec = manifest["render"]["spec"]
        size, background = (int(spec["width"]), int(spec["height"])), int(spec["background"])
        mix = {str(kind): float(weight) for kind, weight in manifest.get("mix", {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST}: not a version's manifest: {error!r}") from error
    there = sorted({kind for kind, split, *_ in listed if split == TRAIN})
    missing = [kind for kind in kinds or () if kind not in there]
    if missing:
        raise DataError(f"no shards of kind {', '.join(missing)}; this version has {', '.join(there) or 'none'}")
    shards: list[Path] = []
    samples: dict[str, dict[str, list[Sample]]] = {TRAIN: {}, HELD_OUT: {}}
    for kind, split, path, length, sha256, count in listed:
        if kinds is None or kind in kinds:
            _verify(path, length, sha256)
            found = _index(path, len(shards))
            if len(found) != count:
                raise DataError(f"{path}: {len(found)} samples, the manifest says {count}")
            shards.append(path)
            samples[split].setdefault(kind, []).extend(found)
    train, held = ({kind: tuple(v) for kind, v in samples[split].items()} for split in (TRAIN, HELD_OUT))
    return Version(folder, digest, tuple(shards), train, held, mix, size, background)


def _inside(folder: Path, path: str) -> Path:
    parts = Path(path).parts
    if Path(path).is_absolute() or ".." in parts or not parts:
        raise ValueError(f"a shard's path leaves the version: {path!r}")
    return folder / path


def _verify(path: Path, length: int, sha256: str) -> None:
    try:
        if path.stat().st_size != length:
            raise DataError(f"{path}: {path.stat().st_size} bytes, the manifest says {length}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if found != sha256:
        raise DataError(f"{path}: sha256 is {found}, the manifest says {sha256}: the shard was changed")


def _index(path: Path, shard: int) -> list[Sample]:
    """Finds the members of a tar's samples. Links, odd names, repeated or oversized members are errors."""
    members: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                name = _MEMBER.fullmatch(info.name)
                if not info.isreg() or name is None or not 0 <= info.size <= MAX_MEMBER_BYTES:
                    raise DataError(f"{path}: member {info.name!r} is not one of a sample")
                extensions = members.setdefault(name[1], {})
                if name[2] in extensions:
                    raise DataError(f"{path}: member {info.name!r} is there twice")
                extensions[name[2]] = (info.offset_data, info.size)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path}: {error}") from error
    samples = []
    with path.open("rb") as file:
        for key, extensions in members.items():
            left = next((extensions[e] for e in _LEFT if e in extensions), None)
            if left is None or "text.png" not in extensions or "txt" not in extensions:
                raise DataError(f"{path}: sample {key} lacks its left picture, text.png or txt")
            ids = (_id(read_at(file, *left)), _id(read_at(file, *extensions["txt"])))
            samples.append(Sample(key, shard, left, extensions["text.png"], *ids))
    return samples


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _id(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1
