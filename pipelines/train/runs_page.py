"""`training/index.html` of a version: a line a run, with a link to its page. A version itself never changes; this page does.

It is written anew after each run, from what the runs left. Nothing that a trainer wrote is trusted: numbers are numbers or are left
out, texts are escaped and cut, and only folders that are named as our runs are linked to.
"""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import Any, Final

from pipelines import storage

PAGE: Final[str] = "index.html"
_RUN = re.compile(r"[0-9a-f]{16}")
_MOST: Final[int] = 1000
_MAX_BYTES: Final[int] = 4 << 20
_HEAD: Final[str] = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Training runs</title><style>
:root { --paper: #fbfaf7; --card: #fff; --ink: #1d2327; --soft: #5d666d; --line: #dcdad3; --kept: #2f7d6b; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181a; --card: #1d2124; --ink: #e7e6e2; --soft: #a0a8ad; --line: #353b3f; --kept: #48a890; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 28px; margin: 0 0 12px; } a { color: var(--kept); } .soft { color: var(--soft); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: start; padding: 6px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: 13px; } .num { text-align: end; }
</style></head><body><main>
"""
_COLUMNS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("steps", ("steps",), "{:,.0f}"),
    ("loss", ("loss_last",), "{:.3f}"),
    ("of chance", ("loss_chance",), "{:.3f}"),
    ("text to image R@1", ("retrieval", "text_to_left", "recall_at_1"), "{:.1%}"),
    ("R@5", ("retrieval", "text_to_left", "recall_at_5"), "{:.1%}"),
    ("chance at 1", ("retrieval", "chance_at_1"), "{:.2%}"),
    ("gap", ("modality_gap",), "{:.3f}"),
    ("pairs a second", ("samples_per_s",), "{:,.0f}"),
    ("seconds", ("seconds",), "{:,.0f}"),
)
"""Heading, path in result.json, form."""


def _number(found: Any, path: tuple[str, ...], form: str) -> str:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return "-"
    return form.format(found)


def _word(found: Any) -> str:
    text = "".join(c if c.isprintable() else "\ufffd" for c in str(found)[:80])
    return html.escape(text)


def _outcome(path: Path) -> dict[str, Any]:
    """What a run left; nothing where that cannot be read."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def render(jobs: Path, outcome: str) -> bytes:
    """The page of the runs that lie in a folder.

    Args:
        jobs: `training/` of a version.
        outcome: Name of the file in which each run's outcome is.

    Returns:
        UTF-8; runs by name, the first thousand.
    """
    names = sorted(entry.name for entry in jobs.iterdir() if _RUN.fullmatch(entry.name) and entry.is_dir())
    rows = []
    for name in names[:_MOST]:
        told = _outcome(jobs / name / outcome)
        result = told.get("result") if isinstance(told.get("result"), dict) else {}
        page = f'<a href="{name}/report.html">{name}</a>' if (jobs / name / "report.html").is_file() else name
        cells = [f"<td>{page}</td>", f"<td>{_word(told.get('state', 'not finished'))}</td>"]
        cells += [f"<td>{_word(result.get(key, '-'))}</td>" for key in ("model", "control")]
        cells += [f'<td class="num">{_number(result, path, form)}</td>' for _, path, form in _COLUMNS]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = ["run", "state", "model", "control", *(heading for heading, _, _ in _COLUMNS)]
    head = "".join(f'<th{" class=num" if number > 3 else ""}>{name}</th>' for number, name in enumerate(heads))
    more = f'<p class="soft">and {len(names) - _MOST:,} more</p>' if len(names) > _MOST else ""
    body = f'<h1>Training runs</h1><p class="soft"><a href="../report.html">The version</a></p><div class="scroll"><table><tr>{head}</tr>'
    return f"{_HEAD}{body}{''.join(rows)}</table></div>{more}</main></body></html>\n".encode("utf-8", "replace")


def write(jobs: str, outcome: str) -> None:
    """Writes the page beside the runs; in an object store, where a folder cannot be listed cheaply, none."""
    if storage.is_local(jobs):
        storage.write_bytes(storage.join(jobs, PAGE), render(storage.local_path(jobs), outcome))
