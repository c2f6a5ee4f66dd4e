"""Engines of the tests' own: a script that upper-cases lines, and what it can be told to do wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

SCRIPT = r"""
import os, sys, time
log, fault = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "")
def say(line):
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
with open(log, "ab") as file:
    file.write(b"start\n")
late = b""
for line in sys.stdin.buffer:
    with open(log, "ab") as file:
        file.write(line)
    if b"CRASH" in line:
        sys.stderr.write("cannot parse this: boom\n")
        sys.exit(3)
    if b"KILL" in line:
        os.kill(os.getpid(), 9)
    if b"HANG" in line:
        time.sleep(600)
    if b"LOSE" in line:
        continue
    if b"TWICE" in line:
        say(line)
    if b"FLOOD" in line:
        while True:
            say(b"x" * 65536)
    if b"BYTES" in line:
        line = b"\xff\xfe\n"
    if b"SLIP" in line:  # the count is right, what is after the line is on the next one
        line, late = b"one\n", b"two "
    elif line.strip() and late:
        line, late = late + line, b""
    if b"NOTHING" in line:
        line = b"\n"
    if fault == "slip" and not line.strip():
        line = late or line
    say(line.decode("utf-8", "replace").upper().encode("utf-8") if b"\xff" not in line else line)
if fault == "code":
    sys.exit(7)
"""


def engine(folder: Path, *more: str, **options: Any) -> dict[str, Any]:
    """The recipe's words on the script, which notes what it is given in `folder`/log."""
    script = folder / "engine.py"
    script.write_text(SCRIPT)
    return {
        "type": "command",
        "argv": [sys.executable, "{script}", str(folder / "log"), *more],
        "files": {"script": str(script)},
        "batch_size": 16,
        **options,
    }


def asked(folder: Path) -> list[str]:
    """The sentences that the script was given so far, in order; fences left out."""
    log = folder / "log"
    return [line for line in log.read_text().splitlines() if line and line != "start"] if log.exists() else []


def starts(folder: Path) -> int:
    """How often it was started."""
    return (folder / "log").read_text().splitlines().count("start")
