"""The same run on Ray Train: several workers of a cluster, started again from the last checkpoint when one is lost.

    python -m pipelines.train.reference.ray_train --workers-on-ray 4 --gpus --dataset … --out /shared/run …

Each Ray worker runs `trainer.train`; Ray makes the process group. `--out` must be a folder that every worker sees, since
checkpoints lie there. The only module of the trainer that imports Ray.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pipelines import storage
from pipelines.train.reference.config import TrainConfig, TrainingError
from pipelines.train.reference.options import USAGE, add_options, config_of
from pipelines.train.reference.trainer import RESULT
from pipelines.train.reference.version import DataError


def train_on_ray(
    config: TrainConfig, *, workers: int, gpus: bool = False, cpus_per_worker: float = 1, restarts: int = 3
) -> dict[str, Any]:
    """Trains on Ray, joined already or started here.

    Args:
        config: The run. Its folder must be seen by all workers.
        workers: How many; they divide the batch.
        gpus: Whether each has a GPU.
        cpus_per_worker: CPU cores that each is given.
        restarts: How often lost workers are replaced; the run then goes on from its newest checkpoint.

    Returns:
        What `result.json` holds.

    Raises:
        DataError, TrainingError, ValueError: As `trainer.train`. A wrong call and bad data are not tried again.
    """
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    config = _from_anywhere(config)
    result = config.out / RESULT
    config.out.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    _fault(config.out).unlink(missing_ok=True)
    if gpus and config.device == "cpu":
        raise ValueError("device: cpu, and each worker was to have a GPU")
    if not gpus:
        # Ray does not hide GPUs from a worker that asked for none, and its group speaks for CPUs.
        if config.device not in ("auto", "cpu"):
            raise ValueError(f"device: {config.device} needs --gpus")
        config = config.model_copy(update={"device": "cpu"})
    if not ray.is_initialized():
        ray.init(log_to_driver=True)
    _wait_is_said(workers, gpus=gpus, cpus=cpus_per_worker)
    # What starts over deletes checkpoints: done once here, since a worker does it again after each restart.
    if config.fresh:
        from pipelines.train.reference import checkpoint

        checkpoint.remove(config.out)
        config = config.model_copy(update={"fresh": False})
    trainer = TorchTrainer(
        _loop,
        train_loop_config={"config": config.model_dump(mode="json", exclude_unset=True)},
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=int(config.timeout_seconds)),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus, resources_per_worker={"CPU": cpus_per_worker}),
        run_config=RunConfig(
            name=config.out.name,
            storage_path=str((config.out / "ray").resolve()),
            failure_config=FailureConfig(max_failures=restarts),
        ),
    )
    failed: Exception | None = None
    try:
        trainer.fit()
    except Exception as error:  # of Ray's many: what a worker wrote down says more
        failed = error
    if (fault := _fault(config.out)).exists():
        said = json.loads(fault.read_text())
        raise {"DataError": DataError, "ValueError": ValueError}.get(said["type"], TrainingError)(said["message"])
    if failed is not None:
        words = str(failed).strip().splitlines() or [type(failed).__name__]
        raise TrainingError(f"Ray ended the run after {restarts} restarts: {words[-1]}") from failed
    if not result.exists():
        raise TrainingError(f"Ray ended the run, but {result} is not there")
    return dict(json.loads(result.read_text()))


def _from_anywhere(config: TrainConfig) -> TrainConfig:
    """With absolute paths: Ray's workers stand in folders of their own."""
    paths: dict[str, Any] = {name: value.absolute() for name, value in config if isinstance(value, Path)}
    if storage.is_local(config.dataset):
        paths["dataset"] = str(storage.local_path(config.dataset).absolute())
    return config.model_copy(update=paths)


def _wait_is_said(workers: int, *, gpus: bool, cpus: float) -> None:
    """Says what Ray lacks, and waits for without a word: more nodes may come, or not."""
    import ray

    there = ray.cluster_resources()
    for name, needed in (("CPU", workers * cpus), ("GPU", float(workers if gpus else 0))):
        if there.get(name, 0) < needed:
            print(
                f"note: Ray has {there.get(name, 0):g} {name}s and the workers want {needed:g}: it waits for more",
                flush=True,
            )


def _fault(out: Path) -> Path:
    return out / "fault.json"


def _loop(options: dict[str, Any]) -> None:
    """What each worker runs. A fault of the data or the call is written down, and ends the run: a restart would meet it again."""
    from pipelines.train.reference.trainer import train

    config = TrainConfig(**options["config"])
    fault = _fault(config.out)
    if fault.exists():  # by a worker of the attempt before
        return
    try:
        train(config)
    except (DataError, TrainingError, ValueError) as error:
        fault.write_text(json.dumps({"type": type(error).__name__, "message": str(error)}), encoding="utf-8")
        raise  # ends the other workers, which would wait for this one


def main(argv: list[str] | None = None) -> int:
    """Trains as the arguments say; exit codes as `python -m pipelines.train.reference`."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.train.reference.ray_train", description=__doc__, usage=USAGE, allow_abbrev=False
    )
    parser.add_argument("--workers-on-ray", type=int, default=1, metavar="N", help="Ray workers (default: 1)")
    parser.add_argument("--gpus", action="store_true", help="a GPU for each worker")
    parser.add_argument("--cpus-per-worker", type=float, default=1, metavar="N", help="default: 1")
    parser.add_argument(
        "--restarts", type=int, default=3, metavar="N", help="lost workers replaced so often (default: 3)"
    )
    add_options(parser)
    given = parser.parse_args(argv)
    try:
        config = config_of(given)
        result = train_on_ray(
            config, workers=given.workers_on_ray, gpus=given.gpus, cpus_per_worker=given.cpus_per_worker, restarts=given.restarts
        )  # fmt: skip
    except (DataError, TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"done status={result['status']!r} steps={result['steps']} loss_last={result['loss_last']:.4f} "
          f"resumed_at={result['resumed_at']} workers={result['workers']}", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
