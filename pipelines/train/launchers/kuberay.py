"""Runs a trainer as a RayJob on Kubernetes, by kubectl, which knows the clusters and how to log in to them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import yaml

from pipelines.train.launchers.base import Job, Launcher, LauncherError, Plan, State
from pipelines.train.launchers.commands import CommandError, call
from pipelines.train.launchers.kuberay_manifest import rayjob
from pipelines.train.options import KubeRayOptions

_KIND = "rayjobs.ray.io"
_ENDED = {"SUCCEEDED": State.SUCCEEDED, "FAILED": State.FAILED, "STOPPED": State.CANCELLED}


@dataclass(slots=True)
class KubeRayLauncher(Launcher):
    """Makes, watches and deletes RayJob objects. Creating one is atomic, so of two that submit at once one takes up the other's."""

    options: KubeRayOptions = field(default_factory=KubeRayOptions)
    poll_seconds: float = 5.0

    def plan(self, job: Job) -> Plan:
        """The object that would be made, as YAML."""
        made = rayjob(job, self.options, f"{job.name}-1")
        document = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=10_000)
        return Plan(
            "kuberay",
            job.id,
            job.argv,
            job.spec.env,
            job.spec.secret_env,
            tuple(self._words("create", "-f", "-")),
            document,
        )

    def _words(self, *more: str) -> list[str]:
        context = [f"--context={self.options.context}"] if self.options.context else []
        return ["kubectl", *context, f"--namespace={self.options.namespace}", "--request-timeout=60s", *more]

    def submit(self, job: Job) -> str:
        """Creates the object; takes up one of this job that is not over."""
        for attempt in count(1):
            handle = f"{job.name}-{attempt}"
            found = self._get(handle)
            if found is None:
                made = json.dumps(rayjob(job, self.options, handle)).encode()
                try:
                    call(self._words("create", "-f", "-"), data=made)
                except CommandError as error:
                    if "AlreadyExists" not in error.said:
                        raise
                return handle
            if not _state(found).over:
                return handle
        raise AssertionError

    def status(self, handle: str) -> State:
        """Where the job stands; CANCELLED for one that was deleted."""
        found = self._get(handle)
        return State.CANCELLED if found is None else _state(found)

    def _get(self, handle: str) -> dict[str, Any] | None:
        try:
            answer = call(self._words("get", _KIND, handle, "--output=json"))
        except CommandError as error:
            if "NotFound" in error.said and handle in error.said:
                return None
            if "doesn't have a resource type" in error.said:
                raise LauncherError(
                    "the cluster has no RayJobs: the KubeRay operator is not installed there"
                ) from error
            raise
        try:
            found = json.loads(answer)
        except ValueError as error:
            raise LauncherError(f"kubectl get {_KIND}: no JSON: {answer[:200]!r}") from error
        return found if isinstance(found, dict) else {}

    def output(self, handle: str, start: int) -> bytes:
        """What the submitter's pod passed on from byte `start` on; the pods stay for a while after the end."""
        try:
            # The submitter's Job has the name of the RayJob.
            return call(
                self._words("logs", f"--selector=job-name={handle}", "--tail=-1", "--container=ray-job-submitter")
            )[start:]
        except CommandError:
            return b""  # no pod yet, or none any more

    def cancel(self, handle: str) -> None:
        """Deletes the object; the operator ends its pods."""
        found = self._get(handle)
        if found is not None and not _state(found).over:
            call(self._words("delete", _KIND, handle, "--ignore-not-found", "--wait=false"))


def _state(found: dict[str, Any]) -> State:
    """State of a RayJob: the job's own where it is over, else its deployment's, which tells of a lost cluster or deadline."""
    status = found.get("status") or {}
    job, deployment = str(status.get("jobStatus", "")), str(status.get("jobDeploymentStatus", ""))
    if found.get("metadata", {}).get("deletionTimestamp"):
        return State.CANCELLED
    if job in _ENDED:
        return _ENDED[job]
    if deployment in ("Failed", "ValidationFailed"):
        return State.FAILED
    if deployment in ("Suspending", "Suspended"):
        return State.PENDING
    return State.RUNNING if job == "RUNNING" or deployment == "Running" else State.PENDING
