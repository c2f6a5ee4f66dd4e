"""Command line of the reference trainer. Exit codes: 0 trained, 1 the data or the training failed, 2 the call was wrong."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def _mix(text: str) -> dict[str, float]:
    """`image_alt=0.6,sentences=0.4` -> weights."""
    mix = {}
    for part in filter(None, text.split(",")):
        kind, equals, weight = part.partition("=")
        try:
            mix[kind.strip()] = float(weight)
        except ValueError:
            equals = ""
        if not equals or not mix[kind.strip()] >= 0:
            raise argparse.ArgumentTypeError(f"{part!r} is not KIND=WEIGHT with a weight of 0 or more")
    return mix


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.train.reference", description="Train a small pixel-only tower on a published version."
    )
    add = parser.add_argument
    add("--dataset", type=Path, required=True, help="folder of the published version")
    add("--out", type=Path, required=True, help="folder for metrics, weights, plot and result.json")
    add("--manifest-sha256", metavar="HEX", help="refuse a version whose manifest has another hash")
    add("--mix", type=_mix, default={}, metavar="KIND=W,...", help="weights of the kinds (default: the version's)")
    add("--model", default="tiny", help="tiny, S/16 or B/16 (default: %(default)s)")
    add("--steps", type=int, default=600, help="default: %(default)s")
    add("--batch-size", type=int, default=32, help="default: %(default)s")
    add("--lr", type=float, default=1e-3, help="peak learning rate (default: %(default)s)")
    add("--standardise", type=float, default=0.9, metavar="SHARE",
        help="share of the steps with embeddings standardised over the batch; 0: as in CLIPPO (default: %(default)s)")  # fmt: skip
    add("--size", type=int, default=112, help="px a side of photographs (default: %(default)s)")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--threads", type=int, default=0, help="CPU threads; 0: torch's choice (default: %(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    add("--control", choices=("none", "shuffled"), default="none", help="shuffled: pairs that must teach nothing")
    add("--keep-repeats", action="store_true", help="repeated texts of a batch stay negatives, as in CLIPPO")
    add("--max-seconds", type=float, help="stop training after this long (default: never)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Trains as the arguments say; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.steps < 1 or args.batch_size < 2 or args.lr <= 0 or not 0 <= args.standardise <= 1:
        parser.error("--steps must be at least 1, --batch-size at least 2, --lr above 0, --standardise 0 to 1")
    # Threads that wait must sleep: where cores are shared, threads that spin made a step ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from pipelines.train.reference.config import TrainConfig, TrainingError
        from pipelines.train.reference.trainer import train
        from pipelines.train.reference.version import DataError
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("training needs PyTorch: pip install torch==2.13.0", file=sys.stderr)
        return 1
    config = TrainConfig(
        dataset=args.dataset, out=args.out, manifest_sha256=args.manifest_sha256, mix=args.mix, model=args.model,
        steps=args.steps, batch_size=args.batch_size, learning_rate=args.lr, standardise=args.standardise, size=args.size,
        seed=args.seed, threads=args.threads, device=args.device, control=args.control,
        mask_repeats=not args.keep_repeats, max_seconds=args.max_seconds,
    )  # fmt: skip
    try:
        result = train(config)
    except (DataError, TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = result["retrieval"] or {}
    recall = found.get("text_to_left", {}).get("recall_at_1", float("nan"))
    print(f"done status={result['status']!r} steps={result['steps']} loss_first={result['loss_first']:.4f} "
          f"loss_last={result['loss_last']:.4f} loss_chance={result['loss_chance']:.4f} recall_at_1={recall:.4f} "
          f"chance_at_1={found.get('chance_at_1', float('nan')):.4f} samples_per_s={result['samples_per_s']:.1f} "
          f"seconds={result['seconds']:.1f}", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
