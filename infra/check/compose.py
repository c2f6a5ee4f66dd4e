"""The compose file: its published schema, and how careful it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.check.common import Fault, Tools, documents, holds_secret, unpinned

_JOBS = ("ray-head", "worker", "prefect-server", "postgres", "store")


def check(path: Path, root: Path, tools: Tools) -> Iterator[Fault]:
    """Faults of a compose file."""
    shown = str(path.relative_to(root))
    code, said = tools.run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path))
    if code:
        yield Fault(shown, "schema", " ".join(said.split()))
        return
    (found,) = documents(path)
    services = found.get("services") or {}
    for name in _JOBS:
        if name not in services:
            yield Fault(shown, "services", f"there is no {name}")
    for name, service in services.items():
        for place, message in _service(service, found):
            yield Fault(shown, f"services.{name}{place}", message)
    for name, secret in (found.get("secrets") or {}).items():
        if not str((secret or {}).get("file", "")).startswith("secrets/"):
            yield Fault(shown, f"secrets.{name}", "is to be a file below secrets/, which git ignores")


def _service(service: dict[str, Any], whole: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if wrong := unpinned(service.get("image", "")):
        yield ".image", wrong
    if service.get("privileged"):
        yield ".privileged", "has the host"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield ".security_opt", "without no-new-privileges:true a program may become root"
    if "build" not in service and "healthcheck" not in service:
        yield ".healthcheck", "others cannot wait until it is ready"
    environment = service.get("environment") or {}
    pairs = environment.items() if isinstance(environment, dict) else (word.split("=", 1) for word in environment)
    for key, value in pairs:
        if holds_secret(key, value):
            yield f".environment.{key}", "a secret in plain sight: mount it and name it by _FILE or _FROM_FILE"
        if key == "RAY_AUTH_MODE" and value != "token":
            yield f".environment.{key}", "Ray executes what it is sent: its token is to stay on"
        if str(value).startswith("/run/secrets/") and str(value).removeprefix("/run/secrets/") not in service.get(
            "secrets", []
        ):
            yield f".environment.{key}", f"{value} is not mounted: add it to the service's secrets"
    for secret in service.get("secrets", []):
        if secret not in (whole.get("secrets") or {}):
            yield ".secrets", f"there is no secret {secret}"
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield ".ports", f"{port} is open to the network: publish it on 127.0.0.1"
    for other, condition in (
        (service.get("depends_on") or {}).items() if isinstance(service.get("depends_on"), dict) else ()
    ):
        if (condition or {}).get("condition") != "service_healthy":
            yield f".depends_on.{other}", "waits for the start, not for the readiness"
