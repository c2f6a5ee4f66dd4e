"""Waits for a command and writes down how it ended: `python -m pipelines.train.launchers.supervise EXIT.json PROGRAM WORD …`.

A trainer outlives the build that started it, if that is killed. Whoever takes it up later is not its parent and could not learn its
exit code; it is in the file.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Runs the command in this process group; returns its exit code (128 + n where signal n ended it)."""
    place, *words = sys.argv[1:]
    # The whole group is asked to end; this process stays until the command has. A handler, since a signal that is ignored would
    # be ignored by the command too.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: None)
    code = subprocess.call(words, stdin=subprocess.DEVNULL)
    if code < 0:  # a command that was killed could say nothing itself
        why = ", as the kernel does when the machine's memory is full" if code == -signal.SIGKILL else ""
        print(f"ended by signal {-code} ({signal.strsignal(-code)}){why}", flush=True)
    path = Path(place)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps({"code": code}))
    unfinished.replace(path)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
