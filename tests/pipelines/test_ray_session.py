"""Tasks on a real local Ray: results, failures, stopping, and workers that die."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.jobs import JobError
from pipelines.ray_jobs.session import Session
from pipelines.ray_jobs.tasks import run_tasks
from pipelines.storage import StorageError

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    made = Session("local", 2)
    yield made
    made.close()


def _square(shared: dict[str, Any], item: int) -> int:
    return shared["plus"] + item * item


def _full(shared: dict[str, Any], item: int) -> int:
    raise StorageError("the output disk is full: could not write it")


def _broken(shared: dict[str, Any], item: int) -> int:
    raise ZeroDivisionError("ours to mend")


def _dies_once(shared: dict[str, Any], item: int) -> int:
    path = Path(shared["folder"], str(item))
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def _sleeps(shared: dict[str, Any], item: int) -> int:
    Path(shared["folder"], f"began-{item}").touch()
    time.sleep(60)
    return item


def test_each_item_once_from_several_threads(session: Session) -> None:
    """Stages run side by side in threads of the orchestrator; Ray's own per-thread ids once collided there."""
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(lambda k=k: sorted(run_tasks(session, _square, {"plus": k}, range(30)))) for k in range(4)]
        for plus, run in enumerate(runs):
            assert run.result() == sorted(plus + i * i for i in range(30))


def test_work_in_flight_is_bounded(session: Session) -> None:
    """A million shards must not become a million tasks at once: items are taken as results are."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield i

    results = run_tasks(session, _square, {"plus": 0}, items())
    next(results)
    assert taken <= 2 * session.limit + 1
    results.close()


def test_no_items_start_no_ray() -> None:
    idle = Session("local", 1)
    assert list(run_tasks(idle, _square, {}, [])) == []
    assert idle._thread is None
    idle.close()


@pytest.mark.parametrize(("function", "expected"), [(_full, True), (_broken, False)])
def test_a_failure_comes_with_its_words(session: Session, function: Any, expected: bool) -> None:
    with pytest.raises(JobError, match="disk is full" if expected else "ours to mend") as failure:
        list(run_tasks(session, function, {}, range(5)))
    assert failure.value.expected is expected


def test_a_task_whose_worker_dies_is_run_again(session: Session, tmp_path: Path) -> None:
    assert sorted(run_tasks(session, _dies_once, {"folder": str(tmp_path)}, range(3))) == [0, 1, 2]


def test_stopping_ends_running_tasks(session: Session, tmp_path: Path) -> None:
    stop = threading.Event()
    failures = []

    def work() -> None:
        try:
            list(run_tasks(session, _sleeps, {"folder": str(tmp_path)}, range(20), stop))
        except JobError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not list(tmp_path.glob("began-*")):
        time.sleep(0.05)
    stop.set()
    thread.join(timeout=40)
    assert not thread.is_alive(), "tasks that sleep a minute were waited for"
    assert "stopped" in str(failures[0])
    assert sorted(run_tasks(session, _square, {"plus": 1}, [2])) == [5], "the session is of use afterwards"


def test_a_session_that_cannot_connect_says_so() -> None:
    lost = Session("127.0.0.1:1", None)
    with pytest.raises(JobError):
        list(run_tasks(lost, _square, {"plus": 0}, [1]))
    lost.close()
