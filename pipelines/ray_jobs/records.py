"""The record of a unit of work: written behind its part, it says that the unit is finished and what came of it."""

from __future__ import annotations

import sys
from typing import Any

import orjson

from pipelines import storage
from pipelines.manifest import Part


def record_path(path: str) -> str:
    """Where the record of the unit that writes `path` lies, relative to the stage's folder."""
    return f"records/{path}.json"


def write_record(folder: str, path: str, record: dict[str, Any]) -> None:
    """Says that the unit that writes `path` is finished, and for whoever looks for a bad machine, on which of Ray's nodes."""
    data = orjson.dumps(record | {"node": _node()}, option=orjson.OPT_SORT_KEYS)
    storage.write_bytes(storage.join(folder, record_path(path)), data)


def _node() -> str | None:
    """Ray's id of this node; None outside of Ray."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context().get_node_id() if ray is not None and ray.is_initialized() else None


def finished(folder: str, path: str, *, content: bool = True) -> dict[str, Any] | None:
    """The record of a unit that is finished, None where it must be made: a part is gone or another.

    Args:
        folder: The stage's.
        path: The unit's part.
        content: Hold the parts against their sha256 too, which reads them: for what an earlier run left.
    """
    url = storage.join(folder, record_path(path))
    if not storage.exists(url):
        return None
    try:
        record = orjson.loads(storage.read_bytes(url))
        parts = [Part.model_validate(part) for part in record["parts"]]
    except (ValueError, KeyError, TypeError):
        return None
    for part in parts:
        place = storage.join(folder, part.path)
        if not storage.exists(place) or storage.size(place) != part.bytes:
            return None
        if content and storage.sha256_of(place) != part.sha256:
            return None
    return record
