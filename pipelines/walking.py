"""Local files that a pattern names, where links may lead back to a folder above them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

_ANY = "/**/"


def matches(pattern: str) -> list[str]:
    """What a pattern names, sorted, each once; a link to a folder that the link itself is in is not followed.

    The library's own `**` goes round such a link 40 times, and with two of them it does not come to an end.

    Args:
        pattern: A glob; `**` between slashes stands for any folders, hidden ones left out.
    """
    if pattern.endswith(_ANY.rstrip("/")):
        pattern += "/*"
    if _ANY not in pattern:
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (a pattern that is absolute)
    return sorted(set(_found(pattern)))


def _found(pattern: str) -> Iterator[str]:
    head, any_folder, rest = pattern.partition(_ANY)
    if not any_folder:
        yield from glob.glob(pattern)  # noqa: PTH207
        return
    for top in glob.glob(head or "/"):  # noqa: PTH207
        for folder in _folders(top, frozenset()):
            yield from _found(f"{glob.escape(folder)}/{rest}")


def _folders(folder: str, above: frozenset[str]) -> Iterator[str]:
    """A folder and all below it that are not hidden, as `**` takes them."""
    real = os.path.realpath(folder)
    if real in above or not os.path.isdir(folder):  # noqa: PTH112 (a pattern has thousands of these)
        return
    yield folder
    with os.scandir(folder) as entries:
        names = sorted(entry.path for entry in entries if not entry.name.startswith("."))
    for name in names:
        yield from _folders(name, above | {real})
