"""The batch script of a trainer on Slurm."""

from __future__ import annotations

import math
import re
import shlex

from pipelines.train.launchers.base import Job, torchrun
from pipelines.train.options import SlurmOptions

EXIT = "exit.json"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def quoted(word: str) -> str:
    """A word as bash reads it back: in single quotes, and in $'…' where it holds control characters.

    Single quotes would do for bash, but sbatch refuses a script that holds `\\r\\n` anywhere, and what follows a line break within
    quotes looks like a line of its own.
    """
    if not _CONTROL.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", escaped) + "'"


def script(job: Job, options: SlurmOptions, folder: str) -> str:
    """The script as sbatch reads it from its standard input.

    Directive lines hold numbers and names of a checked alphabet only; every other value is quoted. The exit code goes into a file:
    accounting, which would know it later, is not everywhere.

    Args:
        job: What to run.
        options: How it is queued.
        folder: Of the job; shared by all nodes.
    """
    wanted = job.spec.resources
    directives = [
        f"--job-name={job.name}",
        "--dependency=singleton",  # of two submitted in the same moment the second waits, and then finds the work done
        f"--nodes={wanted.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={wanted.cpus}",
        "--open-mode=append",
        "--no-requeue",
    ]
    if wanted.gpus:
        directives.append(f"--gpus-per-node={wanted.gpus}")
    if wanted.memory_gib is not None:
        directives.append(f"--mem={math.ceil(wanted.memory_gib * 1024)}M")
    if job.spec.timeout_seconds is not None:
        directives.append(f"--time={math.ceil(job.spec.timeout_seconds / 60) + 1}")  # minutes; one more, for the start
    for name in ("partition", "account", "qos", "constraint"):
        value = getattr(options, name)
        if value is not None:
            directives.append(f"--{name}={value}")
    ended = quoted(f"{folder}/{EXIT}")
    lines = ["#!/bin/bash", *(f"#SBATCH {line}" for line in directives), "set -euo pipefail"]
    # A twin of this job that ran first may have done the work.
    lines.append(f'if [ -e {ended} ] && [ "$(cat {ended})" = \'{{"code": 0}}\' ]; then exit 0; fi')
    lines += [f"export {name}={quoted(text)}" for name, text in {"PYTHONUNBUFFERED": "1", **job.spec.env}.items()]
    rendezvous: list[str] = []
    if wanted.nodes > 1:
        lines += [
            'nodes="$(scontrol show hostnames "$SLURM_JOB_NODELIST")"',
            "head=\"${nodes%%$'\\n'*}\"",  # no `| head`: a pipe that closes early would count as an error
            "port=$((20000 + SLURM_JOB_ID % 10000))",
        ]
        rendezvous = [
            f"--nnodes={wanted.nodes}",
            f"--rdzv-id={job.id}",
            "--rdzv-backend=c10d",
            "--rdzv-endpoint=$head:$port",
        ]
    words = [
        f'"{word}"' if word == "--rdzv-endpoint=$head:$port" else quoted(word) for word in torchrun(job, *rendezvous)
    ]
    lines += [
        "code=0",
        # Since 22.05 srun takes neither the script's CPUs nor, after sbatch --export, its environment by itself.
        f"srun --export=ALL --cpus-per-task={wanted.cpus} --kill-on-bad-exit=1 -- {' '.join(words)} || code=$?",
        f'printf \'{{"code": %d}}\' "$code" > {ended}.tmp && mv {ended}.tmp {ended}',
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"
