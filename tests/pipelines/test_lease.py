"""Leases: one owner at a time, whatever dies, and nothing that an old owner says later counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pipelines import agreement, lease, storage
from pipelines.lease import LeaseError, StoppedError, hold, holder
from tests.conftest import REPO

TERM = 1.2


@pytest.fixture(params=["local", "store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder, and an object store that makes a file on condition that there is none."""
    if request.param == "local":
        yield str(tmp_path)
        return
    yield f"memory://{tmp_path.name}"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_POLL_SECONDS", 0.05)


def test_only_one_of_many_has_it(root: str) -> None:
    """Would catch a check and a creation that are two steps: two threads inside at once."""
    inside, most, had = 0, 0, Counter[int]()
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal inside, most
        for _ in range(3):
            with hold(root, "stage"):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.005)
                with lock:
                    inside -= 1
                    had[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert most == 1
    assert had == dict.fromkeys(range(6), 3)
    assert len(agreement.names(storage.join(root, "leases/stage"))) <= 2, "numbers of the past are cleared away"


def test_a_live_owner_keeps_it_beyond_its_term(root: str) -> None:
    with hold(root, "stage", term=TERM) as mine:
        time.sleep(TERM * 1.5)
        mine.check()
        assert holder(root, "stage", TERM) is not None
        stop = threading.Event()
        stop.set()
        with pytest.raises(StoppedError, match=f"process {os.getpid()}"), hold(root, "stage", term=TERM, stop=stop):
            pass
    assert holder(root, "stage", TERM) is None


def test_a_silent_owner_loses_it_and_learns_so(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that was stopped and goes on: what it says after that changes nothing."""
    monkeypatch.setattr(lease.Lease, "beat", lambda self: None)
    told: list[str] = []
    with hold(root, "stage", term=TERM) as old:
        began = time.monotonic()
        with hold(root, "stage", term=TERM, waits=told.append) as new:
            assert time.monotonic() - began > TERM * 0.5
            assert told == [f"process {os.getpid()} on {old.words['host']}"]
            with pytest.raises(LeaseError, match="another took its work"):
                old.check()
            old.release()
            new.check()
            assert holder(root, "stage", TERM) is not None, "the old owner released what is no longer its own"
    assert holder(root, "stage", TERM) is None


def test_a_killed_owner_is_followed_at_once(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pipelines.lease import hold\n"
        "with hold(sys.argv[1], 'stage', term=600):\n print('has it', flush=True)\n time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    owner = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, env=environment)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"has it\n"
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    began = time.monotonic()
    with hold(str(tmp_path), "stage", term=600):
        assert time.monotonic() - began < 300, "a dead process of this machine was waited for"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"pid": "x", "space": 1}', b"\xff"])
def test_a_broken_file_counts_by_its_age(root: str, content: bytes) -> None:
    folder = storage.join(root, "leases/stage")
    storage.make_folder(folder)
    storage.write_bytes(storage.join(folder, "000000007.json"), content)
    storage.write_bytes(storage.join(folder, "notes.txt"), b"no number")
    with hold(root, "stage", term=0.3) as mine:
        assert mine.number == 8
        assert json.loads(storage.read_bytes(mine.url))["pid"] == os.getpid()


def test_a_number_that_was_had_and_cleared_away_is_not_taken_again(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow taker that read number 1 when others have come to 3: number 2 is free as a name, and yet past."""
    folder = storage.join(root, "leases/stage")
    storage.make_folder(folder)
    storage.write_bytes(storage.join(folder, "000000003.json"), b'{"released": true}')
    real, asked = lease._highest, [1]
    monkeypatch.setattr(lease, "_highest", lambda folder: asked.pop() if asked else real(folder))
    with hold(root, "stage") as mine:
        assert mine.number == 4
    assert "000000002.json" not in agreement.names(folder)


def test_ages_are_the_storages_own(root: str) -> None:
    url = storage.join(root, "file")
    storage.make_folder(root)
    assert agreement.age(url) is None
    storage.write_bytes(url, b"x")
    time.sleep(0.2)
    before = agreement.age(url)
    assert before is not None
    agreement.touch(url, b"x")
    after = agreement.age(url)
    assert after is not None
    assert after < before
    assert agreement.names(root) == ["file"]
    if storage.is_local(root):
        assert len(list(Path(root).iterdir())) == 1, "the probe was left"
