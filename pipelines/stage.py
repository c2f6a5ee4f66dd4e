"""The stage contract: a stage has a key, a folder and a manifest; one whose manifest verifies is not run again.

Caching, resuming and idempotence are this one rule, independent of any orchestrator's database. What runs a stage's body
(Beam, Ray, this process) is the business of the job modules.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines import lease as leases
from pipelines import manifest as manifests
from pipelines import storage
from pipelines.ledger import check, merge
from pipelines.manifest import Part, StageManifest

KEY_DIGITS = 16
STAMPS = "stamps.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage is before it runs.

    Attributes:
        name: `<what>-<of what>`; the folder is `<name>-<key>`.
        config: Its own configuration, JSON-able; whatever changes the output belongs here, nothing else does.
        inputs: Name of each input -> digest of its content.
        code: Recipe version of the code (raise it when the same input would give other output).
    """

    name: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: str

    @property
    def key(self) -> str:
        """Hash of all that determines the output, 16 hex digits."""
        return manifests.digest_of([self.name, dict(self.config), dict(self.inputs), self.code])[:KEY_DIGITS]

    @property
    def folder(self) -> str:
        """The folder, relative to the root."""
        return f"stages/{self.name}-{self.key}"


@dataclass(slots=True)
class Outcome:
    """What a stage's body gives back: its parts and its books."""

    parts: list[Part]
    steps: list[Any] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def done(root: str, stage: Stage) -> StageManifest | None:
    """The manifest of a stage that is finished and whole, else None.

    Parts are hashed once: while their sizes and times are those that were noted then, they are taken as unchanged.
    """
    folder = storage.join(root, stage.folder)
    found = manifests.read(folder)
    if found is None or found.key != stage.key or not manifests.whole(folder, found):
        return None
    stamps = _stamps(folder, found)
    if stamps is not None and stamps != _noted(folder):
        if not manifests.whole(folder, found, content=True):
            return None
        _note(folder, stamps)
    return found


def _stamps(folder: str, manifest: StageManifest) -> dict[str, list[int]] | None:
    """Size and time of each part; None on a store without such, whose objects do not change in place."""
    if not storage.is_local(folder):
        return None
    facts = {part.path: storage.local_path(storage.join(folder, part.path)).stat() for part in manifest.parts}
    return {path: [fact.st_size, fact.st_mtime_ns] for path, fact in facts.items()}


def _noted(folder: str) -> Any:
    try:
        return json.loads(storage.read_bytes(storage.join(folder, STAMPS)))
    except (OSError, ValueError):
        return None


def _note(folder: str, stamps: dict[str, list[int]] | None) -> None:
    if stamps is not None:
        with contextlib.suppress(storage.StorageError):  # a root that may only be read is hashed each time
            storage.write_bytes(storage.join(folder, STAMPS), json.dumps(stamps).encode())


def run(
    root: str,
    stage: Stage,
    body: Callable[[str], Outcome],
    *,
    term: float = leases.TERM_SECONDS,
    waits: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> tuple[StageManifest, bool]:
    """Runs a stage unless it is done. Of several processes that want it at once, one runs it; the others wait and take it up.

    Args:
        root: Where stages live.
        stage: What to run.
        body: Does the work inside the folder that it is given; may find there what an interrupted run has finished.
        term: Seconds after which a silent process has lost the stage to another, see `pipelines.lease`.
        waits: Told who runs it, where another process does.
        stop: Ends the wait for another process when set.

    Returns:
        The manifest, and whether the body ran.

    Raises:
        LedgerError: The body lost rows; no manifest is written.
        LeaseError: Another process took the stage, since this one was silent for longer than the term.
        StoppedError: `stop` was set while another process ran it.
    """
    if (found := done(root, stage)) is not None:
        return found, False
    with leases.hold(root, f"{stage.name}-{stage.key}", term=term, waits=waits, stop=stop) as lease:
        if (found := done(root, stage)) is not None:
            return found, False
        return _run(root, stage, body, lease), True


def _run(root: str, stage: Stage, body: Callable[[str], Outcome], lease: leases.Lease) -> StageManifest:
    folder = storage.join(root, stage.folder)
    storage.make_folder(folder)
    storage.sweep(folder)
    storage.remove(storage.join(folder, manifests.NAME))  # of parts that are gone: it must not vouch for what follows
    began = time.monotonic()
    outcome = body(folder)
    steps = merge(outcome.steps)
    check(steps)
    result = StageManifest(
        stage=stage.name,
        key=stage.key,
        config=json.loads(json.dumps(dict(stage.config))),
        inputs=dict(stage.inputs),
        code=stage.code,
        parts=outcome.parts,
        ledger=steps,
        facts=outcome.facts,
    )
    lease.check()
    # How long it took belongs to this run, not to the output: beside the manifest, outside every digest.
    timing = {"seconds": round(time.monotonic() - began, 3)}
    storage.write_bytes(storage.join(folder, "timing.json"), json.dumps(timing).encode())
    _note(folder, _stamps(folder, result))
    manifests.write(folder, result)
    return result


def seconds(root: str, manifest: StageManifest) -> float | None:
    """Wall seconds that the stage took when it last ran, None where that is not known."""
    url = storage.join(root, manifest.folder, "timing.json")
    try:
        return float(json.loads(storage.read_bytes(url))["seconds"])
    except (OSError, ValueError, TypeError, LookupError):
        return None
