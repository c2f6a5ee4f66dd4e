"""Pictures with known content: coloured shapes in relations, drawn with Pillow.

A `Scene` says what is to be seen, `draw` paints it. What the caption does not say (exact tint, place, texture, noise,
aspect, size in pixels) varies freely, as it does in photographs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (214, 32, 36),
    "blue": (30, 70, 205),
    "green": (28, 140, 52),
    "yellow": (245, 215, 35),
    "black": (18, 18, 18),
    "white": (250, 250, 250),
    "grey": (140, 140, 140),
    "purple": (130, 40, 165),
    "brown": (115, 68, 30),
    "orange": (250, 135, 15),
}
"""Every colour that a shape or a background can have, and its mean tint."""

GROUNDS: Final[tuple[str, ...]] = ("white", "grey", "black")
"""Colours of backgrounds. Were these as many as those of shapes, a small model would learn to name the background, which
fills most of a picture, and for a long time nothing else."""

SHAPES: Final[tuple[str, ...]] = (
    "circle", "square", "triangle", "star", "heart", "cross", "ring", "hexagon", "rhombus",
)  # fmt: skip
CONTAINERS: Final[tuple[str, ...]] = ("circle", "square", "hexagon", "rhombus", "ring")
"""Shapes with enough room in the middle to hold another."""

KINDS: Final[tuple[tuple[str, float], ...]] = (
    ("single", 0.10),
    ("count", 0.18),
    ("beside", 0.24),
    ("above", 0.22),
    ("inside", 0.10),
    ("between", 0.16),
)
"""Kinds of scenes and their shares (they sum to 1)."""

SUPERSAMPLE: Final[int] = 2


@dataclass(frozen=True)
class Thing:
    """One shape: its form, its colour and, where the caption says it, its size (`small`, `big` or None)."""

    shape: str
    colour: str
    size: str | None = None


@dataclass(frozen=True)
class Scene:
    """What a picture shows.

    Attributes:
        kind: One of `KINDS`. `beside`: the first thing is left of the second. `above`: the first is above the second.
            `inside`: the first lies in the second. `between`: the first lies between the second (left) and the third
            (right). `single` and `count` have one thing.
        things: The things, in that order.
        background: A name from `COLOURS`, not that of any thing that touches it.
        count: How often the thing is there; 1 except for `count` (2 to 5).
    """

    kind: str
    things: tuple[Thing, ...]
    background: str
    count: int = 1

    def core(self) -> tuple[object, ...]:
        """What tells this scene from another in any caption: all but the background."""
        return (self.kind, self.things, self.count)


def make_scene(rng: random.Random) -> Scene:
    """Draws one scene at random. All colours in it differ, so that every thing can be seen and told apart."""
    kind = rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
    background = rng.choice(GROUNDS)
    colours = rng.sample(sorted(set(COLOURS) - {background}), 3)
    shapes = [rng.choice(SHAPES) for _ in range(3)]
    if kind == "single":
        return Scene(kind, (Thing(shapes[0], colours[0], rng.choice(("small", "big"))),), background)
    if kind == "count":
        return Scene(kind, (Thing(shapes[0], colours[0]),), background, rng.randint(2, 5))
    if kind == "inside":
        outer = Thing(rng.choice(CONTAINERS), colours[1], "big")
        return Scene(kind, (Thing(shapes[0], colours[0], "small"), outer), background)
    things = tuple(Thing(s, c) for s, c in zip(shapes, colours, strict=False))
    return Scene(kind, things if kind == "between" else things[:2], background)


def make_scenes(count: int, *, seed: int, stage: str, without: Collection[Scene] = ()) -> list[Scene]:
    """Draws `count` scenes of which no two have the same core, so that every caption tells its picture from all others.

    Args:
        count: How many; at most 20,000 (there are far more relations, but few `single` scenes).
        seed: Same seed, same scenes.
        stage: Keeps streams of one seed apart.
        without: Scenes that are not wanted, a set.
    """
    scenes: list[Scene] = []
    seen: set[tuple[object, ...]] = set()
    rng = random.Random(f"{seed}:{stage}")  # noqa: S311 - reproducible, not secret
    while len(scenes) < count:
        scene = make_scene(rng)
        if scene.core() not in seen and scene not in without:
            seen.add(scene.core())
            scenes.append(scene)
    return scenes


def draw(scene: Scene, rng: random.Random) -> Image.Image:
    """Paints a scene as an RGB picture of 96 to 256 px a side, with a texture and noise of its own."""
    width, height = (rng.randrange(96, 257, 2) for _ in range(2))
    if max(width, height) > 1.5 * min(width, height):
        height = min(256, max(96, int(width * rng.uniform(0.75, 1.33)) // 2 * 2))
    canvas = _background(scene.background, width * SUPERSAMPLE, height * SUPERSAMPLE, rng)
    pen = ImageDraw.Draw(canvas)
    for thing, (x, y, radius) in zip(_repeat(scene), _places(scene, rng), strict=True):
        side = min(canvas.size)
        _shape(pen, thing.shape, x * canvas.width, y * canvas.height, radius * side, _tint(thing.colour, rng), rng,
               hole=_tint(scene.background, rng))  # fmt: skip
    small = canvas.resize((width, height), Image.Resampling.BOX)
    sigma = rng.choice((0.0, 2.0, 5.0, 9.0))
    if sigma:
        noise = np.random.default_rng(rng.getrandbits(63)).normal(0.0, sigma, (height, width, 3))
        small = Image.fromarray(np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8))
    return small


def _repeat(scene: Scene) -> list[Thing]:
    """Things in drawing order, back to front."""
    if scene.kind == "inside":
        return [scene.things[1], scene.things[0]]
    return [*scene.things] * scene.count if scene.kind == "count" else [*scene.things]


def _places(scene: Scene, rng: random.Random) -> list[tuple[float, float, float]]:
    """Centre (shares of width and height) and radius (share of the shorter side) of each thing of `_repeat`."""
    u = rng.uniform
    if scene.kind == "single":
        radius = u(0.30, 0.40) if scene.things[0].size == "big" else u(0.09, 0.13)
        room = 0.48 - radius
        return [(0.5 + u(-room, room), 0.5 + u(-room, room), radius)]
    if scene.kind == "count":
        cells = rng.sample([(x, y) for x in (0.19, 0.5, 0.81) for y in (0.27, 0.73)], scene.count)
        return [(x + u(-0.02, 0.02), y + u(-0.05, 0.05), u(0.12, 0.145)) for x, y in cells]
    if scene.kind == "beside":
        return [(u(0.22, 0.28), u(0.42, 0.58), u(0.18, 0.22)), (u(0.72, 0.78), u(0.42, 0.58), u(0.18, 0.22))]
    if scene.kind == "above":
        return [(u(0.42, 0.58), u(0.22, 0.28), u(0.18, 0.22)), (u(0.42, 0.58), u(0.72, 0.78), u(0.18, 0.22))]
    if scene.kind == "inside":
        x, y = u(0.46, 0.54), u(0.46, 0.54)
        return [(x, y, u(0.38, 0.44)), (x, y, u(0.13, 0.16))]
    row = u(0.42, 0.58)  # between: drawn in the order middle, left, right
    return [(0.5, row + u(-0.05, 0.05), u(0.135, 0.155)), (0.18, row, u(0.135, 0.155)), (0.82, row, u(0.135, 0.155))]


def _tint(colour: str, rng: random.Random) -> tuple[int, int, int]:
    r, g, b = COLOURS[colour]
    return tuple(min(255, max(0, c + rng.randint(-9, 9))) for c in (r, g, b))  # type: ignore[return-value]


def _background(colour: str, width: int, height: int, rng: random.Random) -> Image.Image:
    """A plain, shaded or striped ground whose tints all stay near the colour named."""
    first, second = (np.array(_tint(colour, rng), dtype=np.float32) for _ in range(2))
    second += rng.choice((-14.0, 14.0))
    texture = rng.choice(("plain", "plain", "shaded", "stripes"))
    ramp = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    if rng.random() < 0.5:
        ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    if texture == "plain":
        ramp = np.zeros_like(ramp)
    elif texture == "stripes":
        ramp = (np.floor(ramp * rng.randint(6, 14)) % 2).astype(np.float32)
    ground = first + (second - first) * np.broadcast_to(ramp, (height, width, 1))
    return Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))


def _shape(
    pen: ImageDraw.ImageDraw,
    shape: str,
    x: float,
    y: float,
    radius: float,
    fill: tuple[int, int, int],
    rng: random.Random,
    *,
    hole: tuple[int, int, int],
) -> None:
    """Paints one shape that fits the circle of `radius` px round (x, y); `hole` is the ground inside a ring."""
    turn = rng.uniform(-0.12, 0.12)

    def points(angles_radii: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x + math.sin(a + turn) * r * radius, y - math.cos(a + turn) * r * radius) for a, r in angles_radii]

    def regular(n: int, start: float = 0.0) -> list[tuple[float, float]]:
        return points([(start + 2 * math.pi * i / n, 1.0) for i in range(n)])

    if shape in ("circle", "ring"):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        if shape == "ring":
            inner = radius * 0.6
            pen.ellipse((x - inner, y - inner, x + inner, y + inner), fill=hole)
    elif shape == "square":
        pen.polygon(regular(4, math.pi / 4), fill=fill)
    elif shape == "triangle":
        pen.polygon(regular(3), fill=fill)
    elif shape == "hexagon":
        pen.polygon(regular(6), fill=fill)
    elif shape == "rhombus":
        pen.polygon(points([(0, 1.0), (math.pi / 2, 0.62), (math.pi, 1.0), (-math.pi / 2, 0.62)]), fill=fill)
    elif shape == "star":
        pen.polygon(points([(math.pi * i / 5, 1.0 if i % 2 == 0 else 0.42) for i in range(10)]), fill=fill)
    elif shape == "heart":
        steps = [2 * math.pi * i / 60 for i in range(60)]
        pen.polygon(
            [
                (
                    x + radius * math.sin(t) ** 3,
                    y - radius * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16,
                )
                for t in steps
            ],
            fill=fill,
        )
    elif shape == "cross":
        arm, reach = radius * 0.3, radius
        pen.rectangle((x - arm, y - reach, x + arm, y + reach), fill=fill)
        pen.rectangle((x - reach, y - arm, x + reach, y + arm), fill=fill)
    else:
        raise ValueError(f"no such shape: {shape!r} (there are {', '.join(SHAPES)})")
