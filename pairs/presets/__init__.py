"""Published rules for alt-text as files of `AltTextOptions`: read one by name, or copy one and edit it."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml


def names() -> list[str]:
    """The presets there are, sorted."""
    return sorted(
        file.name.removesuffix(".yaml") for file in resources.files(__name__).iterdir() if file.name.endswith(".yaml")
    )


@functools.cache
def load(name: str) -> Mapping[str, Any]:
    """A preset's options.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"no preset {name!r}; there are {', '.join(names())}, or a path that ends in .yaml{hint}")
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text("utf-8")
    return MappingProxyType(dict(yaml.safe_load(text)))
