"""Kubernetes objects: the core schemas, KubeRay's fields, and how careful each pod is."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.check.common import Fault, Tools, documents, holds_secret, unpinned, walk
from infra.check.ray_objects import ObjectError, check_ray_object, pod_templates

_VERSION = "1.34"
_RAY = ("RayCluster", "RayJob")


def check_objects(
    shown: str, objects: list[dict[str, Any]], secrets: dict[str, list[str]], tools: Tools
) -> Iterator[Fault]:
    """Faults of objects.

    Args:
        shown: Name of their file.
        objects: As they were read.
        secrets: Name -> keys of the secrets that there are to be.
        tools: kubernetes-validate.
    """
    plain: list[tuple[str, dict[str, Any]]] = []
    for found in objects:
        kind, name = str(found.get("kind")), str((found.get("metadata") or {}).get("name"))
        title = f"{kind} {name}"
        if kind == "Secret":
            yield Fault(shown, title, "secrets are made on the cluster, not kept in files: see secrets.yaml")
        if kind in _RAY:
            try:
                check_ray_object(found)
            except ObjectError as error:
                yield from (
                    Fault(shown, f"{title}: {line.partition(': ')[0]}", line.partition(": ")[2])
                    for line in str(error).splitlines()
                )
            templates = list(pod_templates(found))
            plain += [(f"{title}: {place}", _as_object(template)) for place, template in templates]
        else:
            template = ((found.get("spec") or {}).get("template")) if isinstance(found.get("spec"), dict) else None
            templates = [("spec.template", template)] if isinstance(template, dict) else []
            plain.append((title, found))
        for place, template in templates:
            yield from (Fault(shown, f"{title}: {place}{deeper}", message) for deeper, message in _pod(template))
        yield from (Fault(shown, f"{title}: {place}", message) for place, message in _secrets(found, secrets))
    yield from _schemas(shown, plain, tools)


def _as_object(template: dict[str, Any]) -> dict[str, Any]:
    """A pod template as an object of its own, for which the core schema is strict."""
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "template"}, "template": template}


def _schemas(shown: str, objects: list[tuple[str, dict[str, Any]]], tools: Tools) -> Iterator[Fault]:
    """The core schemas, unknown fields being faults; one process for all."""
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for number, (title, found) in enumerate(objects):
            path = Path(folder, f"{number}.json")
            path.write_text(json.dumps(found))
            places[str(path)] = title
        if not places:
            return
        code, said = tools.run(
            "kubernetes-validate", "--strict", "--no-warn", "--kubernetes-version", _VERSION, *places
        )
        if not code:
            return
        told = False
        for line in said.splitlines():
            file = next((path for path in places if path in line), None)
            if file is not None and ("ERROR" in line or "FAIL" in line.upper()):
                told = True
                yield Fault(shown, places[file], line.partition(file)[2].strip(" :"))
        if not told:
            yield Fault(shown, "kubernetes-validate", " ".join(said.split())[-500:])


def _pod(template: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What Kubernetes' "restricted" profile asks, and what we do."""
    spec = template.get("spec") or {}
    whole = spec.get("securityContext") or {}
    if whole.get("runAsNonRoot") is not True or not isinstance(whole.get("runAsUser"), int) or whole["runAsUser"] < 1:
        yield ".spec.securityContext", "may run as root: runAsNonRoot and a runAsUser that is not 0"
    if (whole.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield ".spec.securityContext", "has no seccompProfile"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f".spec.{name}", "shares the host's"
    for volume in spec.get("volumes") or []:
        if "hostPath" in volume:
            yield ".spec.volumes", f"{volume.get('name')} is a folder of the host"
    for number, container in enumerate([*(spec.get("initContainers") or []), *(spec.get("containers") or [])]):
        place = f".spec.containers.{container.get('name', number)}"
        if wrong := unpinned(str(container.get("image", ""))):
            yield f"{place}.image", wrong
        own = container.get("securityContext") or {}
        if (
            own.get("allowPrivilegeEscalation") is not False
            or (own.get("capabilities") or {}).get("drop") != ["ALL"]
            or own.get("privileged")
        ):
            yield (
                f"{place}.securityContext",
                "keeps privileges: allowPrivilegeEscalation false, capabilities.drop [ALL]",
            )
        resources = container.get("resources") or {}
        if "cpu" not in (resources.get("requests") or {}):
            yield f"{place}.resources", "requests no cpu: the scheduler cannot place it"
        for variable in container.get("env") or []:
            if holds_secret(str(variable.get("name")), variable.get("value")):
                yield f"{place}.env.{variable['name']}", "a secret in plain sight: valueFrom.secretKeyRef"
            if variable.get("name") == "RAY_AUTH_MODE" and variable.get("value") != "token":
                yield f"{place}.env.RAY_AUTH_MODE", "Ray executes what it is sent: its token is to stay on"


def _secrets(found: dict[str, Any], known: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """References to secrets, or to keys of them, that the inventory does not have."""
    for place, value in walk(found):
        if not isinstance(value, dict):
            continue
        last = place.rpartition(".")[2]
        if last in ("secretKeyRef", "secretRef"):
            name, keys = value.get("name"), [value["key"]] if "key" in value else []
        elif last == "authOptions" and "secretName" in value:
            name, keys = value["secretName"], ["auth_token"]
        elif last == "secret" and "secretName" in value:
            name, keys = value["secretName"], [item.get("key") for item in value.get("items") or []]
        else:
            continue
        if name not in known:
            yield place, f"there is no secret {name} in secrets.yaml"
        else:
            yield from (
                (place, f"secret {name} has no key {key} in secrets.yaml") for key in keys if key not in known[name]
            )


def inventory(path: Path) -> dict[str, list[str]]:
    """Name -> keys of the secrets in secrets.yaml."""
    (found,) = documents(path)
    for entry in found:
        if set(entry) != {"name", "keys", "for", "make"} or not re.fullmatch(r"[a-z0-9-]+", entry["name"]):
            raise ValueError(f"{path}: each entry has name, keys, for and make: {entry}")
    return {entry["name"]: entry["keys"] for entry in found}
