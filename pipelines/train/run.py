"""Trains on a published version: verifies it first, launches the trainer, follows it, records the result beside the version."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines import manifest as manifests
from pipelines import storage
from pipelines.dataset import DatasetError, DatasetManifest, load
from pipelines.train import runs_page, webdataset_words
from pipelines.train.launchers import launcher_for
from pipelines.train.launchers.base import Job, Launcher, LauncherError, Plan, State
from pipelines.train.launchers.follow import End, follow
from pipelines.train.spec import TrainerSpec, fill, named
from pipelines.train.steps import mix_for, steps_for

RESULT = "result.json"
OUTCOME = "outcome.json"
JOB = "job.json"


class TrainError(Exception):
    """The trainer failed; the message ends with what it printed last."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training run."""

    folder: str
    result: dict[str, Any]
    new: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run before anything is started.

    Attributes:
        job: What would be submitted; from the start, not resuming.
        jobs: Where the runs on this version lie.
        digest: sha256 of the version's manifest.
        mix: Kind -> weight, summing to 1.
        fields: What the command's words are filled with.
    """

    job: Job
    jobs: str
    digest: str
    mix: dict[str, float]
    fields: dict[str, Any]


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


def prepare(folder: str, spec: TrainerSpec, manifest: DatasetManifest) -> Prepared:
    """Fills the trainer's words for a version; starts nothing.

    Args:
        folder: The version.
        spec: The trainer.
        manifest: The version's, read before.

    Raises:
        DatasetError: The mix names a kind that the version has no samples of.
        TrainError: A field that the command names has no value for this version.
    """
    if storage.is_local(folder):  # a trainer elsewhere, or in another folder, finds it too
        folder = str(storage.local_path(folder).absolute())
    digest = storage.sha256_of(storage.join(folder, manifests.NAME))
    mix = mix_for(manifest, spec.mix)
    job_id = spec.job_id(digest)
    jobs = storage.join(folder, "training")
    out = storage.join(jobs, job_id)
    words = [*spec.argv, *(spec.resume.argv if spec.resume else [])]
    makers: dict[str, Callable[[], Any]] = {
        "dataset": lambda: folder,
        "manifest_sha256": lambda: digest,
        "mix": lambda: ",".join(f"{kind}={weight:.6g}" for kind, weight in mix.items()),
        "out": lambda: out,
        # Slurm's nodes share this machine's file system; an image has an interpreter of its own.
        "python": lambda: sys.executable if spec.backend in ("local", "slurm") else "python",
        "samples": lambda: webdataset_words.samples(manifest, mix),
        "shards": lambda: webdataset_words.shards(manifest, folder, mix),
        "steps": lambda: steps_for(mix, steps=spec.steps, base_steps=spec.base_steps),
        "upsampling": lambda: webdataset_words.upsampling(manifest, mix),
        "validation": lambda: webdataset_words.shards(manifest, folder, mix, "validation"),
        "validation_samples": lambda: webdataset_words.samples(manifest, mix, "validation"),
    }
    try:
        fields = {name: makers[name]() for name in named(words)}
    except ValueError as error:
        raise TrainError(str(error)) from error
    return Prepared(Job(job_id, spec, tuple(fill(spec.argv, fields)), out), jobs, digest, mix, fields)


def plan(folder: str, spec: TrainerSpec) -> Plan:
    """What `train` would submit; reads the version's manifest, neither its shards nor a scheduler.

    Raises:
        DatasetError: Not a published version, or the mix does not fit it.
        TrainError: The command or the backend cannot be used for it.
    """
    made = prepare(folder, spec, load(folder))
    try:
        found = _launcher(made).plan(made.job)
    except ValueError as error:
        raise TrainError(str(error)) from error
    notes = {"version": folder, "manifest": made.digest, "out": made.job.out}
    notes["mix"] = ", ".join(f"{kind} {weight:.4g}" for kind, weight in made.mix.items())
    if "steps" in made.fields:
        notes["steps"] = f"{made.fields['steps']:,}"
    found.notes.update(notes)
    return found


def train(
    folder: str, spec: TrainerSpec, *, manifest_sha256: str | None = None, said: Callable[[str], None] | None = None
) -> Trained:
    """Runs a trainer on a version unless the same trainer has already finished on it.

    Takes up a job that another process submitted and that still waits, runs, or has ended well since.

    Args:
        folder: The version.
        spec: What to run, and where.
        manifest_sha256: What the version's manifest must hash to; None accepts it as it is.
        said: Called with each line that the trainer prints.

    Raises:
        DatasetError: The version is not whole.
        TrainError: The trainer failed.
    """
    made = prepare(folder, spec, check_whole(folder, manifest_sha256))
    out = made.job.out
    done = storage.join(out, OUTCOME)
    if storage.exists(done):
        outcome = json.loads(storage.read_bytes(done))
        if outcome["state"] == State.SUCCEEDED:
            return Trained(out, outcome["result"], new=False)
    launcher = _launcher(made)
    attempts = spec.resume.attempts if spec.resume else 1
    end, handle = End(State.FAILED), ""
    for _ in range(attempts):
        end, handle = _run(launcher, made, said or (lambda line: None))
        if end.state is not State.FAILED:
            break
    result_url = storage.join(out, RESULT)
    result, fault = _result(result_url)
    if end.state is not State.SUCCEEDED or fault:
        storage.remove(storage.join(out, JOB))  # the next call starts anew
    if fault and end.state is State.SUCCEEDED:
        raise TrainError(f"the trainer ended well, but {result_url} is not what it should have written: {fault}")
    record: dict[str, Any] = {
        "state": end.state,
        "manifest_sha256": made.digest,
        "backend": spec.backend,
        "handle": handle,
        "mix": made.mix,
        "result": result,
    }
    storage.write_bytes(done, json.dumps(record, indent=1).encode())
    runs_page.write(made.jobs, OUTCOME)
    if end.state is not State.SUCCEEDED:
        raise TrainError(_ended_badly(launcher, handle, end, out))
    return Trained(out, result, new=True)


def _launcher(made: Prepared) -> Launcher:
    try:
        return launcher_for(made.job.spec, made.jobs)
    except ValueError as error:
        raise TrainError(str(error)) from error


def _run(launcher: Launcher, made: Prepared, said: Callable[[str], None]) -> tuple[End, str]:
    """One attempt, or the rest of one that is under way: how it ended, and its handle."""
    spec = made.job.spec
    try:
        handle = _taken_up(launcher, made)
        if handle is None:
            handle = launcher.submit(_resuming(made))
            storage.make_folder(made.job.out)
            record = {"backend": spec.backend, "handle": handle}
            storage.write_bytes(storage.join(made.job.out, JOB), json.dumps(record).encode())
    except LauncherError as error:
        raise TrainError(str(error)) from error
    except (OSError, ValueError) as error:
        program = getattr(error, "filename2", None) or getattr(error, "filename", None) or spec.argv[0]
        raise TrainError(f"cannot start {program}: {getattr(error, 'strerror', None) or error}") from error
    try:
        end = follow(launcher, handle, said, timeout=spec.timeout_seconds, start_timeout=spec.start_timeout_seconds)
        return end, handle
    except LauncherError as error:
        raise TrainError(f"lost sight of job {handle}, which may still run: {error}") from error
    except BaseException:
        with contextlib.suppress(LauncherError):
            launcher.cancel(handle)
        raise


def _taken_up(launcher: Launcher, made: Prepared) -> str | None:
    """The handle of a job that was submitted for this very folder and is not lost, None where there is none."""
    url = storage.join(made.job.out, JOB)
    try:
        found = json.loads(storage.read_bytes(url)) if storage.exists(url) else {}
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(found, dict)
        or found.get("backend") != made.job.spec.backend
        or not isinstance(found.get("handle"), str)
    ):
        return None
    state = launcher.status(found["handle"])
    return None if state in (State.FAILED, State.CANCELLED) else found["handle"]


def _resuming(made: Prepared) -> Job:
    """The job, with the words for resuming where an earlier attempt left something to take up."""
    job, resume = made.job, made.job.spec.resume
    if resume is None:
        return job
    try:
        storage.expand(storage.join(job.out, resume.checkpoint))
    except storage.StorageError:
        return job
    return Job(job.id, job.spec, (*job.argv, *fill(resume.argv, made.fields)), job.out)


def _ended_badly(launcher: Launcher, handle: str, end: End, out: str) -> str:
    tail = ""
    with contextlib.suppress(LauncherError):
        tail = "\n".join(launcher.logs(handle).splitlines()[-15:])
    how = "was stopped" if end.state is State.CANCELLED else "failed"
    if end.why:
        how += f": {end.why}"
    return f"the trainer {how}; job {handle}, its files are in {out}, its log ends:\n{tail}"


def _result(url: str) -> tuple[dict[str, Any], str]:
    """What the trainer left, and what is wrong with it ("" for nothing); a trainer need not leave any."""
    if not storage.exists(url):
        return {}, ""
    try:
        found = json.loads(storage.read_bytes(url))
    except (ValueError, RecursionError) as error:
        return {}, str(error)
    return (found, "") if isinstance(found, dict) else ({}, "no JSON object")
