"""The RayJob of a trainer: a Ray cluster of its own on Kubernetes, which ends with it."""

from __future__ import annotations

import math
from typing import Any

from pipelines.train.launchers.base import Job, torchrun
from pipelines.train.launchers.payload import entrypoint
from pipelines.train.options import KubeRayOptions

API_VERSION = "ray.io/v1"
_SUBMITTER = {"cpu": "500m", "memory": "512Mi"}
_DRIVER = {"cpu": "1", "memory": "4096Mi"}


def rayjob(job: Job, options: KubeRayOptions, name: str) -> dict[str, Any]:
    """The object as the API takes it.

    The trainer's words are the cluster's entrypoint. Without workers it runs in the head, which has all the resources; with
    workers the head only drives and the trainer finds the resources by Ray.

    Args:
        job: What to run.
        options: Where.
        name: Of the object, of its submission, at most 47 characters.
    """
    spec = job.spec
    labels = {
        "app.kubernetes.io/name": "pixelpairs-train",
        "app.kubernetes.io/managed-by": "pixelpairs",
        "pixelpairs/job": job.id,
    }
    made: dict[str, Any] = {
        "entrypoint": entrypoint(torchrun(job), {"PYTHONUNBUFFERED": "1", **spec.env}),
        "jobId": name,
        "submissionMode": "K8sJobMode",
        "backoffLimit": 0,  # another attempt is this side's to decide: it may resume
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": options.keep_seconds,
        "metadata": {"pixelpairs_job": job.id},
        "rayClusterSpec": _cluster(job, options, labels),
        "submitterPodTemplate": {
            "metadata": {"labels": labels},
            "spec": {
                **_pod(options),
                "restartPolicy": "Never",
                "containers": [_container("ray-job-submitter", job, options, _SUBMITTER)],
            },
        },
    }
    if spec.timeout_seconds is not None:  # counts the start too
        made["activeDeadlineSeconds"] = int(spec.timeout_seconds + (spec.start_timeout_seconds or 1800)) + 1
    return {
        "apiVersion": API_VERSION,
        "kind": "RayJob",
        "metadata": {"name": name, "namespace": options.namespace, "labels": labels},
        "spec": made,
    }


def _cluster(job: Job, options: KubeRayOptions, labels: dict[str, str]) -> dict[str, Any]:
    wanted = job.spec.resources
    full = {"cpu": str(wanted.cpus)}
    if wanted.memory_gib is not None:
        full["memory"] = f"{math.ceil(wanted.memory_gib * 1024)}Mi"
    if wanted.gpus:
        full["nvidia.com/gpu"] = str(wanted.gpus)
    drives = dict(_DRIVER) if options.workers else full
    auth: dict[str, Any] = {"mode": "token"}
    if options.ray_token_secret is not None:
        auth["secretName"] = options.ray_token_secret
    cluster: dict[str, Any] = {
        "rayVersion": options.ray_version,
        "authOptions": auth,
        "headGroupSpec": {
            "rayStartParams": {"dashboard-host": "0.0.0.0"},  # noqa: S104 (inside its pod; the service and the token guard it)
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    **_pod(options, job),
                    "containers": [_container("ray-head", job, options, drives, mounted=True, head=True)],
                },
            },
        },
    }
    if options.workers:
        cluster["workerGroupSpecs"] = [
            {
                "groupName": "workers",
                "replicas": options.workers,
                "minReplicas": options.workers,
                "maxReplicas": options.workers,
                "rayStartParams": {},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        **_pod(options, job),
                        "containers": [_container("ray-worker", job, options, full, mounted=True)],
                    },
                },
            }
        ]
    return cluster


def _pod(options: KubeRayOptions, job: Job | None = None) -> dict[str, Any]:
    """What head, workers and submitter share; with a job also its volumes and the nodes that it needs."""
    user = options.run_as_user
    made: dict[str, Any] = {
        "automountServiceAccountToken": options.service_account is not None,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if options.service_account is not None:
        made["serviceAccountName"] = options.service_account
    if options.image_pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in options.image_pull_secrets]
    if job is None:
        return made
    if options.node_selector:
        made["nodeSelector"] = dict(options.node_selector)
    # Ray's object store and PyTorch's data loaders pass data through /dev/shm, of which a container has 64 MB.
    made["volumes"] = [{"name": "shm", "emptyDir": {"medium": "Memory"}}] + [
        {"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim}}
        for number, claim in enumerate(options.claims)
    ]
    return made


def _container(
    name: str,
    job: Job,
    options: KubeRayOptions,
    resources: dict[str, str],
    *,
    mounted: bool = False,
    head: bool = False,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "image": job.spec.image,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": dict(resources), "limits": dict(resources)},
    }
    if head:
        made["ports"] = [
            {"name": "gcs-server", "containerPort": 6379},
            {"name": "dashboard", "containerPort": 8265},
            {"name": "client", "containerPort": 10001},
        ]
    if mounted:
        made["volumeMounts"] = [{"name": "shm", "mountPath": "/dev/shm"}] + [  # noqa: S108
            {"name": f"claim-{number}", "mountPath": place} for number, place in enumerate(options.claims.values())
        ]
        if job.spec.secret_env:
            made["env"] = [
                {
                    "name": variable,
                    "valueFrom": {"secretKeyRef": {"name": place.partition("/")[0], "key": place.partition("/")[2]}},
                }
                for variable, place in job.spec.secret_env.items()
            ]
    return made
