"""`training/index.html` of a version: a line a run, with a link to its page. A version itself never changes; this page does.

It is written anew after each run, from what the runs left. Nothing that a trainer wrote is trusted: numbers are numbers or are left
out, texts are escaped and cut, and only folders that are named as our runs are linked to.
"""

from __future__ import annotations

import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2

from pipelines import storage

PAGE: Final[str] = "index.html"
_RUN = re.compile(r"[0-9a-f]{16}")
_MOST: Final[int] = 1000
_MAX_BYTES: Final[int] = 4 << 20
_COLUMNS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("steps", ("steps",), "{:,.0f}"),
    ("loss", ("loss_last",), "{:.3f}"),
    ("of chance", ("loss_chance",), "{:.3f}"),
    ("text→image R@1", ("retrieval", "text_to_left", "recall_at_1"), "{:.1%}"),
    ("R@5", ("retrieval", "text_to_left", "recall_at_5"), "{:.1%}"),
    ("chance at 1", ("retrieval", "chance_at_1"), "{:.2%}"),
    ("gap", ("modality_gap",), "{:.3f}"),
    ("pairs/s", ("samples_per_s",), "{:,.0f}"),
    ("time, s", ("seconds",), "{:,.0f}"),
)
"""Heading, path in result.json, form."""


def _number(found: Any, path: tuple[str, ...], form: str) -> str:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return "-"
    return form.format(found)


def _word(found: Any) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in str(found)[:80])


def _outcome(path: Path) -> dict[str, Any]:
    """What a run left; nothing where that cannot be read."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _run(folder: Path, outcome: str) -> dict[str, Any]:
    told = _outcome(folder / outcome)
    result = told["result"] if isinstance(told.get("result"), dict) else {}
    return {
        "name": folder.name,
        "page": (folder / "report.html").is_file(),
        "state": _word(told.get("state", "not finished")),
        "model": _word(result.get("model", "-")),
        "control": _word(result.get("control", "-")),
        "numbers": [_number(result, path, form) for _, path, form in _COLUMNS],
    }


def render(jobs: Path, outcome: str) -> bytes:
    """The page of the runs that lie in a folder.

    Args:
        jobs: `training/` of a version.
        outcome: Name of the file in which each run's outcome is.

    Returns:
        UTF-8; runs by name, the first thousand.
    """
    folders = sorted(entry for entry in jobs.iterdir() if _RUN.fullmatch(entry.name) and entry.is_dir())
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    source = resources.files("pipelines.train").joinpath("runs_page.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        columns=[heading for heading, _, _ in _COLUMNS],
        runs=[_run(folder, outcome) for folder in folders[:_MOST]],
        more=max(0, len(folders) - _MOST),
    )
    return page.encode("utf-8", "replace")


def write(jobs: str, outcome: str) -> None:
    """Writes the page beside the runs; in an object store, where a folder cannot be listed cheaply, none."""
    if storage.is_local(jobs):
        storage.write_bytes(storage.join(jobs, PAGE), render(storage.local_path(jobs), outcome))
