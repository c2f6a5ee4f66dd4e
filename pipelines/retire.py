"""What a root no longer needs: old versions, and outputs of stages that no version that stays was made of."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines import agreement, lease, storage
from pipelines import manifest as manifests
from pipelines.dataset import DatasetError
from pipelines.publish import champion

_STAGES = "stages"


@dataclass(slots=True)
class Retirement:
    """What may go, and what stays for which reason.

    Attributes:
        versions: `<name>/<version>` of those that may go.
        stages: Folders of stages that may go.
        kept: What stays -> why.
        bytes: Of all that may go; files that a version that stays shares by hard link are counted and free nothing.
    """

    versions: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def plan(root: str, *, keep: int, min_age_seconds: float) -> Retirement:
    """Lists what may go; removes nothing.

    A stage stays where a version that stays names it in its lineage, as its own or as an input; where a build is at it; and
    where it is younger than the least age. One without a manifest (interrupted) goes by the same rule.

    Args:
        root: Where stages and data sets live.
        keep: Newest versions of each data set that stay; the champion stays beside them.
        min_age_seconds: By the storage's own clock.

    Raises:
        DatasetError: A version that would stay cannot be read: what it needs is not known, so nothing may go.
    """
    found = Retirement()
    needed: set[str] = set()
    for name in champion.names(root):
        try:
            listed = champion.versions(root, name)
        except DatasetError:
            if any(version != champion.CHAMPION for version in agreement.names(storage.join(root, "datasets", name))):
                raise
            continue
        for number, one in enumerate(listed):
            place = f"{name}/{one.version}"
            young = one.age is None or one.age < min_age_seconds
            why = (
                "champion"
                if one.champion
                else f"one of the {keep} newest"
                if number < keep
                else "young"
                if young
                else ""
            )
            if not why:
                found.versions.append(place)
                found.bytes += _size(storage.join(root, "datasets", place))
                continue
            found.kept[place] = why
            needed |= set(_keys(one.manifest.lineage))
    for stage in agreement.names(storage.join(root, _STAGES)):
        key = stage.rpartition("-")[2]
        why = "a kept version is made of it" if key in needed else ""
        if not why and lease.holder(root, stage) is not None:
            why = "a build is at it"
        if not why and (age := _age(storage.join(root, _STAGES, stage))) is not None and age < min_age_seconds:
            why = "young"
        if why:
            found.kept[stage] = why
        else:
            found.stages.append(stage)
            found.bytes += _size(storage.join(root, _STAGES, stage))
    return found


def carry_out(root: str, retirement: Retirement, said: Callable[[str], None] | None = None) -> None:
    """Removes what a plan lists, each stage under its lease, so that no build takes it up meanwhile.

    Args:
        root: The plan's.
        retirement: The plan.
        said: Told of each thing that is gone.
    """
    tell = said or (lambda line: None)
    for version in retirement.versions:
        name, _, number = version.partition("/")
        if (champion.read(root, name) or {}).get("version") == number:
            continue  # promoted since the plan was made
        _remove(storage.join(root, "datasets", version))
        tell(f"version {version}")
    for stage in retirement.stages:
        with lease.hold(root, stage):
            _remove(storage.join(root, _STAGES, stage))
        tell(f"stage {stage}")


def _keys(lineage: dict[str, dict[str, Any]]) -> Iterator[str]:
    for stage in lineage.values():
        yield stage["key"]
        # Lists and evaluation sets are inputs by their key; digests among these match no folder.
        yield from (str(value) for value in stage["inputs"].values())


def _age(folder: str) -> float | None:
    """Seconds since a stage was finished, or since its youngest file where it is not."""
    names = agreement.names(folder)
    chosen = [manifests.NAME] if manifests.NAME in names else names
    ages = []
    for name in chosen:
        with contextlib.suppress(storage.StorageError, IsADirectoryError):
            if (age := agreement.age(storage.join(folder, name))) is not None:
                ages.append(age)
    return min(ages, default=None)


def _size(folder: str) -> int:
    if storage.is_local(folder):
        return sum(path.stat().st_size for path in storage.local_path(folder).rglob("*") if path.is_file())
    fs, path = storage.filesystem(folder)
    return int(fs.du(path))


def _remove(folder: str) -> None:
    """Takes a folder away: its manifest first, so that what is half gone is no version and no finished stage."""
    storage.remove(storage.join(folder, manifests.NAME))
    if storage.is_local(folder):
        shutil.rmtree(storage.local_path(folder), ignore_errors=False)
    else:
        fs, path = storage.filesystem(folder)
        fs.rm(path, recursive=True)
