"""Ranks, recalls, the gap and similarities against plain computations and data made so that the answer is known."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin crawl on shared cores
torch = pytest.importorskip("torch")

from pipelines.train.reference import retrieval  # noqa: E402
from pipelines.train.reference.geometry import Similarities, modality_gap, principal, relative_gap  # noqa: E402
from pipelines.train.reference.loss import unit  # noqa: E402
from pipelines.train.reference.retrieval import nearest, ranks, recalls  # noqa: E402


def rows(n: int, d: int, seed: int) -> torch.Tensor:
    return unit(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)))


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 10_000), st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_ranks_are_those_of_sorting(n: int, d: int, seed: int, block: int) -> None:
    """Against brute force, whatever number of rows is computed at once."""
    queries, targets = rows(n, d, seed), rows(n, d, seed + 1)
    old, retrieval._ROWS = retrieval._ROWS, block
    try:
        found = ranks(queries, targets).tolist()
    finally:
        retrieval._ROWS = old
    scores = queries.numpy() @ targets.numpy().T
    near = 1e-5  # two products may differ in their last bit
    for i in range(n):
        others = np.delete(scores[i], i)
        assert int((others > scores[i, i] + near).sum()) <= found[i] <= int((others >= scores[i, i] - near).sum())
    for k in (1, 5, 10):
        assert math.isclose(recalls(queries, targets)[f"recall_at_{k}"], np.mean(np.array(found) < k), abs_tol=1e-5)
    assert recalls(queries, targets)["median_rank"] == sorted(found)[(n - 1) // 2] + 1


@pytest.mark.parametrize("value", [1.0, math.nan])
def test_a_tower_that_says_one_thing_finds_nothing(value: float) -> None:
    """Names the bug of counting ties, or what is no number, as finds: a broken tower would look perfect."""
    same = torch.full((20, 4), value)
    assert recalls(same, same)["recall_at_10"] == 0
    assert recalls(same, same)["median_rank"] == 20


def test_nearest_first() -> None:
    queries, targets = rows(3, 4, 0), rows(9, 4, 1)
    best = (queries @ targets.T).argsort(1, descending=True)
    assert nearest(queries, targets, 4).tolist() == best[:, :4].tolist()
    assert nearest(queries, targets, 20).shape == (3, 9)


def test_the_gap_of_two_cones_is_known() -> None:
    """Unit vectors at an angle round two axes: their centroids lie on the axes, cos(angle) from the middle."""
    turns = torch.arange(8) * (2 * math.pi / 8)
    angle = 0.3
    ring = torch.stack([torch.cos(turns) * math.sin(angle), torch.sin(turns) * math.sin(angle)], 1)
    height = torch.full((8, 1), math.cos(angle))
    up, down = torch.cat([ring, height], 1), torch.cat([ring, -height], 1)
    assert modality_gap(up, down) == pytest.approx(2 * math.cos(angle), abs=1e-6)
    assert modality_gap(up, up.flip(0)) == pytest.approx(0, abs=1e-6)
    mean = torch.linalg.norm(up.mean(0) - down.mean(0))
    assert modality_gap(up, down) == pytest.approx(float(mean), abs=1e-6)


@given(st.integers(2, 20), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_the_relative_gap_is_what_its_definition_says(n: int, seed: int) -> None:
    left, right = rows(n, 5, seed).double(), rows(n, 5, seed + 1).double()
    matched = sum((1 - float(left[i] @ right[i])) / 2 for i in range(n)) / n
    among = [
        sum((1 - float(side[i] @ side[j])) / 2 for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        for side in (left, right)
    ]
    assert relative_gap(left, right) == pytest.approx(matched / (matched + sum(among) / 2), abs=1e-6)


def test_the_relative_gap_sees_two_narrow_cones_that_the_distance_of_centroids_does_not() -> None:
    point, other = torch.tensor([1.0, 0, 0]), torch.nn.functional.normalize(torch.tensor([1.0, 0.05, 0]), dim=0)
    assert relative_gap(point.expand(4, 3), other.expand(4, 3)) == pytest.approx(1)
    assert modality_gap(point.expand(4, 3), other.expand(4, 3)) < 0.06
    assert relative_gap(point.expand(4, 3), point.expand(4, 3)) == 0.5, "all in one point: nothing can be said"
    spread = rows(8, 3, 1)
    assert relative_gap(spread, spread) == pytest.approx(0, abs=1e-6)


def test_the_first_component_shows_the_gap() -> None:
    left = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * 0.1
    right = left.clone()
    left[:, 2] += 1
    right[:, 2] -= 1
    places = principal([left, right])
    assert float(places[0][:, 0].max()) < float(places[1][:, 0].min()), "the first part lies to the left"
    again = principal([left, right])
    assert all(torch.equal(a, b) for a, b in zip(places, again, strict=True))
    assert principal([left[:1], right[:1]])[0].shape == (1, 2)


@given(st.integers(2, 30), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_auc_is_the_share_of_pairs_of_cosines(n: int, seed: int) -> None:
    left, right = rows(n, 3, seed), rows(n, 3, seed + 1)
    found = Similarities.of(left, right)
    a, b = found.matched.numpy()[:, None], found.unmatched.numpy()[None]
    assert found.entries()["auc"] == pytest.approx(float(((a > b) + 0.5 * (a == b)).mean()), abs=1e-5)
    assert np.allclose(found.matched, (left * right).sum(1), atol=1e-6)
    same = rows(n, 3, seed)
    assert Similarities.of(same, same).entries()["matched"] == pytest.approx(1, abs=1e-5)
