"""Whether each translation belongs to its line: noisy lines through Apertium in two orders, with and without a fence.

    python -m benchmarks.engine_lines DATA [--lines N]

DATA is the folder of real samples. Web captions, and their first words without a full stop, which tempt an engine to read on
into the next line. A line whose translation is another beside other neighbours is *coloured* where it differs a little and
*moved* where it differs by more than half of its characters: words of it, or of a neighbour, are on another line, or a short
line was read otherwise. Exits 1 if a batch fails or more than 5 lines of 1,000 move behind the fence that docs/recipe.md
recommends; 2 if Apertium or the data is not there.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairs import edit_distance, normalise
from pipelines.translate.command import CommandTranslator
from pipelines.translate.spec import CommandEngine
from pipelines.translate.translator import translate_all

FENCES = {"none": [], "an empty line": [""], "a sentence": ["", ".", ""]}
MOVED = 0.5
MOST = 0.005


def lines_of(data: Path, count: int) -> dict[str, list[str]]:
    """Captions of the web, and the first three words of each."""
    table = pq.read_table(data / "alttext/img2dataset_laion_test_10000.parquet", columns=["TEXT"])
    texts = normalise.tidy(table.column("TEXT").combine_chunks().drop_null()).to_pylist()
    whole = sorted({text for text in texts if len(text) > 3})[:: max(1, len(texts) // count)]
    return {"captions": whole, "their first words": [" ".join(text.split()[:3]).rstrip(".!?") or "x" for text in whole]}


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--lines", type=int, default=1500)
    told = parser.parse_args()
    if shutil.which("apertium") is None or not told.data.is_dir():
        print("Apertium (apertium-eng-spa) or the data is not there", file=sys.stderr)
        return 2
    print(f"{'lines':<20}{'fence':<16}{'count':>7}{'failed':>8}{'coloured':>10}{'moved':>9}{'lines/s':>9}")
    short = False
    for name, lines in lines_of(told.data, told.lines).items():
        order = np.argsort([hash_of(line) for line in lines])
        for fence, between in FENCES.items():
            engine = CommandEngine(type="command", argv=["apertium", "-f", "txt", "eng-spa"], fence=between)
            translator = CommandTranslator(engine, {})
            began = time.monotonic()
            first = translate_all(translator, lines, engine.batch_size)
            seconds = time.monotonic() - began
            second = translate_all(translator, [lines[at] for at in order], engine.batch_size)
            there: list[str | None] = [None] * len(lines)
            for at, text in zip(order.tolist(), second.texts, strict=True):
                there[at] = text
            distance = edit_distance.of_characters(pa.array(first.texts, pa.string()), pa.array(there, pa.string()))
            failed = len(first.faults) + len(second.faults)
            moved = int((distance > MOVED).sum())
            coloured = int((distance > 0).sum()) - moved
            speed = len(lines) / seconds
            print(f"{name:<20}{fence:<16}{len(lines):>7}{failed:>8}{coloured:>10}{moved:>9}{speed:>9.0f}", flush=True)
            short |= fence == "a sentence" and bool(failed or moved > MOST * len(lines))
    return int(short)


def hash_of(line: str) -> int:
    """An order that has nothing to do with the alphabet."""
    return int.from_bytes(line.encode()[::-1][:7], "little") * 0x9E3779B97F4A7C15 % (1 << 61)


if __name__ == "__main__":
    sys.exit(main())
