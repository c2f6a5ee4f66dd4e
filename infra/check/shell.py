"""Shell and batch scripts: shellcheck, and that they stop at the first error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from infra.check.common import Fault, Tools


def check(shown: str, text: str, tools: Tools) -> Iterator[Fault]:
    """Faults of a script."""
    shell = "bash" if text.startswith("#!/bin/bash") else "sh"
    _, said = tools.run("shellcheck", f"--shell={shell}", "--severity=style", "--format=json", "-", data=text)
    for one in json.loads(said):
        yield Fault(shown, f"line {one['line']}", f"SC{one['code']}: {one['message']}")
    if not re.search(r"^set -e", text, re.MULTILINE):
        yield Fault(shown, "", "goes on after an error: set -eu")
    if "#SBATCH" in text:
        for name in ("--job-name", "--cpus-per-task", "--dependency=singleton"):
            if f"#SBATCH {name}" not in text:
                yield Fault(shown, "", f"has no #SBATCH {name}")
