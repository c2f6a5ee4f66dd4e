"""Rendering on Ray: what a second worker adds, and what the driver keeps as shards become many.

    python -m benchmarks.bench_cluster [--pairs N] [--repeats N]

Pairs: sentences drawn from the words of this file, in three scripts, as the select stage leaves them. Each measurement is a process
of its own that starts a local Ray and renders all pairs into a new folder; the time counts from the quarter of the shards to the
last, so that starting Ray and its workers is no part of it. Contenders take turns, the ratio is the median over the repeats.

Prints a table, then one line a row, `<name> <ratio> <goal> ok|short`; exits 1 if a row is short.

What is compared:
    two-workers     shards a second with two workers over one (at least)
    driver-memory   the driver's peak memory with ten times as many shards of a tenth of the size over that with few (at most)
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from pairs.schema import PAIR_SCHEMA
from pipelines.manifest import StageManifest
from pipelines.ray_jobs import render
from pipelines.ray_jobs.session import Session
from pipelines.tables import TableWriter
from rendering import RenderSpec

GOALS = {"two-workers": (1.5, "least"), "driver-memory": (1.1, "most")}
SAMPLES = 500  # a shard smaller than this costs as much to sync as to draw
_WORDS = [*(__doc__ or "").split(), "слово", "буква", "предложение", "文字", "画像", "部分"]


def make_pairs(root: Path, count: int) -> StageManifest:
    """A finished stage of pairs of sentences, sorted by key."""
    draw = random.Random(1)  # noqa: S311 (made-up texts, no secrets)
    texts = [" ".join(draw.choices(_WORDS, k=draw.randint(4, 24))) for _ in range(2 * count)]
    columns: dict[str, Any] = {
        "key": [f"{number:032x}" for number in range(count)],
        "kind": ["sentences"] * count,
        "source": ["drawn"] * count,
        "origin": [f"drawn#{number}" for number in range(count)],
        "left_text": texts[:count],
        "right_text": texts[count:],
        "left_lang": ["en"] * count,
        "right_lang": ["en"] * count,
        "scores": ["{}"] * count,
    }
    arrays = [pa.array(columns.get(field.name, [None] * count), field.type) for field in PAIR_SCHEMA]
    folder = root / "stages" / "select-sentences-0000000000000000"
    folder.mkdir(parents=True)
    with TableWriter(str(folder), "part-00000.parquet", PAIR_SCHEMA) as table:
        table.write(pa.RecordBatch.from_arrays(arrays, schema=PAIR_SCHEMA))
    return StageManifest(
        stage="select-sentences", key="0" * 16, config={}, inputs={}, code="1", parts=[table.part()], ledger=[]
    )


def measure(root: Path, manifest: StageManifest, workers: int, samples: int) -> dict[str, float]:
    """Renders all pairs in this process's own Ray; the rate, and this process's peak memory."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        job = {"root": str(root), "folder": folder, "render": RenderSpec().to_dict(), "fonts": [], "bases": {}}
        shards = render.plan_shards(manifest, "sentences", samples)
        session = Session("local", workers)
        try:
            stamps = [time.perf_counter() for _ in render.run(job, shards, session=session)]
        finally:
            session.close()
    begin = len(stamps) // 4
    return {
        "shards": len(stamps),
        "shards_a_second": (len(stamps) - 1 - begin) / (stamps[-1] - stamps[begin]),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def apart(root: Path, manifest: StageManifest, workers: int, samples: int) -> dict[str, float]:
    """`measure` in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.bench_cluster", "--one", str(root), str(workers), str(samples)]
    done = subprocess.run(words, input=manifest.model_dump_json(), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Runs all rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=30_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        manifest = StageManifest.model_validate_json(sys.stdin.read())
        print(json.dumps(measure(Path(given.one[0]), manifest, int(given.one[1]), int(given.one[2]))))
        return 0
    with tempfile.TemporaryDirectory(prefix="pp-bench-") as folder:
        root = Path(folder)
        manifest = make_pairs(root, given.pairs)
        one, two, many = [], [], []
        for _ in range(given.repeats):
            one.append(apart(root, manifest, 1, SAMPLES))
            two.append(apart(root, manifest, 2, SAMPLES))
            many.append(apart(root, manifest, 2, SAMPLES // 10))
    print(f"{os.cpu_count()} CPUs, {given.pairs:,} pairs, {given.repeats} repeats, medians")
    for name, rows in (("one worker", one), ("two workers", two), ("two workers, small shards", many)):
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        print(
            f"{name:<28}{middle['shards']:>8,.0f} shards {middle['shards_a_second']:>8.1f}/s {middle['memory_mib']:>7.0f} MiB"
        )
    ratios = {
        "two-workers": statistics.median(
            b["shards_a_second"] / a["shards_a_second"] for a, b in zip(one, two, strict=True)
        ),
        "driver-memory": statistics.median(b["memory_mib"] / a["memory_mib"] for a, b in zip(two, many, strict=True)),
    }
    short = False
    for name, ratio in ratios.items():
        goal, which = GOALS[name]
        fine = ratio >= goal if which == "least" else ratio <= goal
        short |= not fine
        print(f"{name} {ratio:.2f} {goal} {'ok' if fine else 'short'}")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
