"""Which samples make which batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt


class Plan:
    """Which samples make which batch: a function of the seed and the step alone.

    Every batch is of one kind, so that in-batch negatives are of that kind too. Kinds follow their weights as closely as whole
    batches can: after any number of steps each kind is less than one batch off per kind. Within a kind all samples come once in an
    epoch, in an order drawn for that epoch; a batch may span two epochs.

    Args:
        sizes: Kind -> number of training samples, at least 2.
        mix: Kind -> weight > 0; they need not sum to 1.
        batch_size: Pairs a batch; a kind with fewer samples than that has smaller batches, all of its samples each.
        seed: Same seed, same plan.
    """

    def __init__(self, sizes: Mapping[str, int], mix: Mapping[str, float], batch_size: int, seed: int) -> None:
        total = sum(mix.values())
        self.mix = {kind: weight / total for kind, weight in sorted(mix.items())}
        self.batch = {kind: min(batch_size, sizes[kind]) for kind in self.mix}
        self._sizes = sizes
        self._seed = seed

    def __iter__(self) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """Yields (kind, positions among the kind's training samples) without end."""
        done = dict.fromkeys(self.mix, 0)
        streams = {kind: self._stream(kind) for kind in self.mix}
        step = 0
        while True:
            step += 1
            kind = max(self.mix, key=lambda k: (self.mix[k] * step - done[k], k))
            done[kind] += 1
            stream = streams[kind]
            yield kind, np.array([next(stream) for _ in range(self.batch[kind])], dtype=np.int64)

    def _stream(self, kind: str) -> Iterator[int]:
        epoch = 0
        while True:
            seed = hashlib.sha256(f"{self._seed}:order:{kind}:{epoch}".encode()).digest()
            generator = np.random.Generator(np.random.PCG64(int.from_bytes(seed[:16], "big")))
            yield from generator.permutation(self._sizes[kind]).tolist()
            epoch += 1
