"""What a person sees while a build runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.progress import Board, Line

if TYPE_CHECKING:
    from flows.context import Built

_MARKS = {"waiting": "·", "running": "▶", "done": "✔", "cached": "↻", "failed": "✘"}
_STYLES = {"waiting": "dim", "running": "cyan", "done": "green", "cached": "blue", "failed": "bold red"}
_REFRESH_SECONDS = 0.25
_WIDE = 100  # columns from which on a bar may be long
_BAR_COLUMNS, _SHORT_BAR_COLUMNS = 24, 10
_NOTE_COLUMNS = 100
_STEP = re.compile(r"\bstep=(\d+) of=(\d+)\b")  # how a trainer says in a note how far it is
_WORD_SECONDS = 30.0  # between the lines about a stage that runs, where there is no terminal


@contextmanager
def showing(board: Board, console: Console) -> Iterator[None]:
    """Shows a board until the context ends."""
    stop = threading.Event()
    if console.is_terminal:
        live = Live(_table(board.snapshot(), console.width), console=console, refresh_per_second=4, transient=False)
        worker = threading.Thread(target=_animate, args=(board, live, stop), daemon=True)
        with live:
            worker.start()
            try:
                yield
            finally:
                stop.set()
                worker.join()
                live.update(_table(board.snapshot(), console.width))
        return
    worker = threading.Thread(target=_narrate, args=(board, console, stop), daemon=True)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def _animate(board: Board, live: Live, stop: threading.Event) -> None:
    while not stop.wait(_REFRESH_SECONDS):
        live.update(_table(board.snapshot(), live.console.width))


def _narrate(board: Board, console: Console, stop: threading.Event) -> None:
    """One line a stage when it ends, and one now and then while it runs long."""
    told: set[str] = set()
    spoke: dict[str, float] = {}
    while True:
        last = stop.is_set()
        now = time.monotonic()
        for line in board.snapshot():
            if line.stage not in told and line.state in ("done", "cached", "failed"):
                told.add(line.stage)
                console.print(_words(line), markup=False, highlight=False, soft_wrap=True)
            elif line.state == "running" and now - spoke.setdefault(line.stage, now) >= _WORD_SECONDS:
                spoke[line.stage] = now
                share = _share(line)
                part = f" ({share:.0%})" if share is not None else ""
                note = f": {plain(line.note)}" if line.note else ""
                rows = f", {line.rows:,} rows{part}" if line.rows else ""
                words = f"{line.stage}: running{rows}, {now - line.began:.0f} s{note}"
                console.print(words, markup=False, highlight=False, soft_wrap=True)
        if last:
            return
        stop.wait(_REFRESH_SECONDS)


def _words(line: Line) -> str:
    words = {"done": "done", "cached": "already done", "failed": "FAILED"}[line.state]
    rows = f", {line.rows:,} rows" if line.rows else ""
    note = f": {plain(line.note)}" if line.note else ""
    return f"{line.stage}: {words}{rows}, {line.seconds:.1f} s{note}"


def _table(lines: list[Line], columns: int = 80) -> Table:
    """A line a stage; what does not fit is cut off the notes, not off names, counts and times."""
    grid = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "left", "right", "right"):
        grid.add_column(justify=justify, no_wrap=True)
    grid.add_column()  # the one that may be wrapped, for Rich narrows such a one first; its texts are cut instead
    bar_columns = _BAR_COLUMNS if columns >= _WIDE else _SHORT_BAR_COLUMNS
    now = time.monotonic()
    for line in lines:
        seconds = now - line.began if line.state == "running" else line.seconds
        share = _share(line)
        bar = (
            ProgressBar(total=1.0, completed=share or 0.0, width=bar_columns, pulse=share is None)
            if line.state == "running"
            else ""
        )
        rate = (
            f"{line.rows / seconds:,.0f}/s" if line.rows and seconds > 0.2 and line.state in ("running", "done") else ""
        )
        eta = f"eta {seconds / share - seconds:.0f} s" if line.state == "running" and share and share > 0.02 else ""
        time_text = "" if line.state == "waiting" else f"{seconds:.1f} s"
        style = _STYLES[line.state]
        grid.add_row(
            f"[{style}]{_MARKS[line.state]}[/]",
            f"[{style}]{line.stage}[/]",
            bar,
            f"{line.rows:,}" if line.rows else "",
            rate,
            Text(f"{time_text} {eta} {plain(line.note)[:_NOTE_COLUMNS]}", no_wrap=True, overflow="ellipsis"),
        )
    return grid


def plain(text: str) -> str:
    """One line without control characters: what files say is shown, never obeyed."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _share(line: Line) -> float | None:
    """How much of a stage is done, 0..1; None where that is not known."""
    if line.total_rows:
        return min(1.0, line.rows / line.total_rows)
    if line.total_units and line.units:
        return min(1.0, line.units / line.total_units)
    step = _STEP.search(line.note)
    if step is not None and int(step[2]):
        return min(1.0, int(step[1]) / int(step[2]))
    return None


def _tables(built: Built, title: str) -> Table:
    """The filtered tables of alt-texts without photographs, a line a source."""
    table = Table(title=title or None, title_justify="left")
    for name in ("filtered table of", "rows", "bytes", "files"):
        table.add_column(name, justify="right" if name in ("rows", "bytes") else "left", overflow="fold")
    entries = built.manifest.tables
    for source in sorted({entry.source for entry in entries}):
        own = [entry for entry in entries if entry.source == source]
        rows, size = sum(entry.rows for entry in own), sum(entry.bytes for entry in own)
        place = own[0].path if len(own) == 1 else f"{own[0].path} and {len(own) - 1:,} more"
        table.add_row(plain(source), f"{rows:,}", f"{size:,}", Text(plain(place)))
    return table


def summary(built: Built, board: Board, console: Console) -> None:
    """What was built, what most of a source was dropped by, and where it lies."""
    from flows.report.losses import great_losses  # with the page's template engine, which bars have no need of

    manifest = built.manifest
    counts = manifest.pairs()
    console.print()
    table = Table(title=f"{manifest.name} {manifest.version}", title_justify="left")
    for name in ("kind", *next(iter(counts.values()), ["pairs"]), "shards", "bytes"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind, counted in counts.items():
        shards = [shard for shard in manifest.shards if shard.kind == kind]
        numbers = (*counted.values(), len(shards), sum(shard.bytes for shard in shards))
        table.add_row(kind, *(f"{number:,}" for number in numbers))
    if counts:
        console.print(table)
    if manifest.tables:
        console.print(_tables(built, "" if counts else f"{manifest.name} {manifest.version}"))
    for line in great_losses(manifest):
        console.print(Text.assemble(("warning: ", "yellow"), plain(line)), soft_wrap=True)
    places = {"data set": built.folder, "report": built.report}
    if not built.promoted:
        console.print("published, not promoted: `pixelpairs promote` makes it the one in use", markup=False)
    if built.trained is not None:
        places["training"] = built.trained.folder
    for name, place in places.items():
        console.print(f"{name}: {place}", markup=False, highlight=False, soft_wrap=True)
    reused = len(built.reused)
    if reused:
        console.print(f"stages run: {len(built.ran)}, already done: {reused}", highlight=False)
