"""Which samples are trained on and which are held out: as the version says, or by hash where it sets none aside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.train.reference.shards import Sample, Shards
from pipelines.train.reference.version import HELD_OUT, DataError


@dataclass(frozen=True, slots=True)
class Split:
    """What a run trains on and what it is evaluated on.

    Attributes:
        counts: Kind -> samples of each of its shards that are trained on, in the order of `Version.of(kind)`.
        allowed: Shard -> positions that are trained on, int64 ascending, where these are not all.
        held: Kind -> held-out samples by key, with distinct left pictures and distinct right texts.
    """

    counts: Mapping[str, Sequence[int]]
    allowed: Mapping[int, npt.NDArray[np.int64]]
    held: Mapping[str, Sequence[Sample]]

    def trained_on(self, kind: str) -> int:
        """Samples of a kind that are trained on."""
        return sum(self.counts[kind])


def make_split(shards: Shards, kinds: Iterable[str], *, share: float, most: int, most_listed: int = 1_000_000) -> Split:
    """Splits the kinds that are trained on.

    A version whose build set samples aside (shards with `split: validation`) is taken as it is, and no shard is opened for training
    yet. Of another, `share` of the left pictures is held out by hash, for which every sample must be listed: a version of more
    than `most_listed` samples of a kind is trained on whole, without a held-out part.

    Args:
        shards: Of the version.
        kinds: What is trained on.
        share: Of the left pictures, 0..1.
        most: Held-out samples of a kind at most, those with the least keys or hashes.
        most_listed: See above.

    Raises:
        DataError: A shard cannot be read.
    """
    version = shards.version
    counts: dict[str, list[int]] = {}
    allowed: dict[int, npt.NDArray[np.int64]] = {}
    held: dict[str, list[Sample]] = {}
    for kind in kinds:
        numbers = version.of(kind)
        counts[kind] = [version.shards[n].samples for n in numbers]
        aside = version.of(kind, HELD_OUT)
        if aside:
            held[kind] = distinct([s for n in aside for s in shards.samples(n)])[:most]
        elif share and most and sum(counts[kind]) <= most_listed:
            train, held[kind] = split([s for n in numbers for s in shards.samples(n)], share=share, most=most)
            of_shard: dict[int, list[int]] = {n: [] for n in numbers}
            for sample in train:
                of_shard[sample.shard].append(sample.position)
            for i, number in enumerate(numbers):
                if len(of_shard[number]) < counts[kind][i]:
                    allowed[number] = np.array(sorted(of_shard[number]), np.int64)
                    counts[kind][i] = len(of_shard[number])
        else:
            held[kind] = []
        if sum(counts[kind]) < 2:
            raise DataError(
                f"{kind}: {sum(counts[kind])} samples to train on, at least 2 are needed; leave the kind out of --mix"
            )
    return Split(counts, allowed, held)


def distinct(samples: Iterable[Sample]) -> list[Sample]:
    """Of each left picture and of each right text the sample with the least key, by key."""
    found: list[Sample] = []
    lefts: set[int] = set()
    rights: set[int] = set()
    for sample in sorted(samples, key=lambda s: s.key):
        if sample.left_id not in lefts and sample.right_id not in rights:
            found.append(sample)
            lefts.add(sample.left_id)
            rights.add(sample.right_id)
    return found


def split(samples: Sequence[Sample], *, share: float, most: int) -> tuple[list[Sample], list[Sample]]:
    """Sets samples aside for evaluation, the same ones in every run.

    A sample is held out by the hash of its left picture, so that all pairs of one picture go together; of each picture held
    out, the pair with the least key is evaluated. Training never sees a picture or a text that is held out.

    Args:
        samples: Of one kind.
        share: Of the pictures, 0..1.
        most: Pictures held out at most; those with the least hashes.

    Returns:
        (training samples, evaluation samples by key), the second with distinct pictures and distinct texts.
    """
    order = {s.left_id: hashlib.sha256(f"holdout:{s.left_id}".encode()).digest() for s in samples}
    bound = int(share * 2**64)
    out = sorted((h, i) for i, h in order.items() if int.from_bytes(h[:8], "big") < bound)[:most]
    held_pictures = {i for _, i in out}
    held_texts = {s.right_id for s in samples if s.left_id in held_pictures}
    train = [s for s in samples if s.left_id not in held_pictures and s.right_id not in held_texts]
    return train, distinct(s for s in samples if s.left_id in held_pictures)
