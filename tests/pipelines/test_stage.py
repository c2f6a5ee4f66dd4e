"""The stage contract: done once, done whole, or not done."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import lease, stage, storage
from pipelines.ledger import LedgerError, Step
from pipelines.manifest import NAME, Part
from pipelines.stage import Outcome, Stage

WHAT = Stage("work-on-it", {"size": 3}, {"input": "digest"}, "1")


class Body:
    """Writes two parts and counts how often it was called."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.calls = 0
        self.fail_after = fail_after

    def __call__(self, folder: str) -> Outcome:
        self.calls += 1
        parts = []
        for number in range(2):
            if self.fail_after == number:
                raise RuntimeError("the body broke")
            file = storage.write_bytes(storage.join(folder, f"part-{number}"), b"content %d" % number * 50)
            parts.append(Part(path=f"part-{number}", bytes=file.bytes, sha256=file.sha256, rows=1))
        return Outcome(parts, [Step(source="a", step="read", unit="rows", rows_in=2, kept=2, rows_out=2)], {"n": 2})


def folder_of(root: Path) -> Path:
    return root / WHAT.folder


def test_a_second_run_does_not_call_the_body(tmp_path: Path) -> None:
    body = Body()
    first, ran = stage.run(str(tmp_path), WHAT, body)
    assert ran
    before = {path.name: path.stat().st_mtime_ns for path in folder_of(tmp_path).iterdir()}
    second, ran_again = stage.run(str(tmp_path), WHAT, body)
    assert not ran_again
    assert (second, body.calls) == (first, 1)
    assert {path.name: path.stat().st_mtime_ns for path in folder_of(tmp_path).iterdir()} == before
    assert stage.seconds(str(tmp_path), first) is not None


@pytest.mark.parametrize("fail_after", [0, 1])
def test_a_body_that_breaks_leaves_no_manifest_and_can_go_on(tmp_path: Path, fail_after: int) -> None:
    with pytest.raises(RuntimeError, match="the body broke"):
        stage.run(str(tmp_path), WHAT, Body(fail_after))
    assert not (folder_of(tmp_path) / NAME).exists()
    assert stage.done(str(tmp_path), WHAT) is None
    manifest, ran = stage.run(str(tmp_path), WHAT, Body())
    assert ran
    clean, _ = stage.run(str(tmp_path / "other"), WHAT, Body())
    assert manifest == clean, "the interruption must not show"
    assert (folder_of(tmp_path) / NAME).read_bytes() == (folder_of(tmp_path / "other") / NAME).read_bytes()


def test_lost_rows_leave_no_manifest(tmp_path: Path) -> None:
    def body(folder: str) -> Outcome:
        return Outcome([], [Step(source="a", step="read", unit="rows", rows_in=3, kept=2)])

    with pytest.raises(LedgerError, match="3 rows in, but 2 kept"):
        stage.run(str(tmp_path), WHAT, body)
    assert stage.done(str(tmp_path), WHAT) is None


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, 10),
    "emptied": lambda path: os.truncate(path, 0),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["part-0", "part-1", NAME])
def test_a_stage_that_is_not_whole_runs_again(tmp_path: Path, damage: str, name: str) -> None:
    body = Body()
    first, _ = stage.run(str(tmp_path), WHAT, body)
    DAMAGES[damage](folder_of(tmp_path) / name)
    assert stage.done(str(tmp_path), WHAT) is None
    again, ran = stage.run(str(tmp_path), WHAT, body)
    assert ran
    assert (again, body.calls) == (first, 2)
    assert stage.done(str(tmp_path), WHAT) == first


def test_the_manifest_of_a_stage_that_was_damaged_does_not_outlive_a_failed_repair(tmp_path: Path) -> None:
    """It would vouch for parts of which nobody knows which run wrote them."""
    stage.run(str(tmp_path), WHAT, Body())
    (folder_of(tmp_path) / "part-1").unlink()
    with pytest.raises(RuntimeError):
        stage.run(str(tmp_path), WHAT, Body(fail_after=1))
    assert not (folder_of(tmp_path) / NAME).exists()


def test_changed_bytes_of_the_same_size_make_it_run_again(tmp_path: Path) -> None:
    """A part that was edited in place must not be taken up, nor get into a version that a cached check vouches for."""
    body = Body()
    first, _ = stage.run(str(tmp_path), WHAT, body)
    path = folder_of(tmp_path) / "part-0"
    path.write_bytes(b"X" + path.read_bytes()[1:])
    assert stage.done(str(tmp_path), WHAT) is None
    again, ran = stage.run(str(tmp_path), WHAT, body)
    assert (again, ran, body.calls) == (first, True, 2)


def test_parts_are_hashed_only_after_they_were_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = stage.run(str(tmp_path), WHAT, Body())
    hashed = []
    real = storage.sha256_of
    monkeypatch.setattr(storage, "sha256_of", lambda url: hashed.append(url) or real(url))
    assert stage.done(str(tmp_path), WHAT) == first
    assert hashed == []
    os.utime(folder_of(tmp_path) / "part-0", (1, 1))
    assert stage.done(str(tmp_path), WHAT) == first
    assert hashed, "another time, the same bytes: looked at once"
    hashed.clear()
    assert stage.done(str(tmp_path), WHAT) == first
    assert hashed == []


def test_the_manifest_of_another_stage_does_not_count(tmp_path: Path) -> None:
    stage.run(str(tmp_path), WHAT, Body())
    other = Stage(WHAT.name, {"size": 4}, WHAT.inputs, WHAT.code)
    folder_of(tmp_path).rename(tmp_path / other.folder)
    assert stage.done(str(tmp_path), other) is None


@pytest.mark.parametrize(
    "other",
    [
        Stage("other", WHAT.config, WHAT.inputs, "1"),
        Stage(WHAT.name, {"size": 4}, WHAT.inputs, "1"),
        Stage(WHAT.name, {"size": "3"}, WHAT.inputs, "1"),
        Stage(WHAT.name, WHAT.config, {"input": "other"}, "1"),
        Stage(WHAT.name, WHAT.config, {"other": "digest"}, "1"),
        Stage(WHAT.name, WHAT.config, WHAT.inputs, "2"),
    ],
)
def test_whatever_changes_the_output_changes_the_key(other: Stage) -> None:
    assert other.key != WHAT.key


def test_the_order_of_settings_does_not_change_the_key() -> None:
    assert Stage("s", {"a": 1, "b": 2}, {}, "1").key == Stage("s", {"b": 2, "a": 1}, {}, "1").key


def test_of_runs_at_once_one_works_and_the_others_take_it_up(tmp_path: Path) -> None:
    results: list[Any] = []
    body, began, told = Body(), threading.Event(), list[str]()

    def slow(folder: str) -> Outcome:
        began.set()
        deadline = time.monotonic() + 60
        while len(told) < 3 and time.monotonic() < deadline:  # until all others wait
            time.sleep(0.01)
        return body(folder)

    def one() -> None:
        results.append(stage.run(str(tmp_path), WHAT, slow, waits=told.append))

    threads = [threading.Thread(target=one) for _ in range(4)]
    threads[0].start()
    assert began.wait(60)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert body.calls == 1
    assert sorted(ran for _, ran in results) == [False, False, False, True]
    assert all(manifest == results[0][0] for manifest, _ in results)
    assert stage.done(str(tmp_path), WHAT) == results[0][0]


def test_who_has_lost_its_lease_does_not_finish_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was silent too long, as a machine that slept: another is at the stage, and the manifest is that one's to write."""
    monkeypatch.setattr(lease.Lease, "beat", lambda self: None)

    def body(folder: str) -> Outcome:
        with lease.hold(str(tmp_path), f"{WHAT.name}-{WHAT.key}", term=0.2):
            return Body()(folder)

    with pytest.raises(lease.LeaseError):
        stage.run(str(tmp_path), WHAT, body, term=0.2)
    assert not (folder_of(tmp_path) / NAME).exists()
    assert stage.run(str(tmp_path), WHAT, Body())[1]


def test_a_full_disk_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = storage.write_bytes

    def full(url: str, data: bytes) -> Any:
        if url.endswith("part-1"):
            raise storage.StorageError(f"the output disk is full: could not write {url}")
        return real(url, data)

    monkeypatch.setattr(storage, "write_bytes", full)
    with pytest.raises(storage.StorageError, match="disk is full"):
        stage.run(str(tmp_path), WHAT, Body())
    monkeypatch.undo()
    assert stage.done(str(tmp_path), WHAT) is None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"seconds": null}', '{"other": 1}'])
def test_a_broken_timing_is_no_timing(tmp_path: Path, text: str) -> None:
    manifest, _ = stage.run(str(tmp_path), WHAT, Body())
    (folder_of(tmp_path) / "timing.json").write_text(text)
    assert stage.seconds(str(tmp_path), manifest) is None
