"""How far each stage is: a board that stages write to and the command line reads."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

State = Literal["waiting", "running", "done", "cached", "failed"]


@dataclass(slots=True)
class Line:
    """One stage's line. `total` counts `unit`s, or is None where that is not known before the end."""

    stage: str
    state: State = "waiting"
    rows: int = 0
    units: int = 0
    total_rows: int | None = None
    total_units: int | None = None
    began: float = 0.0
    seconds: float = 0.0
    note: str = ""


@dataclass(slots=True)
class Board:
    """All stages of a run, in the order in which they were announced. Safe to use from several threads."""

    lines: dict[str, Line] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, *stages: str) -> None:
        """Adds stages that will run."""
        with self._lock:
            for stage in stages:
                self.lines.setdefault(stage, Line(stage))

    def start(self, stage: str, *, total_rows: int | None = None, total_units: int | None = None) -> None:
        """A stage begins."""
        with self._lock:
            line = self.lines.setdefault(stage, Line(stage))
            line.state, line.began = "running", time.monotonic()
            line.total_rows, line.total_units = total_rows, total_units

    def update(self, stage: str, rows: int, units: int) -> None:
        """A stage has come so far."""
        with self._lock:
            self.lines[stage].rows, self.lines[stage].units = rows, units

    def finish(self, stage: str, state: State, *, rows: int | None = None, note: str = "") -> None:
        """A stage has ended."""
        with self._lock:
            line = self.lines.setdefault(stage, Line(stage))
            line.state, line.note = state, note
            line.seconds = time.monotonic() - line.began if line.began else 0.0
            if rows is not None:
                line.rows = rows

    def snapshot(self) -> list[Line]:
        """Copies of all lines."""
        with self._lock:
            return [Line(**{name: getattr(line, name) for name in Line.__slots__}) for line in self.lines.values()]
