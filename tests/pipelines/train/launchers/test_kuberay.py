"""Trainers as RayJobs: through the real kubectl, where there is one, and through a stand-in, to a server that checks them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.check.ray_objects import check_ray_object
from pipelines.train.launchers.base import Job, LauncherError, State
from pipelines.train.launchers.follow import follow
from pipelines.train.launchers.kuberay import KubeRayLauncher
from pipelines.train.launchers.kuberay_manifest import rayjob
from pipelines.train.launchers.payload import unpacked
from pipelines.train.options import KubeRayOptions
from tests.pipelines.train.launchers.jobs import HOSTILE, ID, job
from tests.pipelines.train.launchers.kube_api import STAND_IN, KubeApi

IMAGE = "registry.example/pixelpairs/trainer:0.1.0"
FIRST = f"pixelpairs-{ID}-1"


@pytest.fixture
def api() -> Iterator[KubeApi]:
    made = KubeApi(check_ray_object)
    made.address = made.start()  # type: ignore[attr-defined]
    yield made
    made.stop()


@pytest.fixture(params=["kubectl", "stand-in"])
def launcher(
    request: pytest.FixtureRequest, api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KubeRayLauncher:
    if request.param == "kubectl" and shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl on this machine")
    address = api.address  # type: ignore[attr-defined]
    cluster = {"name": "c", "cluster": {"server": address}}
    context = {"name": "made", "context": {"cluster": "c", "user": "u", "namespace": "default"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))  # kubectl keeps what it discovers there
    if request.param == "stand-in":
        monkeypatch.setenv("KUBE_STAND_IN", address)
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "kubectl").write_text(f"#!{sys.executable}\n{STAND_IN}")
        (tmp_path / "bin" / "kubectl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return KubeRayLauncher(KubeRayOptions(namespace="training", context="made"), poll_seconds=0.05)


def run(*words: str, **fields: Any) -> Job:
    return job(["python", *words], backend="kuberay", image=IMAGE, **fields)


def become(api: KubeApi, name: str, job_status: str, deployment: str) -> None:
    api.objects["training", name]["status"] = {"jobStatus": job_status, "jobDeploymentStatus": deployment}


def test_from_submitting_to_the_end(launcher: KubeRayLauncher, api: KubeApi) -> None:
    made = run("train.py", *HOSTILE, env={"TOLD": "".join(HOSTILE)})
    handle = launcher.submit(made)
    assert handle == FIRST
    found = api.objects["training", FIRST]
    argv, env = unpacked(found["spec"]["entrypoint"])
    assert argv == ["python", "train.py", *HOSTILE]
    assert env["TOLD"] == "".join(HOSTILE)
    assert launcher.status(handle) is State.PENDING
    assert launcher.logs(handle) == ""
    assert launcher.submit(made) == handle, "submitted twice, there once"
    become(api, FIRST, "RUNNING", "Running")
    assert launcher.status(handle) is State.RUNNING
    api.logs[FIRST] = "step=1 loss=2\nstep=2 löss=1\n".encode()
    become(api, FIRST, "SUCCEEDED", "Complete")
    said: list[str] = []
    assert follow(launcher, handle, said.append).state is State.SUCCEEDED
    assert said == ["step=1 loss=2", "step=2 löss=1"]
    assert launcher.submit(made) == f"pixelpairs-{ID}-2"


def test_cancelling_deletes_the_object(launcher: KubeRayLauncher, api: KubeApi) -> None:
    handle = launcher.submit(run("x"))
    launcher.cancel(handle)
    assert api.objects == {}
    assert launcher.status(handle) is State.CANCELLED
    launcher.cancel(handle)  # again: nothing happens


@pytest.mark.parametrize(
    ("job_status", "deployment", "state"),
    [
        ("", "", State.PENDING),
        ("", "Initializing", State.PENDING),
        ("PENDING", "Running", State.RUNNING),
        ("RUNNING", "Failed", State.FAILED),
        ("", "ValidationFailed", State.FAILED),
        ("FAILED", "Failed", State.FAILED),
        ("STOPPED", "Complete", State.CANCELLED),
        ("SUCCEEDED", "Running", State.SUCCEEDED),
        ("", "Suspended", State.PENDING),
    ],
)
def test_what_the_operator_says(
    job_status: str, deployment: str, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"metadata": {}, "status": {"jobStatus": job_status, "jobDeploymentStatus": deployment}}
    monkeypatch.setattr(KubeRayLauncher, "_get", lambda self, handle: found)
    assert KubeRayLauncher().status("x") is state


def test_two_submit_at_once(launcher: KubeRayLauncher, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other's object appears between the question and the creation: AlreadyExists is no error."""
    KubeRayLauncher(launcher.options).submit(run("x"))
    monkeypatch.setattr(KubeRayLauncher, "_get", lambda self, handle: None)
    assert launcher.submit(run("x")) == FIRST
    assert list(api.objects) == [("training", FIRST)]


def test_an_api_that_refuses_or_is_away(
    launcher: KubeRayLauncher, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = rayjob(run("x"), launcher.options, FIRST)
    broken["spec"]["entryPoint"] = broken["spec"].pop("entrypoint")
    monkeypatch.setattr("pipelines.train.launchers.kuberay.rayjob", lambda *_: broken)
    with pytest.raises(LauncherError, match="entryPoint"):
        launcher.submit(run("x"))
    api.away = True
    with pytest.raises(LauncherError):
        launcher.status(FIRST)


def test_the_object_is_what_the_operator_takes(tmp_path: Path) -> None:
    options = KubeRayOptions(
        claims={"data": "/data", "out": "/out"}, node_selector={"gpu": "h100"}, workers=2, service_account="trainer",
        ray_token_secret="ray-token",  # noqa: S106
        image_pull_secrets=["registry"],
    )  # fmt: skip
    wanted = {"cpus": 8, "gpus": 4, "memory_gib": 32, "processes": 4}
    made = run("x", resources=wanted, secret_env={"HF_TOKEN": "hub/token"}, timeout_seconds=60)
    launched = KubeRayLauncher(options).plan(made)
    found = yaml.safe_load(launched.document)
    check_ray_object(found)
    argv, _ = unpacked(found["spec"]["entrypoint"])
    assert argv[:6] == ["python", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4", "--no-python"]
    cluster = found["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "ray-token"}
    (worker,) = cluster["workerGroupSpecs"]
    (container,) = worker["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "8", "memory": "32768Mi", "nvidia.com/gpu": "4"}
    assert container["env"] == [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/dev/shm", "/data", "/out"]  # noqa: S108
    assert found["spec"]["activeDeadlineSeconds"] >= 60


def test_following_gives_up_a_scheduler_that_stays_away(launcher: KubeRayLauncher, api: KubeApi) -> None:
    handle = launcher.submit(run("x"))
    api.away = True
    began = time.monotonic()
    with pytest.raises(LauncherError):
        follow(launcher, handle, lambda _: None, patience=0.2)
    assert time.monotonic() > began
