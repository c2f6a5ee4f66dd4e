"""Optimisers and schedules of the learning rate, as big_vision has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

Decay = Literal["cosine", "rsqrt", "constant"]


def schedule(
    step: int,
    steps: int,
    warm_up: float,
    *,
    decay: Decay = "cosine",
    cool_down: float = 0.0,
    timescale: float = 10_000.0,
) -> float:
    """Factor of the learning rate.

    Args:
        step: 1..steps.
        steps: Of the whole run.
        warm_up: Steps with a rate that rises in a line, or their share of all if below 1.
        decay: What comes after: `cosine` half a cosine down to 0; `rsqrt` 1 / sqrt(1 + t / timescale), t steps after the rise,
            (CLIPPO's; big_vision's `create_learning_rate_schedule`); `constant`.
        cool_down: Steps at the end in which the rate falls in a line to 0, or their share of all if below 1.
        timescale: Steps.

    Returns:
        0..1.
    """
    rise = max(1, _steps(warm_up, steps))
    fall = _steps(cool_down, steps)
    factor = min(1.0, step / rise)
    after = max(0, step - rise)
    if decay == "cosine":
        factor *= 0.5 * (1 + math.cos(math.pi * min(1.0, after / max(1, steps - rise))))
    elif decay == "rsqrt":
        factor /= math.sqrt(1 + after / timescale)
    if fall:
        factor *= min(1.0, (steps - step) / fall)
    return factor


def _steps(value: float, steps: int) -> int:
    return round(value * steps) if value < 1 else round(value)


def make_optimiser(
    name: Literal["adamw", "adafactor", "muon"], named: Iterable[tuple[str, Tensor]], *, weight_decay: float
) -> torch.optim.Optimizer:
    """An optimiser; its learning rate is set before each step.

    Args:
        name: `adamw`; `adafactor` as CLIPPO used it; `muon` for the matrices of the encoder and of the head, AdamW for the rest.
        named: Names and parameters. Kernels decay; vectors, positions and the probe do not.
        weight_decay: A step takes this share of each kernel, times the learning rate: decoupled, as in PyTorch's AdamW.
            big_vision's `wd` is this times its `lr`: CLIPPO's 1e-4 at a rate of 1e-3 is 0.1 here.
    """
    kernels: list[Tensor] = []
    others: list[Tensor] = []
    for parameter_name, parameter in named:
        (kernels if parameter_name.endswith("weight") and parameter.ndim > 1 else others).append(parameter)
    groups = [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    if name == "adafactor":
        return Adafactor(groups)
    if name == "muon":
        return Muon(groups)
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98))


class Muon(torch.optim.Optimizer):
    """Muon for matrices (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), AdamW for all else, as one optimiser.

    An update of Muon's has singular values of 1 and not, as Adam's, entries of about 1: its rate is `scale` times that of AdamW.

    Args:
        groups: With `weight_decay` each.
        lr: AdamW's, set before each step.
        scale: Of Muon's rate. Default: 10.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float = 0.0, scale: float = 10.0) -> None:
        listed = [dict(group) for group in groups]
        matrices, others = [], []
        for group in listed:
            parameters = list(group["params"])
            decay = group["weight_decay"]
            flat = [p for p in parameters if p.ndim == 2]
            rest = [p for p in parameters if p.ndim != 2]
            matrices += [{"params": flat, "weight_decay": decay / scale}] if flat else []
            others += [{"params": rest, "weight_decay": decay}] if rest else []
        self.scale = scale
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=lr),
            torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98)),
        )
        super().__init__(listed, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Takes one step of both at the rate of the first group."""
        rate = self.param_groups[0]["lr"]
        for part, factor in zip(self.parts, (self.scale, 1.0), strict=True):
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Puts both back."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


class Adafactor(torch.optim.Optimizer):
    """big_vision's Adafactor: second moments kept as one row and one column a matrix, first moments in bfloat16.

    `big_vision/optax.py`, `scale_by_adafactor`: decay of the second moment min(0.999, 1 - t^-0.8), no clipping by block, no
    scaling by the parameter's size, momentum 0.9 of the scaled update. Shazeer and Stern, https://arxiv.org/abs/1804.04235.

    Args:
        groups: With `weight_decay` each.
        lr: Set before each step.
        momentum: Of the update.
        cap: Of the second moment's decay.
        factored_from: Matrices whose two greatest sides are at least so long are factored.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float = 0.0,
        momentum: float = 0.9,
        cap: float = 0.999,
        factored_from: int = 32,
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "cap": cap, "weight_decay": 0.0})
        self._from = factored_from

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Takes one step by the gradients that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad.float(), group)

    def _move(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        # A convolution's kernel is a matrix: outputs by all that they look at.
        flat = grad.reshape(len(grad), -1) if grad.ndim > 1 else grad
        factored = flat.ndim == 2 and min(flat.shape) >= self._from
        if not state:
            state["step"] = torch.tensor(0.0)
            state["momentum"] = torch.zeros_like(flat, dtype=torch.bfloat16)
            if factored:
                state["row"], state["column"] = flat.new_zeros(flat.shape[0]), flat.new_zeros(flat.shape[1])
            else:
                state["square"] = torch.zeros_like(flat)
        state["step"] += 1
        decay = min(group["cap"], 1 - float(state["step"]) ** -0.8)
        square = flat.square() + 1e-30
        if factored:
            state["row"].lerp_(square.mean(dim=1), 1 - decay)
            state["column"].lerp_(square.mean(dim=0), 1 - decay)
            row = (state["row"] / state["row"].mean()).rsqrt()
            update = flat * row[:, None] * state["column"].rsqrt()
        else:
            state["square"].lerp_(square, 1 - decay)
            update = flat * state["square"].rsqrt()
        moved = state["momentum"].to(torch.float32, copy=True).lerp_(update, 1 - group["momentum"])
        state["momentum"] = moved.bfloat16()  # loading a state makes it the parameter's type
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(moved.view_as(parameter), alpha=group["lr"])
