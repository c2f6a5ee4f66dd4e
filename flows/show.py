"""`pixelpairs show`: pairs to read, left and right side by side, escaped for the terminal; or in a file of text or JSON lines."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.display import plain
from flows.excerpts import Drawn

_FILE_COLUMNS = 160


def show(drawn: Drawn, console: Console) -> None:
    """Prints what was drawn: a table each of kind, language and rule."""
    for (kind, tongue, rule), rows in drawn.groups():
        what = "kept" if rule is None else f"dropped by {rule}"
        title = f"{kind} · {tongue} · {what}: {len(rows):,} of {drawn.counts[kind, tongue, rule]:,}"
        console.print(Text(f"\n{plain(title)}", style="bold"), soft_wrap=True)
        table = Table(box=None, show_header=False, padding=(0, 1), expand=True, pad_edge=False)
        table.add_column(justify="right", style="dim", width=4)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(ratio=1, overflow="fold")
        for number, row in enumerate(rows, 1):
            left = row.get("left_text")
            where = row.get("origin") or ""
            table.add_row(
                str(number),
                Text(plain(left)) if left is not None else Text("(photograph)", style="dim"),
                Text(plain(row.get("right_text") or "")),
            )
            table.add_row("", Text(plain(where), style="dim"), Text(plain(row.get("scores") or ""), style="dim"))
        console.print(table)


def write(drawn: Drawn, path: Path) -> None:
    """Writes what was drawn to a file: JSON lines where it ends in .jsonl, else text as it is printed.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        lines = [
            orjson.dumps({"kind": kind, "language": tongue, "dropped_by": rule, **row}) + b"\n"
            for (kind, tongue, rule), rows in drawn.groups()
            for row in rows
        ]
        path.write_bytes(b"".join(lines))
        return
    out = io.StringIO()
    show(drawn, Console(file=out, width=_FILE_COLUMNS, emoji=False, color_system=None))
    path.write_text("\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n", encoding="utf-8")


def summary(drawn: Drawn) -> str:
    """What was drawn, in one line."""
    groups = dict(drawn.groups())
    kinds = ", ".join(dict.fromkeys(kind for kind, _, _ in groups))
    shown, met = sum(map(len, groups.values())), drawn.counts.total()
    return f"{shown:,} of {met:,} in {len(groups):,} groups of kind, language and rule: {kinds}"
