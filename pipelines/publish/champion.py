"""Which version of a data set is the one in use: named, named anew, taken back.

`champion.json` beside the versions is written whole and last of all. It keeps the order of those before, so that a rollback knows
where to; a version itself is never touched.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pairs.schema import Kind
from pipelines import agreement, gate, storage
from pipelines import manifest as manifests
from pipelines.dataset import CHAMPION, DatasetError, DatasetManifest, load
from pipelines.ledger import error_rate
from pipelines.publish.version import Published, folder_of

_REMEMBERED = 100


class Promotion(BaseModel):
    """What a version must have, beside passing the gate, to become the one in use. Changes no byte of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approval: bool = Field(
        default=False, description="wait for a person, who is asked on the flow run's page; needs a Prefect server"
    )
    approval_seconds: int = Field(
        default=86_400, ge=10, le=30 * 86_400, description="how long; after that it stays published, not promoted"
    )
    max_shrink: dict[Kind, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="kind -> most of the champion's samples that may be missing, as a share"
    )
    max_error_rise: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="most that the error rate may be above the champion's",
    )
    max_language_shift: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="most that any language's share of a kind's right texts may be away from the champion's",
    )


def against_champion(
    bounds: Promotion, manifest: DatasetManifest, champion: DatasetManifest | None
) -> list[gate.Check]:
    """Holds a version against the champion; nothing where there is none yet.

    These checks are no part of the manifest: what a version holds must not depend on what came before it.
    """
    if champion is None:
        return []
    checks = []
    now, then = manifest.samples(), champion.samples()
    for kind, share in sorted(bounds.max_shrink.items()):
        lost = max(0, then.get(kind, 0) - now.get(kind, 0)) / max(1, then.get(kind, 0))
        checks.append(gate.most(f"{kind}: share of the champion's samples lost", lost, share))
    if bounds.max_error_rise is not None:
        rates = [
            error_rate([step for _, steps in sorted(one.ledger.items()) for step in steps])
            for one in (manifest, champion)
        ]
        checks.append(gate.most("error rate above the champion's", rates[0] - rates[1], bounds.max_error_rise))
    if bounds.max_language_shift is not None:
        for both in sorted(set(now) & set(then)):
            shift = _shift(manifest.languages.get(both, {}), champion.languages.get(both, {}))
            checks.append(gate.most(f"{both}: shift of a language's share", shift, bounds.max_language_shift))
    return checks


def _shift(now: Mapping[str, Mapping[str, int]], then: Mapping[str, Mapping[str, int]]) -> float:
    """The greatest difference of any language's share of the right texts."""
    shares = []
    for sides in (now, then):
        counts = sides.get("right", {})
        total = sum(counts.values())
        shares.append({code: count / total for code, count in counts.items()} if total else {})
    return max((abs(shares[0].get(code, 0) - shares[1].get(code, 0)) for code in {*shares[0], *shares[1]}), default=0.0)


def read(root: str, name: str) -> dict[str, Any] | None:
    """What champion.json of a data set says; None where there is none.

    Raises:
        DatasetError: It is there and cannot be read.
    """
    url = storage.join(root, "datasets", name, CHAMPION)
    if not storage.exists(url):
        return None
    try:
        found = json.loads(storage.read_bytes(url))
        if isinstance(found["version"], str) and isinstance(found["manifest_sha256"], str):
            return found
    except (OSError, ValueError, TypeError, LookupError):
        pass
    raise DatasetError(f"{url} names no champion: remove it, then name one with `pixelpairs promote`")


def manifest_of(root: str, name: str) -> DatasetManifest | None:
    """The champion's manifest; None where there is none, or none that can be read any more."""
    with contextlib.suppress(DatasetError):
        if (found := read(root, name)) is not None:
            return load(folder_of(root, name, found["version"]))
    return None


def promote(root: str, published: Published) -> dict[str, Any]:
    """Names a version the one in use: writes champion.json beside the versions, last of all."""
    manifest = load(published.folder)
    with contextlib.suppress(DatasetError):
        return _name(root, manifest.name, published.version, published.manifest_sha256, read(root, manifest.name))
    return _name(root, manifest.name, published.version, published.manifest_sha256, None)


def _name(root: str, name: str, version: str, sha256: str, old: dict[str, Any] | None) -> dict[str, Any]:
    champion: dict[str, Any] = {"version": version, "manifest_sha256": sha256}
    if old is not None and all(old.get(key) == value for key, value in champion.items()):
        return old
    champion["promoted"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    before = [one for one in (old or {}).get("before", []) if isinstance(one, str) and one != version]
    if old is not None and old["version"] != version:
        before = [*(one for one in before if one != old["version"]), old["version"]]
    champion["before"] = before[-_REMEMBERED:]
    url = storage.join(root, "datasets", name, CHAMPION)
    storage.write_bytes(url, json.dumps(champion, indent=1).encode() + b"\n")
    return champion


def promote_version(root: str, name: str, version: str) -> Published:
    """Names a published version the one in use, by hand.

    Raises:
        DatasetError: There is no such version.
    """
    folder = folder_of(root, name, version)
    manifest = load(folder)
    if (manifest.name, manifest.version) != (name, version):
        raise DatasetError(f"{folder} holds version {manifest.version} of {manifest.name}")
    published = Published(folder, version, storage.sha256_of(storage.join(folder, manifests.NAME)), new=False)
    promote(root, published)
    return published


def rollback(root: str, name: str) -> Published:
    """Makes the last champion before the present one that is still there the one in use again.

    The one that is taken back is forgotten, so that a second rollback goes further back and not to it.

    Raises:
        DatasetError: There is none to go back to.
    """
    old = read(root, name)
    before = list((old or {}).get("before", []))
    while before:
        version = before.pop()
        folder = folder_of(root, name, version)
        if not storage.exists(storage.join(folder, manifests.NAME)):
            continue
        sha256 = storage.sha256_of(storage.join(folder, manifests.NAME))
        _name(root, name, version, sha256, {"version": version, "manifest_sha256": "", "before": before})
        return Published(folder, version, sha256, new=False)
    raise DatasetError(f"{name}: no champion before this one is there; `pixelpairs versions` lists what is")


@dataclass(frozen=True, slots=True)
class Listed:
    """A version in a list.

    Attributes:
        age: Seconds since it was published, by the storage's clock; None where the store tells no times.
        champion: Whether it is the one in use.
        trained: Training runs beside it that are done.
    """

    version: str
    manifest: DatasetManifest
    age: float | None
    champion: bool
    trained: int


def names(root: str) -> list[str]:
    """The data sets of a root."""
    return agreement.names(storage.join(root, "datasets"))


def versions(root: str, name: str) -> list[Listed]:
    """The versions of a data set, the newest first.

    Raises:
        DatasetError: There is none.
    """
    folder = storage.join(root, "datasets", name)
    try:
        champion = (read(root, name) or {}).get("version")
    except DatasetError:
        champion = None
    found = []
    for version in agreement.names(folder):
        place = storage.join(folder, version)
        url = storage.join(place, manifests.NAME)
        if version == CHAMPION or not storage.exists(url):
            continue
        age: float | None = None
        with contextlib.suppress(storage.StorageError):
            age = agreement.age(url)
        runs = agreement.names(storage.join(place, "training"))
        done = sum(storage.exists(storage.join(place, "training", run, "outcome.json")) for run in runs)
        found.append(Listed(version, load(place), age, version == champion, done))
    if not found:
        raise DatasetError(f"{folder}: no version there; data sets of {root}: {', '.join(names(root)) or 'none'}")
    return sorted(found, key=lambda one: (one.age if one.age is not None else float("inf"), one.version))
