"""What the checks share: how a fault is told, which images are pinned, what looks like a secret, and how a tool is run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_SECRET = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH_STRING|CONNECTION_URL)", re.IGNORECASE
)
_PLACE = re.compile(r"(_PATH|_FILE|_FROM_FILE|_NAME|_MODE)$", re.IGNORECASE)


class ToolMissingError(Exception):
    """A tool of requirements/infra-tools.lock is not there; the message says which."""


@dataclass(frozen=True, order=True, slots=True)
class Fault:
    """Something that is wrong: in which file, where in it, and what."""

    path: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.place}: {self.message}" if self.place else f"{self.path}: {self.message}"


def unpinned(image: str) -> str | None:
    """Why an image reference does not say which image it is, None where it does."""
    if "@sha256:" in image:
        return None
    tag = image.rpartition("/")[2].partition(":")[2]
    if not tag:
        return f"image {image} has no tag"
    return f"image {image}: latest is another image every day" if tag == "latest" or tag.endswith("-latest") else None


def holds_secret(name: str, value: object) -> bool:
    """Whether a variable of this name and value seems to hold a secret, rather than say where one lies."""
    return bool(value) and isinstance(value, str) and bool(_SECRET.search(name)) and not _PLACE.search(name)


def documents(path: Path) -> list[Any]:
    """The documents of a YAML or JSON file that are not empty; aliases are followed, merge keys too."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def walk(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested lists and maps, with its place as `a.b.0`."""
    yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, f"{place}.{key}" if place else str(key))


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the tools of requirements/infra-tools.lock are.

    Attributes:
        folder: Their bin folder; None looks on the PATH.
    """

    folder: Path | None = None

    def find(self, name: str) -> str:
        """Path of a tool.

        Raises:
            ToolMissingError: It is not there.
        """
        found = shutil.which(name, path=None if self.folder is None else str(self.folder))
        if found is None:
            raise ToolMissingError(
                f"{name} is not in {self.folder or 'the PATH'}: pip install -r requirements/infra-tools.lock"
            )
        return found

    def run(self, name: str, *words: str, data: str | None = None) -> tuple[int, str]:
        """Exit code, and what it printed to either output."""
        said: Sequence[str] = [self.find(name), *words]
        done = subprocess.run(
            said, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
        )
        return done.returncode, done.stdout
