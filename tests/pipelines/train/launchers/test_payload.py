"""A command through every reader that Ray and KubeRay put before it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.train.launchers.payload import entrypoint, unpacked
from tests.pipelines.train.launchers.jobs import ECHO, HOSTILE


def test_through_sh_as_ray_does_and_through_bash_and_sh_as_kuberay_does(tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    line = entrypoint([sys.executable, "-c", ECHO, str(seen), *HOSTILE], {"TOLD": "".join(HOSTILE)}, sys.executable)
    # KubeRay: bash reads the line, `ray job submit` joins the words again (older ones as Windows does), sh reads that.
    words = subprocess.run(
        ["bash", "-c", f'printf "%s\\0" {line}'], capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]
    for text in (line, shlex.join(words), subprocess.list2cmdline(words)):
        seen.unlink(missing_ok=True)
        subprocess.run(["sh", "-c", text], check=True)
        assert json.loads(seen.read_text()) == [HOSTILE, "".join(HOSTILE)]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(), min_size=1), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_words_come_back(argv: list[str], env: dict[str, str]) -> None:
    line = entrypoint(argv, env)
    assert unpacked(line) == (argv, env)
    assert not set('"$`\\\n') & set(line)


def test_a_command_that_is_too_long_for_a_line() -> None:
    with pytest.raises(ValueError, match="fit into one line of a shell"):
        entrypoint(["x" * 100_000], {})
