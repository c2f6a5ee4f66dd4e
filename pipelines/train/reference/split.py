"""Sets samples aside for evaluation where the version itself names none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pipelines.train.reference.version import Sample


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
    return train, distinct([s for s in samples if s.left_id in held_pictures], len(samples))


def distinct(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Samples of which no two share a left picture or a right text, by key, `most` of them at most: each has one right answer."""
    pictures: set[int] = set()
    texts: set[int] = set()
    found: list[Sample] = []
    for sample in sorted(samples, key=lambda s: s.key):
        if sample.left_id not in pictures and sample.right_id not in texts:
            found.append(sample)
            pictures.add(sample.left_id)
            texts.add(sample.right_id)
    return found[:most]
