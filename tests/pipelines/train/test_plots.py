"""The plots: their ticks, that what is drawn is seen where it belongs, and that odd data is drawn too."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
torch = pytest.importorskip("torch")

from pipelines.train.reference.chart import Chart, ticks  # noqa: E402
from pipelines.train.reference.geometry import Similarities  # noqa: E402
from pipelines.train.reference.loss import unit  # noqa: E402
from pipelines.train.reference.plot import (  # noqa: E402
    plot_losses,
    plot_recalls,
    plot_sides,
    plot_similarities,
)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(4, 12))
def test_ticks_are_few_round_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    found = ticks(low, high, most)
    assert 0 < len(found) <= most
    slack = 1e-6 * max(abs(low), abs(high), span)
    assert all(low - slack <= value <= high + slack for value in found)
    if len(found) > 1:
        step = found[1] - found[0]
        assert round(step / 10 ** math.floor(math.log10(step * (1 + 1e-9))), 4) in (1, 2, 5, 10)


def where(path: Path, colour: str) -> np.ndarray:
    """(x, y) of the pixels of about that colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    y, x = np.nonzero(np.abs(pixels - wanted).max(axis=2) < 24)
    return np.stack([x, y], 1)


def test_a_line_goes_where_its_points_are(tmp_path: Path) -> None:
    chart = Chart("t", x="step", y="nats", x_range=(0, 10), y_range=(0, 10))
    chart.line([(0, 0), (10, 10)], "#c2185b")
    chart.save(tmp_path / "a.png")
    found = where(tmp_path / "a.png", "#c2185b")
    left, right = found[found[:, 0].argmin()], found[found[:, 0].argmax()]
    assert left[1] > right[1] + 300, "it rises from the lower left to the upper right"
    assert np.corrcoef(found.T)[0, 1] < -0.99


def test_every_plot_is_drawn_of_odd_data_too(tmp_path: Path) -> None:
    one, other = unit(torch.ones(2, 3)), unit(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]))
    plot_losses(tmp_path / "a.png", {"image_alt": [(1, 3.0), (2, math.nan)], "x": [], "y": [(1, 2.0)]}, 3.5, "tiny")
    plot_losses(tmp_path / "b.png", {}, 0.0, "nothing")
    plot_recalls(tmp_path / "c.png", {"image_alt: text to left": [(10, 0.0), (20, 0.5)]}, 0.01, "recall")
    plot_similarities(tmp_path / "d.png", Similarities.of(one, one), "all equal")
    plot_similarities(tmp_path / "e.png", Similarities.of(one, other), "two")
    plot_sides(tmp_path / "f.png", one, one, ("a", "b"), "all in one place")
    plot_sides(tmp_path / "g.png", one, other, ("a", "b"), "two")
    for path in sorted(tmp_path.glob("*.png")):
        with Image.open(path) as image:
            image.load()
            assert image.width >= 700
