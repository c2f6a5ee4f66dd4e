"""open_clip as a trainer: the words of `open_clip_train.main` for a version.

open_clip reads each sample's left picture and right text (`<key>.jpg|png|webp`, `<key>.txt`): rendered text is to it a picture
like any other, the other side is tokenised. It knows no steps: it trains for `--epochs` of `--train-num-samples` each.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from pipelines.dataset import DatasetManifest
from pipelines.train import webdataset_words
from pipelines.train.options import Options
from pipelines.train.spec import TrainerSpec
from pipelines.train.steps import CLIPPO_STEPS, mix_for, steps_for


class OpenClipOptions(Options):
    """What open_clip is told beside the version."""

    model: str = Field(
        default="ViT-B-16",
        min_length=1,
        description="architecture by name, or local-dir:FOLDER with an open_clip_config.json",
    )
    batch_size: int = Field(default=256, ge=1, description="samples a process and step")
    epochs: int | None = Field(default=None, ge=1, description="null: as many as the steps take")
    steps: int | None = Field(default=None, ge=1, description="null: base_steps / (1 - share of text pairs)")
    base_steps: int = Field(default=CLIPPO_STEPS, ge=1, description="steps of a mix without text pairs")
    warmup: int = Field(default=10_000, ge=0, description="steps in which the learning rate rises")
    lr: float = Field(default=5e-4, gt=0, allow_inf_nan=False)
    workers: int = Field(default=4, ge=0, description="loader processes a process")
    precision: Literal["amp", "amp_bf16", "bf16", "fp32"] = Field(default="amp_bf16")
    device: str = Field(default="cuda", pattern="^[a-z]+(:[0-9]+)?$")
    validate_on_held_out: bool = Field(
        default=True,
        description="retrieval on the pairs that the build held out, after each epoch, where there are any",
    )
    python: str = Field(
        default="{python}", min_length=1, description="interpreter of an environment with open_clip_torch[training]"
    )
    more: list[str] = Field(default_factory=list, description="further words for open_clip_train.main")


def open_clip_argv(manifest: DatasetManifest, options: OpenClipOptions, spec: TrainerSpec) -> list[str]:
    """The command, with fields in braces for what `prepare` fills in.

    Args:
        manifest: The version's.
        options: What open_clip is told.
        spec: Mix and number of processes; its argv is not looked at.

    Raises:
        DatasetError: The mix names a kind that the version has no samples of.
        ValueError: The steps have no rule for this mix.
    """
    mix = mix_for(manifest, spec.mix)
    count = webdataset_words.samples(manifest, mix)
    batch = options.batch_size * spec.resources.processes * spec.resources.nodes
    epochs = options.epochs
    if epochs is None:
        steps = steps_for(mix, steps=options.steps, base_steps=options.base_steps)
        epochs = max(1, math.ceil(steps / math.ceil(count / batch)))
    held_out = options.validate_on_held_out and webdataset_words.samples(manifest, mix, "validation") > 0
    return [
        options.python, "-m", "open_clip_train.main",
        "--dataset-type", "webdataset",
        "--train-data", "{shards}",
        "--train-data-upsampling-factors", "{upsampling}",
        "--dataset-resampled",  # factors are chances: shards are drawn with replacement
        "--train-num-samples", "{samples}",
        "--epochs", str(epochs),
        *(["--val-data", "{validation}", "--val-num-samples", "{validation_samples}"] if held_out else []),
        "--model", options.model,
        "--batch-size", str(options.batch_size),
        "--lr", f"{options.lr:g}",
        "--warmup", str(options.warmup),
        "--workers", str(options.workers),
        "--precision", options.precision,
        "--device", options.device,
        "--logs", "{out}",
        "--name", "open_clip",
        "--save-most-recent",
        "--resume", "latest",  # nothing happens without a checkpoint; without the word a second attempt is refused
        *options.more,
    ]  # fmt: skip


def open_clip_spec(manifest: DatasetManifest, options: OpenClipOptions, spec: TrainerSpec) -> TrainerSpec:
    """`spec` with open_clip's command in place of its own."""
    return TrainerSpec.model_validate({**spec.model_dump(), "argv": open_clip_argv(manifest, options, spec)})
