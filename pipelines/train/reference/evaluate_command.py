"""Command line of the evaluation. Exit codes: 0 evaluated, 1 the data or the tower is at fault, 2 the call was wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates as the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.train.reference.evaluate",
        description="Evaluate a saved tower on the held-out pairs of a version.",
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="weights.safetensors of a run")
    add("--dataset", required=True, help="folder of the published version, a path or a URL of an object store")
    add("--out", type=Path, help="folder for evaluation.json, plots and report.html (default: nothing is written)")
    add("--kinds", help="KIND,... (default: all of the version)")
    add("--most", type=int, default=1000, help="pairs of a kind at most (default: %(default)s)")
    add(
        "--classes",
        type=Path,
        help="file of classes for zero-shot classification, YAML or JSON; see docs/evaluation.md",
    )
    add("--holdout", type=float, default=0.1, help="share held out by hash where the version names no held-out pairs")
    add("--threads", type=int, default=0, help="CPU threads; 0: torch's choice (default: %(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.most < 2 or not 0 < args.holdout <= 0.5:
        parser.error("--most must be at least 2, --holdout above 0 and 0.5 at most")
    # Threads that wait must sleep: where cores are shared, threads that spin made a step ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from pipelines.train.reference.evaluate import EvaluationError, evaluate_version
    from pipelines.train.reference.version import DataError
    from pipelines.train.reference.zero_shot import ClassesError

    began = time.perf_counter()
    try:
        result, page = evaluate_version(
            args.weights, args.dataset, out=args.out, kinds=args.kinds.split(",") if args.kinds else None,
            most=args.most, classes=args.classes, holdout=args.holdout, threads=args.threads, device=args.device,
        )  # fmt: skip
    except ClassesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (DataError, EvaluationError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"{'kind':<18}{'n':>6}  {'text to left R@1 R@5 R@10':>28}  {'left to text R@1':>17}  {'x chance':>8}"
          f"  {'gap':>6}  {'relative':>8}")  # fmt: skip
    for kind, found in result["retrieval_by_kind"].items():
        there, back = found["text_to_left"], found["left_to_text"]
        three = " ".join(f"{100 * there[f'recall_at_{k}']:.1f}" for k in (1, 5, 10))
        times = there["recall_at_1"] / found["chance_at_1"]
        print(f"{kind:<18}{found['samples']:>6}  {three:>28}  {100 * back['recall_at_1']:>17.1f}  {times:>8.1f}"
              f"  {found['gap']:>6.3f}  {found['relative_gap']:>8.3f}")  # fmt: skip
    for one in result.get("zero_shot", ()):
        print(f"zero-shot {one['name']}: {100 * one['top_1']:.1f} % of {one['photographs']} (chance {100 * one['chance']:.1f} %); "
              + json.dumps(one["by_language"]))  # fmt: skip
    if args.classes is not None and not result.get("zero_shot"):
        print(f"note: no held-out photograph is of one class of {args.classes}: nothing was classified")
    if page is not None:
        print(f"report: {page}")
    print(f"done seconds={time.perf_counter() - began:.1f}")
    return 0
