"""What a submitted job is called, what it may run, and what its end tells: without a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.jobs import failure_of
from pipelines.ray_jobs import __main__ as driver
from pipelines.ray_jobs.cluster import is_submitted, submission_id
from pipelines.ray_jobs.records import finished, write_record


def test_an_id_is_known_from_the_run_and_the_stage() -> None:
    folder = "s3://bucket/a root/stages/render-image_alt-0123456789abcdef"
    assert submission_id("run-1", folder, 2) == "pixelpairs-run-1-render-image_alt-0123456789abcdef-2"
    assert submission_id("run-1", folder + "/", 2) == submission_id("run-1", folder, 2)
    ranged = submission_id("run-1", folder + "/jobs/0-10", 1)
    assert ranged == "pixelpairs-run-1-render-image_alt-0123456789abcdef_jobs_0-10-1"
    assert len({submission_id("run-1", folder, n) for n in (1, 2)} | {ranged}) == 3


@pytest.mark.parametrize("address", ["http://head:8265", "https://ray.example.org"])
def test_an_address_of_the_jobs_api(address: str) -> None:
    assert is_submitted(address)


@pytest.mark.parametrize("address", ["local", "auto", "ray://head:10001", "head:6379"])
def test_other_addresses_are_driven_from_here(address: str) -> None:
    assert not is_submitted(address)


@pytest.mark.parametrize("name", driver.FUNCTIONS)
def test_what_a_job_may_run_is_there(name: str) -> None:
    function = driver.function_of(name)
    assert f"{function.__module__}.{function.__name__}" == name, "the flow names it so"


@pytest.mark.parametrize("name", ["os.system", "pipelines.ray_jobs.render.body", "pipelines.ray_jobs.render", ""])
def test_a_job_that_names_anything_else_is_refused(name: str, tmp_path: Path) -> None:
    """The file lies on a store that others may write to."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"function": name, "job": {}, "units": [], "actors": None}))
    with pytest.raises(ValueError, match="a job can name"):
        driver.work(str(path))


def test_the_last_line_of_a_job_says_why_it_failed() -> None:
    said = json.dumps({"error": "the store is away", "expected": True, "passing": True})
    found = failure_of(["a trace", said], "?")
    assert (str(found), found.expected, found.passing) == ("the store is away", True, True)
    for lines in ([], ["no JSON"], ["[]"], ['{"error": 1}']):
        found = failure_of(["before", *lines], "Ray job x failed: y")
        assert str(found).startswith("Ray job x failed: y")
        assert (found.expected, found.passing) == (False, False)


def test_a_record_names_no_node_outside_of_ray_and_vouches_for_its_parts(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "a.tar").write_bytes(b"x")
    part = {
        "path": "a.tar",
        "bytes": 1,
        "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        "rows": 1,
    }
    write_record(str(tmp_path), "a.tar", {"index": 0, "parts": [part]})
    assert finished(str(tmp_path), "a.tar") is not None
    (tmp_path / "a.tar").write_bytes(b"y")
    assert finished(str(tmp_path), "a.tar") is None
    assert finished(str(tmp_path), "a.tar", content=False) is not None, "by its size alone"
    (tmp_path / "a.tar").unlink()
    assert finished(str(tmp_path), "a.tar", content=False) is None
