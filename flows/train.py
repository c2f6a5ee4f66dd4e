"""The Prefect flow `train_model`: from a published version to a trainer's result beside it."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.context import Built, current
from flows.progress import Board
from flows.tasks import first_line
from pipelines.train.run import Trained, train
from pipelines.train.spec import TrainerSpec

environment.settle()


@flow(name="train_model", persist_result=False)
def train_model(folder: str, manifest_sha256: str, spec: TrainerSpec) -> Trained:
    """Trains on a published version; refuses one that is not whole or not the one that was promised.

    Args:
        folder: The version's folder.
        manifest_sha256: What its manifest must hash to.
        spec: The trainer.
    """
    board = current().board

    def said(line: str) -> None:
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "step" in words and "train" in board.lines:
            board.lines["train"].note = line[:120]

    run = task(train, name="train", task_run_name="train", cache_policy=NO_CACHE, persist_result=False)
    return run(folder, spec, manifest_sha256=manifest_sha256, said=said)


def hand_over(built: Built, spec: TrainerSpec, board: Board) -> Trained:
    """Runs the train flow, as a part of a build's, on what it published."""
    board.start("train")
    try:
        trained = train_model(built.folder, built.manifest_sha256, spec)
    except BaseException as error:
        board.finish("train", "failed", note=first_line(error))
        raise
    board.finish("train", "done" if trained.new else "cached", note=_figures(trained))
    return trained


def _figures(trained: Trained) -> str:
    first, last = trained.result.get("loss_first"), trained.result.get("loss_last")
    return f"loss {first:.3f} -> {last:.3f}" if isinstance(first, float) and isinstance(last, float) else ""
