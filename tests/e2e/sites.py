"""A root in which rendering is to be done on a Ray cluster, and a recipe that makes many small shards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import REPO
from tests.e2e.conftest import Version, champion, command, write_recipe
from tests.ray_cluster import RayCluster

LONG = "translations"
"""The kind with so many shards that there is time to kill something in the middle."""
SHARD = {"samples": 50, "per_kind": {"image_alt": 20, LONG: 6}}
SECONDS = 400


def many_shards_recipe(small_input: Path, address: str) -> Path:
    """The small recipe with small shards, rendered at a Ray address."""
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    recipe |= {"name": "many_shards", "shards": SHARD, "runtime": {"ray": {"address": address}, "lease_seconds": 5}}
    return write_recipe(small_input / f"many_shards_{address.rpartition(':')[2]}.yaml", recipe)


class Site:
    """A root in which all is done that comes before rendering, and the cluster that renders."""

    def __init__(
        self, root: Path, before: Path, recipe: Path, cluster: RayCluster, environment: dict[str, str]
    ) -> None:
        self.root, self.recipe, self.cluster = root, recipe, cluster
        self.environment = {**environment, **cluster.environment}
        link_stages(before, root, "annotate-", "select-", "word_drop-")

    def start(self) -> subprocess.Popen[bytes]:
        """Starts a build."""
        words = command(["build", self.recipe, "--root", self.root, "-v"])
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, cwd=REPO)

    def wait_for_a_job_taken_up(self, process: subprocess.Popen[bytes]) -> str:
        """Waits until a build follows a job that another has submitted; gives its id."""
        deadline = time.monotonic() + SECONDS
        while True:
            for path in self.root.glob("stages/render-*/submission.json"):
                noted = json.loads(path.read_text())
                if noted["run"] not in noted["submission_id"]:
                    return str(noted["submission_id"])
            assert process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self) -> str:
        """What builds have said."""
        return (self.root / "log").read_text()

    def records(self) -> list[dict[str, Any]]:
        """What is known of the finished shards of the long kind."""
        return [json.loads(path.read_text()) for path in self.root.glob(f"stages/render-{LONG}-*/records/*.json")]

    def wait_for_shards(self, count: int, process: subprocess.Popen[bytes], *, nodes: int = 1) -> set[str]:
        """Waits until so many shards of the long kind are there, from so many nodes; gives these."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = self.records()
            seen = {str(record["node"]) for record in found}
            if len(found) >= count and len(seen) >= nodes:
                return seen
            assert process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def hold(self) -> None:
        """Stops the driver of the long kind's job where it stands: the job is not over, however fast the machine is."""
        held = 0
        for place in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes().decode().split("\0") if place.name.isdigit() else []
                if "pipelines.ray_jobs" in words and any(str(self.root) in w and f"render-{LONG}" in w for w in words):
                    os.kill(int(place.name), signal.SIGSTOP)
                    held += 1
        assert held, "the job's driver is not there"

    def finish(self, process: subprocess.Popen[bytes] | None = None) -> Version:
        """Waits for a build, or runs one, and gives what it has published."""
        assert (process or self.start()).wait(timeout=SECONDS) == 0, self.log()
        return champion(self.root)

    def jobs(self) -> list[dict[str, Any]]:
        """What the cluster knows of jobs for this root."""
        return [job for job in self._ask(None) if str(self.root) in json.dumps(job.get("metadata"))]

    def submit(self, entrypoint: str, metadata: dict[str, str]) -> None:
        """Submits a job of any kind."""
        self._ask({"entrypoint": entrypoint, "metadata": metadata})

    def _ask(self, words: dict[str, Any] | None) -> Any:
        token = Path(self.cluster.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
        request = urllib.request.Request(  # noqa: S310 (loopback)
            f"{self.cluster.address}/api/jobs/",
            data=json.dumps(words).encode() if words is not None else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)


def link_stages(before: Path, root: Path, *prefixes: str) -> None:
    """Puts finished stages of one root into another."""
    (root / "stages").mkdir(parents=True, exist_ok=True)
    for stage in before.glob("stages/*"):
        if stage.name.startswith(prefixes):
            subprocess.run(["cp", "-al", stage, root / "stages"], check=True)
