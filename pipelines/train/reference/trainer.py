"""Trains a tower on a published version, evaluates it on what was held out, and says how it went."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.train.reference.batches import Batches
from pipelines.train.reference.config import TrainConfig, TrainingError
from pipelines.train.reference.decode import Batch, Decoder
from pipelines.train.reference.embed import to_tensor
from pipelines.train.reference.evaluate import evaluate
from pipelines.train.reference.loss import contrastive_loss, false_negatives, standardised, unit
from pipelines.train.reference.model import Tower, make_tower, save_tower
from pipelines.train.reference.plan import Plan
from pipelines.train.reference.plot import plot_losses
from pipelines.train.reference.split import distinct, split
from pipelines.train.reference.version import DataError, Sample, Version, open_version

RESULT: Final[str] = "result.json"
METRICS: Final[str] = "metrics.jsonl"
WEIGHTS: Final[str] = "weights.safetensors"
PLOT: Final[str] = "loss.png"


@dataclass(slots=True)
class _Run:
    """What a run gathers on its way."""

    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    all_losses: list[float] = field(default_factory=list)
    samples: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    status: str = "complete"


def train(config: TrainConfig) -> dict[str, Any]:
    """Trains, writes metrics, weights and plot, and last `result.json`.

    Returns:
        What `result.json` holds.

    Raises:
        DataError: The version cannot be trained on.
        TrainingError: The loss is no number.
        ValueError: The model's name or the photographs' size is wrong.
    """
    began = time.perf_counter()
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    version, mix = _open(config)
    train_samples, held = {}, {}
    for kind in mix:
        if kind in version.held:
            train_samples[kind] = list(version.samples[kind])
            held[kind] = distinct(version.held[kind], config.holdout_most)
        else:
            train_samples[kind], held[kind] = split(
                version.samples[kind], share=config.holdout, most=config.holdout_most
            )
        if len(train_samples[kind]) < 2:
            raise DataError(f"{kind}: {len(train_samples[kind])} samples to train on, at least 2 are needed")
    device = torch.device(config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    tower = _make(config, version).to(device)
    config.out.mkdir(parents=True, exist_ok=True)
    for name in (RESULT, METRICS):
        (config.out / name).unlink(missing_ok=True)
    decoder = Decoder(version, size=config.size, patch=tower.config.patch)
    plan = Plan({k: len(v) for k, v in train_samples.items()}, mix, config.batch_size, config.seed)
    sizes = " ".join(f"{kind}={len(train_samples[kind])}+{len(held[kind])}" for kind in plan.mix)
    print(f"model={config.model} device={device} threads={torch.get_num_threads()} train+heldout: {sizes}", flush=True)
    run = _fit(config, tower, decoder, plan, train_samples, device)
    found = evaluate(tower, decoder, held, device)
    save_tower(config.out / WEIGHTS, tower)
    chance = {kind: math.log(size) for kind, size in plan.batch.items()}
    plot_losses(config.out / PLOT, run.losses, max(chance.values()), f"{config.model}, batch {config.batch_size}")
    edge = max(1, round(len(run.all_losses) * 0.05))
    result = {
        "status": run.status,
        "steps": len(run.all_losses),
        "samples": run.samples,
        "loss_first": _mean(run.all_losses[:edge]),
        "loss_last": _mean(run.all_losses[-edge:]),
        "loss_chance": sum(plan.mix[kind] * chance[kind] for kind in plan.mix),
        "loss_last_by_kind": {
            kind: _mean([v for _, v in p[-max(1, len(p) // 20) :]]) for kind, p in run.losses.items()
        },
        **found,
        "samples_per_s": run.samples / max(run.seconds, 1e-9),
        "wait_share": run.waited / max(run.seconds, 1e-9),
        "seconds": time.perf_counter() - began,
        "model": config.model,
        "parameters": sum(p.numel() for p in tower.parameters()),
        "temperature": tower.temperature.item(),
        "batch_size": config.batch_size,
        "size": config.size,
        "seed": config.seed,
        "mix": plan.mix,
        "control": config.control,
        "device": str(device),
        "manifest_sha256": version.manifest_sha256,
        "torch": torch.__version__,
    }
    part = config.out / f"{RESULT}.part"
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    part.replace(config.out / RESULT)
    return result


def _open(config: TrainConfig) -> tuple[Version, dict[str, float]]:
    asked = {kind: weight for kind, weight in config.mix.items() if weight > 0}
    version = open_version(config.dataset, list(asked) or None, manifest_sha256=config.manifest_sha256)
    mix = asked or {kind: weight for kind, weight in version.mix.items() if weight > 0}
    mix = mix or dict.fromkeys(version.samples, 1.0)
    missing = sorted(set(mix) - set(version.samples))
    if missing:
        raise DataError(
            f"no shards of kind {', '.join(missing)}; this version has {', '.join(version.samples) or 'none'}"
        )
    return version, mix


def _make(config: TrainConfig, version: Version) -> Tower:
    width, height = version.text_size
    patch = 16
    if width % patch or height % patch or config.size % patch or config.size < patch:
        raise ValueError(
            f"sides must be multiples of {patch} px: text is {width} x {height}, photographs {config.size}"
        )
    return make_tower(config.model, rows=height // patch, columns=width // patch, patch=patch)


def _fit(
    config: TrainConfig,
    tower: Tower,
    decoder: Decoder,
    plan: Plan,
    samples: Mapping[str, Sequence[Sample]],
    device: torch.device,
) -> _Run:
    matrices = [p for p in tower.parameters() if p.ndim > 1]
    vectors = [p for p in tower.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    rights = _shuffled(samples, config.seed) if config.control == "shuffled" else None
    batches = Batches(decoder, plan, samples, rights=rights)
    run = _Run()
    began = time.perf_counter()
    try:
        with (config.out / METRICS).open("w", encoding="utf-8") as metrics:
            for step in range(1, config.steps + 1):
                batch = next(batches)
                rate = config.learning_rate * schedule(step, config.steps, config.warm_up)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                share = (
                    max(0.0, 1.0 - (step - 1) / (config.standardise * config.steps)) if config.standardise > 0 else 0.0
                )
                loss = _loss(tower, batch, device, standardise=share, mask=config.mask_repeats)
                value = loss.item()
                if not math.isfinite(value):
                    raise TrainingError(f"step {step}: the loss on {batch.kind} is {value}; try a lower learning rate")
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
                optimiser.step()
                _note(run, batch, step, value, time.perf_counter() - began, batches.waited)
                row = {"step": step, "kind": batch.kind, "loss": value, "learning_rate": rate, "standardise": round(share, 4),
                       "temperature": round(tower.temperature.item(), 4), "samples_per_s": round(run.samples / run.seconds, 2),
                       "seconds": round(run.seconds, 3), "wait_share": round(run.waited / run.seconds, 4)}  # fmt: skip
                metrics.write(json.dumps(row) + "\n")
                if step % config.log_every == 0 or step == config.steps:
                    metrics.flush()
                    _say(run, step, config)
                if config.max_seconds is not None and run.seconds > config.max_seconds and step < config.steps:
                    run.status = "time limit"
                    break
    finally:
        batches.close()
    return run


def schedule(step: int, steps: int, warm_up: float) -> float:
    """Factor of the learning rate at a step, 1..steps: a linear rise, then half a cosine down to 0."""
    rise = max(1, round(steps * warm_up))
    if step <= rise:
        return step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _loss(tower: Tower, batch: Batch, device: torch.device, *, standardise: float, mask: bool) -> Tensor:
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        left = tower(*_inputs(batch.left, batch.left_rows, device))
        right = tower(*_inputs(batch.right, batch.right_rows, device))
    ignore = None
    if mask:
        ids = torch.from_numpy(batch.left_ids).to(device), torch.from_numpy(batch.right_ids).to(device)
        ignore = false_negatives(*ids)
    return contrastive_loss(
        unit(standardised(left, standardise)), unit(standardised(right, standardise)), tower.temperature, ignore
    )


def _inputs(pixels: np.ndarray, rows: np.ndarray | None, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """A side of a batch as the tower takes it."""
    return to_tensor(pixels, device), None if rows is None else torch.from_numpy(rows).to(device)


def _shuffled(samples: Mapping[str, Sequence[Sample]], seed: int) -> dict[str, np.ndarray]:
    found = {}
    for kind, listed in samples.items():
        digest = hashlib.sha256(f"{seed}:shuffled:{kind}".encode()).digest()
        found[kind] = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big"))).permutation(len(listed))
    return found


def _note(run: _Run, batch: Batch, step: int, loss: float, seconds: float, waited: float) -> None:
    run.losses.setdefault(batch.kind, []).append((step, loss))
    run.all_losses.append(loss)
    run.samples += len(batch.left_ids)
    run.seconds, run.waited = seconds, waited


def _say(run: _Run, step: int, config: TrainConfig) -> None:
    recent = run.all_losses[-config.log_every :]
    print(f"step={step} of={config.steps} loss={_mean(recent):.4f} samples_per_s={run.samples / run.seconds:.1f} "
          f"seconds={run.seconds:.1f} wait_share={run.waited / run.seconds:.3f}", flush=True)  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
