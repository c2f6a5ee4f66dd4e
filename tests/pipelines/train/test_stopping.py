"""A run that is asked to end keeps what it did, and two runs do not write to one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.train.reference.checkpoint import listed
from pipelines.train.reference.config import TrainConfig, TrainingError
from pipelines.train.reference.metrics import METRICS, read_metrics
from pipelines.train.reference.stopping import alone_in, listening
from pipelines.train.reference.trainer import RESULT, train

STEPS = ("--batch-size", "8", "--size", "32", "--threads", "1", "--log-every", "1", "--no-report", "--steps")


def stopped(version: Path, out: Path, asked: signal.Signals, *more: str) -> tuple[int, str]:
    """A run whose processes are all sent a signal after its fifth step, as a terminal and a scheduler do: code, last words."""
    words = [sys.executable, "-m", "pipelines.train.reference", "--dataset", str(version), "--out", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen([*words, *STEPS, "5000", *more], **pipes)
    for line in process.stdout:
        if line.startswith("step=5 "):
            os.killpg(process.pid, asked)
    said = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    return process.wait(timeout=60), said


@pytest.mark.parametrize(
    ("asked", "more"),
    [(signal.SIGTERM, []), (signal.SIGTERM, ["--workers", "1"]), (signal.SIGINT, ["--workers", "1"])],
)
def test_a_run_that_is_asked_to_end_keeps_its_last_step(small, tmp_path, asked, more):
    """Up to 200 steps were lost by each preemption, and Ctrl-C ended in a traceback."""
    out = tmp_path / "out"
    code, said = stopped(small, out, asked, *more)
    (checkpoint,) = listed(out)
    last = int(checkpoint.stem.removeprefix("step-"))
    assert code == 128 + asked
    assert f"{asked.name}: stopped after step {last}; a checkpoint is kept" in said
    assert "Traceback" not in said
    assert [row["step"] for row in read_metrics(out / METRICS)] == list(range(1, last + 1))
    assert not (out / RESULT).exists()


def test_without_checkpoints_none_is_kept_and_it_is_said(small, tmp_path):
    code, said = stopped(small, tmp_path / "out", signal.SIGTERM, "--checkpoint-every", "0")
    assert code == 143
    assert "--checkpoint-every 0 keeps no checkpoint" in said
    assert not listed(tmp_path / "out")


def test_signals_are_heard_for_a_while_only():
    before = signal.getsignal(signal.SIGTERM)
    with listening() as wish:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # both at once are one wish
        assert wish.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_is_ignored_stays_so():
    """nohup and a shell's background jobs ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening() as wish:
            os.kill(os.getpid(), signal.SIGINT)
            assert wish.signal == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_two_runs_do_not_write_to_one_folder(small, tmp_path, monkeypatch):
    """Their metrics and checkpoints were mixed, and each said that all was well."""
    config = TrainConfig(dataset=small, out=tmp_path, steps=1, batch_size=8, size=32, threads=1, report=False)
    with alone_in(tmp_path):
        monkeypatch.setattr(alone_in.__wrapped__, "__kwdefaults__", {"wait_seconds": 0.1})
        with pytest.raises(TrainingError, match=f"another run is writing to .* \\(process {os.getpid()} on "):
            train(config)
    assert train(config)["steps"] == 1, "the folder is free again"


def test_a_process_that_decodes_and_is_killed_is_named_wherever_the_run_is(small, tmp_path):
    """DataLoader raises its error in the middle of whatever the main thread does: it was a traceback out of a step."""
    words = [sys.executable, "-m", "pipelines.train.reference", "--dataset", str(small), "--out", str(tmp_path / "out")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*words, *STEPS, "5000", "--workers", "1"], **pipes)
    for line in process.stdout:
        if line.startswith("step=5 "):
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                if "pipelines.train.reference" in Path(f"/proc/{child}/cmdline").read_text():
                    os.kill(int(child), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    # DataLoader may say the same once more as it is taken down.
    assert "error: a process that decodes batches died" in said
