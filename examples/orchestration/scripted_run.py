"""From nothing to a trained model by schedule and event, on this machine: `python examples/orchestration/scripted_run.py FOLDER`.

Makes the quickstart's input, starts a Prefect server (or takes the one that PREFECT_API_URL names), applies the deployments with a
schedule that fires every minute, starts a worker, and waits: the schedule starts the build in the worker, the gate lets it through,
the version's event starts training in the worker, the trainer's result appears beside the version. Prints how long each step took.

--database URL   the server's database; default: SQLite in FOLDER. postgresql+asyncpg://user@host:port/name for PostgreSQL
"""

from __future__ import annotations

import argparse
import contextlib
import http
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
QUICKSTART = REPO / "examples" / "quickstart"
END_SECONDS = 10
BUSY_SECONDS = 60


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment_of(folder: Path, database: str | None, port: int) -> dict[str, str]:
    """Of the server and its clients: a home and a database of their own, nothing sent anywhere."""
    home = folder / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": database or f"sqlite+aiosqlite:///{home}/server.db",
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH", "")])),
    }


@contextlib.contextmanager
def process(words: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child of this script in a group of its own, ended by its own number with all that it has started."""
    with log.open("ab") as file:
        child = subprocess.Popen(
            words, env=environment, cwd=REPO, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield child
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def prefect(*words: str) -> list[str]:
    """The words of a `prefect …` call."""
    return [sys.executable, "-m", "prefect", *words]


def server_words(port: int) -> list[str]:
    """The words that start a server."""
    return prefect("server", "start", "--host", "127.0.0.1", "--port", str(port))


def worker_words() -> list[str]:
    """The words that start a worker."""
    return prefect("worker", "start", "--pool", "pixelpairs", "--type", "process", "--limit", "4")


def ask(api: str, path: str, words: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
    """One request to the server's API; gives its answer, None where it says nothing.

    Answers of 503 are asked again, as Prefect's own clients do: the server says so when its database was locked, and has undone the
    request. SQLite locks at once when a transaction that has read wants to write after another.

    Raises:
        urllib.error.HTTPError: The server refused, or was locked for longer than BUSY_SECONDS.
    """
    data = json.dumps(words).encode() if words is not None else None
    headers = {"Content-Type": "application/json"}
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        request = urllib.request.Request(f"{api}{path}", data=data, headers=headers, method=method)  # noqa: S310 (a server of ours)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (a server of ours)
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def wait_for(
    what: str, found: Callable[[], Any], seconds: float, children: Mapping[str, subprocess.Popen[bytes]]
) -> Any:
    """Asks until there is an answer.

    Raises:
        RuntimeError: There was none in time, or a child that was needed for it has ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if (answer := found()) is not None:
                return answer
        for name, child in children.items():
            if child.poll() is not None:
                raise RuntimeError(f"waiting for {what}: {name} has ended with {child.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)


def healthy(api: str) -> bool | None:
    """True once a server answers."""
    with urllib.request.urlopen(f"{api}/health", timeout=5) as answer:  # noqa: S310
        return True if answer.status == 200 else None


def runs(api: str, flow: str, deployment: str | None = None) -> list[dict[str, Any]]:
    """The runs of a flow, the oldest first."""
    words: dict[str, Any] = {"sort": "EXPECTED_START_TIME_ASC", "flows": {"name": {"any_": [flow]}}, "limit": 200}
    if deployment is not None:
        words["deployments"] = {"name": {"any_": [deployment]}}
    found: list[dict[str, Any]] = ask(api, "/flow_runs/filter", words)
    return found


def ended(api: str, flow: str, deployment: str, *, auto: bool | None = None) -> dict[str, Any] | None:
    """The first run of a deployment that worked and ended, None while there is none."""
    for run in runs(api, flow, deployment):
        if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED") and (auto is None or run["auto_scheduled"] == auto):
            if run["state_type"] != "COMPLETED":
                raise RuntimeError(f"{flow} {run['name']}: {run['state']['message']}")
            return run
    return None


def make_recipe(folder: Path, pictures: int) -> Path:
    """The quickstart's input in small, and its recipe with a trainer that starts at once."""
    if not (folder / "data" / "expected.json").exists():
        words = [sys.executable, str(QUICKSTART / "make_input.py"), str(folder / "data")]
        words += ["--pictures", str(pictures), "--scene-lines", "100"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    recipe = yaml.safe_load((QUICKSTART / "recipe.yaml").read_text())
    recipe["shards"] = {"samples": 100}
    recipe["gate"] = {"max_error_rate": 0.1}
    recipe["train"] = {"argv": ["{python}", str(HERE / "count_samples.py"), "{dataset}", "{out}"]}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True))
    return path


def every_minute(folder: Path) -> Path:
    """prefect.yaml with the nightly build once a minute."""
    content = yaml.safe_load((REPO / "prefect.yaml").read_text())
    for deployment in content["deployments"]:
        if deployment["name"] == "nightly":
            deployment["schedules"] = [{"cron": "* * * * *", "timezone": "UTC", "slug": "minutely"}]
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def main() -> None:
    """Runs it all; prints what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--database")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="let server and worker run until Ctrl-C, to look at them")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same way out as Ctrl-C, so that children are ended
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    recipe, file, root = make_recipe(folder, given.pictures), every_minute(folder), folder / "root"
    seen: dict[str, Any] = {"database": (given.database or "sqlite").partition("+")[0]}
    with contextlib.ExitStack() as stack:
        children: dict[str, subprocess.Popen[bytes]] = {}
        began = time.monotonic()
        api = os.environ.get("PREFECT_API_URL")
        if api is None:
            port = free_port()
            environment = environment_of(folder, given.database, port)
            api = environment["PREFECT_API_URL"]
            server = process(server_words(port), environment, folder / "server.log")
            children["the server"] = stack.enter_context(server)
            wait_for("the server", lambda: healthy(api), 240, children)
        else:
            environment = {**os.environ, "PYTHONPATH": str(REPO)}
        seen["server_s"] = round(time.monotonic() - began, 1)
        began = time.monotonic()
        words = [sys.executable, "-m", "flows.cli", "deploy"]
        words += ["--recipe", str(recipe), "--root", str(root), "--file", str(file)]
        subprocess.run(words, env=environment, cwd=REPO, check=True, stdout=subprocess.DEVNULL)
        seen["deploy_s"] = round(time.monotonic() - began, 1)
        began = time.monotonic()
        worker = stack.enter_context(process(worker_words(), environment, folder / "worker.log"))
        children["the worker"] = worker
        build = wait_for(
            "the scheduled build", lambda: ended(api, "build_dataset", "nightly", auto=True), 600, children
        )
        seen["schedule_and_build_s"] = round(time.monotonic() - began, 1)
        seen["build"] = {name: build[name] for name in ("id", "name", "auto_scheduled", "total_run_time", "state_name")}
        began = time.monotonic()
        training = wait_for("training by the event", lambda: ended(api, "train_model", "on-promotion"), 300, children)
        seen["event_and_training_s"] = round(time.monotonic() - began, 1)
        seen["training"] = {
            name: training[name] for name in ("id", "name", "parameters", "total_run_time", "state_name")
        }
        for deployment in ask(api, "/deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}}):
            ask(api, f"/deployments/{deployment['id']}", {"paused": True}, method="PATCH")
        _report(root, seen)
        if given.keep:
            print(f"look at {api.removesuffix('/api')}; Ctrl-C ends it", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                worker.wait()
    if given.database is None and "PREFECT_API_URL" not in os.environ and not given.keep:
        shutil.rmtree(folder / "prefect", ignore_errors=True)


def _report(root: Path, seen: dict[str, Any]) -> None:
    """Adds what lies beside the version, and prints it all."""
    (pointer,) = root.glob("datasets/*/champion.json")
    champion = json.loads(pointer.read_text())
    outcomes = list((pointer.parent / champion["version"]).glob("training/*/outcome.json"))
    seen["version"] = str(pointer.parent / champion["version"])
    seen["outcome"] = json.loads(outcomes[0].read_text()) if outcomes else None
    print(json.dumps(seen, indent=1), flush=True)


if __name__ == "__main__":
    main()
