"""Trainers as batch jobs. With PIXELPAIRS_REAL_SLURM=1 the same tests run against the Slurm whose commands are on the PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.train.launchers.base import Job, LauncherError, State
from pipelines.train.launchers.follow import follow
from pipelines.train.launchers.slurm import SlurmLauncher
from pipelines.train.launchers.slurm_script import script
from pipelines.train.options import SlurmOptions
from tests.pipelines.train.launchers.jobs import ECHO, HOSTILE, ID, job

REAL = os.environ.get("PIXELPAIRS_REAL_SLURM") == "1"
PATIENCE = 90
TOOLS = Path(__file__).parent / "slurm_tools.py"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-ins; tests that need one of their switches are skipped with the real ones."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in () if REAL else ("sbatch", "squeue", "scancel", "sacct", "srun"):
        (folder / name).write_text(f"#!{sys.executable}\n{TOOLS.read_text()}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def launcher(tools: Path, tmp_path: Path) -> Iterator[SlurmLauncher]:
    made = SlurmLauncher(str(tmp_path / "jobs, 100%j ü's"), poll_seconds=0.1)
    yield made
    numbers = subprocess.run(
        ["squeue", "--me", "--noheader", f"--name=pixelpairs-{ID}", "--format=%A"], capture_output=True, text=True
    )
    for number in numbers.stdout.split():
        made.cancel(f"{ID}/{number}")
        wait(lambda number=number: made.status(f"{ID}/{number}").over)


def run(code: str, *words: str, **fields: object) -> Job:
    return job([sys.executable, "-c", code, *words], backend="slurm", **fields)


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.1)


def followed(launcher: SlurmLauncher, handle: str) -> State:
    return follow(launcher, handle, lambda _: None, start_timeout=PATIENCE).state


def test_words_and_environment_arrive_as_they_are(
    launcher: SlurmLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through sbatch, bash, srun: quotes, line breaks, $(…), percent signs, every script of the world."""
    seen = tmp_path / "seen.json"
    monkeypatch.setenv("PRIVATE", "not to be handed over")
    code = ECHO + "; print('environment:', 'PRIVATE' in os.environ, os.environ['PYTHONUNBUFFERED'])"
    said: list[str] = []
    handle = launcher.submit(run(code, str(seen), *HOSTILE, env={"TOLD": "".join(HOSTILE)}))
    assert follow(launcher, handle, said.append).state is State.SUCCEEDED, launcher.logs(handle)
    assert json.loads(seen.read_text()) == [HOSTILE, "".join(HOSTILE)]
    assert "environment: False 1" in said
    assert not Path("/tmp/pwned").exists()  # noqa: S108


def test_a_job_that_fails(launcher: SlurmLauncher) -> None:
    handle = launcher.submit(run("import sys; print('no memory left'); sys.exit(3)"))
    assert followed(launcher, handle) is State.FAILED
    assert "no memory left" in launcher.logs(handle)


def test_submitting_twice_takes_up_the_job_and_cancelling_ends_it(launcher: SlurmLauncher) -> None:
    slow = run("import time; print('began', flush=True); time.sleep(600)")
    handle = launcher.submit(slow)
    assert launcher.submit(slow) == handle
    wait(lambda: "began" in launcher.logs(handle))
    assert launcher.status(handle) is State.RUNNING
    other = SlurmLauncher(launcher.folder)
    assert other.submit(slow) == handle, "another process takes it up too"
    other.cancel(handle)
    wait(lambda: launcher.status(handle) is State.CANCELLED)
    launcher.cancel(handle)  # again: nothing happens
    again = launcher.submit(run("pass"))
    assert again != handle
    assert followed(launcher, again) is State.SUCCEEDED


def test_a_secret_goes_by_the_environment_alone(launcher: SlurmLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "s3cr3t")
    told = run("import os; print(len(os.environ['HF_TOKEN']))", secret_env={"HF_TOKEN": "MINE"})
    handle = launcher.submit(told)
    assert followed(launcher, handle) is State.SUCCEEDED, launcher.logs(handle)
    assert launcher.logs(handle).split() == ["6"]
    plan = launcher.plan(told)
    assert not any("s3cr3t" in line for line in plan.lines())
    assert "--export=HF_TOKEN" in plan.command
    monkeypatch.delenv("MINE")
    with pytest.raises(LauncherError, match="there is no MINE"):
        launcher.submit(told)


def test_a_partition_that_there_is_not(launcher: SlurmLauncher) -> None:
    launcher.options = SlurmOptions(partition="nope")
    with pytest.raises(LauncherError, match="invalid partition specified: nope"):
        launcher.submit(run("pass"))


def test_two_jobs_of_one_content_do_the_work_once(launcher: SlurmLauncher, tmp_path: Path) -> None:
    """Both were submitted in the same moment; the second finds the first one's exit code."""
    count = run(f"open({str(tmp_path / 'runs')!r}, 'a').write('x')")
    handle = launcher.submit(count)
    assert followed(launcher, handle) is State.SUCCEEDED
    second = subprocess.run(
        launcher._sbatch(count), input=launcher.plan(count).document, capture_output=True, text=True, check=True
    )
    assert followed(launcher, f"{ID}/{second.stdout.strip()}") is State.SUCCEEDED
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.skipif(REAL, reason="the stand-ins have these switches")
def test_a_queue_that_forgot_a_job_leaves_its_exit_code(launcher: SlurmLauncher, tools: Path) -> None:
    """Without accounting Slurm forgets a job some minutes after its end."""
    for code, state in ((0, State.SUCCEEDED), (5, State.FAILED)):
        handle = launcher.submit(run(f"import sys; sys.exit({code})"))
        assert followed(launcher, handle) is state
        (tools / "forgotten").touch()
        assert launcher.status(handle) is state
        (tools / "forgotten").unlink()


@pytest.mark.skipif(REAL, reason="the stand-ins have these switches")
def test_waiting_in_the_queue_is_bounded(launcher: SlurmLauncher, tools: Path) -> None:
    (tools / "hold").touch()
    handle = launcher.submit(run("pass"))
    assert launcher.status(handle) is State.PENDING
    end = follow(launcher, handle, lambda _: None, timeout=0.0001, start_timeout=0.3)
    assert (end.state, end.why) == (State.CANCELLED, "it waited for more than 0.3 s to start")
    assert launcher.status(handle) is State.CANCELLED


@pytest.mark.skipif(REAL, reason="the stand-ins have these switches")
def test_a_controller_that_is_away_for_a_while(launcher: SlurmLauncher, tools: Path) -> None:
    """A controller that restarts says nothing of the job; one that stays away is told of in its own words."""
    handle = launcher.submit(run("import time; time.sleep(0.5)"))
    (tools / "away").touch()
    with pytest.raises(LauncherError, match="Unable to contact slurm controller"):
        launcher.status(handle)
    with pytest.raises(LauncherError, match="Unable to contact slurm controller"):
        follow(launcher, handle, lambda _: None, patience=0.3)
    (tools / "away").unlink()
    assert followed(launcher, handle) is State.SUCCEEDED


def test_a_machine_without_slurm(launcher: SlurmLauncher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LauncherError, match="there is no squeue on this machine"):
        launcher.submit(run("pass"))
    monkeypatch.setenv("PATH", before)


def test_a_plan_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    wanted = {"nodes": 2, "processes": 4, "gpus": 4, "cpus": 8, "memory_gib": 1.5}
    made = job(["python", "train.py"], backend="slurm", resources=wanted, timeout_seconds=90)
    plan = SlurmLauncher(str(tmp_path), SlurmOptions(partition="gpu", options=["--exclusive"])).plan(made)
    assert plan.command[-1] == "--exclusive"
    for line in ("--nodes=2", "--gpus-per-node=4", "--cpus-per-task=8", "--mem=1536M", "--time=3", "--partition=gpu"):
        assert f"#SBATCH {line}\n" in plan.document
    assert '--nnodes=2 --rdzv-id=00c0ffee00c0ffee --rdzv-backend=c10d "--rdzv-endpoint=$head:$port"' in plan.document
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), max_size=4),
    st.text("ab'\"\n$`\\ {}", max_size=8),
)
def test_the_script_is_read_as_it_was_meant(tmp_path: Path, words: list[str], value: str) -> None:
    """bash reads the rendered script; a srun that prints what it is given stands in for the node."""
    made = job(["prog", *words], backend="slurm", env={"TOLD": value})
    fake = tmp_path / "srun"
    fake.write_text('#!/bin/bash\nprintf "%s\\0" "$TOLD" "$@"\n')
    fake.chmod(0o755)
    text = script(made, SlurmOptions(), str(tmp_path))
    (tmp_path / "exit.json").unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "-s"], input=text.encode(), env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True
    )
    told, *given_words = done.stdout.decode().split("\0")[:-1]
    assert done.returncode == 0, done.stderr
    assert told == value
    assert given_words[given_words.index("--") + 1 :] == ["prog", *words]
