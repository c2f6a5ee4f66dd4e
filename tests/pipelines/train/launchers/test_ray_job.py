"""Trainers as jobs of a real Ray with its dashboard and a token."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.train.launchers.base import Job, LauncherError, State
from pipelines.train.launchers.follow import follow
from pipelines.train.launchers.ray_job import RayJobLauncher
from pipelines.train.options import RayJobOptions
from tests.conftest import free_port
from tests.pipelines.train.launchers.jobs import ECHO, HOSTILE, job

PATIENCE = 180
TOKEN = "c0ffee" * 8


@dataclasses.dataclass(frozen=True)
class Cluster:
    address: str
    token_file: Path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head of one node that asks for a token; every port is its own, the dashboard's agent's too."""
    with tempfile.TemporaryDirectory(prefix="pp-ray-", ignore_cleanup_errors=True) as folder:
        token_file = Path(folder, "token")
        token_file.write_text(TOKEN)
        ports = [
            "port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port",
            "node-manager-port", "object-manager-port", "metrics-export-port", "ray-client-server-port",
        ]  # fmt: skip
        chosen = {name: free_port() for name in ports}
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
        words += [f"--{name}={port}" for name, port in chosen.items()]
        words += [
            "--node-ip-address=127.0.0.1",
            "--object-store-memory=80000000",
            f"--temp-dir={folder}",
            "--disable-usage-stats",
        ]
        # The token's place is told, not the token: processes that Ray starts inherit the environment.
        environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        log = Path(folder, "head.log")
        with log.open("wb") as file:
            head = subprocess.Popen(words, env=environment, stdout=file, stderr=file, start_new_session=True)
        address = f"http://127.0.0.1:{chosen['dashboard-port']}"
        try:
            _wait_for(address, head, log)
            yield Cluster(address, token_file)
        finally:
            head.terminate()  # with --block it ends what it started
            head.wait(timeout=60)


def _wait_for(address: str, head: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        request = urllib.request.Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if head.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Ray did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.5)


@pytest.fixture
def launcher(cluster: Cluster) -> RayJobLauncher:
    return RayJobLauncher(RayJobOptions(address=cluster.address, token_file=str(cluster.token_file)), poll_seconds=0.2)


def run(name: str, code: str, *words: str, **fields: object) -> Job:
    made = job([sys.executable, "-c", code, *words], backend="ray_job", **fields)
    return dataclasses.replace(made, id=name)


def wait(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.1)


@pytest.mark.engine
def test_words_environment_and_output(launcher: RayJobLauncher, tmp_path: Path) -> None:
    """Ray runs an entrypoint by a shell and expands ${…} in environments: neither touches these."""
    seen = tmp_path / "seen.json"
    echo = run("words", ECHO + "; print('that is all')", str(seen), *HOSTILE, env={"TOLD": "".join(HOSTILE)})
    handle = launcher.submit(echo)
    said: list[str] = []
    assert follow(launcher, handle, said.append, timeout=PATIENCE).state is State.SUCCEEDED, launcher.logs(handle)
    assert json.loads(seen.read_text()) == [HOSTILE, "".join(HOSTILE)]
    assert "that is all" in said
    assert not any("base64" in line for line in said)
    assert launcher.submit(echo) == "pixelpairs-words-2", (
        "one that is over is not taken up here, its successor has the next number"
    )
    wait(lambda: launcher.status("pixelpairs-words-2").over)


@pytest.mark.engine
def test_submitting_twice_and_cancelling(launcher: RayJobLauncher, cluster: Cluster) -> None:
    slow = run("slow", "import time; print('began', flush=True); time.sleep(600)")
    handle = launcher.submit(slow)
    wait(lambda: "began" in launcher.logs(handle))
    other = RayJobLauncher(launcher.options)
    assert other.submit(slow) == handle
    assert other.status(handle) is State.RUNNING
    other.cancel(handle)
    wait(lambda: launcher.status(handle) is State.CANCELLED)
    launcher.cancel(handle)  # again: nothing happens
    failed = launcher.submit(run("bad", "raise SystemExit(3)"))
    wait(lambda: launcher.status(failed) is State.FAILED)


@pytest.mark.engine
def test_a_job_that_nobody_knows(launcher: RayJobLauncher) -> None:
    assert launcher.status("never") is State.FAILED
    assert launcher.logs("never") == ""
    launcher.cancel("never")


@pytest.mark.engine
def test_the_token_is_needed_and_never_shown(
    launcher: RayJobLauncher, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    made = run("token", "pass")
    with pytest.raises(LauncherError, match=r"refuses the token of \$RAY_AUTH_TOKEN"):
        RayJobLauncher(RayJobOptions(address=cluster.address)).submit(made)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong" * 8)
    with pytest.raises(LauncherError) as refused:
        RayJobLauncher(RayJobOptions(address=cluster.address)).submit(made)
    assert "wrong" not in str(refused.value)
    monkeypatch.setenv("MINE", TOKEN)
    by_name = RayJobLauncher(RayJobOptions(address=cluster.address, token_env="MINE"))  # noqa: S106
    assert by_name.status("never") is State.FAILED
    assert not any(TOKEN in line for line in by_name.plan(made).lines())
    with pytest.raises(LauncherError, match=r"token_file: .* cannot be read"):
        RayJobLauncher(RayJobOptions(address=cluster.address, token_file=str(tmp_path / "none"))).status("x")


def test_a_cluster_that_is_not_there() -> None:
    away = RayJobLauncher(RayJobOptions(address=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(LauncherError, match=r"Ray at http://127\.0\.0\.1"):
        away.status("x")


def test_a_plan_asks_nobody() -> None:
    wanted = {"cpus": 4, "gpus": 1, "memory_gib": 2}
    plan = RayJobLauncher().plan(job(["python", "train.py"], backend="ray_job", resources=wanted))
    request = json.loads(plan.document)
    assert plan.command == ("POST", "http://127.0.0.1:8265/api/jobs/")
    assert request["submission_id"] == "pixelpairs-00c0ffee00c0ffee-1"
    assert (request["entrypoint_num_cpus"], request["entrypoint_num_gpus"], request["entrypoint_memory"]) == (
        4,
        1,
        2**31,
    )
