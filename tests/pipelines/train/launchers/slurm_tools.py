"""Slurm's commands as far as the launcher uses them, as they were seen to behave in Slurm 22.05 with one node and no accounting.

Installed under the names of the real ones, over a folder of jobs. `test_slurm.py` runs the same tests with both.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

JOBS = Path(__file__).parent / "jobs"
PARTITIONS = ("main",)


def load(number: str) -> dict:
    return json.loads((JOBS / number).read_text())


def save(number: str, record: dict) -> None:
    unfinished = JOBS / f".{number}.{os.getpid()}"
    unfinished.write_text(json.dumps(record))
    unfinished.replace(JOBS / number)


def options(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        found[name] = value
    return found


def fail(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.exit(1)


def sbatch(words: list[str]) -> None:
    script = sys.stdin.buffer.read().decode()
    if not script.startswith("#!"):
        fail("sbatch: error: This does not look like a batch script.")
    if "\r\n" in script:
        fail("sbatch: error: Batch script contains DOS line breaks")
    directives = []
    for line in script.splitlines():  # until the first command
        if line.startswith("#SBATCH "):
            directives.append(line.removeprefix("#SBATCH "))
        elif line and not line.startswith("#"):
            break
    known = options(directives) | options(words)
    if known.get("partition", "main") not in PARTITIONS:
        fail("sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed")
    kept = [] if known["export"] == "NONE" else known["export"].split(",")
    environment = {name: os.environ[name] for name in [*kept, "PATH"]}
    JOBS.mkdir(exist_ok=True)
    number = str(1 + max([int(path.name) for path in JOBS.iterdir() if path.name.isdigit()], default=0))
    log = re.sub(r"%(.)", lambda match: {"j": number}.get(match[1], match[1]), known["output"])
    save(number, {"name": known["job-name"], "state": "PENDING", "script": script, "log": log, "chdir": known["chdir"]})
    subprocess.Popen(
        [sys.executable, __file__, "run", number], env=environment, start_new_session=True, close_fds=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    print(number)


def run(number: str) -> None:
    record = load(number)
    while (JOBS.parent / "hold").exists():
        time.sleep(0.02)
        if load(number)["state"] == "CANCELLED":
            return
    with open(record["log"], "ab") as log:  # noqa: PTH123
        process = subprocess.Popen(
            ["bash", "-c", record["script"]], cwd=record["chdir"], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "SLURM_JOB_ID": number, "SLURM_JOB_NODELIST": "localhost"},
        )  # fmt: skip
        save(number, {**record, "state": "RUNNING", "group": process.pid})
        code = process.wait()
    if load(number)["state"] != "CANCELLED":
        save(number, {**load(number), "state": "COMPLETED" if code == 0 else "FAILED"})


def squeue(words: list[str]) -> None:
    asked = options(words)
    if "jobs" in asked:
        if not (JOBS / asked["jobs"]).exists() or (JOBS.parent / "forgotten").exists():
            fail("slurm_load_jobs error: Invalid job id specified")
        print(load(asked["jobs"])["state"])
        return
    for path in sorted(JOBS.iterdir()) if JOBS.exists() else []:
        if (
            path.name.isdigit()
            and load(path.name)["name"] == asked["name"]
            and load(path.name)["state"] in ("PENDING", "RUNNING")
        ):
            print(path.name)


def scancel(words: list[str]) -> None:
    record = load(words[0])
    save(words[0], {**record, "state": "CANCELLED"})
    if "group" in record:
        os.killpg(record["group"], signal.SIGTERM)


def main() -> None:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    if (JOBS.parent / "away").exists() and name != "srun" and words[:1] != ["run"]:
        fail(f"{name}: error: Unable to contact slurm controller (connect failure)")
    if name == "srun":
        program = words[words.index("--") + 1 :]
        os.execvp(program[0], program)  # noqa: S606
    elif name == "sacct":
        fail("Slurm accounting storage is disabled")
    elif words[:1] == ["run"]:
        run(words[1])
    else:
        {"sbatch": sbatch, "squeue": squeue, "scancel": scancel}[name](words)


if __name__ == "__main__":
    main()
