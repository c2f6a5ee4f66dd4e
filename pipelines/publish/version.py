"""Puts a version where users find it: all at once, immutable, its manifest last."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines import manifest as manifests
from pipelines import storage
from pipelines.dataset import FIRST_CARD, VERSION_DIGITS, DatasetManifest, encode
from pipelines.publish import card, croissant, index

CARD_CODE: Final[str] = "2"
"""To be raised with every change of the words of README.md or croissant.json: what a version holds depends on it."""

WORDED: Final[tuple[str, ...]] = ("README.md", "croissant.json")
"""The side files that another release may word otherwise."""


@dataclass(frozen=True, slots=True)
class Published:
    """A version that is there."""

    folder: str
    version: str
    manifest_sha256: str
    new: bool


def version_of(manifest: DatasetManifest) -> str:
    """The version's name: 12 hex digits of the digest of all that the manifest says. Equal builds get equal names."""
    content = manifest.model_copy(update={"version": ""}).model_dump()
    if content["card_code"] == FIRST_CARD:  # so that versions of before the field keep their names
        del content["card_code"]
    return manifests.digest_of(content)[:VERSION_DIGITS]


def side_files(manifest: DatasetManifest) -> dict[str, bytes]:
    """Path -> bytes of the files that follow from a manifest alone."""
    contents = {
        "train/sizes.json": index.sizes(manifest),
        "README.md": card.card(manifest),
        "croissant.json": croissant.croissant(manifest),
    }
    for split in manifest.splits():
        contents[f"{split}/sizes.json"] = index.sizes(manifest, split)
        for kind in manifest.samples(split):
            contents[f"{split}/{kind}.wids.json"] = index.wids_index(manifest, kind, split)
    return contents


def folder_of(root: str, name: str, version: str) -> str:
    """Where a version lies."""
    return storage.join(root, "datasets", name, version)


def publish(root: str, manifest: DatasetManifest, files: dict[str, str], contents: dict[str, bytes]) -> Published:
    """Publishes a version unless it is there already.

    A local root: everything is gathered in a folder beside, which then takes the version's name at once. An object store: the
    manifest is written last, and a folder without one is no version.

    Args:
        root: Where data sets live.
        manifest: Complete, `version` set.
        files: Path in the version -> URL of a file to be placed there (shards, tables).
        contents: Path in the version -> bytes of a side file.

    Raises:
        StorageError: The disk is full or cannot be written; nothing is then visible.
    """
    folder = folder_of(root, manifest.name, manifest.version)
    data = encode(manifest)
    digest = hashlib.sha256(data).hexdigest()
    if storage.exists(storage.join(folder, manifests.NAME)):
        return Published(folder, manifest.version, digest, new=False)
    local = storage.is_local(folder)
    work = (
        storage.join(root, "datasets", manifest.name, f".publishing-{manifest.version}-{os.getpid()}")
        if local
        else folder
    )
    if local:
        _sweep(storage.join(root, "datasets", manifest.name))
    try:
        for path in sorted({*files, *contents}):
            storage.make_folder(storage.join(work, *path.split("/")[:-1]))
        promised = {entry.path: entry.sha256 for entry in manifest.files()}
        for path, url in sorted(files.items()):
            storage.place(url, storage.join(work, path))
            # A finished stage is taken up by its parts' sizes; what is published is held against its hash.
            if path in promised and storage.sha256_of(storage.join(work, path)) != promised[path]:
                raise storage.StorageError(f"{url} has changed since it was written: remove its folder and build again")
        for path, content in sorted(contents.items()):
            storage.write_bytes(storage.join(work, path), content)
        storage.write_bytes(storage.join(work, manifests.NAME), data)
        if local:
            try:
                storage.local_path(work).rename(storage.local_path(folder))
            except OSError:
                if not storage.exists(storage.join(folder, manifests.NAME)):
                    raise
                # Another build of the same recipe was first: its bytes are these bytes.
                shutil.rmtree(storage.local_path(work), ignore_errors=True)
    except BaseException:
        if local:
            with contextlib.suppress(OSError):
                shutil.rmtree(storage.local_path(work))
        raise
    return Published(folder, manifest.version, digest, new=True)


def _sweep(folder: str) -> None:
    """Removes what a killed build had gathered; the number in its name is that of a process that is gone."""
    for path in storage.local_path(folder).glob(".publishing-*"):
        if Path("/proc/self").exists() and not Path("/proc", path.name.rpartition("-")[2]).exists():
            shutil.rmtree(path, ignore_errors=True)
