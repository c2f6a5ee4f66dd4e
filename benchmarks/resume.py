"""Stops training with kill -9, goes on, and draws both loss curves: they are one.

    python -m benchmarks.resume VERSION --out DIR [--steps N] [--kill-at STEP]…

Trains once without a break and once with the process killed after each of the named steps and the same command given again. Prints
the greatest difference of any step's loss, draws `resume.png`, and exits 1 if there is a difference.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from pipelines.train.reference.chart import COLOURS, Chart
from pipelines.train.reference.metrics import METRICS, read_metrics


def start(version: Path, out: Path, steps: int) -> subprocess.Popen[str]:
    """The trainer as a process, one thread."""
    options = [
        "--steps",
        str(steps),
        "--checkpoint-every",
        "25",
        "--log-every",
        "1",
        "--threads",
        "1",
        "--batches",
        "mixed",
    ]
    words = [sys.executable, "-m", "pipelines.train.reference", "--dataset", str(version), "--out", str(out), *options]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], step: int) -> int:
    """Kills the process once it says that step; returns the step that it had resumed at, 0 for none."""
    resumed = 0
    for line in process.stdout or ():
        words = dict(word.partition("=")[::2] for word in line.split())
        resumed = int(words.get("resumed_at", resumed))
        if words.get("step") == str(step):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    return resumed


def draw(path: Path, whole: list[float], broken: list[float], kills: list[int], resumed: list[int]) -> None:
    """Each process's part of the broken run as a line of its own, the unbroken run as dots on it."""
    title = "kill -9 after steps " + " and ".join(map(str, kills)) + "; dots: a run without a break"
    top = max(whole) * 1.12
    chart = Chart(title, x="step", y="loss, nats", x_range=(0, len(whole)), y_range=(0, top))
    begins, ends = [0, *resumed], [*resumed, len(broken)]
    for begin, end, colour in zip(begins, ends, COLOURS * 9, strict=False):
        points = [(step, broken[step - 1]) for step in range(max(1, begin), end + 1)]
        chart.line(points, colour, f"steps {begin + 1} to {end}")
    chart.dots(list(enumerate(whole, 1)), "#222222", radius=2)
    for step in kills:
        chart.dots([(step, top * part / 60) for part in range(61)], "#c2185b", radius=2)
    chart.save(path)


def main() -> int:
    """Trains, compares and draws; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path, help="folder of a published version")
    parser.add_argument("--out", type=Path, required=True, help="folder for both runs and the picture")
    parser.add_argument("--steps", type=int, default=200, help="default: 200")
    parser.add_argument("--kill-at", type=int, action="append", help="default: 63 and 138")
    given = parser.parse_args()
    kills, resumed = given.kill_at or [63, 138], []
    for step in kills:
        resumed.append(kill_after(start(given.version, given.out / "broken", given.steps), step))
    resumed.append(kill_after(start(given.version, given.out / "broken", given.steps), -1))
    kill_after(start(given.version, given.out / "whole", given.steps), -1)
    whole, broken = ([row["loss"] for row in read_metrics(given.out / name / METRICS)] for name in ("whole", "broken"))
    most = max((abs(a - b) for a, b in zip(whole, broken, strict=True)), default=0.0)
    draw(given.out / "resume.png", whole, broken, kills, resumed[1:])
    print(
        f"steps {len(broken)} of {given.steps}, resumed at {resumed[1:]}, greatest difference of a step's loss {most:g}"
    )
    return int(most > 0 or len(broken) != given.steps)


if __name__ == "__main__":
    sys.exit(main())
