"""Actors on a real local Ray that is told it has GPUs: how many there are, and what each is given."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import pytest
import ray

from pipelines.ray_jobs.actors import Actors

pytestmark = pytest.mark.engine


def _who(seconds: float) -> tuple[int, tuple[str, ...]]:
    time.sleep(seconds)
    return os.getpid(), tuple(map(str, ray.get_gpu_ids()))


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Any:
    ray.init(
        address="local", num_cpus=3, num_gpus=2, include_dashboard=False, object_store_memory=128 << 20,
        logging_level=logging.ERROR, log_to_driver=False, configure_logging=False,
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.mark.parametrize(("gpus", "most", "wanted"), [(2, None, 2), (2, 1, 1), (2, 5, 2), (0, None, 3), (0, 2, 2)])
def test_one_a_gpu_else_one_a_cpu(gpus: int, most: int | None, wanted: int) -> None:
    actors = Actors(ray, {"CPU": 3.0, **({"GPU": float(gpus)} if gpus else {})}, most)
    calls = [actors.submit(_who, (0.2,)) for _ in range(8)]
    found = ray.get(calls)
    assert len({process for process, _ in found}) == wanted
    assert all(len(held) == bool(gpus) for _, held in found)
    assert len({held for _, held in found}) == (wanted if gpus else 1)
    for call in calls[1:]:
        actors.done(call)
    actors.release()
    assert len(actors._waiting) == 1, "one has a call that nobody took"
    actors.done(calls[0])
    actors.release()
    assert not actors._waiting


def test_calls_beside_each_other_go_to_idle_actors_first() -> None:
    actors = Actors(ray, {"CPU": 3.0}, None)
    for _ in range(3):
        call = actors.submit(_who, (0.0,))
        ray.get(call)
        actors.done(call)
    assert len(actors._waiting) == 1, "no second process for calls that follow each other"
    actors.release()
