"""How much the alt-text filter costs, as ratios to what its models and loops cost bare.

    python -m benchmarks.bench_filter [--shared DIR] [--repeats N] [--rows N]

Rows: the alt-texts of ../shared/data/alttext (10,000 of LAION, 7,188 of web pages) and the captions of its pictures; for the job,
these over and over. The contenders of a row run one after the other and that several times over; the ratio is the median over the
repeats, so that a busy machine slows both. One core.

Prints a table, then one line a row, `<name> <ratio> <goal> ok|short`; exits 1 if a row is short, 2 if something it needs is not
there.

What is compared:
    annotate    the whole of alt_text.annotate, batches as the reader makes them, over bare fastText on the same rows (at most)
    balance     searching the same rows, annotated, for all queries of ../shared/data/metadata (385,000), automaton built, over
                annotate (at most)
    select      millions of rows a second: the measured columns read from Parquet, all rules, the first reason (at least)
    beam        the Beam job that filters a table over a bare loop with the same functions over the same batches (at most), both in
                processes of their own, each without its start: what a run on a single small part takes
    memory-mb   peak resident memory of the Beam job, MB (at most)
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairs import alt_text, arrow, reasons
from pairs.alt_text import AltTextOptions
from pairs.balance import BalanceOptions, Matcher
from pairs.language import LanguageIdentifier
from pipelines import queries
from pipelines.sources.image_text import BATCH_ROWS
from pipelines.tables import TableWriter, read_batches

ROOT = Path(__file__).resolve().parent.parent
GOALS = {
    "annotate": (2.0, "most"),
    "balance": (1.0, "most"),
    "select": (1.0, "least"),
    "beam": (1.5, "most"),
    "memory-mb": (2000, "most"),
}
BATCH = BATCH_ROWS
PART_ROWS = 50_000


def real_texts(shared: Path) -> list[str]:
    """Every real alt-text and caption that is not empty."""
    data = shared / "data"
    columns = [
        pq.read_table(data / "alttext/img2dataset_laion_test_10000.parquet").column("TEXT"),
        pq.read_table(data / "alttext/html_img_alt.parquet").column("alt"),
    ]
    texts = [text for column in columns for text in column.to_pylist()]
    for entries in pq.read_table(data / "images/captioned_open.parquet").column("texts").to_pylist():
        texts += [entry["text"] for entry in entries]
    return [text for text in texts if text and text.strip()]


def batches_of(texts: list[str]) -> list[pa.RecordBatch]:
    """The texts as rows that a reader gives."""
    made = []
    for first in range(0, len(texts), BATCH):
        part = texts[first : first + BATCH]
        made.append(
            pa.RecordBatch.from_pydict(
                {
                    "origin": pa.array([f"bench#{first + at}" for at in range(len(part))], pa.string()),
                    "url": pa.array([f"https://example.org/{first + at}.jpg" for at in range(len(part))], pa.string()),
                    "text": pa.array(part, pa.string()),
                }
            )
        )
    return made


def seconds(work: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bench_annotate(batches: list[pa.RecordBatch], lid: LanguageIdentifier, repeats: int) -> tuple[float, str]:
    """annotate over bare fastText."""
    import fasttext

    model = fasttext.load_model(str(lid.file()))
    texts = [text.replace("\n", " ") for batch in batches for text in batch.column("text").to_pylist()]

    def bare() -> None:
        for text in texts:
            model.predict(text)

    def whole() -> None:
        for batch in batches:
            alt_text.annotate(batch, lid=lid)

    whole()
    taken = [(seconds(whole), seconds(bare)) for _ in range(repeats)]
    ratio = statistics.median(ours / theirs for ours, theirs in taken)
    ours, theirs = (statistics.median(times) for times in zip(*taken, strict=True))
    return ratio, f"{len(texts) / ours:,.0f} rows/s, fastText alone {len(texts) / theirs:,.0f}"


def bench_balance(
    batches: list[pa.RecordBatch], lid: LanguageIdentifier, lists: str, repeats: int
) -> tuple[float, str]:
    """Searching for the whole list of queries, over annotate."""
    options = BalanceOptions(queries=(lists,))
    listed, _ = queries.gather(options, queries.files_of(options.queries))
    texts = [alt_text.annotate(batch, lid=lid).column("text") for batch in batches]
    built = seconds(lambda: Matcher.of(listed, options))
    matcher = Matcher.of(listed, options)

    def search() -> None:
        for column in texts:
            matcher.match(column)

    def annotate() -> None:
        for batch in batches:
            alt_text.annotate(batch, lid=lid)

    search()
    taken = [(seconds(search), seconds(annotate)) for _ in range(repeats)]
    ratio = statistics.median(ours / theirs for ours, theirs in taken)
    rate = sum(map(len, texts)) / statistics.median(ours for ours, _ in taken)
    return ratio, f"{rate:,.0f} rows/s, {matcher.n:,} queries, built in {built:.1f} s"


def write_annotated(batches: list[pa.RecordBatch], lid: LanguageIdentifier, folder: Path, rows: int) -> list[Path]:
    """Annotated rows, over and over, as parts of a stage."""
    table = pa.Table.from_batches([alt_text.annotate(batch, lid=lid) for batch in batches])
    many = pa.concat_tables([table] * -(-PART_ROWS // table.num_rows)).slice(0, PART_ROWS).combine_chunks()
    paths = []
    for number in range(-(-rows // PART_ROWS)):
        with TableWriter(str(folder), f"in-{number:05d}.parquet") as writer:
            for batch in many.to_batches():
                writer.write(batch)
        paths.append(folder / f"in-{number:05d}.parquet")
    return paths


def bench_select(path: Path, repeats: int) -> tuple[float, str]:
    """Millions of rows a second through all rules."""
    options = AltTextOptions()
    columns = [name for name, kind in alt_text.SCORES if not pa.types.is_string(kind)]

    def select() -> None:
        for batch in read_batches(str(path), rows=8192, columns=columns):
            alt_text.select(batch, options)

    select()
    rows = pq.ParquetFile(path).metadata.num_rows
    rate = rows / statistics.median(seconds(select) for _ in range(repeats * 3)) / 1e6
    return rate, f"{rate:.2f} million rows/s"


def bare_loop(spec: dict[str, Any]) -> None:
    """What the table job does, without an engine."""
    options = AltTextOptions()
    for part in spec["parts"]:
        with TableWriter(spec["folder"], f"bare-{part['index']:05d}.parquet") as table:
            for batch in read_batches(part["url"]):
                fails = alt_text.fails(batch, options)
                why = reasons.first_failure(fails, batch.num_rows)
                reasons.count(why)
                reasons.alone(fails)
                table.write(alt_text.to_table(batch.filter(pc.is_null(why)), source="bench"))


def child(what: str, spec: dict[str, Any]) -> None:
    """Runs one contender in this process: first on one small part, then on all; prints seconds and peak memory."""
    from pipelines.beam_jobs import table_job

    run = bare_loop if what == "bare" else table_job.run
    small = seconds(lambda: run({**spec, "parts": spec["small"]}))
    every = seconds(lambda: run(spec))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": every - small, "mb": peak}))


def bench_beam(paths: list[Path], folder: Path, repeats: int) -> tuple[float, float, str]:
    """The Beam job over the bare loop, and its memory."""
    first = next(read_batches(str(paths[0]), rows=256))
    with TableWriter(str(folder), "small.parquet") as table:
        table.write(first)
    parts = [{"index": index, "url": str(path), "source": "bench"} for index, path in enumerate(paths)]
    spec = {
        "folder": str(folder), "step": "filter", "options": AltTextOptions().model_dump(mode="json"), "parts": parts,
        "small": [{**parts[0], "url": str(folder / "small.parquet")}], "seed": 0, "workers": 1, "progress": None,
        "buckets": 1, "beam": {"runner": "FnApiRunner", "options": []},
    }  # fmt: skip
    words = folder / "spec.json"
    words.write_text(json.dumps(spec))
    taken: dict[str, list[dict[str, float]]] = {"bare": [], "beam": []}
    for _ in range(repeats):
        for what, found in taken.items():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.bench_filter", "--child", what, str(words)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise RuntimeError(done.stderr[-2000:])
            found.append(json.loads(done.stdout.splitlines()[-1]))
    pairs = list(zip(taken["beam"], taken["bare"], strict=True))
    ratio = statistics.median(ours["seconds"] / theirs["seconds"] for ours, theirs in pairs)
    ours, theirs = (statistics.median(run["seconds"] for run in taken[what]) for what in ("beam", "bare"))
    memory = max(run["mb"] for run in taken["beam"])
    rows = sum(pq.ParquetFile(path).metadata.num_rows for path in paths)
    return ratio, memory, f"{rows:,} rows: {ours:.1f} s, bare {theirs:.1f} s"


def main() -> int:
    """Runs all rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of real samples")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the Beam job")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], json.loads(Path(given.child[1]).read_text()))
        return 0
    if not (given.shared / "data/alttext").is_dir():
        print(f"no real samples at {given.shared}", file=sys.stderr)
        return 2
    lid = LanguageIdentifier()
    batches = batches_of(real_texts(given.shared))
    assert arrow.strings(batches[0].column("text")).null_count == 0
    found: dict[str, tuple[float, str]] = {"annotate": bench_annotate(batches, lid, given.repeats)}
    found["balance"] = bench_balance(batches, lid, str(given.shared / "data/metadata/*.gz"), given.repeats)
    with tempfile.TemporaryDirectory(prefix="bench-filter-") as name:
        folder = Path(name)
        paths = write_annotated(batches, lid, folder, given.rows)
        found["select"] = bench_select(paths[0], given.repeats)
        ratio, memory, words = bench_beam(paths, folder, given.repeats)
        found["beam"] = (ratio, words)
        found["memory-mb"] = (memory, f"{memory:.0f} MB")
    for row, (ratio, words) in found.items():
        print(f"{row:<12}{ratio:>10.2f}   goal {GOALS[row][1]} {GOALS[row][0]:g}   {words}")
    print()
    short = False
    for row, (ratio, _) in found.items():
        goal, side = GOALS[row]
        ok = ratio <= goal if side == "most" else ratio >= goal
        short |= not ok
        print(f"{row} {ratio:.2f} {goal:g} {'ok' if ok else 'short'}")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
