"""Ends the in-process Prefect server of a build that was killed: `python -m flows.guardian PID`.

Prefect runs its server as a child. A build that ends stops it; a build that is killed with -9 cannot, and the server would stay,
holding the terminal or pipe that it inherited. This process waits for the build's end and then ends what it left. Trainers are left
alone: they outlive their build on purpose. Linux only (it reads /proc); elsewhere it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_POLL_SECONDS = 1.0
_SERVER = b"prefect.server"


def watch_over_this_process() -> None:
    """Starts a guardian, unless the user's own Prefect server is used."""
    if os.environ.get("PREFECT_API_URL") or not Path("/proc/self/stat").exists():
        return
    words = [sys.executable, "-m", "flows.guardian", str(os.getpid())]
    nothing = subprocess.DEVNULL
    subprocess.Popen(words, start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing)


def _stat(pid: int) -> tuple[int, str] | None:
    """Parent and start time of a process, None where it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(words[1]), words[19]


def _servers(parent: int) -> dict[int, str]:
    """Prefect servers among a process's children: number -> start time."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and (stat := _stat(int(place.name))) is not None and stat[0] == parent:
            with contextlib.suppress(OSError):
                if _SERVER in (place / "cmdline").read_bytes():
                    found[int(place.name)] = stat[1]
    return found


def guard(parent: int) -> None:
    """Waits until `parent` is gone, then ends the servers that were its children."""
    servers: dict[int, str] = {}
    while os.getppid() == parent:
        servers |= _servers(parent)
        time.sleep(_POLL_SECONDS)
    for pid, started in servers.items():
        stat = _stat(pid)
        # The start time tells the server from a later process with the same number.
        if stat is not None and stat[1] == started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    guard(int(sys.argv[1]))
