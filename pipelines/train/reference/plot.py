"""The pictures of a run: losses, recalls over its steps, similarities of pairs, the two sides of pairs in a plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from pipelines.train.reference.chart import COLOURS, Chart
from pipelines.train.reference.geometry import Similarities, principal

MOST_DOTS: Final[int] = 500
"""Points of a cloud that are drawn."""
_BINS: Final[int] = 60
_SMALL: Final[tuple[int, int]] = (720, 520)
_ASPECT: Final[float] = (720 - 102) / (520 - 108)
"""Width of the axes of a small chart to their height."""


def plot_losses(path: Path, losses: Mapping[str, Sequence[tuple[int, float]]], chance: float, title: str) -> None:
    """Draws every step's loss as a dot and a running mean as a line, a colour a kind, with the loss of chance dashed.

    Args:
        path: A PNG; replaced if there.
        losses: Kind -> (step, loss in nats) in order of steps.
        chance: nats.
        title: Shown above.
    """
    last = max((points[-1][0] for points in losses.values() if points), default=1)
    highest = max([chance, *(loss for points in losses.values() for _, loss in points if math.isfinite(loss))])
    chart = Chart(f"{title}: contrastive loss", x="step", y="nats", x_range=(0, last), y_range=(0, highest * 1.12))
    chart.across(chance, "chance")
    for (kind, points), colour in zip(sorted(losses.items()), COLOURS * 9, strict=False):
        window = max(1, len(points) // 20)
        mean: list[tuple[float, float]] = []
        total = 0.0
        for index, (step, loss) in enumerate(points):
            total += loss - (points[index - window][1] if index >= window else 0.0)
            mean.append((step, total / min(index + 1, window)))
        chart.dots(points, colour)
        # Not one point a step: a line of a million points draws the same.
        chart.line(mean[:: max(1, len(mean) // 2000)], colour, kind)
    chart.save(path)


def plot_recalls(path: Path, recalls: Mapping[str, Sequence[tuple[int, float]]], chance: float, title: str) -> None:
    """Draws how recalls rose.

    Args:
        path: A PNG.
        recalls: What was asked, such as `image_alt: text to image at 1` -> (step, 0..1), in order of steps.
        chance: Of the lowest of them, dashed.
        title: Shown above.
    """
    last = max((points[-1][0] for points in recalls.values() if points), default=1)
    highest = max([chance, 0.01, *(value for points in recalls.values() for _, value in points)])
    chart = Chart(title, x="step", y="recall, %", x_range=(0, last), y_range=(0, highest * 115))
    chart.across(100 * chance, "chance at 1")
    for (name, points), colour in zip(recalls.items(), COLOURS * 9, strict=False):
        chart.line([(step, 100 * value) for step, value in points], colour, name)
    chart.save(path)


def plot_similarities(path: Path, found: Similarities, title: str) -> None:
    """Draws the histogram of the cosines of matched and of unmatched pairs."""
    both = torch.cat([found.matched, found.unmatched]).double()
    low, high = math.floor(10 * float(both.min())) / 10, math.ceil(10 * float(both.max())) / 10
    edges = torch.linspace(low, max(high, low + 0.1), _BINS + 1, dtype=torch.float64)
    width = float(edges[1] - edges[0])
    heights = [
        (torch.histogram(part.double().cpu(), edges).hist / max(1, len(part)) / width).tolist()
        for part in (found.matched, found.unmatched)
    ]
    top = max(max(heights[0]), max(heights[1]))
    chart = Chart(
        title, x="cosine", y="density", x_range=(float(edges[0]), float(edges[-1])), y_range=(0, top * 1.15), size=_SMALL
    )  # fmt: skip
    for values, name, colour in zip(heights, ("matched pairs", "unmatched pairs"), COLOURS, strict=False):
        chart.steps(edges.tolist(), values, colour, name)
    chart.save(path)


def plot_sides(path: Path, left: Tensor, right: Tensor, names: tuple[str, str], title: str) -> None:
    """Draws the two sides of pairs on their first two principal components, with the centroids as crosses.

    Args:
        path: A PNG.
        left, right: float [n, d], rows of length 1.
        names: What the sides are called.
        title: Shown above.
    """
    places = principal([left, right])
    every = torch.cat(places)
    reach = max(1e-3, float(every[:, 1].abs().max()), float(every[:, 0].abs().max()) / _ASPECT) * 1.08
    wide = reach * _ASPECT  # distances are the same along both axes
    chart = Chart(
        title, x="first principal component", y="second principal component", x_range=(-wide, wide),
        y_range=(-reach, reach), size=_SMALL,
    )  # fmt: skip
    for cloud, name, colour in zip(places, names, COLOURS, strict=False):
        some = cloud[:: max(1, -(-len(cloud) // MOST_DOTS))].tolist()
        chart.dots([(x, y) for x, y in some], colour, name, radius=2.2)
    for cloud, colour in zip(places, COLOURS, strict=False):
        x, y = cloud.mean(0).tolist()
        chart.cross((x, y), colour)
    chart.save(path)
