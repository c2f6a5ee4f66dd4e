"""Jobs to launch, and the values that quoting breaks on."""

from __future__ import annotations

from typing import Any

from pipelines.train.launchers.base import Job
from pipelines.train.spec import TrainerSpec

ID = "00c0ffee00c0ffee"

HOSTILE = [
    "it's", 'a "b" c', "$(touch /tmp/pwned)", "`id`", "${HOME} $HOME $$", "line\none\r\n#SBATCH --wrap=x", "", " ",
    "\\", "a\\nb", "%j %% %A", "-- -x --help", "#", "; exit 3 &", "|", "> /dev/null", "*?[a]~", "!x",
    "\xe9 \u6f22\u5b57 \U0001f600 \u202e", "\t", "a: b", "- x", "{{ x }}", "{a,b}", "null", "\x01\x7f",
]  # fmt: skip
"""Words that some shell, YAML or scheduler reads as something else where they are not quoted right."""

ECHO = "import json, os, sys; json.dump([sys.argv[2:], os.environ['TOLD']], open(sys.argv[1], 'w'))"
"""A program that writes down its words and a variable."""


def job(argv: list[str], **fields: Any) -> Job:
    """A job of these words, as they are."""
    spec = TrainerSpec(argv=["x"], **fields)
    return Job(ID, spec, tuple(argv), "/results/" + ID)
