"""How fast the trainer's loader is: against webdataset with Pillow on the same shards, and against what a model takes.

    python -m benchmarks.bench_loader [--dataset VERSION] [--repeats N] [--pairs N]

One core, one thread, all contenders in this process in turns; a ratio is the median over the turns. The loader opens, hashes and
indexes the shards anew in every turn, and reads those of texts whole, as an epoch does: a shard is hashed once, however much of it
is read. webdataset hashes nothing, and is told to pass over the members that are not needed.

Prints a table, then one line a row, `<name> <ratio> <goal> ok|short`; exits 1 if a row is short.

What is compared, in samples a second of one core:
    text            pairs of texts: both sides as uint8 pixels, rendered again from the shard's text, against both PNGs decoded
    text-decoded    the same, the loader decoding the PNGs too
    photo           photographs at 224 px with their texts, JPEGs decoded smaller where they are large, against Pillow's decoding
                    and antialiased bilinear resizing
    photo-whole     the same without decoding smaller
    feed            the loader on the version's mix, against the tiny tower's training on the same core
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from PIL import Image

from benchmarks.made_pairs import write_version
from pipelines.train.reference.decode import Batch, Decoder
from pipelines.train.reference.distributed import World
from pipelines.train.reference.loss import Objective
from pipelines.train.reference.model import MODELS, TowerConfig, make_tower
from pipelines.train.reference.photographs import PhotoRecipe
from pipelines.train.reference.plan import Order, Plan
from pipelines.train.reference.shards import Shards
from pipelines.train.reference.step import Embedder, StepOptions, backward
from pipelines.train.reference.usage import PEAKS, training_flops
from pipelines.train.reference.version import PHOTOGRAPHS, Version, open_version, resolve_mix

GOALS = {"text": 15.0, "text-decoded": 1.0, "photo": 1.5, "photo-whole": 1.0, "feed": 2.0}
BATCH = 256


def ours(
    version: Version, mix: dict[str, float], pairs: int, *, way: str = "render", draft: bool = True
) -> Iterator[Batch]:
    """Batches of the loader, from closed shards to tensors."""
    decoder = Decoder(Shards(version), photo=PhotoRecipe(224, draft=draft), patch=16, text_pixels=way, cache_bytes=0)  # type: ignore[arg-type]
    orders = {
        kind: Order(
            kind, version.of(kind), [version.shards[n].samples for n in version.of(kind)], lanes=8, block=32768, seed=0
        )
        for kind in mix
    }
    plan = Plan(orders, mix, BATCH, batches="mixed")
    for _ in range(pairs // BATCH):
        yield decoder.planned(plan.next(), plan.kinds)


def theirs(version: Version, kind: str, pairs: int) -> int:
    """webdataset's reader with Pillow, as its documentation has it, keeping only what is needed."""
    photo = kind == PHOTOGRAPHS
    urls = [str(version.shards[n].path) for n in version.of(kind)]
    left = "jpg;png;webp" if photo else "png"
    wanted = (".jpg", ".png", ".webp")
    data = wds.WebDataset(urls, shardshuffle=False, empty_check=False, select_files=lambda name: name.endswith(wanted))
    count = 0
    for one, other in data.decode("pil").to_tuple(left, "text.png"):
        if photo:
            np.asarray(one.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
        else:
            np.asarray(one.convert("L"))
        np.asarray(other.convert("L"))
        count += 1
        if count == pairs:
            break
    return count


def rate(work: Callable[[], int]) -> float:
    """What `work` returns, a second of this process on a core: what else the machine does is not counted."""
    began = time.process_time()
    done = work()
    return done / (time.process_time() - began)


def trained(version: Version, mix: dict[str, float], steps: int = 3) -> float:
    """Pairs a second that the tiny tower is trained with, data at hand."""
    batches = list(ours(version, mix, BATCH * steps))
    tower = make_tower("tiny", rows=14, columns=14)
    optimiser = torch.optim.AdamW(tower.parameters())
    embedder, world = Embedder(tower, StepOptions()), World(0, 1, torch.device("cpu"))

    def work() -> int:
        for batch in batches[1:]:
            optimiser.zero_grad(set_to_none=True)
            backward(embedder, Objective(), batch, world)
            optimiser.step()
        return BATCH * (steps - 1)

    backward(embedder, Objective(), batches[0], world)
    return rate(work)


def needed(version: Version, mix: dict[str, float]) -> list[str]:
    """Pairs a second that one GPU takes at half of its peak, by the operations of this version's own batches."""
    *_, batch = ours(version, mix, BATCH)
    peaks = dict(PEAKS)
    found = []
    for model in ("S/16", "B/16", "L/16"):
        flops = training_flops(batch, TowerConfig(rows=14, columns=14, **MODELS[model]), StepOptions()) / len(batch)
        rates = ", ".join(f"{device} {0.5 * peaks[device] / flops:,.0f}" for device in ("H100", "A100"))
        found.append(f"{model} takes at half of the peak, pairs/s: {rates}")
    return found


def main() -> int:
    """Measures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", type=Path, help="a published version with image_alt and sentences (default: one made here)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--pairs", type=int, default=1024, help="a turn of a contender (default: 1024)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.dataset or write_version(Path(scratch) / "v", photographs=2048, texts=8192)
        return measure(open_version(folder), given.repeats, given.pairs)


def measure(version: Version, repeats: int, pairs: int) -> int:
    """Runs all contenders in turns and prints the table and the rows."""
    text = next(kind for kind in version.kinds if kind != PHOTOGRAPHS)
    texts = sum(version.shards[n].samples for n in version.of(text)) // BATCH * BATCH
    photos = pairs // 2
    contenders: dict[str, Callable[[], float]] = {
        "text": lambda: rate(lambda: sum(map(len, ours(version, {text: 1.0}, texts)))),
        "text-decoded": lambda: rate(lambda: sum(map(len, ours(version, {text: 1.0}, pairs, way="decode")))),
        "text-webdataset": lambda: rate(lambda: theirs(version, text, pairs)),
        "photo": lambda: rate(lambda: sum(map(len, ours(version, {PHOTOGRAPHS: 1.0}, photos)))),
        "photo-whole": lambda: rate(lambda: sum(map(len, ours(version, {PHOTOGRAPHS: 1.0}, photos, draft=False)))),
        "photo-webdataset": lambda: rate(lambda: theirs(version, PHOTOGRAPHS, photos)),
        "mix": lambda: rate(lambda: sum(map(len, ours(version, resolve_mix(version, {}), photos)))),
        "tiny-trains": lambda: trained(version, resolve_mix(version, {})),
    }
    list(ours(version, {text: 0.5, PHOTOGRAPHS: 0.5}, BATCH))  # compiles what is compiled
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            rates[name].append(contender())
    print(f"{'samples/s of one core':24}{'median':>10}{'least':>10}{'most':>10}")
    for name, found in rates.items():
        print(f"{name:24}{statistics.median(found):10.0f}{min(found):10.0f}{max(found):10.0f}")
    for line in needed(version, resolve_mix(version, {})):
        print(line)
    against = {"text": "text-webdataset", "text-decoded": "text-webdataset", "photo": "photo-webdataset",
               "photo-whole": "photo-webdataset", "feed": "tiny-trains"}  # fmt: skip
    short = False
    for name, other in against.items():
        pairs_of = zip(rates["mix" if name == "feed" else name], rates[other], strict=True)
        ratio = statistics.median(a / b for a, b in pairs_of)
        short |= ratio < GOALS[name]
        print(f"{name} {ratio:.2f} {GOALS[name]:g} {'ok' if ratio >= GOALS[name] else 'short'}")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
