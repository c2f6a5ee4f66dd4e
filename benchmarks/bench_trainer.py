"""What a device trains: pairs a second, use of its arithmetic, waiting for data, memory, and the largest batch.

    python -m benchmarks.bench_trainer --model B/16 --size 224                # a GPU: CLIPPO's B/16 in bfloat16
    python -m benchmarks.bench_trainer --model B/16 --chunk 1024 --batch 10240   # CLIPPO's batch on one GPU
    python -m benchmarks.bench_trainer --toy                                  # a CPU, seconds: that all of it runs

Trains on a version made here, or on `--dataset`, once for each batch size from `--batch` on, doubling until memory is full (or
`--most`), through the whole of the trainer: shards, loader, tower, optimiser. The first half of each run is not counted.
Prints a line a batch size; JSON with `--json FILE`. Exit code 1 if not even the first batch fits.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.made_pairs import write_version
from pipelines.train.reference.config import OutOfMemoryError, TrainConfig
from pipelines.train.reference.metrics import METRICS, read_metrics
from pipelines.train.reference.trainer import train
from pipelines.train.reference.version import TRAIN, open_version


def one(config: TrainConfig) -> dict[str, Any] | None:
    """Figures of a run's second half; None where memory did not suffice."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    if config.compile:
        torch.compiler.reset()  # what was compiled for other batches counts towards the most that is kept
    try:
        result = train(config)
    except OutOfMemoryError:
        return None
    rows = read_metrics(config.out / METRICS)
    begin, end = rows[len(rows) // 2 - 1], rows[-1]
    steps, seconds = end["step"] - begin["step"], end["seconds"] - begin["seconds"]
    waited = end["wait_share"] * end["seconds"] - begin["wait_share"] * begin["seconds"]
    whole = end["seconds"] / end["step"]
    mfu = None if result["mfu"] is None else result["mfu"] * whole / (seconds / steps)
    return {
        "device": result["device"], "model": config.model, "size": config.size, "batch": config.batch_size, "chunk": config.chunk,
        "pairs_per_s": config.batch_size * steps / seconds, "pictures_per_s": 2 * config.batch_size * steps / seconds,
        "mfu": mfu, "wait_share": max(0.0, waited / seconds), "peak_memory_gib": result["peak_memory_bytes"] / 2**30,
        "torch": result["torch"],
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Measures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", type=Path, help="a published version (default: one made here)")
    add("--model", default="B/16", help="default: B/16")
    add("--size", type=int, default=224, help="px a side of photographs (default: 224)")
    add("--batch", type=int, default=256, help="first batch size (default: 256)")
    add("--most", type=int, default=65536, help="last batch size (default: 65536)")
    add("--chunk", type=int, default=0, help="pictures in memory at once, GradCache (default: all)")
    add("--steps", type=int, default=20, help="a run (default: 20)")
    add("--workers", type=int, default=0, help="processes that decode (default: a thread)")
    add("--decode-threads", type=int, default=8, help="default: 8")
    add("--recompute", action="store_true", help="gradient checkpointing")
    add("--compile", action="store_true", help="torch.compile")
    add(
        "--blank",
        choices=("skip", "see"),
        default="skip",
        help="see: blank patches of texts are looked at, as in CLIPPO",
    )
    add("--json", type=Path, help="figures as JSON")
    add("--toy", action="store_true", help="tiny tower, 32 px, batches of 8 and 16")
    given = parser.parse_args(argv)
    if given.toy:
        given.model, given.size, given.batch, given.most, given.steps, given.decode_threads = "tiny", 32, 8, 16, 4, 1
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        # Making pictures takes a minute for 10,000; whole batches, not in chunks, fill any GPU's memory long before 8,192 pairs.
        most = min(given.most, 16384 if given.chunk else 4096)
        folder = given.dataset or write_version(Path(scratch) / "v", photographs=max(64, most), texts=max(64, most))
        pairs = sum(shard.samples for shard in open_version(folder).shards if shard.split == TRAIN)
        batch = given.batch
        while batch <= given.most:
            if batch > pairs:
                print(f"batch {batch}: the version has {pairs} pairs; --dataset names a larger one")
                break
            figures = one(TrainConfig(
                dataset=folder, out=Path(scratch) / f"out-{batch}", model=given.model, size=given.size, batch_size=batch,
                chunk=given.chunk, steps=given.steps, workers=given.workers, decode_threads=given.decode_threads,
                recompute=given.recompute, compile=given.compile, blank=given.blank, batches="mixed", holdout=0.0, standardise=0.0,
                checkpoint_every=0, cache_mib=0, log_every=given.steps,
            ))  # fmt: skip
            if figures is None:
                print(f"batch {batch}: not enough memory")
                break
            found.append(figures)
            mfu = "unknown" if figures["mfu"] is None else f"{figures['mfu']:.1%}"
            print(f"{figures['device']} {given.model} {given.size} px batch {batch} chunk {given.chunk}: "
                  f"{figures['pairs_per_s']:.1f} pairs/s, {figures['pictures_per_s']:.1f} pictures/s, MFU {mfu}, "
                  f"waiting {figures['wait_share']:.1%}, peak {figures['peak_memory_gib']:.2f} GiB", flush=True)  # fmt: skip
            batch *= 2
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
