"""Trainers as processes of this machine: started once, followed to the end, stopped with all that they started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.train.launchers.base import Job, LauncherError, State
from pipelines.train.launchers.follow import follow
from pipelines.train.launchers.local import LocalLauncher
from tests.pipelines.train.launchers.jobs import ECHO, HOSTILE, ID, job

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

PATIENCE = 60  # seconds; only a test that fails waits so long


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[LocalLauncher]:
    made = LocalLauncher(str(tmp_path / "jobs"))
    yield made
    for handle in list(made._running):
        made.cancel(handle)


def run(code: str, *words: str, **fields: object) -> Job:
    return job([sys.executable, "-c", code, *words], **fields)


def followed(launcher: LocalLauncher, handle: str, timeout: float | None = PATIENCE) -> State:
    return follow(launcher, handle, lambda _: None, timeout=timeout).state


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
    handle = launcher.submit(run(code))
    assert follow(launcher, handle, said.append).state is State.SUCCEEDED
    assert sorted(said) == ["no end of line ü", "one", "two"]
    assert launcher.status(handle) is State.SUCCEEDED
    assert set(launcher.logs(handle).splitlines()) == set(said)


def test_words_and_environment_reach_the_command(launcher: LocalLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['GIVEN'], os.environ['HERE'])"
    monkeypatch.setenv("HERE", "kept")
    handle = launcher.submit(run(code, "--out=/o", "$HERE; ls {out}", env={"GIVEN": "5"}))
    followed(launcher, handle)
    assert launcher.logs(handle) == "['--out=/o', '$HERE; ls {out}'] 5 kept\n", "no shell"


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemError", "import os; os.kill(os.getpid(), 9)"])
def test_a_job_that_breaks_or_is_killed_by_others_has_failed(launcher: LocalLauncher, code: str) -> None:
    """A trainer that the kernel kills for its memory was not cancelled."""
    handle = launcher.submit(run(code))
    assert followed(launcher, handle) is State.FAILED
    assert ("ended by signal 9 (Killed)" in launcher.logs(handle)) == ("kill" in code)


def test_a_program_that_is_not_there(launcher: LocalLauncher) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        launcher.submit(job(["no-such-program"]))
    assert launcher.status(ID) is State.FAILED


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
    handle = launcher.submit(run(FAMILY, str(file)))
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
    monkeypatch.setattr("pipelines.train.launchers.local._GRACE_SECONDS", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    handle = launcher.submit(run(code))
    wait(lambda: "deaf" in launcher.logs(handle))
    launcher.cancel(handle)
    assert launcher.status(handle) is State.CANCELLED


def test_a_job_gets_time_to_tidy_up(launcher: LocalLauncher, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): print('tidied', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(600)"
    )
    handle = launcher.submit(run(code))
    wait(lambda: "ready" in launcher.logs(handle))
    launcher.cancel(handle)
    assert "tidied" in launcher.logs(handle)
    assert launcher.status(handle) is State.CANCELLED


def test_a_job_that_takes_too_long_is_cancelled(launcher: LocalLauncher) -> None:
    handle = launcher.submit(run("import time; time.sleep(600)"))
    pid = launcher._running[handle].pid
    assert followed(launcher, handle, 0.3) is State.CANCELLED
    assert not lives(pid)


def test_submitting_again_takes_up_a_job_that_runs_and_starts_one_that_does_not(
    launcher: LocalLauncher, tmp_path: Path
) -> None:
    handle, _ = family(launcher, tmp_path)
    spec = run("print('second')")
    for same in (launcher, LocalLauncher(launcher.folder)):
        assert same.submit(spec) == handle
        assert same.status(handle) is State.RUNNING
    launcher.cancel(handle)
    launcher.submit(spec)
    assert followed(launcher, handle) is State.SUCCEEDED
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
    handle = launcher.submit(run("for n in range(20000): print('line', n)"))
    count = 0

    def said(_: str) -> None:
        nonlocal count
        count += 1

    follow(launcher, handle, said)
    assert count == 20_000
    assert launcher.logs(handle).endswith("line 19999\n")
    assert len(launcher.logs(handle)) <= 20_000


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
            "from pipelines.train.launchers.base import Job\n"
            "from pipelines.train.launchers.local import LocalLauncher\n"
            "from pipelines.train.spec import TrainerSpec\n"
            f"words = [sys.executable, '-c', {trainer!r}]\n"
            f"LocalLauncher(r'{folder}').submit(Job({ID!r}, TrainerSpec(argv=words), tuple(words), r'{folder}'))\n"
            "time.sleep(60)\n"
        )
        build = subprocess.Popen([sys.executable, "-c", starter])
        while not (folder / "began").exists():
            assert build.poll() is None
            time.sleep(0.05)
        build.kill()
        build.wait()
        later = LocalLauncher(str(folder))
        assert later.status(ID) is State.RUNNING
        assert followed(later, ID) is state


def test_words_of_every_kind_reach_the_command(launcher: LocalLauncher, tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    handle = launcher.submit(run(ECHO, str(seen), *HOSTILE, env={"TOLD": "".join(HOSTILE)}))
    assert followed(launcher, handle) is State.SUCCEEDED
    assert json.loads(seen.read_text()) == [HOSTILE, "".join(HOSTILE)]


def test_two_that_submit_at_once_start_one_process(tmp_path: Path) -> None:
    """Two flow runs react to one event: both submit, one trainer runs."""
    code = f"import os, time; open(r'{tmp_path}/' + str(os.getpid()), 'w'); time.sleep(600)"
    launchers = [LocalLauncher(str(tmp_path / "jobs")) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda one: one.submit(run(code)), launchers)) == {ID}
    started = [one for one in launchers if one._running]
    assert len(started) == 1
    wait(lambda: any(path.name.isdigit() for path in tmp_path.iterdir()))
    started[0].cancel(ID)
    assert sum(path.name.isdigit() for path in tmp_path.iterdir()) == 1


def test_secrets_reach_the_command_and_nothing_else(launcher: LocalLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "s3cr3t")
    told = run("import os; print(len(os.environ['HF_TOKEN']))", secret_env={"HF_TOKEN": "MINE"})
    handle = launcher.submit(told)
    assert followed(launcher, handle) is State.SUCCEEDED
    assert launcher.logs(handle) == "6\n"
    assert "HF_TOKEN from MINE" in "\n".join(launcher.plan(told).lines())
    everything = [*launcher.plan(told).lines(), *(path.read_text() for path in Path(launcher.folder, ID).iterdir())]
    assert not any("s3cr3t" in text for text in everything)
    monkeypatch.delenv("MINE")
    with pytest.raises(LauncherError, match="there is no MINE"):
        launcher.submit(told)


def test_several_processes_are_started_by_torchrun(launcher: LocalLauncher, tmp_path: Path) -> None:
    """A real torchrun: each process gets its rank, and the words arrive as they were."""
    pytest.importorskip("torch")
    code = "import os, sys; open(sys.argv[1] + os.environ['RANK'] + 'of' + os.environ['WORLD_SIZE'], 'w').write(sys.argv[2])"
    several = run(code, f"{tmp_path}/rank", "--nproc-per-node=9 $(x)", resources={"processes": 2})
    handle = launcher.submit(several)
    assert followed(launcher, handle, 300) is State.SUCCEEDED, launcher.logs(handle)
    assert {path.name: path.read_text() for path in tmp_path.glob("rank*")} == dict.fromkeys(
        ("rank0of2", "rank1of2"), "--nproc-per-node=9 $(x)"
    )
