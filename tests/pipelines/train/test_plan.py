"""Plans of batches: a function of seed and step, the same for any number of workers, each sample once an epoch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.train.reference.plan import Order, Plan, Planned, choose_lanes
from pipelines.train.reference.version import DataError


def order(kind="a", counts=(7, 5, 12), *, lanes=4, block=5, seed=3, allowed=None) -> Order:
    shards = list(range(10, 10 + len(counts)))
    return Order(kind, shards, counts, lanes=lanes, block=block, seed=seed, allowed=allowed)


def plan(mix, sizes, batch, *, lanes=4, seed=3, **more) -> Plan:
    orders = {k: Order(k, [i], [sizes[k]], lanes=lanes, block=6, seed=seed) for i, k in enumerate(sorted(sizes))}
    return Plan(orders, mix, batch, **more)


def pairs(planned: Planned) -> list[tuple[int, ...]]:
    return sorted(zip(planned.kinds.tolist(), *planned.lefts.T.tolist(), planned.epochs.tolist(), strict=True))


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(lambda c: sum(c) >= 6),
    lanes=st.integers(1, 6),
    block=st.integers(1, 20),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_each_sample_comes_once_an_epoch(counts, lanes, block, seed):
    found = order(counts=counts, lanes=lanes, block=block, seed=seed)
    everything = {(10 + s, p) for s, n in enumerate(counts) for p in range(n)}
    for epoch in (0, 1):
        seen = []
        for lane in range(lanes):
            size = found.size(lane)
            samples, epochs = found.draw(lane, epoch * size, size)
            assert set(epochs.tolist()) <= {epoch}
            seen += map(tuple, samples.tolist())
        assert len(seen) == len(everything)
        assert set(seen) == everything


def test_a_draw_does_not_depend_on_how_it_is_asked_for():
    whole = order().draw(1, 0, 40)[0].tolist()
    pieces = order()
    assert [s for at in range(0, 40, 3) for s in pieces.draw(1, at, min(3, 40 - at))[0].tolist()] == whole


def test_samples_are_shuffled_within_and_across_shards_and_differently_in_each_epoch():
    found = order(counts=(100,) * 6, lanes=1, block=200)
    first = found.draw(0, 0, 600)[0]
    assert len(set(first[:200, 0].tolist())) >= 2, "a block spans shards"
    assert (np.diff(first[:200, 1]) == 1).mean() < 0.2
    assert first.tolist() != found.draw(0, 600, 600)[0].tolist()
    assert first.tolist() != order(counts=(100,) * 6, lanes=1, block=200, seed=4).draw(0, 0, 600)[0].tolist()


def test_only_allowed_positions_are_drawn():
    allowed = {11: np.array([0, 3, 4])}
    found = order(counts=(7, 3, 12), allowed=allowed)
    drawn = [tuple(s) for lane in range(4) for s in found.draw(lane, 0, found.size(lane))[0].tolist()]
    assert sorted(p for shard, p in drawn if shard == 11) == [0, 3, 4]
    assert len(set(drawn)) == 22


def test_partners_are_other_samples_each_one_once():
    found = order(counts=(7, 3, 12), allowed={11: np.array([0, 3, 4])})
    samples = np.concatenate([found.draw(lane, 0, found.size(lane))[0] for lane in range(4)])
    partners = found.partner(samples)
    assert not (samples == partners).all(axis=1).any()
    assert sorted(map(tuple, partners.tolist())) == sorted(map(tuple, samples.tolist()))


@pytest.mark.parametrize("batches", ["kind", "mixed"])
@pytest.mark.parametrize("workers", [2, 4])
def test_batches_are_the_same_with_any_number_of_workers(batches, workers):
    mix, sizes = {"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 40, "b": 24, "c": 60}
    alone = plan(mix, sizes, 16, batches=batches)
    parts = [plan(mix, sizes, 16, batches=batches, rank=rank, workers=workers) for rank in range(workers)]
    for _ in range(30):
        found = [part.next() for part in parts]
        assert len({len(part.lefts) for part in found}) == 1, "each worker has as many pairs as any other"
        assert sorted(pair for part in found for pair in pairs(part)) == pairs(alone.next())


@pytest.mark.parametrize("batches", ["kind", "mixed"])
def test_weights_are_kept_exactly_and_lanes_alike(batches):
    mix, sizes = {"a": 0.7, "b": 0.2, "c": 0.1}, {"a": 400, "b": 160, "c": 160}
    found = plan(mix, sizes, 16, batches=batches)
    counts: Counter[str] = Counter()
    for step in range(1, 201):
        for kind, n in Counter(found.next().kinds.tolist()).items():
            counts[found.kinds[kind]] += n
        slack = 1 if batches == "mixed" else 16
        assert all(abs(counts[k] - mix[k] * 16 * step) <= slack for k in mix)
    for drawn in found.state.drawn.values():
        assert max(drawn) - min(drawn) <= 0.02 * max(drawn) + 2, "no lane runs ahead of the others"


@pytest.mark.parametrize("batches", ["kind", "mixed"])
def test_a_plan_goes_on_from_its_state(batches):
    mix, sizes = {"a": 0.7, "b": 0.3}, {"a": 40, "b": 24}
    first = plan(mix, sizes, 8, batches=batches)
    for _ in range(17):
        first.next()
    again = plan(mix, sizes, 8, batches=batches)
    again.state = first.state.copy()
    assert [pairs(first.next()) for _ in range(20)] == [pairs(again.next()) for _ in range(20)]


def test_a_small_kind_has_smaller_batches_and_a_tiny_one_is_an_error():
    found = plan({"a": 0.5, "b": 0.5}, {"a": 64, "b": 14}, 16)
    assert found.batch == {"a": 16, "b": 12}
    with pytest.raises(DataError, match="b: 3 samples to train on, at least 4 are needed"):
        plan({"b": 1.0}, {"b": 3}, 16)


def test_lanes_suit_batch_and_workers():
    assert choose_lanes(32, 1) == choose_lanes(32, 2) == choose_lanes(32, 8) == 8
    assert choose_lanes(48, 3) == 6
    assert choose_lanes(10240, 16) == 16
    assert choose_lanes(10240, 2, 64) == 64
    assert choose_lanes(32, 1, most=5) == choose_lanes(32, 2, most=5) == 4
    assert choose_lanes(32, 8, most=5) == 8, "who asks for more workers than samples is told so by the kind"
    with pytest.raises(ValueError, match="a batch of 32 cannot be shared by 3 workers: make it a multiple of 3"):
        choose_lanes(32, 3)
    with pytest.raises(ValueError, match="lanes must be a multiple of the 2 workers"):
        choose_lanes(32, 2, 3)
