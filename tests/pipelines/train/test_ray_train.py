"""The trainer on a real local Ray: two workers, one of them killed."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from pipelines.train.reference.checkpoint import listed
from pipelines.train.reference.config import TrainConfig
from pipelines.train.reference.metrics import METRICS, read_metrics
from pipelines.train.reference.version import DataError

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def local_ray():
    ray = pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=128 << 20, _temp_dir=folder)
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def config(version: Path, out: Path, **more) -> TrainConfig:
    options = {
        "steps": 60,
        "batch_size": 8,
        "size": 32,
        "threads": 1,
        "checkpoint_every": 5,
        "device": "cpu",
        "timeout_seconds": 60,
    }
    return TrainConfig(dataset=version, out=out, **{**options, **more})


def kill_first_worker(out: Path) -> None:
    """Once there is a checkpoint; the first worker's event file has its process id in its name."""
    while not listed(out):
        time.sleep(0.05)
    (events,) = out.glob("events.out.tfevents.*")
    os.kill(int(events.name.split(".")[-2]), signal.SIGKILL)


def test_a_lost_worker_is_replaced_and_the_run_goes_on_from_its_checkpoint(local_ray, small, tmp_path, monkeypatch):
    """Paths are relative ones: Ray's workers, which stand in other folders, looked for them there."""
    from pipelines.train.reference.ray_train import train_on_ray

    monkeypatch.chdir(tmp_path)
    out, small = Path("out"), Path(os.path.relpath(small, tmp_path))
    killer = threading.Thread(target=kill_first_worker, args=(out,))
    killer.start()
    result = train_on_ray(config(small, out), workers=2, cpus_per_worker=1, restarts=2)
    killer.join()
    assert result["workers"] == 2
    assert result["resumed_at"], "the second attempt took up the checkpoint of the first"
    assert [row["step"] for row in read_metrics(out / METRICS)] == list(range(1, 61))


def test_a_fault_of_the_data_is_an_error_at_once(local_ray, small, tmp_path):
    from pipelines.train.reference.ray_train import train_on_ray

    with pytest.raises(DataError, match="no shards of kind word_drop"):
        train_on_ray(config(small, tmp_path / "out", mix={"word_drop": 1.0}), workers=1, restarts=2)
    # Without restarts Ray raises, and its own error hid the message.
    with pytest.raises(ValueError, match="cannot be shared by 2 workers"):
        train_on_ray(config(small, tmp_path / "b", batch_size=9), workers=2, restarts=0)
    with pytest.raises(ValueError, match="device: cuda needs --gpus"):
        train_on_ray(config(small, tmp_path / "c", device="cuda"), workers=1)
