"""A Prefect server and a worker of a test's own, which it may kill."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import REPO, free_port
from tests.e2e.conftest import command
from tests.ray_cluster import Node

SECONDS = 300


def _load_script() -> Any:
    """The script that users run: a file beside its data, in no package."""
    place = REPO / "examples" / "orchestration" / "scripted_run.py"
    spec = importlib.util.spec_from_file_location("scripted_run", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_script()


def ask(api: str, path: str, words: dict[str, Any] | None = None) -> Any:
    """One request to a server's API, asked again where the server was busy."""
    return script.ask(api, path, words)


@dataclass
class Orchestra:
    """A server and a worker with a home, a database and a port of their own."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Of its clients."""
        return {**script.environment_of(self.folder, None, self.port), **self.more}

    @property
    def api(self) -> str:
        """The server's API."""
        return self.environment["PREFECT_API_URL"]

    def _start(self, name: str, words: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, cwd=REPO)

    def start_server(self) -> None:
        """Starts the server and waits until it answers."""
        self._start("server", script.server_words(self.port))
        server = {"the server": self._children["server"]}
        script.wait_for("the server", lambda: script.healthy(self.api), SECONDS, server)

    def start_worker(self) -> None:
        """Starts a worker."""
        self._start("worker", script.worker_words())

    def kill(self, name: str) -> None:
        """Kills the server or the worker with -9, and every process that it has started."""
        Node(self._children.pop(name)).kill()

    def deploy(self, recipe: Path, root: Path) -> None:
        """Applies the deployments, their schedules paused."""
        words = ["deploy", "--recipe", str(recipe), "--root", str(root)]
        subprocess.run(command(words), env=self.environment, cwd=REPO, check=True, stdout=subprocess.DEVNULL)

    def start_run(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Starts a run of a deployment, `flow/name`; gives its id."""
        found = ask(self.api, f"/deployments/name/{deployment}")
        words = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": str(uuid.uuid4())}
        return str(ask(self.api, f"/deployments/{found['id']}/create_flow_run", words)["id"])

    def state(self, run: str) -> str:
        """A run's state, as CANCELLED."""
        return str(ask(self.api, f"/flow_runs/{run}")["state_type"])

    def set_state(self, run: str, state: str) -> None:
        """Sets a run's state, as a person does or an automation."""
        ask(self.api, f"/flow_runs/{run}/set_state", {"state": {"type": state}, "force": True})

    def wait_for_state(self, run: str, *states: str, seconds: float = SECONDS) -> str:
        """Waits until a run is in one of some states."""
        return str(
            script.wait_for(
                f"run {run} to be {states}",
                lambda: found if (found := self.state(run)) in states else None,
                seconds,
                {},
            )
        )

    def log(self) -> str:
        """What server and worker said last."""
        return "\n".join(path.read_text()[-4000:] for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Ends both by their own numbers."""
        for name in ("worker", "server"):
            if (child := self._children.pop(name, None)) is not None and child.poll() is None:
                child.terminate()
                try:
                    child.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    Node(child).kill()


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL cluster of the test's own, run by an ordinary user; gives Prefect's connection URL.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not places:
        raise FileNotFoundError("initdb")
    programs = places[-1].parent
    folder.mkdir(parents=True, exist_ok=True)
    data, port = folder / "data", free_port()
    before: list[str] = []
    if os.geteuid() == 0:  # it refuses root
        shutil.chown(folder, "postgres", "postgres")
        before = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [*before, programs / "initdb", "-D", data, "-U", "prefect", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    with (folder.parent / "postgresql.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *before, programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder,
                "-c", "fsync=off", "-c", "max_connections=200",
            ],
            stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
    try:
        words = [programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "prefect"]
        deadline = time.monotonic() + SECONDS
        while subprocess.run(words, capture_output=True, check=False, cwd="/").returncode != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder.parent / "postgresql.log").read_text()[-2000:])
            time.sleep(0.5)
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/prefect"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)


def wait(what: str, found: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Asks until there is an answer."""
    return script.wait_for(what, found, seconds, {})


def events(api: str, name: str) -> list[dict[str, Any]]:
    """Events of a name that the server has."""
    found = ask(api, "/events/filter", {"filter": {"event": {"name": [name]}}})
    return list(found["events"])
