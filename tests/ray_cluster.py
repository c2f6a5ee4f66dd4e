"""A real Ray cluster of several nodes on this machine, each with ports of its own, with token authentication on."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import REPO, free_port

_START_SECONDS = 180
_JOIN_SECONDS = 90
_JOIN_TRIES = 4
_END_SECONDS = 30


@dataclass
class Node:
    """One node: `ray start --block` and its children.

    Attributes:
        process: The starting one.
        port: Its node manager's, by which the head's list tells it from others.
    """

    process: subprocess.Popen[bytes]
    port: int = 0

    def family(self) -> list[int]:
        """Its processes, the starting one last."""
        children: dict[int, list[int]] = {}
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                try:
                    parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(place.name))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found[::-1]

    def kill(self) -> None:
        """Kills the node with -9, all of it at once, as a machine that loses its power."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class RayCluster:
    """A head and its nodes.

    Attributes:
        environment: Of every process that talks to it: holds the way to its token.
    """

    cpus: int = 1
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pp-ray-")))
    nodes: list[Node] = field(default_factory=list)
    port: int = 0
    dashboard: int = 0

    def __post_init__(self) -> None:
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.port, self.dashboard = free_port(), free_port()

    @property
    def address(self) -> str:
        """Of the Jobs API."""
        return f"http://127.0.0.1:{self.dashboard}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to it."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH", "")])),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Several jobs on a node with one CPU: by default Ray would end the idle workers of one to start the other's, in turn.
            "RAY_num_workers_soft_limit": "16",
        }

    def start(self, nodes: int = 1) -> RayCluster:
        """Starts the head and, beside it, `nodes - 1` more."""
        head = ["--head", "--port", self.port, "--dashboard-host", "127.0.0.1", "--dashboard-port", self.dashboard]
        self._add([*head, "--temp-dir", self.folder / "r", "--include-dashboard", "true"])
        self._wait()
        for _ in range(1, nodes):  # one after the other: of two that start at once, one was seen to wait for ever
            self.add()
        return self

    def add(self) -> Node:
        """Starts one more node, and waits until the head counts it.

        One that does not come, as was seen where the machine was busy, is killed and another started.
        """
        for _ in range(_JOIN_TRIES):
            node = self._add(["--address", f"127.0.0.1:{self.port}"])
            deadline = time.monotonic() + _JOIN_SECONDS
            while time.monotonic() < deadline and node.process.poll() is None:
                if node.port in self._alive():
                    return node
                time.sleep(1)
            node.kill()
        log = (self.folder / f"node-{len(self.nodes) - 1}.log").read_text()
        raise RuntimeError(f"of {_JOIN_TRIES} nodes none has joined; the last one said:\n{log[-2000:]}")

    def _add(self, words: list[object]) -> Node:
        # Two nodes on one machine that share a port fight for it, and one of them then starts no jobs.
        own = [
            "object-manager-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port",
            "runtime-env-agent-port",
        ]  # fmt: skip
        manager = free_port()
        ports = [f"--node-manager-port={manager}", *(f"--{name}={free_port()}" for name in own)]
        log = (self.folder / f"node-{len(self.nodes)}.log").open("wb")
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "ray", "start", *map(str, words), *ports, "--node-ip-address=127.0.0.1",
                f"--num-cpus={self.cpus}", f"--object-store-memory={80 << 20}", "--disable-usage-stats", "--block",
            ],
            env={**os.environ, **self.environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        self.nodes.append(Node(process, manager))
        return self.nodes[-1]

    def _wait(self) -> None:
        """Waits until the Jobs API answers."""
        token = (self.folder / "token").read_text()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                request = urllib.request.Request(  # noqa: S310 (loopback)
                    f"{self.address}/api/jobs/", headers={"Authorization": f"Bearer {token}"}
                )
                with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except OSError:
                pass
            if self.nodes[0].process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Ray's head did not start:\n{(self.folder / 'node-0.log').read_text()[-2000:]}")
            time.sleep(0.5)

    def _alive(self) -> set[int]:
        """The ports of nodes that the head counts as alive."""
        program = (
            "import ray, sys; ray.init(address=sys.argv[1], logging_level='ERROR', log_to_driver=False); "
            "print('alive', *(node['NodeManagerPort'] for node in ray.nodes() if node['Alive']))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, f"127.0.0.1:{self.port}"],
            env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return {int(word) for word in done.stdout.rpartition("alive")[2].split()}

    def kill_all(self) -> None:
        """Kills every node with -9. `start` makes a new cluster at the same addresses, which knows nothing of the old one."""
        for node in self.nodes[::-1]:
            node.kill()
        self.nodes.clear()

    def stop(self) -> None:
        """Ends all nodes, by their own numbers."""
        for node in self.nodes[::-1]:
            family = node.family()
            if node.process.poll() is None:
                node.process.terminate()
                try:
                    node.process.wait(timeout=_END_SECONDS)
                except subprocess.TimeoutExpired:
                    node.process.kill()
                    node.process.wait()
            for pid in family:
                if pid != node.process.pid and Path(f"/proc/{pid}").exists():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", self.folder], check=False)
