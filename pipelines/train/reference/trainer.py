"""Trains a tower on a published version, evaluates it on what was held out, and says how it went."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from typing import Any, Final, NoReturn

import torch
from torch import Tensor, nn

from pipelines.train.reference import checkpoint as checkpoints
from pipelines.train.reference.config import OutOfMemoryError, TrainConfig, TrainingError
from pipelines.train.reference.decode import Batch
from pipelines.train.reference.distributed import World, join
from pipelines.train.reference.evaluate import Evaluation, measure
from pipelines.train.reference.loader import Loader, is_lost_process, lost_process
from pipelines.train.reference.loss import Objective
from pipelines.train.reference.metrics import METRICS, Metrics, read_metrics
from pipelines.train.reference.opening import Opened, open_run
from pipelines.train.reference.optimise import make_optimiser, schedule
from pipelines.train.reference.progress import Progress, facts, first_line, notes_after, notes_before
from pipelines.train.reference.report import write_report
from pipelines.train.reference.step import Embedder, backward
from pipelines.train.reference.stopping import StoppedError, listening
from pipelines.train.reference.usage import is_out_of_memory, training_flops
from pipelines.train.reference.version import DataError
from pipelines.train.reference.weights import save_tower

RESULT: Final[str] = "result.json"
WEIGHTS: Final[str] = "weights.safetensors"


def train(config: TrainConfig) -> dict[str, Any]:
    """Trains, or goes on where the folder's newest checkpoint stands; writes metrics, weights and plot, and last `result.json`.

    Called by every worker of a run; the first one writes.

    Returns:
        What `result.json` holds; nothing at the other workers.

    Raises:
        DataError: The version cannot be trained on.
        OutOfMemoryError: Memory does not suffice.
        StoppedError: A signal asked for it; the last step that was taken is in a checkpoint, unless the run makes none.
        TrainingError: The loss is no number, or the folder holds another run's checkpoints.
        ValueError: A name, a size or a number of workers does not fit.
        WorkerLostError: Another worker ended or fell silent.
    """
    began = time.perf_counter()
    if config.threads:
        torch.set_num_threads(config.threads)
    world = join(config.device, timeout_seconds=config.timeout_seconds)
    held = contextlib.ExitStack()
    try:
        torch.manual_seed(config.seed)
        return _Run(open_run(config, world, held), began).run()
    except (RuntimeError, MemoryError) as error:
        if is_lost_process(error):
            raise lost_process(error) from error
        if config.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise TrainingError(
                f"--compile: {words[0]}; PyTorch compiles with the machine's C or C++ compiler, without --compile it needs none"
            ) from error
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(_too_large(config, world)) from error
    finally:
        held.close()
        world.close()


def _too_large(config: TrainConfig, world: World) -> str:
    """What to do where memory does not suffice; both ways give the same steps."""
    ways = [f"a smaller --chunk than {config.chunk}" if config.chunk else "--chunk (256, say)"]
    ways += [] if config.recompute else ["--recompute"]
    return (
        f"{world.device} has not enough memory for a batch of {config.batch_size} pairs of {config.model} at {config.size} px; "
        f"try {' or '.join(ways)}, which give the same steps, or a smaller --batch-size"
    )


class _Run:
    """One run, at one worker, fitted and evaluated.

    Args:
        opened: Its parts.
        began: `time.perf_counter()` when it was called.
    """

    def __init__(self, opened: Opened, began: float) -> None:
        self.opened, self.began = opened, began
        self.config, self.world, self.tower, self.plan = opened.config, opened.world, opened.tower, opened.plan
        self.progress = Progress()

    def run(self) -> dict[str, Any]:
        """Trains, evaluates and writes the result."""
        config, world = self.config, self.world
        if world.first:
            (config.out / RESULT).unlink(missing_ok=True)
            print(first_line(self.opened), flush=True)
            for note in notes_before(self.opened):
                print(f"note: {note}", flush=True)
        self._fit()
        if not world.first:
            return {}
        save_tower(config.out / WEIGHTS, self.tower)
        evaluation = self._measure()
        for note in notes_after(self.opened, self.progress, evaluation):
            print(f"note: {note}", flush=True)
        spent = time.perf_counter() - self.began
        result = {**self.progress.summary(), **evaluation.entries(), **facts(self.opened, self.progress, spent)}
        if config.report:
            write_report(config.out, result, evaluation, self.opened.decoder, read_metrics(config.out / METRICS))
        part = config.out / f"{RESULT}.part"
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        part.replace(config.out / RESULT)
        return result

    def _measure(self) -> Evaluation:
        opened = self.opened
        return measure(self.tower, opened.decoder, opened.split.held, self.world.device, opened.classes)

    def _fit(self) -> None:
        config, world, progress = self.config, self.world, self.progress
        optimiser = make_optimiser(config.optimiser, self.tower.named_parameters(), weight_decay=config.weight_decay)
        done = self._restore(optimiser)
        forward = torch.compile(self.tower, dynamic=True) if config.compile else None
        embedder = Embedder(self.tower, self.opened.options, forward)  # type: ignore[arg-type]  # torch declares a function; it is a module
        objective = Objective(config.loss, config.mask_repeats)
        pin = world.device.type == "cuda"
        left = config.steps - done
        loader = Loader(self.opened.decoder, self.plan, left, workers=config.workers, ahead=config.ahead, pin=pin)
        began, waited_before = time.perf_counter() - progress.seconds, progress.waited
        with contextlib.ExitStack() as stack:
            wish = stack.enter_context(listening())
            stack.callback(loader.close)
            metrics = stack.enter_context(Metrics(config.out, after=done)) if world.first else None
            for row in metrics.rows if metrics else ():
                progress.note(row["step"], row["losses"], row["loss"])
            for step in range(done + 1, config.steps + 1):
                try:
                    batch = next(loader)
                except DataError:
                    if wish.signal and step > 1:  # what decodes was asked to end too
                        self._stopped(step - 1, wish.signal, optimiser, loader, metrics)
                    raise
                progress.flops += training_flops(batch, self.tower.config, self.opened.options)
                batch = batch.to(world.device)
                rate = self._set_rate(optimiser, step)
                share = max(0.0, 1.0 - (step - 1) / (config.standardise * config.steps)) if config.standardise else 0.0
                optimiser.zero_grad(set_to_none=True)
                rows = backward(embedder, objective, batch, world, standardise=share)
                late = config.max_seconds is not None and time.perf_counter() - began > config.max_seconds
                losses, mean, stop, asked = self._share(batch, rows, late=late, asked=wish.signal)
                norm = self._clip(step, losses, mean)
                progress.idle += norm == 0.0
                optimiser.step()
                progress.note(step, losses, mean)
                progress.samples += len(batch) * world.size
                progress.seconds = time.perf_counter() - began
                progress.waited = waited_before + loader.waited
                row = {
                    **progress.row(step, losses, mean, world.device),
                    "learning_rate": rate,
                    "standardise": round(share, 4),
                    "gradient_norm": norm,
                    "temperature": round(self.tower.temperature.item(), 4),
                }
                if asked:
                    if metrics:
                        metrics.write(row)
                    self._stopped(step, asked, optimiser, loader, metrics)
                last = stop or step == config.steps
                if metrics:
                    if config.evaluate_every and (step % config.evaluate_every == 0 or last):
                        before = time.perf_counter()
                        row["evaluation"] = self._measure().entries()
                        began += time.perf_counter() - before  # no time of training
                    metrics.write(row)
                    if step % config.log_every == 0 or last:
                        metrics.flush()  # first: who reads the line may look for the step
                        print(progress.line(step, config), flush=True)
                    if config.checkpoint_every and (step % config.checkpoint_every == 0 or last):
                        metrics.flush()
                        self._save(step, optimiser, loader)
                if stop and step < config.steps:
                    progress.status = "time limit"
                    break

    def _set_rate(self, optimiser: torch.optim.Optimizer, step: int) -> float:
        config = self.config
        factor = schedule(
            step,
            config.steps,
            config.warm_up,
            decay=config.decay,
            cool_down=config.cool_down,
            timescale=config.timescale,
        )
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * factor
        return config.learning_rate * factor

    def _share(
        self, batch: Batch, rows: Tensor, *, late: bool, asked: int
    ) -> tuple[dict[str, float], float, bool, int]:
        """Kind -> mean loss, the mean of all, whether any worker is out of time, by which signal one was asked to end.

        The same at every worker, but for which signal it was.
        """
        kinds = len(batch.names)
        values = torch.zeros(2 * kinds + 2, dtype=torch.float64, device=rows.device)
        values[:kinds].index_add_(0, batch.kinds, rows.double())
        values[kinds : 2 * kinds] = torch.bincount(batch.kinds, minlength=kinds)
        values[-2], values[-1] = float(late), float(asked > 0)
        found = self.world.total(values).tolist()
        sums, counts = found[:kinds], found[kinds : 2 * kinds]
        losses = {name: s / n for name, s, n in zip(batch.names, sums, counts, strict=True) if n}
        signalled = (asked or signal.SIGTERM) if found[-1] > 0 else 0
        return losses, sum(sums) / sum(counts), found[-2] > 0, signalled

    def _clip(self, step: int, losses: dict[str, float], mean: float) -> float:
        """Cuts the gradients' norm, and gives it as it was. The same at every worker, so that all of them fail together.

        Raises:
            TrainingError: The loss or the norm is no number.
        """
        if not math.isfinite(mean):
            bad = ", ".join(kind for kind, loss in losses.items() if not math.isfinite(loss))
            raise TrainingError(f"step {step}: the loss on {bad or 'the batch'} is {mean}; try a lower learning rate")
        norm = float(nn.utils.clip_grad_norm_(self.tower.parameters(), self.config.clip or math.inf))
        if not math.isfinite(norm):
            raise TrainingError(f"step {step}: the norm of the gradients is {norm}; try a lower learning rate")
        return norm

    def _restore(self, optimiser: torch.optim.Optimizer) -> int:
        """Puts the checkpoint's state back; returns its step, 0 without one."""
        found = self.opened.resumed
        if found is None:
            return 0
        self.tower.load_state_dict(found.tower)
        optimiser.load_state_dict(found.optimiser)
        self.plan.state = found.plan.copy()
        self.progress.step = found.step
        self.progress.samples, self.progress.seconds = found.samples, found.seconds
        self.progress.waited, self.progress.began_at = found.waited, found.seconds
        return found.step

    def _stopped(
        self, step: int, asked: int, optimiser: torch.optim.Optimizer, loader: Loader, metrics: Metrics | None
    ) -> NoReturn:
        """Ends the run after a step with a checkpoint of it. StoppedError."""
        if metrics is None:
            raise StoppedError(asked, "")
        metrics.flush()
        kept = "--checkpoint-every 0 keeps no checkpoint"
        if self.config.checkpoint_every:
            self._save(step, optimiser, loader)
            kept = "a checkpoint is kept, from which the same command goes on"
        raise StoppedError(asked, f"{signal.Signals(asked).name}: stopped after step {step}; {kept}")

    def _save(self, step: int, optimiser: torch.optim.Optimizer, loader: Loader) -> None:
        state = checkpoints.Checkpoint(
            step=step,
            tower=self.tower.state_dict(),
            optimiser=optimiser.state_dict(),
            plan=loader.state,
            run=self.opened.id,
            learnt=self.config.learnt(),
            lanes=self.plan.lanes,
            seconds=self.progress.seconds,
            waited=self.progress.waited,
            samples=self.progress.samples,
        )
        checkpoints.save(self.config.out, state, keep=self.config.keep_checkpoints)
