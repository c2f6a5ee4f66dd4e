"""Trains on a published version: verifies it first, launches the trainer, follows it, records the result beside the version."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines import manifest as manifests
from pipelines import storage
from pipelines.dataset import DatasetError, DatasetManifest, load
from pipelines.train.local import LOG, LocalLauncher
from pipelines.train.spec import State, TrainerSpec

RESULT = "result.json"
OUTCOME = "outcome.json"


class TrainError(Exception):
    """The trainer failed; the message ends with what it printed last."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training run."""

    folder: str
    result: dict[str, Any]
    new: bool


def check_whole(folder: str, manifest_sha256: str | None = None) -> DatasetManifest:
    """Verifies a version before anything trains on it: its manifest's hash, then each shard's.

    Raises:
        DatasetError: The version is not whole, or not the one that was named.
    """
    manifest = load(folder)
    digest = storage.sha256_of(storage.join(folder, manifests.NAME))
    if manifest_sha256 is not None and digest != manifest_sha256:
        raise DatasetError(f"{folder}: the manifest's sha256 is {digest}, {manifest_sha256} was promised")
    for shard in manifest.shards:
        url = storage.join(folder, shard.path)
        if not storage.exists(url):
            raise DatasetError(f"{folder}: {shard.path} is gone")
        if storage.size(url) != shard.bytes or storage.sha256_of(url) != shard.sha256:
            raise DatasetError(f"{folder}: {shard.path} is not the file that was published")
    return manifest


def train(
    folder: str, spec: TrainerSpec, *, manifest_sha256: str | None = None, said: Callable[[str], None] | None = None
) -> Trained:
    """Runs a trainer on a version unless the same trainer has already finished on it.

    Args:
        folder: The version.
        spec: What to run.
        manifest_sha256: What the version's manifest must hash to; None accepts it as it is.
        said: Called with each line that the trainer prints.

    Raises:
        DatasetError: The version is not whole.
        TrainError: The trainer failed.
    """
    manifest = check_whole(folder, manifest_sha256)
    digest = storage.sha256_of(storage.join(folder, manifests.NAME))
    job_id = hashlib.sha256(manifests.canonical_json([digest, spec.model_dump(mode="json")])).hexdigest()[:16]
    jobs = storage.join(folder, "training")
    out = storage.join(jobs, job_id)
    done = storage.join(out, OUTCOME)
    if storage.exists(done):
        outcome = json.loads(storage.read_bytes(done))
        if outcome["state"] == State.SUCCEEDED:
            return Trained(out, outcome["result"], new=False)
    launcher = LocalLauncher(jobs)
    fields = {
        "dataset": folder,
        "out": out,
        "manifest_sha256": digest,
        "mix": ",".join(f"{kind}={weight:.6g}" for kind, weight in manifest.mix.items()),
        "python": sys.executable,
    }
    try:
        handle = launcher.submit(spec, fields, job_id)
    except OSError as error:
        raise TrainError(f"cannot start {spec.argv[0]}: {error.strerror or error}") from error
    try:
        state = launcher.follow(handle, spec.timeout_seconds, said or (lambda line: None))
    except BaseException:
        launcher.cancel(handle)
        raise
    result_url = storage.join(out, RESULT)
    result, fault = _result(result_url)
    if fault and state is State.SUCCEEDED:
        raise TrainError(f"the trainer ended well, but {result_url} is not what it should have written: {fault}")
    storage.write_bytes(
        done, json.dumps({"state": state, "manifest_sha256": digest, "result": result}, indent=1).encode()
    )
    if state is not State.SUCCEEDED:
        tail = "\n".join(launcher.logs(handle).splitlines()[-15:])
        how = "was stopped" if state is State.CANCELLED else "failed"
        if state is State.CANCELLED and spec.timeout_seconds is not None:
            how += f": it took more than {spec.timeout_seconds:g} s"
        raise TrainError(f"the trainer {how}; its log is {out}/{LOG} and ends:\n{tail}")
    return Trained(out, result, new=True)


def _result(url: str) -> tuple[dict[str, Any], str]:
    """What the trainer left, and what is wrong with it ("" for nothing); a trainer need not leave any."""
    if not storage.exists(url):
        return {}, ""
    try:
        found = json.loads(storage.read_bytes(url))
    except (ValueError, RecursionError) as error:
        return {}, str(error)
    return (found, "") if isinstance(found, dict) else ({}, "no JSON object")
