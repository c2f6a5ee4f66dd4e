"""Trainers as processes of this machine: started once, followed to the end, stopped with all that they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.train.local import LocalLauncher
from pipelines.train.spec import FIELDS, State, TrainerSpec, fill

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

PATIENCE = 60  # seconds; only a test that fails waits so long


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[LocalLauncher]:
    made = LocalLauncher(str(tmp_path / "jobs"))
    yield made
    for handle in list(made._running):
        made.cancel(handle)


def run(code: str, **fields: object) -> TrainerSpec:
    return TrainerSpec(argv=[sys.executable, "-c", code], **fields)


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_is_followed_to_its_end_with_all_its_words(launcher: LocalLauncher) -> None:
    said: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('no end of line ü')"
    handle = launcher.submit(run(code), {}, "job")
    assert launcher.follow(handle, PATIENCE, said.append) is State.SUCCEEDED
    assert sorted(said) == ["no end of line ü", "one", "two"]
    assert launcher.status(handle) is State.SUCCEEDED
    assert set(launcher.logs(handle).splitlines()) == set(said)


def test_fields_and_environment_reach_the_command(launcher: LocalLauncher) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['GIVEN'], os.environ['HERE'])"
    spec = TrainerSpec(argv=["{python}", "-c", code, "--out={out}", "$HERE; ls {dataset}"], env={"GIVEN": "5"})
    os.environ["HERE"] = "kept"
    handle = launcher.submit(spec, {"python": sys.executable, "out": "/o", "dataset": "{out}"}, "job")
    launcher.follow(handle, PATIENCE, lambda _: None)
    assert launcher.logs(handle) == "['--out=/o', '$HERE; ls {out}'] 5 kept\n", (
        "no shell, and no field inside of a field"
    )


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemError", "import os; os.kill(os.getpid(), 9)"])
def test_a_job_that_breaks_or_is_killed_by_others_has_failed(launcher: LocalLauncher, code: str) -> None:
    """A trainer that the kernel kills for its memory was not cancelled."""
    handle = launcher.submit(run(code), {}, "job")
    assert launcher.follow(handle, PATIENCE, lambda _: None) is State.FAILED


def test_a_program_that_is_not_there(launcher: LocalLauncher) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        launcher.submit(TrainerSpec(argv=["no-such-program"]), {}, "job")
    assert launcher.status("job") is State.FAILED


def test_a_job_that_nobody_knows(launcher: LocalLauncher) -> None:
    assert launcher.status("never") is State.FAILED
    assert launcher.logs("never") == ""
    launcher.cancel("never")


FAMILY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


def family(launcher: LocalLauncher, tmp_path: Path) -> tuple[str, list[int]]:
    """A job with a child that does not listen to SIGTERM."""
    file = tmp_path / "pids"
    spec = TrainerSpec(argv=[sys.executable, "-c", FAMILY, str(file)])
    handle = launcher.submit(spec, {}, "job")
    wait(lambda: "deaf" in launcher.logs(handle) and file.exists() and " " in file.read_text())
    return handle, [int(pid) for pid in file.read_text().split()]


def test_cancelling_ends_the_whole_family(launcher: LocalLauncher, tmp_path: Path) -> None:
    handle, pids = family(launcher, tmp_path)
    assert all(lives(pid) for pid in pids)
    launcher.cancel(handle)
    wait(lambda: not any(lives(pid) for pid in pids))
    assert launcher.status(handle) is State.CANCELLED
    launcher.cancel(handle)  # again: nothing happens


def test_another_process_can_ask_and_cancel(launcher: LocalLauncher, tmp_path: Path) -> None:
    handle, pids = family(launcher, tmp_path)
    other = LocalLauncher(launcher.folder)
    assert other.status(handle) is State.RUNNING
    assert other.logs(handle) == launcher.logs(handle)
    other.cancel(handle)
    wait(lambda: not any(lives(pid) for pid in pids))
    assert other.status(handle) is not State.RUNNING


def test_a_job_that_does_not_listen_is_ended_in_the_end(
    launcher: LocalLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.train.local._GRACE_SECONDS", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    handle = launcher.submit(run(code), {}, "job")
    wait(lambda: "deaf" in launcher.logs(handle))
    launcher.cancel(handle)
    assert launcher.status(handle) is State.CANCELLED


def test_a_job_gets_time_to_tidy_up(launcher: LocalLauncher, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): print('tidied', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(600)"
    )
    handle = launcher.submit(run(code), {}, "job")
    wait(lambda: "ready" in launcher.logs(handle))
    launcher.cancel(handle)
    assert "tidied" in launcher.logs(handle)
    assert launcher.status(handle) is State.CANCELLED


def test_a_job_that_takes_too_long_is_cancelled(launcher: LocalLauncher) -> None:
    handle = launcher.submit(run("import time; time.sleep(600)"), {}, "job")
    pid = launcher._running[handle].pid
    assert launcher.follow(handle, 0.3, lambda _: None) is State.CANCELLED
    assert not lives(pid)


def test_submitting_again_takes_up_a_job_that_runs_and_starts_one_that_does_not(
    launcher: LocalLauncher, tmp_path: Path
) -> None:
    handle, _ = family(launcher, tmp_path)
    spec = run("print('second')")
    for same in (launcher, LocalLauncher(launcher.folder)):
        assert same.submit(spec, {}, "job") == handle
        assert same.status(handle) is State.RUNNING
    launcher.cancel(handle)
    launcher.submit(spec, {}, "job")
    assert launcher.follow(handle, PATIENCE, lambda _: None) is State.SUCCEEDED
    assert launcher.logs(handle) == "second\n"


def test_a_later_process_of_the_same_number_is_not_the_job(
    launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "jobs" / "old"
    place.mkdir(parents=True)
    stranger = os.getpid()
    received: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _: received.append(group))
    for state in (
        f'{{"pid": {stranger}, "started": "1"}}',
        f'{{"pid": {stranger}}}',
        "[]",
        "",
        '{"pid": null, "started": null}',
    ):
        (place / "state.json").write_text(state)
        assert launcher.status("old") is State.FAILED
        launcher.cancel("old")
    assert not received


def test_only_the_end_of_a_long_log_is_given(launcher: LocalLauncher) -> None:
    handle = launcher.submit(run("for n in range(20000): print('line', n)"), {}, "job")
    count = 0

    def said(_: str) -> None:
        nonlocal count
        count += 1

    launcher.follow(handle, PATIENCE, said)
    assert count == 20_000
    assert launcher.logs(handle).endswith("line 19999\n")
    assert len(launcher.logs(handle)) <= 20_000


# --- the command's words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["{outt}", "--x={Out}", "{dataset}{nope}", "{ünï}", '{"a": 1}{nope}'])
def test_an_unknown_field_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(ValueError, match=r"no field \{.*\}; there are dataset, manifest_sha256, mix, out, python"):
        fill([word], dict.fromkeys(FIELDS, ""))
    with pytest.raises(ValueError, match="no field"):
        TrainerSpec(argv=["train", word])


@pytest.mark.parametrize("word", ["{", "}", "{}", "{ out }", '{"lr": 0.1}', "{1}", "${", "a{-}b"])
def test_braces_that_name_nothing_are_text(word: str) -> None:
    assert fill([word], {"out": "/o"}) == [word]


def test_fields_are_filled_once() -> None:
    assert fill(["{out}/{mix}{out}"], {"out": "{mix}", "mix": "a=1"}) == ["{mix}/a=1{mix}"]


def test_a_trainer_that_outlives_its_build_is_taken_up_with_its_exit_code(tmp_path: Path) -> None:
    """The build is killed while the trainer runs; the next build follows it to its end and learns how it ended."""
    for code, state in ((0, State.SUCCEEDED), (3, State.FAILED)):
        folder = tmp_path / str(code)
        folder.mkdir()
        trainer = (
            f"import pathlib, sys, time; pathlib.Path(r'{folder}', 'began').touch(); time.sleep(2); sys.exit({code})"
        )
        starter = (
            "import sys, time\n"
            "from pipelines.train.local import LocalLauncher\n"
            "from pipelines.train.spec import TrainerSpec\n"
            f"LocalLauncher(r'{folder}').submit(TrainerSpec(argv=[sys.executable, '-c', {trainer!r}]), {{}}, 'job')\n"
            "time.sleep(60)\n"
        )
        build = subprocess.Popen([sys.executable, "-c", starter])
        while not (folder / "began").exists():
            assert build.poll() is None
            time.sleep(0.05)
        build.kill()
        build.wait()
        later = LocalLauncher(str(folder))
        assert later.status("job") is State.RUNNING
        assert later.follow("job", 60, lambda line: None) is state
