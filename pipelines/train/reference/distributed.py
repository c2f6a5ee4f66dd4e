"""Several workers, each with its part of every batch: what they tell each other, with gradients that go right through.

Started by torchrun (or Ray Train, or anything that sets its variables); alone without them. Gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class WorkerLostError(Exception):
    """Another worker ended or fell silent. Started again, the run goes on from its newest checkpoint."""


@contextlib.contextmanager
def _among_others() -> Iterator[None]:
    """Names what gloo and NCCL say in many ways when the other side is gone."""
    try:
        yield
    except RuntimeError as error:  # DistBackendError is one
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WorkerLostError(
            f"another worker ended or was silent for too long ({first}); its own message says why"
        ) from error


@dataclass(frozen=True, slots=True)
class World:
    """The workers of a run, seen from one of them.

    Attributes:
        rank: From 0.
        size: How many there are.
        device: Of this one.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this worker writes what is written once."""
        return self.rank == 0

    def gather(self, mine: Tensor) -> Tensor:
        """Every worker's rows, those of rank 0 first; gradients flow back to the worker that each row came from.

        Args:
            mine: [n, …], n the same at every worker.
        """
        return mine if self.size == 1 else _Gather.apply(mine, self.rank, self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over the workers, without gradients."""
        if self.size > 1:
            values = values.detach().clone()
            with _among_others():
                dist.all_reduce(values)
        return values.detach()

    @torch.no_grad()
    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replaces each gradient by the workers' mean, all in one message."""
        grads = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not grads:
            return
        flat = torch.cat([g.reshape(-1).float() for g in grads])
        with _among_others():
            dist.all_reduce(flat)
        flat /= self.size
        for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Gives every worker rank 0's values."""
        if self.size > 1:
            with _among_others():
                for tensor in tensors:
                    dist.broadcast(tensor.data, 0)

    def agree(self, value: int) -> bool:
        """Whether all workers have the same number."""
        mine = torch.tensor([value, -value], device=self.device)
        if self.size > 1:
            with _among_others():
                dist.all_reduce(mine, dist.ReduceOp.MAX)
        return bool(mine[0] == value and mine[1] == -value)

    def close(self) -> None:
        """Leaves the group, if this process joined it in `join`."""
        if self.size > 1 and dist.is_initialized() and _JOINED:
            dist.destroy_process_group()
            _JOINED.clear()


_JOINED: list[bool] = []


def device_of(name: str, local: int = 0) -> torch.device:
    """The device of a name.

    Args:
        name: `auto` is a GPU where there is one, else the CPU; `cuda` is one of the GPUs; else as PyTorch has it.
        local: This worker's number on its machine, which chooses among GPUs.

    Raises:
        ValueError: The name is wrong, or there is no such GPU.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    try:
        place = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"no device {name!r}: {str(error).splitlines()[0]}") from error
    if place.type == "cpu":
        return place
    if place.type != "cuda":
        raise ValueError(f"no device {name!r} for this trainer: it runs on cpu and cuda")
    if (place.index or 0) >= gpus:
        raise ValueError(f"no device {name!r}: PyTorch {torch.__version__} sees {gpus or 'no'} GPUs")
    return torch.device("cuda", local % gpus if place.index is None else place.index)


def join(device: str = "auto", *, timeout_seconds: float = 600) -> World:
    """Joins the workers that torchrun started, or takes the group that Ray Train made, or is alone.

    Args:
        device: `auto` takes this worker's GPU where there is one.
        timeout_seconds: A worker that hears nothing from the others for so long fails instead of waiting for ever.

    Raises:
        ValueError: The device's name is wrong.
        WorkerLostError: The others do not come.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = device_of(device, int(os.environ.get("LOCAL_RANK", "0")))
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size(), place)
    if size > 1:
        backend = "nccl" if place.type == "cuda" else "gloo"
        with _among_others():
            dist.init_process_group(backend, timeout=datetime.timedelta(seconds=timeout_seconds))
        _JOINED.append(True)
    return World(rank, size, place)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank, ctx.rows = rank, len(mine)
        found = [torch.empty_like(mine) for _ in range(size)]
        with _among_others():
            dist.all_gather(found, mine.contiguous())
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        # Each worker's loss depends on all rows: what all of them say about my rows is my rows' gradient.
        grad = grad.contiguous()
        with _among_others():
            dist.all_reduce(grad)
        return grad[ctx.rank * ctx.rows : (ctx.rank + 1) * ctx.rows], None, None
