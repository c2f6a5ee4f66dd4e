"""Samples to pixels: photographs decoded and resized, rendered texts as they are."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.train.reference.version import PHOTOGRAPHS, DataError, Sample, Version, read_at

MAX_PIXELS: Final[int] = 64 << 20
_FORMATS: Final[tuple[str, ...]] = ("JPEG", "PNG", "WEBP")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, decoded.

    Attributes:
        kind: Of all its pairs.
        left: uint8 [n, size, size, 3] photographs, or [n, h, w] grey text; blank rows below all ink of the batch are cut off.
        right: uint8 [n, h, w] grey text, the same.
        left_rows: int64 [n], patch rows of each left text down to its last ink, at least 1; None for photographs.
        right_rows: int64 [n], the same of each right text.
        left_ids: int64 [n], equal where the left pictures are equal.
        right_ids: int64 [n], equal where the right texts are equal.
    """

    kind: str
    left: Bytes
    right: Bytes
    left_rows: npt.NDArray[np.int64] | None
    right_rows: npt.NDArray[np.int64]
    left_ids: npt.NDArray[np.int64]
    right_ids: npt.NDArray[np.int64]


class Decoder:
    """Decodes samples, and keeps decoded pictures as long as they fit.

    Args:
        version: Verified.
        size: px a side of photographs: they are squashed to a square, as CLIPPO does. Rendered text is never resized.
        patch: px; cut texts keep a height that is a multiple of it.
        cache_bytes: Bound of decoded pictures kept. Default: 1 GiB.
    """

    def __init__(self, version: Version, *, size: int, patch: int, cache_bytes: int = 1 << 30) -> None:
        self._version, self._size, self._patch = version, size, patch
        self._files = [path.open("rb") for path in version.shards]
        self._room = cache_bytes
        self._cache: dict[tuple[int, int], Bytes] = {}
        self._lock = threading.Lock()

    def batch(self, kind: str, samples: Sequence[Sample], rights: Sequence[Sample] | None = None) -> Batch:
        """Decodes samples into one batch.

        Args:
            kind: Of all samples.
            samples: Whose left sides are taken.
            rights: Whose right sides are taken. Default: the same samples'.

        Raises:
            DataError: A picture cannot be decoded or is not what the manifest says.
        """
        rights = samples if rights is None else rights
        left = np.stack([self._picture(s, s.left, photograph=kind == PHOTOGRAPHS) for s in samples])
        right = np.stack([self._picture(s, s.right, photograph=False) for s in rights])
        left_rows = None
        if kind != PHOTOGRAPHS:
            left, left_rows = self._cut(left)
        right, right_rows = self._cut(right)
        ids = (np.array([s.left_id for s in samples]), np.array([s.right_id for s in rights]))
        return Batch(kind, left, right, left_rows, right_rows, *ids)

    def _cut(self, texts: Bytes) -> tuple[Bytes, npt.NDArray[np.int64]]:
        """Cuts the patch rows that are blank in all texts, but one: convolutions look over the edge. Counts each text's rows."""
        inked = (texts != self._version.background).any(axis=2)
        last = inked.shape[1] - np.argmax(inked[:, ::-1], axis=1)
        rows = np.where(inked.any(axis=1), -(-last // self._patch), 1).astype(np.int64)
        return texts[:, : (int(rows.max()) + 1) * self._patch], rows

    def _picture(self, sample: Sample, place: tuple[int, int], *, photograph: bool) -> Bytes:
        at = (sample.shard, place[0])
        found = self._cache.get(at)
        if found is not None:
            return found if photograph else self._unpack(found)
        with self._lock:
            data = read_at(self._files[sample.shard], *place)
        try:
            pixels = decode_photograph(data, self._size) if photograph else decode_text(data, self._version.text_size)
        except (OSError, ValueError, Image.DecompressionBombError, SyntaxError) as error:
            raise DataError(f"{self._version.shards[sample.shard]}: sample {sample.key}: {error}") from error
        kept = pixels if photograph else self._pack(pixels)
        if kept.nbytes <= self._room:
            self._room -= kept.nbytes
            self._cache[at] = kept
        return pixels

    def _pack(self, pixels: Bytes) -> Bytes:
        """Two-level pictures are kept as bits with the ink's level in front; others as they are."""
        ink = pixels[pixels != self._version.background]
        level = int(ink[0]) if len(ink) else 0
        if (ink == level).all():
            return np.concatenate([np.array([level], np.uint8), np.packbits(pixels != self._version.background)])
        return pixels

    def _unpack(self, kept: Bytes) -> Bytes:
        if kept.ndim == 2:
            return kept
        width, height = self._version.text_size
        mask = np.unpackbits(kept[1:], count=width * height).reshape(height, width)
        return np.where(mask, kept[0], np.uint8(self._version.background))


def decode_photograph(data: bytes, size: int) -> Bytes:
    """A photograph's file -> uint8 [size, size, 3]: transparent parts on white, resampled with antialiasing.

    Raises:
        ValueError, OSError: Not a JPEG, PNG or WebP, broken, or above 64 Mi pixels.
    """
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f"{picture.width} x {picture.height} px is too large")
        if picture.mode != "RGB":
            alpha = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", alpha.size, "white"), alpha).convert("RGB")
        return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def decode_text(data: bytes, size: tuple[int, int]) -> Bytes:
    """A rendered text's PNG -> uint8 [height, width], the very levels that were rendered.

    Raises:
        ValueError, OSError: Not a PNG, broken, or of another size.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        if picture.size != size:
            raise ValueError(f"{picture.width} x {picture.height} px, rendered texts have {size[0]} x {size[1]}")
        return np.asarray(picture.convert("L"))
