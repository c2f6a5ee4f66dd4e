"""The page of a run: figures, plots, and what the tower found, with pictures. One file, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
from PIL import Image
from torch import Tensor

from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.embed import pictures
from pipelines.train.reference.evaluate import Embedded, Evaluation
from pipelines.train.reference.geometry import Similarities
from pipelines.train.reference.plot import plot_losses, plot_recalls, plot_sides, plot_similarities
from pipelines.train.reference.retrieval import nearest, ranks
from pipelines.train.reference.version import PHOTOGRAPHS

REPORT: Final[str] = "report.html"
QUERIES: Final[int] = 10
"""Queries of a kind that are shown."""
FOUND: Final[int] = 5
"""Of each the nearest that are shown."""
_LONGEST: Final[int] = 400
_SIDES: Final[tuple[str, str]] = ("text to left", "left to text")


@dataclass(frozen=True, slots=True)
class Pic:
    """What an <img> needs; sizes in px."""

    uri: str
    width: int
    height: int


def _pic(pixels: np.ndarray, *, blank: int | None = None) -> Pic:
    """uint8 [h, w] or [h, w, 3] -> a picture; of a text the blank rows at the bottom are cut off."""
    if blank is not None:
        inked = np.flatnonzero((pixels != blank).any(axis=1))
        pixels = pixels[: min(len(pixels), int(inked[-1]) + 6) if len(inked) else 16]
    image = Image.fromarray(pixels)
    out = io.BytesIO()
    if pixels.ndim == 2:
        image.save(out, "PNG", optimize=True)
    else:
        image.save(out, "JPEG", quality=85)
    kind = "png" if pixels.ndim == 2 else "jpeg"
    return Pic(f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}", image.width, image.height)


def _file(path: Path) -> Pic:
    with Image.open(path, formats=("PNG",)) as image:
        size = image.size
    return Pic(f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}", *size)


def draw_plots(
    out: Path, evaluation: Evaluation, rows: Sequence[Mapping[str, Any]] = (), *, title: str, chance: float = 0.0
) -> list[tuple[Path, str]]:
    """Draws a run's pictures into its folder.

    Args:
        out: The folder.
        evaluation: Of the finished tower.
        rows: Of metrics.jsonl: losses by step, and the evaluations on the way.
        title: Of the losses' picture.
        chance: Loss of chance, nats.

    Returns:
        Each file with what it shows.
    """
    plots: list[tuple[Path, str]] = []
    losses: dict[str, list[tuple[int, float]]] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for kind, loss in (row.get("losses") or ({row["kind"]: row["loss"]} if "kind" in row else {})).items():
            losses.setdefault(kind, []).append((row["step"], loss))
        for kind, found in ((row.get("evaluation") or {}).get("retrieval_by_kind") or {}).items():
            for name, way in (("text to left", "text_to_left"), ("left to text", "left_to_text")):
                if kind == PHOTOGRAPHS or way == "text_to_left":
                    curves.setdefault(f"{kind}: {name}", []).append((row["step"], found[way]["recall_at_1"]))
    if losses:
        plot_losses(out / "loss.png", losses, chance, title)
        plots.append((out / "loss.png", "losses by step"))
    if any(len(points) > 1 for points in curves.values()):
        lowest = 1 / max(len(embedded.samples) for embedded in evaluation.kinds.values())
        plot_recalls(out / "recall.png", curves, lowest, "recall at 1 on held-out pairs")
        plots.append((out / "recall.png", "recalls by step"))
    for kind, embedded in evaluation.kinds.items():
        names = ("photographs", "texts") if kind == PHOTOGRAPHS else ("left texts", "right texts")
        found = Similarities.of(embedded.left, embedded.right)
        plot_similarities(out / f"similarity-{kind}.png", found, f"{kind}: cosines of held-out pairs")
        gap = embedded.entries()["gap"]
        plot_sides(out / f"sides-{kind}.png", embedded.left, embedded.right, names, f"{kind}: gap {gap:.3f}")
        plots += [(out / f"{what}-{kind}.png", f"{kind}: {what}") for what in ("similarity", "sides")]
    return plots


def write_report(
    out: Path,
    result: Mapping[str, Any],
    evaluation: Evaluation,
    decoder: Decoder,
    rows: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Draws the plots and writes `report.html` beside them.

    Args:
        out: The run's folder.
        result: What result.json holds; nothing in it is trusted.
        evaluation: Of the finished tower.
        decoder: Reads the pictures that are shown.
        rows: Of metrics.jsonl.

    Returns:
        The page, some MB at most.
    """
    version = decoder.shards.version
    plots = draw_plots(
        out, evaluation, rows, title=f"{result.get('model', 'tower')}, batch {result.get('batch_size', '-')}",
        chance=float(result.get("loss_chance") or 0.0),
    )  # fmt: skip
    kinds = [_kind(kind, embedded.entries()) for kind, embedded in evaluation.kinds.items()]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("pipelines.train.reference").joinpath("report.html.j2").read_text(encoding="utf-8")
    control = str(result.get("control") or "none")
    page = environment.from_string(source).render(
        heading="Training run" if "steps" in result else "Evaluation",
        version=_short(version.folder.name),
        manifest=_short(result.get("manifest_sha256", "-")),
        status=_short(result.get("status", "")),
        control="" if control == "none" else _short(control),
        tiles=_tiles(result, evaluation),
        kinds=kinds,
        zero_shot=list(evaluation.zero_shot),
        plots=[(_file(path), what) for path, what in plots],
        samples=[_found(kind, embedded, decoder, version.background) for kind, embedded in evaluation.kinds.items()],
        settings=_settings(result),
    )
    part = out / f"{REPORT}.part"
    part.write_text(page, encoding="utf-8", errors="replace")
    part.replace(out / REPORT)
    return out / REPORT


def _kind(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    ways = (found["text_to_left"], found["left_to_text"])
    return {
        "name": name, "samples": found["samples"], "chance": found["chance_at_1"], "gap": found["gap"],
        "relative_gap": found["relative_gap"], "auc": found["similarity"]["auc"],
        "directions": list(zip(_SIDES, ways, strict=True)),
    }  # fmt: skip


def _tiles(result: Mapping[str, Any], evaluation: Evaluation) -> list[tuple[str, str]]:
    tiles = []
    if PHOTOGRAPHS in evaluation.kinds:
        found = evaluation.kinds[PHOTOGRAPHS].entries()
        one = found["text_to_left"]["recall_at_1"]
        tiles.append((f"text to image R@1, n = {found['samples']:,}", f"{100 * one:.1f} %"))
        tiles.append(("times chance", f"{one / found['chance_at_1']:.1f} x"))
        tiles.append(("modality gap", f"{found['gap']:.3f}"))
    for name, key, form in (
        ("steps", "steps", "{:,.0f}"), ("pairs seen", "samples", "{:,.0f}"), ("seconds", "seconds", "{:,.0f}"),
        ("pairs a second", "samples_per_s", "{:,.0f}"), ("waiting for data", "wait_share", "{:.1%}"),
        ("model FLOP utilisation", "mfu", "{:.1%}"),
    ):  # fmt: skip
        value = result.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            tiles.append((name, form.format(value)))
    return tiles


def _found(kind: str, embedded: Embedded, decoder: Decoder, background: int) -> dict[str, Any]:
    """Right texts that look for their left sides."""
    n = len(embedded.samples)
    order = sorted(range(n), key=lambda i: hashlib.sha256(embedded.samples[i].key.encode()).digest())[:QUERIES]
    asked = embedded.right[order]
    near = nearest(asked, embedded.left, FOUND)
    rank = ranks(embedded.right, embedded.left)[order].tolist()
    texts = kind != PHOTOGRAPHS
    wanted = sorted({*order, *near.flatten().tolist()})
    lefts, rights = pictures(decoder, kind, [embedded.samples[i] for i in wanted])
    left = {i: _pic(pixels, blank=background if texts else None) for i, pixels in zip(wanted, lefts, strict=True)}
    right = {i: _pic(pixels, blank=background) for i, pixels in zip(wanted, rights, strict=True)}
    queries = []
    for row, query in enumerate(order):
        cosines: Tensor = embedded.left[near[row]] @ asked[row]
        found = [
            {
                "pic": left[i],
                "words": f"{cosine:.2f}{' own' if i == query else ''}",
                "mark": "own" if i == query else "",
            }
            for i, cosine in zip(near[row].tolist(), cosines.tolist(), strict=True)
        ]
        if query not in near[row].tolist():
            own = float(embedded.left[query] @ asked[row])
            found.append({"pic": left[query], "words": f"{own:.2f} rank {rank[row] + 1:,}", "mark": "away"})
        queries.append({"asked": right[query], "key": embedded.samples[query].key[:16], "found": found})
    return {
        "kind": kind,
        "asked": f"{len(queries)} right texts",
        "of": f"{n:,} {'left texts' if texts else 'photographs'}",
        "texts": texts,
        "queries": queries,
    }


def _settings(result: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in result.items():
        if name in ("retrieval", "retrieval_by_kind", "zero_shot"):
            continue
        if isinstance(value, Mapping) and value:
            rows += _settings(value, f"{prefix}{name}.")
        else:
            words = _words(value)
            rows.append((_short(f"{prefix}{name}"), _short(words)))
    return rows


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _short(value: object) -> str:
    """A text of unknown origin: without controls and marks of direction, cut."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in str(value)[:_LONGEST])
    return text if len(str(value)) <= _LONGEST else text + " …"
