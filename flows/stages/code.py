"""The recipe version of a stage's code, with the releases of the libraries that its output depends on."""

from __future__ import annotations

import unicodedata
from importlib import metadata


def code_of(version: str, *libraries: str) -> str:
    """The recipe version of a stage's code: our own number, and the releases of the libraries that its output depends on."""
    # Classes of characters come from Python's own tables, which grow with its releases.
    tables = f"unicode-{unicodedata.unidata_version}"
    return "+".join([version, tables, *(f"{name}-{_release(name)}" for name in libraries)])


def _release(name: str) -> str:
    """A library's release; of one that is not installed, none: the stage that needs it will say so."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
