"""One picture of a run's losses, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

_SIZE: Final[tuple[int, int]] = (960, 520)
_BOX: Final[tuple[int, int, int, int]] = (70, 50, 930, 460)  # left, top, right, bottom of the axes
_COLOURS: Final[tuple[str, ...]] = ("#1f6fb4", "#d9590b", "#2b8a3e", "#8e44ad", "#b8860b", "#c2185b")


def plot_losses(path: Path, losses: Mapping[str, Sequence[tuple[int, float]]], chance: float, title: str) -> None:
    """Draws every step's loss as a dot and a running mean as a line, a colour a kind, with the loss of chance dashed.

    Args:
        path: A PNG; replaced if there.
        losses: Kind -> (step, loss in nats) in order of steps.
        chance: nats.
        title: Shown above.
    """
    picture = Image.new("RGB", _SIZE, "white")
    pen = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(18), ImageFont.load_default(14)
    left, top, right, bottom = _BOX
    last_step = max((points[-1][0] for points in losses.values() if points), default=1)
    highest = max([chance, *(loss for points in losses.values() for _, loss in points)]) * 1.05
    unit = max(1.0, math.ceil(highest / 8))

    def place(step: float, loss: float) -> tuple[float, float]:
        return left + (right - left) * step / max(1, last_step), bottom - (bottom - top) * loss / highest

    for tick in range(math.floor(highest / unit) + 1):
        _, y = place(0, tick * unit)
        pen.line((left, y, right, y), fill="#e4e4e4")
        pen.text((left - 10, y), f"{tick * unit:g}", fill="#444444", font=small, anchor="rm")
    for part in range(5):
        x, _ = place(last_step * part / 4, 0)
        pen.text((x, bottom + 8), f"{round(last_step * part / 4)}", fill="#444444", font=small, anchor="ma")
    pen.rectangle(_BOX, outline="#888888")
    pen.text(((left + right) / 2, bottom + 30), "step", fill="#444444", font=small, anchor="ma")
    pen.text((left, 14), f"{title}: contrastive loss, nats", fill="black", font=font)
    _, y = place(0, chance)
    for x in range(left, right, 12):
        pen.line((x, y, x + 6, y), fill="#777777", width=2)
    pen.text((right - 6, y - 4), "chance", fill="#777777", font=small, anchor="rs")
    x_text = left + 12
    for (kind, points), colour in zip(sorted(losses.items()), _COLOURS * 9, strict=False):
        mean: list[tuple[float, float]] = []
        window = max(1, len(points) // 20)
        for index, (step, loss) in enumerate(points):
            x, y = place(step, loss)
            pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=_faint(colour))
            recent = [value for _, value in points[max(0, index - window + 1) : index + 1]]
            mean.append(place(step, sum(recent) / len(recent)))
        if len(mean) > 1:
            pen.line(mean, fill=colour, width=3, joint="curve")
        pen.text((x_text, bottom - 26), kind, fill=colour, font=small)
        x_text += int(pen.textlength(kind, font=small)) + 24
    picture.save(path)


def _faint(colour: str) -> tuple[int, int, int]:
    return tuple((int(colour[i : i + 2], 16) + 2 * 255) // 3 for i in (1, 3, 5))  # type: ignore[return-value]
