"""Everything that a run needs before its first step, opened and held against each other."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field

import torch

from pipelines.train.reference import checkpoint as checkpoints
from pipelines.train.reference.config import TrainConfig, TrainingError
from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.distributed import World
from pipelines.train.reference.fetched import ShardCache
from pipelines.train.reference.inputs import Inputs
from pipelines.train.reference.model import MODELS, Tower, make_tower, name_of
from pipelines.train.reference.photographs import PhotoRecipe
from pipelines.train.reference.plan import Order, Plan, choose_lanes
from pipelines.train.reference.shards import Shards
from pipelines.train.reference.split import Split, make_split
from pipelines.train.reference.step import StepOptions
from pipelines.train.reference.stopping import alone_in
from pipelines.train.reference.version import Version, open_version, refuse_within, resolve_mix
from pipelines.train.reference.weights import load_tower
from pipelines.train.reference.zero_shot import ClassSet, read_classes


@dataclass(frozen=True, slots=True)
class Opened:
    """A run at one worker, before its first step.

    Attributes:
        config: What was asked.
        world: The workers.
        id: Hex sha256 of the version and of all that changes what is learnt: checkpoints of another id are another run's.
        version: What is trained on.
        mix: Kind -> weight, summing to 1.
        classes: For zero-shot classification.
        tower: On the worker's device.
        split: What is trained on and what is held out.
        decoder: Of photographs and texts.
        plan: Of this worker's part of every batch.
        options: How a step is computed.
        resumed: The checkpoint to go on from.
        torn: What is wrong with each checkpoint that was passed over.
    """

    config: TrainConfig
    world: World
    id: str
    version: Version
    mix: dict[str, float]
    classes: list[ClassSet]
    tower: Tower
    split: Split
    decoder: Decoder
    plan: Plan
    options: StepOptions
    resumed: checkpoints.Checkpoint | None = None
    torn: list[str] = field(default_factory=list)


def open_run(config: TrainConfig, world: World, held: contextlib.ExitStack) -> Opened:
    """Opens the version, the tower, the newest checkpoint and the plan of a run.

    Args:
        config: What is asked.
        world: The workers.
        held: Gives the run's folder free again when it is closed.

    Raises:
        DataError: The version cannot be trained on.
        TrainingError: Another run writes to the folder, or it holds another's checkpoints.
        ValueError: A name, a size or a number of workers does not fit.
    """
    version = open_version(config.dataset, manifest_sha256=config.manifest_sha256)
    mix = resolve_mix(version, config.mix)
    classes = read_classes(config.classes) if config.classes is not None else []
    tower = open_tower(config, version).to(world.device)
    world.same(tower.parameters())
    refuse_within(version, config.out)
    config.out.mkdir(parents=True, exist_ok=True)
    if world.first:
        held.enter_context(alone_in(config.out))
    run = hashlib.sha256(f"{config.digest()}:{version.manifest_sha256}".encode()).hexdigest()
    if config.fresh and world.first:
        checkpoints.remove(config.out)
    torn: list[str] = []
    resumed = None if config.fresh else checkpoints.load_newest(config.out, run, config.learnt(), torn)
    if not world.agree(resumed.step if resumed else 0):
        raise TrainingError(
            f"the workers see different checkpoints in {config.out}: it must be one folder for all of them"
        )
    shards = open_shards(config, version)
    if config.verify == "start":
        shards.verify([n for kind in mix for n in version.of(kind)])
    split = make_split(shards, mix, share=config.holdout, most=config.holdout_most)
    pairs = sum(split.trained_on(kind) for kind in mix)
    if config.batch_size > pairs:
        raise ValueError(f"batch_size: a batch of {config.batch_size} pairs, and the version has {pairs} to train on")
    decoder = open_decoder(config, shards, tower)
    plan = open_plan(config, version, mix, split, world, resumed.lanes if resumed else 0)
    options = StepOptions(config.chunk, computes_in_bf16(config, world.device), config.keep_photo, config.keep_text)
    return Opened(
        config, world, run, version, mix, classes, tower, split, decoder, plan, options, resumed=resumed, torn=torn
    )


def computes_in_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether matrix products are in bfloat16: as asked, else on GPUs that have it (V100 and T4 only imitate it, slowly)."""
    if config.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return config.precision == "bfloat16"


def open_tower(config: TrainConfig, version: Version) -> Tower:
    """The tower that the config names, with a version's rendering in its inputs.

    Raises:
        ValueError: There is no such model, or text or photographs are not made of whole patches.
    """
    width, height = version.text_size
    spec, digest = dict(version.render["spec"]), str(version.render.get("digest") or "")
    inputs = Inputs(config.size, config.antialias, spec, digest)
    if config.start_from is not None:
        tower = load_tower(config.start_from)
        _same_tower(config, tower)
        tower.inputs = inputs
        tower.train()
    elif config.model in MODELS:
        rows, columns = max(1, height // 16), max(1, width // 16)
        tower = make_tower(config.model, rows=rows, columns=columns, inputs=inputs, skip_blank=config.blank == "skip")
    else:
        raise ValueError(f"no model {config.model!r}; there are {', '.join(MODELS)}")
    patch = tower.config.patch
    if width % patch or height % patch or config.size % patch or config.size < patch:
        raise ValueError(
            f"sides must be multiples of {patch} px: text is {width} x {height}, photographs {config.size}"
        )
    tower.recompute = config.recompute
    return tower


def _same_tower(config: TrainConfig, tower: Tower) -> None:
    """Weights bring their own model and their own way with blank patches: another one that was asked for is an error."""
    asked, blank = config.model_fields_set, "skip" if tower.config.skip_blank else "see"
    if "model" in asked and config.model != name_of(tower.config):
        raise ValueError(
            f"model: {config.start_from} is {name_of(tower.config)}, not {config.model}; leave --model out"
        )
    if "blank" in asked and config.blank != blank:
        raise ValueError(f"blank: {config.start_from} was trained with {blank}, not {config.blank}; leave --blank out")


def open_shards(config: TrainConfig, version: Version) -> Shards:
    """The shards of a version, those of an object store by way of a folder of this machine."""
    cache = ShardCache(config.shard_cache or config.out / "shards", int(config.shard_cache_gib * 2**30))
    return Shards(version, cache=cache)


def open_decoder(config: TrainConfig, shards: Shards, tower: Tower) -> Decoder:
    """The decoder of a run's photographs and texts."""
    photo = PhotoRecipe(config.size, config.antialias, config.draft, config.crop_min, config.flip)
    return Decoder(
        shards,
        photo=photo,
        patch=tower.config.patch,
        text_pixels=config.text_pixels,
        seed=config.seed,
        threads=config.decode_threads,
        cache_bytes=config.cache_mib << 20,
        cut=tower.config.skip_blank,
    )


def open_plan(
    config: TrainConfig, version: Version, mix: dict[str, float], split: Split, world: World, lanes: int
) -> Plan:
    """The plan of a worker's part of every batch.

    Args:
        config, version, mix, split, world: Of the run.
        lanes: What a checkpoint says; 0: what the config says.

    Raises:
        DataError: A kind has fewer samples than there are lanes.
        ValueError: The workers cannot share the lanes, or the lanes the batch.
    """
    if lanes and lanes % world.size:
        fits = ", ".join(str(n) for n in range(1, lanes + 1) if lanes % n == 0)
        raise ValueError(
            f"workers: the run was begun with {lanes} lanes, which {world.size} workers cannot share; "
            f"go on with one of {fits}, or start over with --fresh"
        )
    smallest = min(split.trained_on(kind) for kind in mix)
    lanes = choose_lanes(config.batch_size, world.size, lanes or config.lanes, most=smallest)
    orders = {
        kind: Order(
            kind,
            version.of(kind),
            split.counts[kind],
            lanes=lanes,
            block=config.shuffle_block,
            seed=config.seed,
            allowed={n: p for n, p in split.allowed.items() if version.shards[n].kind == kind},
        )
        for kind in mix
    }
    return Plan(
        orders,
        mix,
        config.batch_size,
        batches=config.batches,
        rank=world.rank,
        workers=world.size,
        control=config.control == "shuffled",
    )
