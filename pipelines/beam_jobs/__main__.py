"""Runs one Beam job from its spec: `python -m pipelines.beam_jobs SPEC.json`.

Exit codes: 0 done; 1 failed, with one JSON line `{"error": …, "expected": …}` last on standard error, where `expected` tells a
fault of the input or the disk from one of ours.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
import traceback
from pathlib import Path

_EXPECTED = re.compile(r"(?:SourceError|StorageError|LedgerError): (?P<words>.*?)(?: \[while running|\n|$)")


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, so that a killed build leaves no writer behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Reads the spec, runs its job."""
    _end_with_parent()
    spec = json.loads(Path(sys.argv[1]).read_bytes())
    from pipelines.beam_jobs import annotate, pairs_job, table_job
    from pipelines.jobs import passes

    jobs = {"annotate": annotate.run, "pairs": pairs_job.run, "table": table_job.run}
    try:
        jobs[spec["job"]](spec)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        found = list(_EXPECTED.finditer(trace))
        print(trace, file=sys.stderr)
        words = found[-1]["words"] if found else f"{type(error).__name__}: {error}"
        said = {"error": words, "expected": bool(found), "passing": passes(error)}
        print(json.dumps(said), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.flush()
    # Beam's worker threads may linger after a failure; the work is done or has failed, and all files are closed.
    code = main()
    sys.stderr.flush()
    os._exit(code)
