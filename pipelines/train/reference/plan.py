"""Which samples make which batch: a function of the seed and the step alone, whoever computes it.

A kind's samples stand in a line: its shards in an order drawn for the epoch, the samples of each in order. The line is cut into
`lanes` of equal length, and each lane is shuffled in blocks. Position j of a batch takes the next sample of its lane; a worker
owns whole lanes, so it reads only the shards that its lanes lie in, and a batch is the same with any number of workers. All of
this needs the manifest's counts and no shard: the index of a billion samples is a function, not a table.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from pipelines.train.reference.version import DataError

DEFAULT_LANES: Final[int] = 8
Ints = npt.NDArray[np.int64]


def generator(*parts: object) -> np.random.Generator:
    """A generator drawn from a hash of the parts."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def choose_lanes(batch_size: int, workers: int, asked: int = 0, *, most: int | None = None) -> int:
    """How many lanes a run has: as asked, or the greatest divisor of the batch up to 8 that the workers divide, at least one each.

    Args:
        batch_size: Pairs of all workers together.
        workers: How many share them.
        asked: Lanes; 0: chosen here.
        most: Samples of the smallest kind, each lane of which needs one. Default: enough.

    Raises:
        ValueError: The workers do not divide the lanes, or the lanes the batch.
    """
    if not asked:
        fits = [
            n for n in range(workers, min(batch_size, max(DEFAULT_LANES, workers)) + 1, workers) if batch_size % n == 0
        ]
        if not fits:
            raise ValueError(
                f"a batch of {batch_size} cannot be shared by {workers} workers: make it a multiple of {workers}"
            )
        return max([n for n in fits if most is None or n <= most] or [min(fits)])
    if asked % workers or batch_size % asked:
        raise ValueError(
            f"lanes must be a multiple of the {workers} workers and divide the batch of {batch_size}, not {asked}"
        )
    return asked


class Order:
    """The order of one kind's samples, by lane and draw.

    Args:
        kind: Its name, part of every draw.
        shards: Numbers of its shards.
        counts: Samples of each that are trained on.
        lanes: Into how many equal parts the line of samples is cut.
        block: Samples that are shuffled among each other; a lane's whole length at most.
        seed: Same seed, same order.
        allowed: Shard -> positions that are trained on, where these are not all.

    Raises:
        DataError: There are fewer samples than lanes.
    """

    def __init__(
        self,
        kind: str,
        shards: Sequence[int],
        counts: Sequence[int],
        *,
        lanes: int,
        block: int,
        seed: int,
        allowed: Mapping[int, Ints] | None = None,
    ) -> None:
        self.kind, self.lanes = kind, lanes
        self._shards = np.asarray(shards, np.int64)
        self._counts = np.asarray(counts, np.int64)
        self._ends = np.cumsum(self._counts)
        self.total = int(self._counts.sum())
        if self.total < max(2, lanes):
            raise DataError(
                f"{kind}: {self.total} samples to train on, at least {max(2, lanes)} are needed, one for each of {lanes} lanes "
                "that the workers share; leave the kind out of --mix, or take fewer workers or --lanes"
            )
        self._block, self._seed = block, seed
        self._allowed = dict(allowed or {})
        self._lines: dict[int, tuple[Ints, Ints]] = {}
        self._blocks: OrderedDict[tuple[int, ...], Ints] = OrderedDict()

    def size(self, lane: int) -> int:
        """Samples of a lane, the same in every epoch."""
        return self.total * (lane + 1) // self.lanes - self.total * lane // self.lanes

    def draw(self, lane: int, start: int, count: int) -> tuple[Ints, Ints]:
        """The draws start … start + count - 1 of a lane.

        Returns:
            (int64 [count, 2]: shard and position in it; int64 [count]: the epoch of each).
        """
        size = self.size(lane)
        draws = np.arange(start, start + count, dtype=np.int64)
        epochs, places = draws // size, draws % size
        found = np.empty((count, 2), np.int64)
        for epoch in np.unique(epochs):
            of = epochs == epoch
            found[of] = self._look_up(int(epoch), self._lane(lane, int(epoch), places[of]))
        return found, epochs

    def partner(self, samples: Ints) -> Ints:
        """For each (shard, position) another sample of its kind, always the same and each one once: wrong pairs for a control."""
        where = {int(number): i for i, number in enumerate(self._shards)}
        line = np.empty(len(samples), np.int64)
        for row, (shard, position) in enumerate(samples):
            i = where[int(shard)]
            rank = np.searchsorted(self._allowed[int(shard)], position) if int(shard) in self._allowed else position
            line[row] = self._ends[i] - self._counts[i] + rank
        # Keys are hashes and samples stand in their order, so any fixed step along the line is as good as chance.
        away = max(1, round(self.total * 0.381966))
        return self._in_shards((line + away) % self.total, np.arange(len(self._shards)), self._ends)

    def _lane(self, lane: int, epoch: int, places: Ints) -> Ints:
        """Places in a shuffled lane -> places in the epoch's line."""
        first, size = self.total * lane // self.lanes, self.size(lane)
        found = np.empty(len(places), np.int64)
        blocks = places // self._block
        for block in np.unique(blocks):
            of = blocks == block
            begin = int(block) * self._block
            length = min(self._block, size - begin)
            order = self._shuffled(length, epoch, lane, int(block))
            found[of] = first + begin + order[places[of] - begin]
        return found

    def _look_up(self, epoch: int, line: Ints) -> Ints:
        found = self._lines.get(epoch)
        if found is None:
            if len(self._lines) > 1:  # lanes stand in one epoch, or at the turn of two
                self._lines.pop(min(self._lines))
            order = generator(self._seed, self.kind, "shards", epoch).permutation(len(self._shards))
            found = self._lines[epoch] = order, np.cumsum(self._counts[order])
        return self._in_shards(line, *found)

    def _in_shards(self, line: Ints, order: Ints, ends: Ints) -> Ints:
        at = np.searchsorted(ends, line, side="right")
        chosen = order[at]
        positions = line - (ends[at] - self._counts[chosen])
        numbers = self._shards[chosen]
        for number in np.unique(numbers) if self._allowed else ():
            if int(number) in self._allowed:
                of = numbers == number
                positions[of] = self._allowed[int(number)][positions[of]]
        return np.stack([numbers, positions], axis=1)

    def _shuffled(self, length: int, *block: int) -> Ints:
        """The order of a block's samples, kept while its lane is in it."""
        found = self._blocks.pop(block, None)
        if found is None:
            found = generator(self._seed, self.kind, "block", *block).permutation(length)
        self._blocks[block] = found
        while len(self._blocks) > 2 * self.lanes:
            self._blocks.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class Planned:
    """A worker's part of one batch.

    Attributes:
        step: From 1.
        kinds: int64 [n], position of each pair's kind in `Plan.kinds`.
        lefts: int64 [n, 2], shard and position of the sample whose left side is taken.
        rights: int64 [n, 2], the same of the right side; `lefts` itself but for the control.
        epochs: int64 [n], how often each sample came before.
    """

    step: int
    kinds: Ints
    lefts: Ints
    rights: Ints
    epochs: Ints


@dataclass(slots=True)
class PlanState:
    """Where a plan stands; plain numbers, so that a checkpoint can hold it.

    Attributes:
        step: Steps planned.
        owed: Kind -> pairs (batches, where a batch holds one kind) that its weight has earned and that were not drawn yet.
        drawn: Kind -> draws of each lane.
    """

    step: int = 0
    owed: dict[str, float] = field(default_factory=dict)
    drawn: dict[str, list[int]] = field(default_factory=dict)

    def copy(self) -> PlanState:
        """A copy that the plan does not move on."""
        return PlanState(self.step, dict(self.owed), {kind: list(lanes) for kind, lanes in self.drawn.items()})


class Plan:
    """The batches of a run, one after another.

    With `kind` every batch holds one kind, so that in-batch negatives are of that kind too; with `mixed`, as in CLIPPO, each
    batch holds the kinds by weight. Either way a kind that has fallen behind its weight comes first, so that after any number of
    steps no kind is more than a batch (`kind`) or a pair (`mixed`) from its share.

    Args:
        orders: Kind -> its order; all with the same number of lanes.
        mix: Kind -> weight, summing to 1.
        batch_size: Pairs of all workers together; a multiple of the lanes.
        batches: `kind` or `mixed`.
        rank, workers: Whose part is planned. Workers divide the lanes.
        control: Right sides are those of other samples.

    Attributes:
        batch: Kind -> pairs of a batch of it alone: fewer than `batch_size` where the kind has fewer samples.
    """

    def __init__(
        self,
        orders: Mapping[str, Order],
        mix: Mapping[str, float],
        batch_size: int,
        *,
        batches: Literal["kind", "mixed"] = "kind",
        rank: int = 0,
        workers: int = 1,
        control: bool = False,
    ) -> None:
        self.kinds = tuple(sorted(mix))
        self.mix = {kind: mix[kind] for kind in self.kinds}
        self._orders = orders
        self.lanes = orders[self.kinds[0]].lanes
        self.batch_size, self._batches, self._control = batch_size, batches, control
        self.batch = {kind: min(batch_size, orders[kind].total // self.lanes * self.lanes) for kind in self.kinds}
        self._mine = np.arange(rank, self.lanes, workers)
        self.state = PlanState(0, dict.fromkeys(self.kinds, 0.0), {kind: [0] * self.lanes for kind in self.kinds})

    def next(self) -> Planned:
        """Plans the next step and moves on."""
        self.state.step += 1
        parts = [
            self._take(kind, np.bincount(lanes, minlength=self.lanes)) for kind, lanes in self._lanes_of_kinds().items()
        ]
        kinds, samples, epochs = (np.concatenate(column) for column in zip(*parts, strict=True))
        rights = samples
        if self._control:
            rights = np.empty_like(samples)
            for number in np.unique(kinds):
                rights[kinds == number] = self._orders[self.kinds[number]].partner(samples[kinds == number])
        return Planned(self.state.step, kinds, samples, rights, epochs)

    def _lanes_of_kinds(self) -> dict[str, Ints]:
        """Kind -> the lane of each of its pairs in this step."""
        if self._batches == "kind":
            (kind,) = self._share(1)
            return {kind: np.arange(self.batch[kind]) % self.lanes}
        # The kinds' pairs are laid in a row that goes round the lanes; where it begins moves on by one lane a step, so that
        # every lane gives as many pairs of each kind as any other.
        found, at = {}, self.state.step
        for kind, count in self._share(self.batch_size).items():
            found[kind] = np.arange(at, at + count) % self.lanes
            at += count
        return found

    def _share(self, count: int) -> dict[str, int]:
        """Shares out `count` units by weight, those that are owed most first."""
        owed = self.state.owed
        for kind in self.kinds:
            owed[kind] += self.mix[kind] * count
        taken = {kind: max(0, int(owed[kind])) for kind in self.kinds}
        while (spare := count - sum(taken.values())) != 0:
            if spare > 0:
                taken[max(self.kinds, key=lambda k: (owed[k] - taken[k], k))] += 1
            else:
                taken[min((k for k in self.kinds if taken[k]), key=lambda k: (owed[k] - taken[k], k))] -= 1
        for kind in self.kinds:
            owed[kind] -= taken[kind]
        return {kind: n for kind, n in taken.items() if n}

    def _take(self, kind: str, counts: Ints) -> tuple[Ints, Ints, Ints]:
        order, drawn = self._orders[kind], self.state.drawn[kind]
        drawn_now = [order.draw(int(lane), drawn[lane], int(counts[lane])) for lane in self._mine if counts[lane]]
        for lane in range(self.lanes):
            drawn[lane] += int(counts[lane])
        samples = np.concatenate([found for found, _ in drawn_now]) if drawn_now else np.empty((0, 2), np.int64)
        epochs = np.concatenate([epoch for _, epoch in drawn_now]) if drawn_now else np.empty(0, np.int64)
        return np.full(len(samples), self.kinds.index(kind)), samples, epochs
