"""Rendering as a job that is submitted to a real Ray cluster, with tokens: on all nodes, through every loss, the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import lease
from tests.conftest import REPO
from tests.e2e.conftest import Undisturbed, Version, command
from tests.e2e.sites import LONG, SECONDS, Site, many_shards_recipe
from tests.ray_cluster import RayCluster

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]  # whole builds and clusters, on a machine that may be busy


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A head and two more nodes, a CPU each."""
    made = RayCluster()
    try:
        yield made.start(3)
    finally:
        made.stop()


@pytest.fixture
def site(
    tmp_path: Path, undisturbed: Undisturbed, many_shards: Version, small_input: Path, cluster: RayCluster,
    prefect_environment: dict[str, str],
) -> Site:  # fmt: skip
    return Site(
        tmp_path / "root",
        undisturbed.root,
        many_shards_recipe(small_input, cluster.address),
        cluster,
        prefect_environment,
    )


def test_three_nodes_one_of_which_is_killed(site: Site, many_shards: Version) -> None:
    """The job goes on with the nodes that are left: no shard is missing, none is there twice, each has the bytes of one node's."""
    build = site.start()
    seen = site.wait_for_shards(1, build, nodes=3)
    site.cluster.nodes[2].kill()
    made = site.finish(build)
    assert made.hashes() == many_shards.hashes()
    paths = [shard["path"] for shard in made.manifest["shards"]]
    assert len(paths) == len(set(paths))
    records = site.records()
    assert len(records) == sum(shard["kind"] == LONG for shard in made.manifest["shards"])
    by_node = Counter(record["node"] for record in records)
    # A shard whose node was killed before it was told of is made again: its record may name another of the three.
    assert len(seen) == 3
    assert set(by_node) <= seen, f"a node that was not there: {by_node}"
    assert {job["status"] for job in site.jobs()} == {"SUCCEEDED"}
    token = Path(site.cluster.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    texts = [path for path in site.root.rglob("*") if path.suffix in (".json", "") and path.is_file()]
    told = [path for path in texts if token in path.read_text("utf-8", "replace")]
    assert not told, f"the cluster's token got into {told}"
    site.cluster.add()


def test_a_process_without_the_token_is_told_so(site: Site) -> None:
    site.environment |= {"RAY_AUTH_TOKEN": "0" * 64}
    site.environment.pop("RAY_AUTH_TOKEN_PATH")
    assert site.start().wait(timeout=SECONDS) == 1
    assert "RAY_AUTH_TOKEN_PATH" in site.log()
    assert not list(site.root.glob("datasets/*"))


def test_killed_then_taken_up_then_interrupted_then_finished(site: Site, many_shards: Version) -> None:
    """A killed build's job goes on and is the next one's; that one is interrupted and stops it; the third finishes."""
    build = site.start()
    site.wait_for_shards(10, build)
    site.hold()
    os.kill(build.pid, signal.SIGKILL)
    build.wait()
    running = {job["submission_id"] for job in site.jobs() if job["status"] in ("PENDING", "RUNNING")}
    assert running, "the held job is over"
    build = site.start()
    taken = site.wait_for_a_job_taken_up(build)
    build.send_signal(signal.SIGTERM)
    assert build.wait(timeout=60) != 0
    assert taken in running, "what was taken up is no job of the build that was killed"
    states = {job["submission_id"]: job["status"] for job in site.jobs()}
    assert not {"PENDING", "RUNNING"} & set(states.values()), states
    assert "STOPPED" in states.values(), states
    assert not list(site.root.glob("datasets/*/*")), "something was published by a build that was stopped"
    finished = {path: path.stat().st_mtime_ns for path in site.root.glob("stages/render-*/records/*.json")}
    assert site.finish().hashes() == many_shards.hashes()
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items()), "finished shards were made again"


def test_reap_stops_a_job_that_nobody_follows_and_no_other(site: Site) -> None:
    """Its run is unknown to the server (or over), and the lease of its stage is free: only both together make an orphan."""
    folder = site.root / "stages" / f"render-image_alt-{'0' * 16}"
    folder.mkdir()
    site.submit("sleep 600", {"pixelpairs_run": str(uuid.uuid4()), "pixelpairs_folder": str(folder)})

    def reap(*words: str) -> str:
        done = subprocess.run(
            command(["reap", site.cluster.address, *words]),
            env=site.environment,
            capture_output=True,
            text=True,
            cwd=REPO,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    with lease.hold(str(site.root), folder.name):
        assert reap() == "none", "a job that some process follows was taken for an orphan"
    (job,) = site.jobs()
    assert reap("--list") == job["submission_id"]
    assert site.jobs()[0]["status"] in ("PENDING", "RUNNING"), "a list stops nothing"
    assert reap() == job["submission_id"]
    assert site.jobs()[0]["status"] == "STOPPED"


def test_the_head_is_killed_and_comes_back(site: Site, many_shards: Version) -> None:
    """The run itself gets over it: its stage is tried again, and the new head, which knows of nothing, gets a job for the rest."""
    build = site.start()
    site.wait_for_shards(10, build)
    site.cluster.kill_all()
    site.cluster.start(2)
    assert site.finish(build).hashes() == many_shards.hashes()
