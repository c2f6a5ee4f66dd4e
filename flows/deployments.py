"""`pixelpairs deploy` and `pixelpairs serve`: deployments, the work pool and automations, from files; and all of it on one machine.

Deployments are applied by Prefect's own command, from its own file format. Automations refer to deployments and blocks by name;
their ids, which differ on every server, are looked up here.
"""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from pydantic import ValidationError

environment.settle()

HOME = Path(__file__).resolve().parent.parent
FILE = HOME / "prefect.yaml"
AUTOMATIONS = HOME / "infra" / "prefect"
POOL = "pixelpairs"
NOTIFY = "PIXELPAIRS_NOTIFY_URL"
_BLOCK = "pixelpairs"
_START_SECONDS = 180
_END_SECONDS = 40
_FILE_BYTES = 1 << 20

Say = Callable[[str], None]


class DeployError(Exception):
    """Deployments or automations that could not be applied; the message says which and why."""


def deploy(*, file: Path, automations: Path, recipe: str, root: str, notify: bool, said: Say) -> None:
    """Makes the work pool, the deployments and the automations, or brings them up to date.

    Args:
        file: prefect.yaml.
        automations: Folder of automations, a YAML file each.
        recipe: Default recipe of the deployments.
        root: Default root.
        notify: Make the notification block from the URL in $PIXELPAIRS_NOTIFY_URL.
        said: Told what was done.

    Raises:
        DeployError: A file is wrong, or the server does not answer.
    """
    if not file.is_file():
        raise DeployError(f"{file} is not there: run from a checkout, or name a file (--file)")
    pools = _pools(file)
    try:
        with get_client(sync_client=True) as client:
            for pool in pools:
                with contextlib.suppress(ObjectAlreadyExists):
                    client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
                    said(f"work pool {pool}")
    except Exception as error:  # whatever a server that is away makes of it
        raise DeployError(f"the Prefect server at {_server()} does not take the work pool: {error}") from error
    _apply_deployments(file, recipe, root, said)
    if notify:
        _make_block(said)
    for path in sorted(automations.glob("*.yaml")):
        said(apply_automation(path))


def _server() -> str:
    return get_current_settings().api.url or "(in this process)"


def _pools(file: Path) -> list[str]:
    content = _yaml(file)
    found = [one.get("work_pool") for one in content.get("deployments", []) if isinstance(one, dict)]
    return sorted({str(pool["name"]) for pool in found if isinstance(pool, dict) and pool.get("name")})


def _yaml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = yaml.safe_load(stream.read(_FILE_BYTES))
    except (OSError, yaml.YAMLError) as error:
        raise DeployError(f"{file}: {error}") from error
    if not isinstance(content, dict):
        raise DeployError(f"{file}: a mapping is wanted")
    return content


def _apply_deployments(file: Path, recipe: str, root: str, said: Say) -> None:
    words = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    given = {**os.environ, "PIXELPAIRS_RECIPE": recipe, "PIXELPAIRS_ROOT": root, "PREFECT_LOGGING_LEVEL": "ERROR"}
    if url := get_current_settings().api.url:
        given["PREFECT_API_URL"] = url
    done = subprocess.run(words, env=given, cwd=file.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(f"prefect deploy failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    for one in _yaml(file).get("deployments", []):
        said(f"deployment {one.get('flow_name', '')}/{one['name']}")


def _make_block(said: Say) -> None:
    url = os.environ.get(NOTIFY)
    if not url:
        raise DeployError(
            f"--notify takes the URL from ${NOTIFY}, which is not set (an argument would be seen by everyone)"
        )
    block = CustomWebhookNotificationBlock(name=_BLOCK, url=url, json_data={"text": "{{subject}}\n{{body}}"})
    block.save(_BLOCK, overwrite=True)
    said(f"block custom-webhook/{_BLOCK}")


def apply_automation(path: Path) -> str:
    """Makes an automation from its file, or brings the one of that name up to date.

    An automation that wants a block that nobody has made is left out: it could do nothing.

    Returns:
        What was done, in one line.

    Raises:
        DeployError: The file is wrong, or names a deployment that there is not.
    """
    content = _yaml(path)
    with get_client(sync_client=True) as client:
        for action in content.get("actions", []):
            if (deployment := action.pop("deployment", None)) is not None:
                try:
                    action["deployment_id"] = str(client.read_deployment_by_name(deployment).id)
                except ObjectNotFound as error:
                    raise DeployError(f"{path}: there is no deployment {deployment}") from error
            if (block := action.pop("block", None)) is not None:
                kind, _, name = str(block).partition("/")
                try:
                    found = client.read_block_document_by_name(name, kind, include_secrets=False)
                except ObjectNotFound:
                    return f"left out {path.name}: there is no block {block} (see `pixelpairs deploy --notify`)"
                action["block_document_id"] = str(found.id)
    try:
        wanted = Automation.model_validate(content)
    except ValidationError as error:
        raise DeployError(f"{path}: {error}") from error
    there: Automation | None
    try:
        there = Automation.read(name=wanted.name)  # type: ignore[assignment]  # a coroutine only where coroutines run
    except ValueError:
        there = None
    if there is None:
        wanted.create()
    else:
        wanted.id = there.id
        wanted.update()
    return f"automation {wanted.name}"


def is_healthy(url: str) -> bool:
    """Whether a Prefect server answers at an API's URL."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 (the user's own server)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def server(port: int, said: Say) -> Iterator[str]:
    """The user's Prefect server where PREFECT_API_URL names one, else one on this machine for as long as the context lasts."""
    if url := get_current_settings().api.url:
        if not is_healthy(url):
            raise DeployError(f"no Prefect server answers at {url}")
        yield url
        return
    url = f"http://127.0.0.1:{port}/api"
    words = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    given = {**os.environ, "PREFECT_API_URL": url, "PREFECT_SERVER_UI_API_URL": url}
    with _process(words, given) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not is_healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DeployError(f"the Prefect server did not start on port {port}: `prefect server start` says why")
            time.sleep(0.5)
        said(f"Prefect server: {url.removesuffix('/api')}")
        # Prefect has read its settings already: clients of this process are told here, children by their environment.
        with temporary_settings({PREFECT_API_URL: url}):
            yield url


@contextlib.contextmanager
def _process(words: list[str], given: dict[str, str], *, quiet: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A child of ours, ended with the context by its own number."""
    output = subprocess.DEVNULL if quiet else None
    # A group of its own: Ctrl-C reaches this process alone, which ends its children in order.
    process = subprocess.Popen(
        words, env=given, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve(
    *, file: Path, automations: Path, recipe: str, root: str, port: int, limit: int, notify: bool, said: Say
) -> int:
    """Everything on one machine: a server if none is named, the deployments and automations, and a worker; until it is ended.

    Args:
        file: As `deploy`.
        automations: As `deploy`.
        recipe: As `deploy`.
        root: As `deploy`.
        port: Of the server on this machine.
        limit: Most flow runs at once.
        notify: As `deploy`.
        said: Told what was done.

    Returns:
        The worker's exit code.

    Raises:
        DeployError: The server or the deployments.
    """
    with server(port, said) as url:
        deploy(file=file, automations=automations, recipe=recipe, root=root, notify=notify, said=said)
        words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        given = {**os.environ, "PREFECT_API_URL": url, "PREFECT_LOGGING_LEVEL": "INFO"}
        with _process([*words, "--limit", str(limit)], given, quiet=False) as worker:
            said("worker: waiting for runs; Ctrl-C ends it")
            return worker.wait()
