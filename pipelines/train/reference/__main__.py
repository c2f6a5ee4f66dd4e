"""Command line of the reference trainer. Exit codes: 0 trained, 1 the data or the training failed, 2 the call was wrong,
130 and 143 stopped by SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Trains as the arguments say; returns the exit code."""
    # Threads that wait must sleep: where cores are shared, threads that spin made a step ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from pipelines.train.reference.config import TrainingError
        from pipelines.train.reference.distributed import WorkerLostError
        from pipelines.train.reference.options import USAGE, add_options, config_of
        from pipelines.train.reference.stopping import StoppedError
        from pipelines.train.reference.trainer import train
        from pipelines.train.reference.version import DataError
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("training needs PyTorch: pip install torch==2.13.0", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.train.reference",
        description="Train a pixel-only tower on a published version.",
        usage=USAGE,
        allow_abbrev=False,
    )
    add_options(parser)
    given = parser.parse_args(argv)
    try:
        result = train(config_of(given))
    except (DataError, TrainingError, WorkerLostError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except StoppedError as error:
        if str(error):
            print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if result:
        found = result["retrieval"] or {}
        recall = found.get("text_to_left", {}).get("recall_at_1", float("nan"))
        print(f"done status={result['status']!r} steps={result['steps']} loss_first={result['loss_first']:.4f} "
              f"loss_last={result['loss_last']:.4f} loss_chance={result['loss_chance']:.4f} recall_at_1={recall:.4f} "
              f"chance_at_1={found.get('chance_at_1', float('nan')):.4f} samples_per_s={result['samples_per_s']:.1f} "
              f"seconds={result['seconds']:.1f}", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
