"""Which losses a person is told of at the end of a build."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from flows import display
from flows.context import Built
from flows.progress import Board
from flows.report import ReportData, render_report
from flows.report.losses import great_losses
from pipelines.dataset import DatasetManifest
from pipelines.ledger import Step
from tests.pipelines.publish.made_version import make_version


def step(source: str, rows: int, **dropped: int) -> Step:
    kept = rows - sum(dropped.values())
    return Step(source=source, step="filter", unit="pairs", rows_in=rows, kept=kept, rows_out=kept, dropped=dropped)


def with_steps(folder: Path, *steps: Step, kind: str = "translations") -> DatasetManifest:
    return make_version(folder).model_copy(update={"ledger": {kind: list(steps)}})


def test_swapped_languages_are_asked_about(tmp_path: Path) -> None:
    manifest = with_steps(tmp_path, step("wmt", 3968, wrong_language=3677, identical=3))
    (line,) = great_losses(manifest)
    assert line == (
        "translations, source wmt: wrong_language dropped 92.7 % of the pairs (3,677 of 3,968); "
        "are its `languages` in the order of the files?"
    )
    assert "order of the files" not in great_losses(with_steps(tmp_path, step("web", 100, wrong_language=99)))[0]
    out = io.StringIO()
    built = Built("folder", "version", manifest, "0" * 64, "report.html", promoted=True)
    display.summary(built, Board(), Console(file=out, width=200))
    assert f"warning: {line}" in out.getvalue()
    page = render_report(ReportData(manifest)).decode()
    assert "wrong_language dropped 92.7 % of the pairs (3,677 of 3,968)" in page


def test_half_a_source_a_few_rows_and_what_is_drawn_are_nothing_to_tell(tmp_path: Path) -> None:
    quiet = [step("a", 100, url=50), step("b", 49, url=49), step("c", 100, url=40, short=40), step("d", 100)]
    quiet += [step("e", 1000, not_drawn=900), step("f", 1000, balanced_out=900)]
    assert great_losses(with_steps(tmp_path, *quiet)) == []
    assert b"To look at" not in render_report(ReportData(with_steps(tmp_path, *quiet)))
    assert len(great_losses(with_steps(tmp_path, *quiet, step("g", 50, url=26)))) == 1


def test_the_worst_come_first_and_not_without_end(tmp_path: Path) -> None:
    steps = [step(f"s{number:02d}", 1000, short=600 + number) for number in range(20)]
    lines = great_losses(with_steps(tmp_path, *steps))
    assert [line.split(":")[0].split()[-1] for line in lines[:6]] == [f"s{n:02d}" for n in range(19, 13, -1)]
    assert lines[6:] == ["and 14 more, under Kept and dropped in the report"]
