"""From schedule to training on a real server and a real worker; and what happens when any of them is stopped or killed."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPO
from tests.e2e.conftest import Cli, Undisturbed, Version, command, write_recipe
from tests.e2e.prefect_site import SECONDS, Orchestra, ask, events, postgresql, wait
from tests.e2e.sites import LONG, Site, link_stages, many_shards_recipe
from tests.ray_cluster import RayCluster

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]  # whole builds and clusters, on a machine that may be busy

SCRIPT = REPO / "examples" / "orchestration" / "scripted_run.py"


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The script's run with a server of its own on SQLite: its folder and what it saw."""
    folder = tmp_path_factory.mktemp("scripted")
    return folder, _run_script(folder)


def _run_script(folder: Path, *words: object) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, "--pictures", "50", *map(str, words)],
        env={**environment, "PYTHONPATH": str(REPO)}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    logs = "\n".join(path.read_text()[-3000:] for path in folder.glob("*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _check(folder: Path, seen: dict[str, Any]) -> None:
    """The schedule started the build, the event the training, and the result lies beside the version that was built."""
    assert seen["build"]["auto_scheduled"]
    manifest = Path(seen["version"], "MANIFEST.json")
    champion = json.loads((manifest.parent.parent / "champion.json").read_text())
    assert seen["training"]["parameters"] == {"manifest": str(manifest), "sha256": champion["manifest_sha256"]}
    assert seen["outcome"]["state"] == "succeeded"
    shards = json.loads(manifest.read_text())["shards"]
    assert seen["outcome"]["result"]["samples"] == sum(shard["samples"] for shard in shards)
    said = (folder / "worker.log").read_text()
    assert seen["build"]["name"] in said, "the build did not run in the worker"
    assert seen["training"]["name"] in said, "training did not run in the worker"


def test_from_schedule_to_training(scripted: tuple[Path, dict[str, Any]]) -> None:
    _check(*scripted)


def test_a_run_shows_its_artifacts(undisturbed: Undisturbed, prefect_environment: dict[str, str]) -> None:
    api, name = prefect_environment["PREFECT_API_URL"], undisturbed.version.manifest["name"]

    def artifacts(**wanted: Any) -> list[dict[str, Any]]:
        return ask(api, "/artifacts/filter", {"artifacts": wanted, "sort": "CREATED_DESC"})

    # Other builds of this recipe on the same server have failed on purpose: what counts is the run that made this version.
    reports = artifacts(key={"any_": [f"{name}-report"]})
    run = next(one for one in reports[::-1] if str(undisturbed.version.folder) in one["data"])["flow_run_id"]
    found = artifacts(flow_run_id={"any_": [run]})
    by_key = {artifact["key"].removeprefix(f"{name}-"): artifact for artifact in found}
    assert {"stages", "funnel", "gate", "report", "samples", "progress"} <= set(by_key)
    stages = {row["stage"]: row for row in json.loads(by_key["stages"]["data"])}
    samples = sum(one["samples"] for one in undisturbed.version.manifest["shards"] if one["kind"] == "image_alt")
    assert stages["render-image_alt"]["rows"] == samples
    funnel = json.loads(by_key["funnel"]["data"])
    assert all(row["in"] == row["kept"] + row["dropped"] + row["in error"] for row in funnel)
    assert "report.html" in by_key["report"]["data"]
    assert by_key["samples"]["data"].startswith("data:image/png;base64,")
    assert by_key["progress"]["data"] == 100.0


def test_from_schedule_to_training_on_postgresql(scripted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The same, with the server on PostgreSQL. Shares the other run's stages: what is new is the server."""
    folder = tmp_path / "scripted"
    shutil.copytree(scripted[0] / "data", folder / "data")
    link_stages(scripted[0] / "root", folder / "root", "annotate-", "select-", "word_drop-", "render-", "verify-")
    place = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    place.chmod(0o755)
    try:
        with postgresql(place / "pg") as url:
            seen = _run_script(folder, "--database", url)
    except FileNotFoundError:
        pytest.skip("PostgreSQL is not installed")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    assert seen["database"] == "postgresql"
    _check(folder, seen)


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A listener that notifications are sent to, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}/hook", got
    listener.shutdown()


def test_a_failed_gate_starts_no_training_and_is_told(
    undisturbed: Undisturbed,
    small_input: Path,
    prefect_environment: dict[str, str],
    inbox: tuple[str, list[dict[str, Any]]],
) -> None:
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    strict = {
        **recipe,
        "name": "gate_must_fail",
        "gate": {"max_error_rate": 0.0},
        "train": {"argv": ["{python}", "-V"]},
    }
    path = write_recipe(small_input / "gate_must_fail.yaml", strict)
    environment = {**prefect_environment, "PIXELPAIRS_NOTIFY_URL": inbox[0]}
    words = [
        ["deploy", "--recipe", path, "--root", undisturbed.root, "--notify"],
        ["build", path, "--root", undisturbed.root],
    ]
    done = [subprocess.run(command(one), env=environment, capture_output=True, text=True, cwd=REPO) for one in words]
    assert done[0].returncode == 0, done[0].stdout + done[0].stderr
    assert "left out" not in done[0].stdout
    assert done[1].returncode == 1, done[1].stdout + done[1].stderr
    assert not (undisturbed.root / "datasets/gate_must_fail").exists()
    text = wait("the notification", lambda: inbox[1][0]["text"] if inbox[1] else None)
    assert "gate_must_fail" in text
    assert "error rate" in text
    assert "FAILED by" in text
    api = prefect_environment["PREFECT_API_URL"]
    assert not [
        one for one in events(api, "pixelpairs.dataset.promoted") if "gate_must_fail" in one["payload"]["manifest"]
    ]


def test_training_refuses_a_tampered_shard(
    undisturbed: Undisturbed, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    version = tmp_path / "version"
    shutil.copytree(undisturbed.version.folder, version)
    shard = version / undisturbed.version.manifest["shards"][0]["path"]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    spec = tmp_path / "trainer.yaml"
    spec.write_text(yaml.safe_dump({"argv": ["{python}", "-c", "open('{out}/ran', 'w')"]}))
    program = (
        "import sys; from flows.train import train_model; from pipelines.storage import sha256_of\n"
        "train_model(manifest=sys.argv[1], sha256=sha256_of(sys.argv[1]), trainer=sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, version / "MANIFEST.json", spec],
        env={**prefect_environment, "PYTHONPATH": str(REPO)}, capture_output=True, text=True, cwd=REPO,
    )  # fmt: skip
    assert done.returncode != 0
    assert f"{shard.name} is not the file that was published" in done.stderr
    assert not list(version.glob("training/*/*"))


def test_promotion_waits_for_a_person(
    undisturbed: Undisturbed, small_input: Path, prefect_environment: dict[str, str]
) -> None:
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    asked = {**recipe, "name": "asked", "promotion": {"approval": True, "approval_seconds": 600}}
    path = write_recipe(small_input / "asked.yaml", asked)
    words = command(["build", path, "--root", undisturbed.root])
    build = subprocess.Popen(words, env=prefect_environment, stdout=subprocess.PIPE, text=True, cwd=REPO)
    api = prefect_environment["PREFECT_API_URL"]

    def paused() -> Any:
        assert build.poll() is None
        found = ask(api, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}})
        return next((run for run in found if run["parameters"].get("recipe") == str(path)), None)

    run = wait("the question", paused)
    folder = undisturbed.root / "datasets/asked"
    assert list(folder.glob("*/MANIFEST.json")), "published"
    assert not (folder / "champion.json").exists(), "not yet in use"
    # What the page's form sends.
    words = {"run_input": {"promote": True, "note": "looked at the sheet"}}
    answer = ask(api, f"/flow_runs/{run['id']}/resume", words)
    assert answer["status"] == "ACCEPT"
    said, _ = build.communicate(timeout=SECONDS)
    assert build.returncode == 0, said
    assert json.loads((folder / "champion.json").read_text())["version"]


def test_a_grid_is_started_once(
    undisturbed: Undisturbed, small_input: Path, prefect_environment: dict[str, str], cli: Cli
) -> None:
    done = cli("deploy", "--recipe", small_input / "recipe.yaml", "--root", undisturbed.root)
    assert done.returncode == 0, done.stdout + done.stderr
    grid = [
        "backfill",
        "/nowhere/{partition}.yaml",
        "--root",
        "/nowhere",
        "--first",
        "2024-02-28",
        "--last",
        "2024-03-01",
    ]
    listed, started, again = cli(*grid), cli(*grid, "--start"), cli(*grid, "--start")
    api = prefect_environment["PREFECT_API_URL"]
    runs = ask(api, "/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["backfill"]}}})
    for run in runs:  # no worker of a later test shall find them
        ask(api, f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    assert listed.stdout.count("to start") == 3, listed.stdout + listed.stderr
    assert started.stdout.count("Started") == 3, started.stdout + started.stderr
    assert "Started" not in again.stdout
    assert Counter(run["name"] for run in runs) == Counter(["2024-02-28", "2024-02-29", "2024-03-01"])
    wrong = cli(*grid, "--deployment", "build_dataset/absent")
    assert wrong.returncode == 2
    assert "no deployment build_dataset/absent" in wrong.stderr


def test_of_two_builds_at_once_each_stage_runs_in_one(
    undisturbed: Undisturbed, small_input: Path, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    link_stages(undisturbed.root, root, "annotate-")
    words = command(["build", small_input / "recipe.yaml", "--root", root])
    builds = [
        subprocess.Popen(words, env=prefect_environment, stdout=subprocess.PIPE, text=True, cwd=REPO) for _ in range(2)
    ]
    said = [build.communicate(timeout=900)[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], said
    ran = Counter(line.split(":")[0] for text in said for line in text.splitlines() if ": done" in line)
    ran.pop("publish")
    stages = {path.parent.name.rpartition("-")[0] for path in root.glob("stages/*/MANIFEST.json")}
    assert set(ran) == {stage for stage in stages if not stage.startswith("annotate-")}
    assert set(ran.values()) == {1}, f"some stage ran twice: {ran}"
    manifest = next(root.glob("datasets/*/*/MANIFEST.json"))
    assert manifest.read_bytes() == (undisturbed.version.folder / "MANIFEST.json").read_bytes()


def test_cancelled_and_killed_and_finished(
    undisturbed: Undisturbed,
    many_shards: Version,
    small_input: Path,
    tmp_path: Path,
    prefect_environment: dict[str, str],
) -> None:
    """One root, runs in a worker: one is cancelled, one's worker is killed, one's server; in the end nothing of it shows."""
    cluster = RayCluster(cpus=2).start(1)
    recipe = many_shards_recipe(small_input, cluster.address)
    site = Site(tmp_path / "root", undisturbed.root, recipe, cluster, prefect_environment)
    home = tmp_path / "prefect"
    home.mkdir()
    orchestra = Orchestra(home, cluster.environment)
    parameters = {"recipe": str(recipe), "root": str(site.root), "train_after": False}
    try:
        orchestra.start_server()
        orchestra.deploy(recipe, site.root)
        orchestra.start_worker()

        def begin(shards: int) -> str:
            run = orchestra.start_run("build_dataset/on-demand", parameters)
            enough = min(shards, sum(shard["kind"] == LONG for shard in many_shards.manifest["shards"]))
            wait(f"{shards} shards", lambda: True if len(site.records()) >= enough else None)
            return run

        run = begin(5)
        orchestra.set_state(run, "CANCELLING")
        orchestra.wait_for_state(run, "CANCELLED", seconds=90)
        assert Counter(job["status"] for job in site.jobs())["STOPPED"] >= 1, site.jobs()
        assert not [job for job in site.jobs() if job["status"] in ("PENDING", "RUNNING")]
        assert not list(site.root.glob("datasets/*/*")), "something was published by a run that was cancelled"

        run = begin(len(site.records()) + 5)
        orchestra.kill("worker")
        orchestra.set_state(run, "CRASHED")  # what the automation does after 540 s
        orchestra.start_worker()

        run = begin(len(site.records()) + 5)
        orchestra.kill("server")
        orchestra.start_server()
        last = orchestra.wait_for_state(run, "COMPLETED", "FAILED", "CRASHED")
        if last != "COMPLETED":
            run = orchestra.start_run("build_dataset/on-demand", parameters)
            orchestra.wait_for_state(run, "COMPLETED")
        (manifest,) = site.root.glob("datasets/*/*/MANIFEST.json")
        assert manifest.read_bytes() == (many_shards.folder / "MANIFEST.json").read_bytes()
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {error}\n{orchestra.log()}")
    finally:
        orchestra.stop()
        cluster.stop()
