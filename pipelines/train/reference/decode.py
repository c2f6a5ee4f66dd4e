"""Samples to a batch of pixels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from pipelines.train.reference.photographs import Bytes, PhotoRecipe, decode_photograph
from pipelines.train.reference.plan import Planned
from pipelines.train.reference.shards import Members, Sample, Shards, content_id
from pipelines.train.reference.texts import TextReader, Way
from pipelines.train.reference.version import PHOTOGRAPHS, DataError


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as pixels. All pictures that are photographs lie in one tensor and all texts in another, whichever side they are of.

    Attributes:
        step: Of the plan, from 1; 0 outside of one.
        names: The kinds.
        kinds: int64 [n], position of each pair's kind in `names`.
        photos: uint8 [p, size, size, 3].
        texts: uint8 [t, height, width], grey; patch rows that are blank in all texts of the batch may be cut off, but one.
        text_rows: int64 [t], patch rows of each text down to its last ink, at least 1.
        left: int64 [n], the left picture of each pair: a photograph's index, or p + a text's index.
        right: int64 [n], the right picture, p + a text's index.
        left_ids: int64 [n], equal where the left pictures are equal.
        right_ids: int64 [n], equal where the right texts are equal.
        draws: int64 [p + t], what random choices for each picture are drawn from: the same for the same seed, epoch and picture.
    """

    step: int
    names: tuple[str, ...]
    kinds: Tensor
    photos: Tensor
    texts: Tensor
    text_rows: Tensor
    left: Tensor
    right: Tensor
    left_ids: Tensor
    right_ids: Tensor
    draws: Tensor

    def __len__(self) -> int:
        return len(self.kinds)

    def pin_memory(self) -> Batch:
        """In pinned memory, from which a GPU can fetch while the CPU goes on."""
        return self._each(lambda tensor: tensor.pin_memory())

    def contiguous(self) -> Batch:
        """With nothing beside it in memory, to be handed to another process."""
        return self._each(lambda tensor: tensor.contiguous())

    def to(self, device: torch.device) -> Batch:
        """On a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        names = (f.name for f in fields(self) if f.name not in ("step", "names"))
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in names}
        return replace(self, **changed)


class Decoder:
    """Decodes samples, with threads for photographs, and keeps decoded photographs as long as they fit and stay the same.

    Args:
        shards: Where they are read.
        photo: What is done to photographs.
        patch: px; texts keep a height that is a multiple of it.
        text_pixels: How texts become pixels, see `TextReader`.
        seed: What augmentation derives from.
        threads: That decode photographs; 1 decodes in the caller's. Default: 1.
        cache_bytes: Bound of decoded photographs kept. Default: 1 GiB.
        cut: Whether patch rows that are blank in all texts of a batch are cut off. Default: true.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        photo: PhotoRecipe,
        patch: int,
        text_pixels: Way = "auto",
        seed: int = 0,
        threads: int = 1,
        cache_bytes: int = 1 << 30,
        cut: bool = True,
    ) -> None:
        self.shards, self.photo, self.patch, self._cut = shards, photo, patch, cut
        self.texts = TextReader(shards.version, text_pixels)
        self._seed, self._threads = seed, threads
        self._pool: ThreadPoolExecutor | None = None
        self._room = cache_bytes
        self._cache: dict[tuple[int, int], Bytes] = {}
        self._lock = threading.Lock()

    def samples(self, kind: str, samples: Sequence[Sample]) -> Batch:
        """A batch of samples of one kind without augmentation, in their order."""
        places = np.array([(s.shard, s.position) for s in samples], np.int64).reshape(-1, 2)
        return self._batch(0, (kind,), np.zeros(len(places), np.int64), places, places, None)

    def planned(self, plan: Planned, names: tuple[str, ...]) -> Batch:
        """The batch that was planned.

        Raises:
            DataError: A shard is gone or was changed, a picture cannot be decoded or is not what the manifest says.
        """
        return self._batch(plan.step, names, plan.kinds, plan.lefts, plan.rights, plan.epochs)

    def _batch(
        self,
        step: int,
        names: tuple[str, ...],
        kinds: npt.NDArray[np.int64],
        lefts: npt.NDArray[np.int64],
        rights: npt.NDArray[np.int64],
        epochs: npt.NDArray[np.int64] | None,
    ) -> Batch:
        opened = {int(n): self.shards.get(int(n)) for n in np.unique(np.concatenate([lefts[:, 0], rights[:, 0]]))}
        left = [opened[n].read(p) for n, p in lefts.tolist()]
        right = left if rights is lefts else [opened[n].read(p) for n, p in rights.tolist()]
        is_photo = np.array([name == PHOTOGRAPHS for name in names], bool)[kinds]
        photo_rows, text_rows = np.flatnonzero(is_photo), np.flatnonzero(~is_photo)
        left_ids = np.array([content_id(members.left) for members in left], np.int64)
        right_ids = np.array([content_id(members.text) for members in right], np.int64)
        photos = self._photographs(photo_rows, left, lefts, epochs)
        wanted = right + [left[row] for row in text_rows]
        of_left = [False] * len(right) + [True] * len(text_rows)
        texts, rows = self.texts.pixels(wanted, of_left, patch=self.patch, cut=self._cut)
        for shard in opened.values():
            shard.check()
        left_index = np.empty(len(left), np.int64)
        left_index[photo_rows] = np.arange(len(photo_rows))
        left_index[text_rows] = len(photos) + len(right) + np.arange(len(text_rows))
        age = np.zeros(len(left), np.int64) if epochs is None else epochs
        draws = np.concatenate([left_ids[photo_rows], right_ids, left_ids[text_rows] ^ 1])
        draws ^= np.concatenate([age[photo_rows], age, age[text_rows]]) << 40
        return Batch(
            step,
            names,
            torch.from_numpy(kinds),
            torch.from_numpy(photos),
            torch.from_numpy(texts),
            torch.from_numpy(rows),
            torch.from_numpy(left_index),
            torch.from_numpy(len(photos) + np.arange(len(right))),
            torch.from_numpy(left_ids),
            torch.from_numpy(right_ids),
            torch.from_numpy(draws),
        )

    def _photographs(
        self,
        rows: npt.NDArray[np.int64],
        left: Sequence[Members],
        places: npt.NDArray[np.int64],
        epochs: npt.NDArray[np.int64] | None,
    ) -> Bytes:
        size = self.photo.size
        out = np.empty((len(rows), size, size, 3), np.uint8)

        def one(place: tuple[int, int]) -> None:
            i, row = place
            epoch = None if epochs is None else int(epochs[row])
            out[i] = self._photograph(left[row], (int(places[row, 0]), int(places[row, 1])), epoch)

        if self._threads > 1 and len(rows) > 1:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, "photographs")
            list(self._pool.map(one, enumerate(rows)))
        else:
            for place in enumerate(rows):
                one(place)
        return out

    def _photograph(self, members: Members, place: tuple[int, int], epoch: int | None) -> Bytes:
        plain = epoch is None or self.photo.plain
        found = self._cache.get(place) if plain else None
        if found is None:
            draw = None if plain else f"{self._seed}:augment:{epoch}:{members.key}"
            try:
                found = decode_photograph(members.left, self.photo, draw)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise DataError(f"{members.where}: {error}") from error
            with self._lock:
                if plain and found.nbytes <= self._room:
                    self._room -= found.nbytes
                    self._cache[place] = found
        return found
