"""The Prefect flow `train_model`: from a published version to a trainer's result beside it."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from typing import Any

import yaml
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from flows import artifacts
from flows.context import Built, current
from flows.log import logger
from flows.parameters import TrainParameters, flat
from flows.progress import Board
from flows.tasks import first_line
from pipelines import manifest as manifests
from pipelines import storage
from pipelines.dataset import DatasetError, load
from pipelines.train.run import Trained, train
from pipelines.train.spec import TrainerSpec

environment.settle()

_SPEC_BYTES = 1 << 18


@flow(name="train_model", persist_result=False)
@flat(TrainParameters)
def train_model(asked: TrainParameters) -> Trained:
    """Trains on a published version; refuses one that is not whole or not the one that was promised."""
    folder, _, name = asked.manifest.rstrip("/").rpartition("/")
    if name != manifests.NAME:
        raise DatasetError(f"{asked.manifest}: the path of a version's {manifests.NAME} is wanted")
    spec = spec_of(asked.trainer) if asked.trainer is not None else recipe_spec(folder, asked.sha256)
    return run_train(folder, asked.sha256, spec)


def spec_of(path: str) -> TrainerSpec:
    """A trainer's spec from a YAML file.

    Raises:
        DatasetError: It cannot be read, or is none.
    """
    try:
        with storage.open_read(path) as file:
            return TrainerSpec.model_validate(yaml.safe_load(file.read(_SPEC_BYTES)))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise DatasetError(f"trainer {path}: {error}") from error


def recipe_spec(folder: str, sha256: str) -> TrainerSpec:
    """The trainer that a version's own recipe names; the manifest is held against its hash before a word of it is used.

    Raises:
        DatasetError: The manifest is another, or names no trainer.
    """
    found = storage.sha256_of(storage.join(folder, manifests.NAME)) if storage.exists(folder) else "nothing"
    if found != sha256:
        raise DatasetError(f"{folder}: the manifest's sha256 is {found}, {sha256} was promised")
    named = load(folder).recipe.get("train")
    if named is None:
        raise DatasetError(f"{folder}: its recipe names no trainer (`train`); give one by the parameter `trainer`")
    return TrainerSpec.model_validate(named)


def run_train(folder: str, sha256: str, spec: TrainerSpec) -> Trained:
    """The body of the flow: one task, which verifies, launches, follows and records."""
    board = current().board
    log = logger()

    def said(line: str) -> None:
        log.info("%s", line)
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "step" in words and "train" in board.lines:
            board.lines["train"].note = line[:120]

    run = task(name="train", task_run_name="train", cache_policy=NO_CACHE, persist_result=False)(train)
    trained = run(folder, spec, manifest_sha256=sha256, said=said)
    rows: list[dict[str, Any]] = [
        {"what": name, "value": str(value)[:200]} for name, value in sorted(trained.result.items())
    ]
    artifacts.table("train", "result", [{"what": "folder", "value": trained.folder}, *rows])
    return trained


def hand_over(built: Built, board: Board) -> Trained:
    """Trains on what a build has published, as a run within its run: by the version's own recipe, as an event or a person would."""
    board.start("train")
    try:
        trained: Trained = train_model(
            manifest=storage.join(built.folder, manifests.NAME), sha256=built.manifest_sha256
        )
    except BaseException as error:
        board.finish("train", "failed", note=first_line(error))
        raise
    board.finish("train", "done" if trained.new else "cached", note=_figures(trained))
    return trained


def _figures(trained: Trained) -> str:
    first, last = trained.result.get("loss_first"), trained.result.get("loss_last")
    return f"loss {first:.3f} -> {last:.3f}" if isinstance(first, float) and isinstance(last, float) else ""
