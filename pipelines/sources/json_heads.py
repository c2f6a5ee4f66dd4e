"""The first objects of files of JSON lines, and which fields they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from pipelines.sources.reading import BOM, SourceError, json_value

HEAD_BYTES = 1 << 20
HEAD_RECORDS = 100


def objects(head: bytes, url: str) -> Iterator[dict[str, Any]]:
    """The objects among the first 100 lines of a file's beginning; lines that are none are passed over.

    Args:
        head: The first lines, of some `HEAD_BYTES`.
        url: For errors.

    Raises:
        SourceError: The file is one array or one object over many lines.
    """
    lines = head.removeprefix(BOM).split(b"\n")
    first = next((line.strip() for line in lines if line.strip()), b"")
    if first[:1] == b"[" or first == b"{":
        what = "one array" if first[:1] == b"[" else "one object over several lines"
        raise SourceError(f"{url}: holds {what}; one object a line is wanted (jq -c writes such)")
    for line in lines[:HEAD_RECORDS]:
        try:
            values = json_value(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(values, dict):
            yield values


def no_lines(head: bytes, url: str) -> str | None:
    """What is wrong with a file that has no object at its beginning; None where it is empty, or JSON that was damaged."""
    begin = head.removeprefix(BOM).lstrip()
    if not begin or begin[:1] == b"{":
        return None
    text = begin[:40].split(b"\n")[0].decode("utf-8", "replace").strip()
    shown = text if text.replace("\t", " ").isprintable() else begin[:8]
    return (
        f"{url}: is read as JSON lines, and none of its first lines is an object: it begins with {shown!r}; leave it out of "
        "`path`, or say `format`"
    )


def kind_of(value: Any) -> str:
    """What JSON calls a value."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "true or false" if isinstance(value, bool) else "a string" if isinstance(value, str) else "a number"


def is_there(values: dict[str, Any], path: Sequence[str]) -> bool:
    """Whether an object has a field at a path of names; what is in a list is not looked at."""
    inner: Any = values
    for name in path:
        if isinstance(inner, list):
            return True
        if not isinstance(inner, dict) or name not in inner:
            return False
        inner = inner[name]
    return True
