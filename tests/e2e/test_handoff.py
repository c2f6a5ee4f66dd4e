"""From a published version to a trainer: the event, the launch, the refusal of what is not whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.dataset import DatasetError
from pipelines.train.run import TrainError, train
from pipelines.train.spec import TrainerSpec
from tests.e2e.conftest import Cli, Undisturbed, write_recipe
from tests.e2e.prefect_site import events, wait

pytestmark = pytest.mark.engine

TRAINER = """
import json, pathlib, sys
dataset, out, sha256, mix = sys.argv[1:]
manifest = json.loads(pathlib.Path(dataset, "MANIFEST.json").read_text())
print("step=1 loss=2.0")
samples = sum(shard["samples"] for shard in manifest["shards"])
result = {"loss_first": 2.0, "loss_last": 1.0, "samples": samples, "sha256": sha256, "mix": mix}
pathlib.Path(out, "result.json").write_text(json.dumps(result))
"""


def _spec(program: str = TRAINER) -> dict[str, Any]:
    return {"argv": ["{python}", "-c", program, "{dataset}", "{out}", "{manifest_sha256}", "{mix}"]}


def test_promotion_emits_the_event_and_training_runs(
    undisturbed: Undisturbed, small_input: Path, cli: Cli, prefect_environment: dict[str, str]
) -> None:
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    path = write_recipe(small_input / "with_trainer.yaml", {**recipe, "name": "with_trainer", "train": _spec()})
    done = cli("build", path, "--root", undisturbed.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stages run: 0" in done.stdout, "another name needs no other stages"
    (pointer,) = undisturbed.root.glob("datasets/with_trainer/champion.json")
    promoted = json.loads(pointer.read_text())
    version = pointer.parent / promoted["version"]
    (outcome,) = (json.loads(path.read_text()) for path in version.glob("training/*/outcome.json"))
    assert outcome["state"] == "succeeded"
    assert outcome["result"]["sha256"] == promoted["manifest_sha256"]
    manifest = json.loads((version / "MANIFEST.json").read_text())
    assert outcome["result"]["samples"] == sum(shard["samples"] for shard in manifest["shards"])

    # The server takes events in by itself, some time after they were sent.
    def promotions() -> list[dict[str, Any]] | None:
        found = events(prefect_environment["PREFECT_API_URL"], "pixelpairs.dataset.promoted")
        return [event for event in found if event["payload"]["version"] == promoted["version"]] or None

    event, *_ = wait("the event of the promotion", promotions, 60)
    assert event["payload"]["sha256"] == promoted["manifest_sha256"]
    again = cli("build", path, "--root", undisturbed.root)
    assert again.returncode == 0
    assert "train: already done" in again.stdout


def test_a_trainer_that_fails_says_what_it_printed(undisturbed: Undisturbed, tmp_path: Path) -> None:
    version = tmp_path / "version"
    shutil.copytree(undisturbed.version.folder, version)
    spec = TrainerSpec.model_validate(_spec("import sys; print('no memory left'); sys.exit(3)"))
    with pytest.raises(TrainError, match="no memory left"):
        train(str(version), spec)
    (outcome,) = (json.loads(path.read_text()) for path in version.glob("training/*/outcome.json"))
    assert outcome["state"] == "failed"
    # What failed once is tried again; what succeeded is not.
    assert train(str(version), TrainerSpec.model_validate(_spec())).new
    assert not train(str(version), TrainerSpec.model_validate(_spec())).new


def test_training_refuses_a_version_that_is_not_whole(undisturbed: Undisturbed, tmp_path: Path) -> None:
    spec = TrainerSpec.model_validate(_spec())
    with pytest.raises(DatasetError, match="not a published version"):
        train(str(tmp_path), spec)
    version = tmp_path / "version"
    shutil.copytree(undisturbed.version.folder, version)
    with pytest.raises(DatasetError, match="was promised"):
        train(str(version), spec, manifest_sha256="0" * 64)
    shard = version / undisturbed.version.manifest["shards"][0]["path"]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match=shard.name):
        train(str(version), spec)
    shard.unlink()
    with pytest.raises(DatasetError, match="is gone"):
        train(str(version), spec)
    assert not list(version.glob("training/*/outcome.json"))


def test_the_reference_trainer_learns_from_a_build(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """The hand-off with the real trainer: the loss falls on the real shards, and the figures are in the version's folder."""
    pytest.importorskip("torch")
    version = tmp_path / "version"
    shutil.copytree(undisturbed.version.folder, version)
    words = "{python} -m pipelines.train.reference --dataset {dataset} --out {out} --steps 80 --batch-size 32 --size 64"
    done = train(str(version), TrainerSpec(argv=words.split()))
    assert done.result["loss_last"] < done.result["loss_first"]
    assert (Path(done.folder) / "result.json").is_file()
    assert str(version) in done.folder
