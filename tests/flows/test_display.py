"""What a person sees: bars on a terminal, plain lines elsewhere, and no trick of what was read."""

from __future__ import annotations

import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flows import display
from flows.progress import Board, Line

STATES = ["waiting", "running", "done", "cached", "failed"]


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=200)


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)


def words(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_each_stage_that_ends_is_one_plain_line() -> None:
    console, board = plain(), Board()
    board.announce("read", "render", "verify", "never")
    with display.showing(board, console):
        board.start("read", total_rows=10)
        board.update("read", 5, 1)
        board.finish("read", "done", rows=12_345)
        board.finish("render", "cached", rows=7)
        board.start("verify")
        board.finish("verify", "failed", note="the [bold]disk[/] is full")
    lines = words(console).splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"read: done, 12,345 rows, \d+\.\d s", lines[0])
    assert re.fullmatch(r"render: already done, 7 rows, 0\.0 s", lines[1])
    assert re.fullmatch(r"verify: FAILED, \d+\.\d s: the \[bold\]disk\[/\] is full", lines[2])
    assert "\x1b" not in words(console)


def test_a_line_is_said_when_its_stage_ends_and_not_at_the_end_of_all() -> None:
    console, board = plain(), Board()
    with display.showing(board, console):
        board.finish("read", "done", rows=1)
        deadline = time.monotonic() + 30
        while "read: done" not in words(console):
            assert time.monotonic() < deadline, "nothing was said while the build went on"
            time.sleep(0.02)
        board.finish("render", "done", rows=1)
    assert words(console).count("read: done") == 1
    assert "render: done" in words(console)


@pytest.mark.parametrize("make", [plain, terminal])
def test_an_error_inside_is_handed_on_after_what_is_known_was_shown(make: type) -> None:
    console, board = make(), Board()
    with pytest.raises(KeyError), display.showing(board, console):  # noqa: PT012
        board.finish("read", "failed", note="broken")
        raise KeyError
    assert "read" in words(console)
    assert "broken" in words(console)


def test_a_terminal_shows_rows_rate_share_and_time_left() -> None:
    board = Board()
    board.start("read", total_rows=1000)
    board.update("read", 500, 0)
    board.lines["read"].began -= 10  # it has run for ten seconds
    console = terminal()
    console.print(display._table(board.snapshot()))
    text = words(console)
    assert "500" in text
    assert re.search(r"\b(49|50)/s", text)
    assert re.search(r"eta (9|10|11) s", text)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_long_note_is_cut_and_squeezes_nothing_else(columns: int) -> None:
    board = Board()
    board.finish("select-back_translation", "done", rows=1_234_567)
    board.start("train")
    board.lines["train"].note = "step=100 of=400 loss=2.3412 lr=0.00193 images_per_second=812.1 more=" + "x" * 200
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, color_system=None)
    console.print(display._table(board.snapshot(), columns))
    done, train = words(console).splitlines()
    assert done.startswith("✔ select-back_translation ")
    assert "1,234,567" in done
    assert train.startswith("▶ train ")
    assert "step=100 of=400" in train
    assert train.rstrip().endswith("…")


def test_a_trainer_that_says_its_step_has_a_bar() -> None:
    assert display._share(Line("train", "running", note="step=100 of=400 loss=2.3")) == 0.25
    assert display._share(Line("train", "running", note="step=500 of=400")) == 1.0
    for note in ("", "step=1 of=0", "step=1", "misstep=3 of=4", "loading"):
        assert display._share(Line("train", "running", note=note)) is None


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("rows", [0, 5])
@pytest.mark.parametrize("total", [None, 0, 5, 10**12])
def test_any_state_can_be_drawn(state: str, rows: int, total: int | None) -> None:
    line = Line("stage", state, rows=rows, units=rows, total_rows=total, total_units=total, began=time.monotonic())  # type: ignore[arg-type]
    console = terminal()
    console.print(display._table([line]))
    assert "stage" in words(console)
    share = display._share(line)
    assert share is None or 0 <= share <= 1


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "[red]x[/red]",
        "\\[red]x",
        "[/]",
        "[/nope]",
        "\\",
        "a\\",
        "[",
        "\x1b[2J",
        "two\nlines\r\t",
        "\u202eabc",
        "[link=file:///]x[/link]",
    ]
)


@given(st.lists(HOSTILE, min_size=1, max_size=3).map("".join))
def test_a_note_is_text_whatever_it_holds(note: str) -> None:
    """Notes quote file names and messages that come from what was read."""
    line = Line("stage", "failed", note=note)
    console = terminal()
    console.print(display._table([line]))
    shown = words(console)
    assert "\x1b" not in shown
    assert shown.count("\n") == 1
    for part in ("[red]x[/red]", "[/nope]"):
        if part in note and len(note) < 60:
            assert part in shown
    narrated = display._words(line)
    assert narrated.isprintable()
    assert "stage: FAILED" in narrated
