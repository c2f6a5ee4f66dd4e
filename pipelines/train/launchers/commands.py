"""Calls the command-line tool of a scheduler: words in, text out, never a shell."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from pipelines.train.launchers.base import LauncherError

_SECONDS = 120
_SAID_CHARACTERS = 2000


class CommandError(LauncherError):
    """The tool ended with an error.

    Attributes:
        code: Its exit code; None where it did not end in time.
        said: What it wrote to standard error.
    """

    def __init__(self, words: Sequence[str], code: int | None, said: str) -> None:
        """Names the tool and its subcommand, not all its words."""
        self.code, self.said = code, said
        how = f"ended with {code}" if code is not None else f"did not answer in {_SECONDS} s"
        super().__init__(f"{' '.join(words[:2])} {how}: {said.strip()[-_SAID_CHARACTERS:]}")


def call(words: Sequence[str], *, data: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """Runs a tool and returns what it printed.

    Args:
        words: Program and arguments.
        data: Its standard input.
        env: Its whole environment; None: this process's.

    Raises:
        LauncherError: It is not installed, failed or did not end.
    """
    try:
        done = subprocess.run(
            words, input=data, capture_output=True, timeout=_SECONDS, env=None if env is None else dict(env)
        )
    except FileNotFoundError as error:
        raise LauncherError(f"there is no {words[0]} on this machine: the backend needs it on the PATH") from error
    except OSError as error:
        raise LauncherError(f"{words[0]} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(words, None, "") from error
    if done.returncode:
        raise CommandError(words, done.returncode, done.stderr.decode("utf-8", "replace"))
    return done.stdout
