"""A command as one line that every shell reads alike.

Ray gives a job's entrypoint to `/bin/sh -c`, and KubeRay lets bash and Ray's own command line read it before; quoting for three
readers fails on some value one day. Here words and environment travel as base64 of JSON, which no shell touches, and a fixed line
of Python, without quotes, dollars or backslashes inside, unpacks them and becomes the command.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

_UNPACK = "import base64,json,os,sys;e,w=json.loads(base64.urlsafe_b64decode(sys.argv[1]));os.environ.update(e);os.execvp(w[0],w)"
_MOST_BYTES = 120_000  # Linux takes 128 KiB for one word, and `sh -c` is given the whole line as one


def entrypoint(argv: Sequence[str], env: Mapping[str, str], python: str = "python") -> str:
    """The line that runs `argv` with `env` added to the environment.

    Args:
        argv: The command.
        env: Variables.
        python: The interpreter's name there: a plain word; any Python 3.

    Raises:
        ValueError: The command is too long for one line.
    """
    data = json.dumps([dict(env), list(argv)], separators=(",", ":")).encode()
    line = f"{python} -c '{_UNPACK}' {base64.urlsafe_b64encode(data).decode()}"
    if len(line) > _MOST_BYTES:
        raise ValueError(
            f"the command and its environment take {len(line):,} bytes; {_MOST_BYTES:,} fit into one line of a shell"
        )
    return line


def unpacked(line: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment in a line that `entrypoint` made."""
    env, argv = json.loads(base64.urlsafe_b64decode(line.rpartition(" ")[2]))
    return argv, env
