"""How much scoring bitext costs, as a ratio to bare language identification of both sides.

    python -m benchmarks.bench_bitext [--shared DIR] [--repeats N]

Pairs: the references of WMT22 (../shared/data/wmt/wmt22), in twelve language pairs, in batches as the readers make them. The
contenders run one after the other and that several times over; the ratio is the median over the repeats, so that a busy machine
slows them all. One core.

Prints a table, then one line a row, `<name> <ratio> <goal> ok|short`; exits 1 if a row is short, 2 if something it needs is not
there.

What is compared:
    annotate    the whole of translations.annotate over bare fastText on both sides of the same pairs (at most)
    read        reading and annotating line-aligned files, over bare fastText on both sides (at most)
    select      all rules over the measured columns, the first reason, over bare fastText on both sides (at most)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pairs import translations
from pairs.language import LanguageIdentifier
from pairs.translations import TranslationOptions
from pipelines.sources import bitext
from pipelines.sources.reading import Reading
from pipelines.sources.spec import BitextSource

ROOT = Path(__file__).resolve().parent.parent
GOALS = {"annotate": (2.0, "most"), "read": (2.0, "most"), "select": (0.05, "most")}


def sources(folder: Path) -> list[tuple[BitextSource, dict[str, Any]]]:
    """The references of WMT22 as sources with their units, one reference of each language pair."""
    found = []
    for right in sorted({path.name.split(".")[1]: path for path in sorted(folder.glob("*.ref.*"))}.values()):
        pair = right.name.split(".")[1]
        source, target = pair.split("-")
        left = folder / f"generaltest2022.{pair}.src.{source}"
        words = BitextSource(type="bitext", left=str(left), right=str(right), languages=(source, target))
        found.append((words, {"url": str(left), "right_url": str(right), "path": left.name}))
    return found


def seconds(work: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    """Runs all rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of real samples")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    folder = given.shared / "data/wmt/wmt22"
    if not folder.is_dir():
        print(f"no real samples at {folder}", file=sys.stderr)
        return 2
    import fasttext

    lid, options = LanguageIdentifier(), TranslationOptions()
    model = fasttext.load_model(str(lid.file()))
    units = sources(folder)
    batches = [batch for source, unit in units for batch in bitext.read(source, unit, Reading("bench"))]
    texts = [
        text for batch in batches for side in ("left_text", "right_text") for text in batch.column(side).to_pylist()
    ]
    scored = [translations.annotate(batch, options=options, lid=lid) for batch in batches]
    pairs = sum(batch.num_rows for batch in batches)

    def bare() -> None:
        for text in texts:
            model.predict(text)

    def annotate() -> None:
        for batch in batches:
            translations.annotate(batch, options=options, lid=lid)

    def read() -> None:
        for source, unit in units:
            bitext.check(source, unit)
            for batch in bitext.read(source, unit, Reading("bench")):
                translations.annotate(batch, options=options, lid=lid)

    def select() -> None:
        for batch in scored:
            translations.select(batch, options)

    bare()
    taken = [[seconds(work) for work in (annotate, bare, read, select)] for _ in range(given.repeats)]
    typical = [statistics.median(times) for times in zip(*taken, strict=True)]
    found = {
        "annotate": statistics.median(ours / theirs for ours, theirs, _, _ in taken),
        "read": statistics.median(ours / theirs for _, theirs, ours, _ in taken),
        "select": statistics.median(ours / theirs for _, theirs, _, ours in taken),
    }
    rates = {"annotate": pairs / typical[0], "read": pairs / typical[2], "select": pairs / typical[3]}
    for row, value in found.items():
        goal, side = GOALS[row]
        words = f"{rates[row]:,.0f} pairs/s/core; fastText alone {pairs / typical[1]:,.0f}"
        print(f"{row:<12}{value:>8.2f}   goal {side} {goal:g}   {words}")
    print()
    short = False
    for row, value in found.items():
        goal, side = GOALS[row]
        ok = value <= goal if side == "most" else value >= goal
        short |= not ok
        print(f"{row} {value:.2f} {goal:g} {'ok' if ok else 'short'}")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
