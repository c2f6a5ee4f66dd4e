"""RayCluster and RayJob objects against a schema of our own.

It knows the fields of KubeRay 1.6 and 1.7 that we use, and what KubeRay itself asks of them (its validation.go): a field that it
does not know is more likely misspelt than new. Pod templates are for the core schema, see `kubernetes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator


class ObjectError(Exception):
    """An object that KubeRay would refuse, or take otherwise than it was meant; one fault a line."""


def _fields(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {
    "type": "object",
    "additionalProperties": {"type": "string"},
}  # values of maps are strings, numbers need quotes
_POD = _fields({"metadata": {"type": "object"}, "spec": {"type": "object", "required": ["containers"]}}, "spec")
_METADATA = _fields(
    {
        "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 47},
        "namespace": {"type": "string"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
    },
    "name",
)
_GROUP = {"rayStartParams": _TEXTS, "template": _POD, "resources": _TEXTS, "labels": _TEXTS}
CLUSTER = _fields(
    {
        "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "authOptions": _fields({"mode": {"const": "token"}, "secretName": {"type": "string", "minLength": 1}}, "mode"),
        "enableInTreeAutoscaling": {"type": "boolean"},
        "autoscalerOptions": _fields(
            {
                "version": {"enum": ["v1", "v2"]},
                "idleTimeoutSeconds": _COUNT,
                "upscalingMode": {"enum": ["Default", "Aggressive", "Conservative"]},
                "resources": {"type": "object"},
                "securityContext": {"type": "object"},
                "imagePullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
                "env": {"type": "array"},
            }
        ),
        "gcsFaultToleranceOptions": {"type": "object"},
        "networkPolicy": {"type": "object"},
        "suspend": {"type": "boolean"},
        "headGroupSpec": _fields({**_GROUP, "serviceType": {"const": "ClusterIP"}, "headService": {"type": "object"}}, "template"),
        "workerGroupSpecs": {
            "type": "array",
            "items": _fields(
                {
                    **_GROUP,
                    "groupName": {"type": "string", "minLength": 1},
                    "replicas": _COUNT,
                    "minReplicas": _COUNT,
                    "maxReplicas": _COUNT,
                    "numOfHosts": {"type": "integer", "minimum": 1},
                    "idleTimeoutSeconds": _COUNT,
                    "suspend": {"type": "boolean"},
                },
                "groupName", "minReplicas", "maxReplicas", "template",
            ),
        },
    },
    "rayVersion", "authOptions", "headGroupSpec",
)  # fmt: skip
JOB = _fields(
    {
        "entrypoint": {"type": "string", "minLength": 1},
        "entrypointNumCpus": {"type": "number", "minimum": 0},
        "entrypointNumGpus": {"type": "number", "minimum": 0},
        "entrypointResources": {"type": "string"},
        "runtimeEnvYAML": {"type": "string"},
        "jobId": {"type": "string", "minLength": 1},
        "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
        "submitterPodTemplate": _POD,
        "submitterConfig": _fields({"backoffLimit": _COUNT}),
        "metadata": _TEXTS,
        "backoffLimit": _COUNT,
        "activeDeadlineSeconds": {"type": "integer", "minimum": 1},
        "preRunningDeadlineSeconds": {"type": "integer", "minimum": 1},
        "shutdownAfterJobFinishes": {"type": "boolean"},
        "ttlSecondsAfterFinished": _COUNT,
        "suspend": {"type": "boolean"},
        "clusterSelector": _TEXTS,
        "rayClusterSpec": CLUSTER,
    },
    "entrypoint",
)  # fmt: skip


def _validator(kind: str, spec: dict[str, Any]) -> Draft202012Validator:
    head = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": kind}, "metadata": _METADATA}
    return Draft202012Validator(_fields({**head, "spec": spec}, *head, "spec"))


_VALIDATORS = {"RayCluster": _validator("RayCluster", CLUSTER), "RayJob": _validator("RayJob", JOB)}


def check_ray_object(found: dict[str, Any]) -> None:
    """Checks a RayCluster or RayJob.

    Raises:
        ObjectError: What is wrong, a line each.
    """
    validator = _VALIDATORS.get(str(found.get("kind")))
    if validator is None:
        raise ObjectError(f"kind: {found.get('kind')!r} is neither RayCluster nor RayJob")
    faults = [
        f"{'.'.join(map(str, error.absolute_path)) or 'object'}: {error.message}"
        for error in validator.iter_errors(found)
    ]
    if not faults:
        faults = list(_rules(found))
    if faults:
        raise ObjectError("\n".join(sorted(faults)))


def _rules(found: dict[str, Any]) -> Iterator[str]:
    """What a schema cannot say."""
    spec = found["spec"]
    if found["kind"] == "RayJob":
        if ("rayClusterSpec" in spec) == ("clusterSelector" in spec):
            yield "spec: a RayJob has either a rayClusterSpec or a clusterSelector"
        if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
            yield "spec.ttlSecondsAfterFinished: needs shutdownAfterJobFinishes"
        if spec.get("submissionMode") in ("HTTPMode", "InteractiveMode") and "submitterPodTemplate" in spec:
            yield f"spec.submitterPodTemplate: {spec['submissionMode']} has no submitter"
    cluster = spec if found["kind"] == "RayCluster" else spec.get("rayClusterSpec", {})
    groups = cluster.get("workerGroupSpecs", [])
    if len({group["groupName"] for group in groups}) < len(groups):
        yield "workerGroupSpecs: two groups of one name"
    for group in groups:
        if not group["minReplicas"] <= group.get("replicas", group["minReplicas"]) <= group["maxReplicas"]:
            yield f"workerGroupSpecs.{group['groupName']}: replicas are not between minReplicas and maxReplicas"


def pod_templates(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of each pod template in a RayCluster or RayJob."""
    spec = found.get("spec") or {}
    if "submitterPodTemplate" in spec:
        yield "spec.submitterPodTemplate", spec["submitterPodTemplate"]
    cluster = spec if found.get("kind") == "RayCluster" else spec.get("rayClusterSpec") or {}
    if template := (cluster.get("headGroupSpec") or {}).get("template"):
        yield "headGroupSpec.template", template
    for group in cluster.get("workerGroupSpecs") or []:
        yield f"workerGroupSpecs.{group.get('groupName')}.template", group.get("template") or {}
