"""What a run is asked to do. Each field is an option of the command line and a line of a recipe, described here alone."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator


class TrainingError(Exception):
    """Training cannot go on; the message says at which step and why."""


class OutOfMemoryError(TrainingError):
    """The device's memory, or the machine's, does not suffice."""


class TrainConfig(BaseModel):
    """A run. Frozen; a value out of its bounds is a `pydantic.ValidationError`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # ---- what is trained on
    dataset: str = Field(
        min_length=1, description="folder of the published version, a path or a URL of an object store"
    )
    out: Path = Field(description="folder for metrics, checkpoints, weights, plot and result.json; made if absent")
    manifest_sha256: str | None = Field(default=None, description="refuse a version whose manifest has another hash")
    mix: dict[str, float] = Field(
        default_factory=dict,
        description="weights of the kinds, KIND=W,…; 0 leaves a kind out (default: the version's own)",
    )
    batches: Literal["kind", "mixed"] = Field(
        default="kind", description="whether a batch holds one kind or, as in CLIPPO, all of them by weight"
    )
    control: Literal["none", "shuffled"] = Field(
        default="none", description="shuffled: every left side gets another pair's right side, which must teach nothing"
    )
    holdout: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="share of left pictures kept from training where the version sets none aside",
    )
    holdout_most: int = Field(default=256, ge=0, description="pictures held out of a kind at most, in that case")

    classes: Path | None = Field(
        default=None, description="classes for zero-shot classification of the held-out photographs, YAML or JSON"
    )
    evaluate_every: int = Field(
        default=0, ge=0, description="steps between evaluations on the way; 0: at the end alone"
    )
    report: bool = Field(default=True, description="whether report.html and its plots are made at the end")

    # ---- how it is read
    size: int = Field(
        default=112, ge=16, le=1024, description="px a side of photographs; rendered text is never resized"
    )
    text_pixels: Literal["auto", "render", "decode"] = Field(
        default="auto", description="texts rendered again from the shard's text, or its PNGs decoded; the same bits"
    )
    antialias: bool = Field(default=True, description="photographs are resized with antialiasing; CLIPPO: without")
    draft: bool = Field(default=True, description="JPEGs are decoded smaller where they are far larger than needed")
    crop_min: float = Field(default=1.0, gt=0, le=1, description="least share of the area of a random crop; 1: no crop")
    flip: bool = Field(default=False, description="half of the photographs are mirrored")
    verify: Literal["open", "start"] = Field(
        default="open",
        description="shards are held against their sha256 when first needed, or all before the first step",
    )
    lanes: int = Field(
        default=0,
        ge=0,
        description="parts that the samples are read in; each worker owns some; 0: up to 8, or a worker's each",
    )
    shuffle_block: int = Field(default=32768, ge=1, description="samples of a lane that are shuffled among each other")
    workers: int = Field(default=0, ge=0, le=256, description="processes that decode for this worker; 0: one thread")
    decode_threads: int = Field(default=1, ge=1, le=64, description="threads that decode photographs")
    ahead: int = Field(default=4, ge=1, le=64, description="batches kept ready")
    shard_cache: Path | None = Field(
        default=None, description="folder for shards of a version in an object store (default: OUT/shards)"
    )
    shard_cache_gib: float = Field(default=256, gt=0, description="GiB of these kept")
    cache_mib: int = Field(default=1024, ge=0, description="MiB of decoded photographs kept in memory")

    # ---- the model
    model: str = Field(default="tiny", description="tiny, S/16, B/16 or L/16")
    blank: Literal["skip", "see"] = Field(
        default="skip", description="patch rows below a text's last ink: not looked at, or, as in CLIPPO, looked at"
    )
    start_from: Path | None = Field(
        default=None,
        description="weights.safetensors to go on from, such as converted CLIPPO weights; names the model too",
    )

    # ---- the objective
    loss: Literal["softmax", "sigmoid"] = Field(default="softmax", description="over the global batch, or pair by pair")
    standardise: float = Field(
        default=0.9, ge=0, le=1, description="share of the steps with embeddings standardised over the batch; CLIPPO: 0"
    )
    mask_repeats: bool = Field(
        default=True, description="pairs that share a picture or a text are no negatives; CLIPPO: they are"
    )
    keep_photo: float = Field(default=1.0, gt=0, le=1, description="share of a photograph's patches seen in training")
    keep_text: float = Field(default=1.0, gt=0, le=1, description="share of a text's patches seen in training")

    # ---- optimisation
    steps: int = Field(default=600, ge=1, description="optimiser steps")
    batch_size: int = Field(default=32, ge=2, description="pairs a step, of all workers together")
    chunk: int = Field(
        default=0, ge=0, description="pictures whose activations a worker holds at once (GradCache); 0: the whole batch"
    )
    recompute: bool = Field(default=False, description="gradient checkpointing: blocks are computed again going back")
    optimiser: Literal["adamw", "adafactor", "muon"] = Field(default="adamw", description="CLIPPO: adafactor")
    learning_rate: float = Field(default=1e-3, gt=0, description="its peak")
    weight_decay: float = Field(
        default=0.01, ge=0, description="share that a step takes of each kernel, times the learning rate"
    )
    clip: float = Field(default=1.0, ge=0, description="norm that gradients are cut to; 0: none")
    decay: Literal["cosine", "rsqrt", "constant"] = Field(
        default="cosine", description="of the learning rate; CLIPPO: rsqrt"
    )
    warm_up: float = Field(default=0.1, ge=0, description="steps with a rising rate; below 1: share of all")
    cool_down: float = Field(
        default=0.0, ge=0, description="steps with a falling rate at the end; below 1: share of all"
    )
    timescale: float = Field(default=10_000, gt=0, description="steps of rsqrt")
    seed: int = Field(default=0, description="weights, order, augmentation and control derive from it")

    # ---- the machine
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1")
    threads: int = Field(default=0, ge=0, description="CPU threads of torch; 0: its choice")
    precision: Literal["auto", "float32", "bfloat16"] = Field(default="auto", description="auto: bfloat16 on GPUs")
    compile: bool = Field(default=False, description="torch.compile: pays on GPUs after its first minutes")
    timeout_seconds: float = Field(
        default=600, gt=0, description="a worker that hears nothing of the others so long fails"
    )

    # ---- the run
    checkpoint_every: int = Field(default=200, ge=0, description="steps between checkpoints; 0: none")
    keep_checkpoints: int = Field(default=2, ge=1, description="checkpoints kept")
    fresh: bool = Field(
        default=False, description="start over where the folder holds checkpoints; else they are resumed"
    )
    log_every: int = Field(default=10, ge=1, description="steps between progress lines")
    max_seconds: float | None = Field(
        default=None, gt=0, description="stop at the first step after it; the result says so"
    )

    @field_validator("dataset", mode="before")
    @classmethod
    def _path_or_url(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        for kind, weight in self.mix.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"mix: {kind} has the weight {weight}; weights are numbers of 0 or more")
        if sum(self.mix.values()) == float("inf"):
            raise ValueError("mix: the weights are too large to be added up; their ratios alone count")
        if self.warm_up >= 1 and self.warm_up >= self.steps:
            raise ValueError(f"warm_up takes {self.warm_up:g} of {self.steps} steps")
        return self

    def learnt(self) -> dict[str, Any]:
        """The options that change what is learnt, as plain values."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in NOT_LEARNT}

    def digest(self) -> str:
        """Hex sha256 of all that changes what is learnt: a checkpoint of another digest is another run's."""
        return hashlib.sha256(json.dumps(self.learnt(), sort_keys=True).encode()).hexdigest()


_NOT_LEARNT_NAMES: Final[str] = """
    dataset out manifest_sha256 text_pixels verify workers decode_threads ahead cache_mib shard_cache shard_cache_gib device threads
    compile timeout_seconds checkpoint_every keep_checkpoints fresh log_every max_seconds recompute chunk
    classes evaluate_every report
"""
NOT_LEARNT: Final[frozenset[str]] = frozenset(_NOT_LEARNT_NAMES.split())
"""Options that may differ between a run and its continuation."""


def read_recipe(path: Path) -> dict[str, Any]:
    """Options from a YAML file.

    Raises:
        ValueError: It is no mapping of options, or cannot be read.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError(f"{path}: not a mapping of options")
    return found


def make_config(options: dict[str, Any]) -> TrainConfig:
    """A config, with faults said in one line. ValueError."""
    try:
        return TrainConfig(**options)
    except ValidationError as error:
        raise ValueError("; ".join(map(_fault, error.errors()))) from error


def _fault(error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"])) or "options"
    if not error["loc"] and error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] != "extra_forbidden":
        return f"{place}: {error['msg']}"
    near = difflib.get_close_matches(place, TrainConfig.model_fields, 1)
    return f"{place}: no such option" + (f"; did you mean {near[0]}?" if near else "")
