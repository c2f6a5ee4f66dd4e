"""`pixelpairs show`: pairs to read, left and right side by side, escaped for the terminal; or in a file of text or JSON lines."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.display import plain
from flows.excerpts import Drawn, Group

_FILE_COLUMNS = 160


def show(drawn: Drawn, console: Console) -> None:
    """Prints what was drawn: a table each of kind, language and rule."""
    for (kind, tongue, rule), rows in drawn.groups():
        title = f"{kind} · {tongue} · {_counted(drawn, (kind, tongue, rule), len(rows))}"
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
    unseen = [
        f"{kind} · dropped by {rule}: {total:,}, of which no row was stored" for kind, rule, total in drawn.unseen()
    ]
    if drawn.older:
        told = f"{len(drawn.older)} stages, {drawn.older[0]} the first," if len(drawn.older) > 1 else drawn.older[0]
        unseen.append(
            f"what was dropped of the rows of {told} is not shown: another release measured them, whose rules were others; build "
            "the recipe again, or read them with that release"
        )
    if unseen:
        console.print()
    for line in unseen:
        console.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def _counted(drawn: Drawn, group: Group, shown: int) -> str:
    """What befell a group's rows, how many are shown and of how many, as far as that is known of its language."""
    kind, _, rule = group
    met = drawn.counts[group]
    if rule is None:
        return f"kept: {shown:,} of {met:,}"
    words, total = f"dropped by {rule}: {shown:,}", drawn.totals[kind, rule]
    if kind in drawn.examples:
        return f"{words} of the {met:,} examples that were stored; {total:,} dropped in all languages"
    every = sum(count for (of, _, why), count in drawn.counts.items() if (of, why) == (kind, rule))
    return f"{words} of {met:,}" + (f"; {total:,} dropped in all languages and steps" if total > every else "")


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
    said = []
    for what, gone in (("kept", False), ("dropped", True)):
        shown = sum(len(rows) for (_, _, rule), rows in groups.items() if (rule is not None) == gone)
        met = sum(count for (_, _, rule), count in drawn.counts.items() if (rule is not None) == gone)
        met = max(met, drawn.totals.total()) if gone and not drawn.languages else met
        said += [f"{shown:,} of {met:,} {what}"] if met else []
    return f"{', '.join(said) or 'nothing'} in {len(groups):,} groups of kind, language and rule: {kinds}"
