"""Files that a pattern with `**` names, where links may lead back to a folder above them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

from pipelines import storage

_ANY = "/**/"


def expand(pattern: str) -> list[str]:
    """As `storage.expand`, each file once: a link to a folder that the link itself is in is not followed.

    The library's own `**` goes round such a link 40 times, and with two of them it does not come to an end.

    Raises:
        StorageError: Nothing is there.
    """
    if pattern.endswith(_ANY.rstrip("/")):
        pattern += "/*"
    if not storage.is_local(pattern) or _ANY not in pattern or os.path.isfile(pattern):  # noqa: PTH113
        return storage.expand(pattern)
    files = [name for name in sorted(set(_found(pattern))) if os.path.isfile(name) or _is_gone(name)]  # noqa: PTH113
    if not files:
        raise storage.StorageError(f"no file at {pattern!r}")
    return [url for name in files for url in storage.expand(name)]


def _is_gone(name: str) -> bool:
    return not os.path.exists(name)  # noqa: PTH110  (a link to nothing, of which `storage.expand` tells)


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
    if real in above or not os.path.isdir(folder):  # noqa: PTH112
        return
    yield folder
    with os.scandir(folder) as entries:
        names = sorted(entry.path for entry in entries if not entry.name.startswith("."))
    for name in names:
        yield from _folders(name, above | {real})
