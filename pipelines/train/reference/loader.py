"""Reads a published version for training: by its manifest, verified, with nothing trusted.

`open_version` checks every shard against its sha256 and indexes the samples; `Plan` says which samples make which batch;
`Batches` decodes them ahead of time in a thread.
"""

from __future__ import annotations

import hashlib
import io
import json
import queue
import re
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

MANIFEST: Final[str] = "MANIFEST.json"
PHOTOGRAPHS: Final[str] = "image_alt"
MAX_MEMBER_BYTES: Final[int] = 64 << 20
MAX_PIXELS: Final[int] = 64 << 20
_MEMBER = re.compile(r"([0-9a-f]{1,128})\.(jpg|png|webp|text\.png|txt|json)")
_LEFT: Final[tuple[str, ...]] = ("jpg", "png", "webp")
_FORMATS: Final[tuple[str, ...]] = ("JPEG", "PNG", "WEBP")

Bytes = npt.NDArray[np.uint8]


class DataError(Exception):
    """The version cannot be trained on as it is; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one pair lies, and what tells it from others.

    Attributes:
        key: The sample's key.
        shard: Index into `Version.shards`.
        left: Offset and length in bytes of the left picture inside the shard.
        right: The same of the right text's picture.
        left_id: 63 bits of the hash of the left picture's bytes.
        right_id: 63 bits of the hash of the right text.
    """

    key: str
    shard: int
    left: tuple[int, int]
    right: tuple[int, int]
    left_id: int
    right_id: int


@dataclass(frozen=True, slots=True)
class Version:
    """A verified version.

    Attributes:
        folder: Where it lies.
        manifest_sha256: Hex digest of the manifest's bytes.
        shards: Paths of the shards.
        samples: Kind -> its samples in the order of shards and keys.
        mix: Kind -> weight, as published; empty if the manifest names none.
        text_size: (width, height) in px of a rendered text.
        background: Grey level 0..255 of a rendered text's ground.
    """

    folder: Path
    manifest_sha256: str
    shards: tuple[Path, ...]
    samples: Mapping[str, tuple[Sample, ...]]
    mix: Mapping[str, float]
    text_size: tuple[int, int]
    background: int


def open_version(folder: Path, kinds: Sequence[str] | None = None, *, manifest_sha256: str | None = None) -> Version:
    """Reads the manifest, verifies each shard that it lists and indexes their samples.

    Args:
        folder: `<root>/datasets/<name>/<version>`.
        kinds: Only shards of these kinds are read. Default: all.
        manifest_sha256: What the manifest must hash to. Default: whatever it does.

    Raises:
        DataError: No manifest, another manifest, a kind without shards, a shard that is missing, changed or malformed.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise DataError(f"{folder / MANIFEST}: {error.strerror}; is this a published version?") from error
    digest = hashlib.sha256(data).hexdigest()
    if manifest_sha256 not in (None, digest):
        raise DataError(f"{folder / MANIFEST}: sha256 is {digest}, {manifest_sha256} was promised")
    try:
        manifest = json.loads(data)
        listed = [
            (e["kind"], _inside(folder, e["path"]), e["bytes"], e["sha256"], e["samples"]) for e in manifest["shards"]
        ]
        spec = manifest["render"]["spec"]
        size, background = (int(spec["width"]), int(spec["height"])), int(spec["background"])
        mix = {str(kind): float(weight) for kind, weight in manifest.get("mix", {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST}: not a version's manifest: {error!r}") from error
    there = sorted({kind for kind, *_ in listed})
    missing = [kind for kind in kinds or () if kind not in there]
    if missing:
        raise DataError(f"no shards of kind {', '.join(missing)}; this version has {', '.join(there) or 'none'}")
    shards: list[Path] = []
    samples: dict[str, list[Sample]] = {}
    for kind, path, length, sha256, count in listed:
        if kinds is None or kind in kinds:
            _verify(path, length, sha256)
            found = _index(path, len(shards))
            if len(found) != count:
                raise DataError(f"{path}: {len(found)} samples, the manifest says {count}")
            shards.append(path)
            samples.setdefault(kind, []).extend(found)
    return Version(folder, digest, tuple(shards), {k: tuple(v) for k, v in samples.items()}, mix, size, background)


def _inside(folder: Path, path: str) -> Path:
    parts = Path(path).parts
    if Path(path).is_absolute() or ".." in parts or not parts:
        raise ValueError(f"a shard's path leaves the version: {path!r}")
    return folder / path


def _verify(path: Path, length: int, sha256: str) -> None:
    try:
        if path.stat().st_size != length:
            raise DataError(f"{path}: {path.stat().st_size} bytes, the manifest says {length}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if found != sha256:
        raise DataError(f"{path}: sha256 is {found}, the manifest says {sha256}: the shard was changed")


def _index(path: Path, shard: int) -> list[Sample]:
    """Finds the members of a tar's samples. Links, odd names, repeated or oversized members are errors."""
    members: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                name = _MEMBER.fullmatch(info.name)
                if not info.isreg() or name is None or not 0 <= info.size <= MAX_MEMBER_BYTES:
                    raise DataError(f"{path}: member {info.name!r} is not one of a sample")
                extensions = members.setdefault(name[1], {})
                if name[2] in extensions:
                    raise DataError(f"{path}: member {info.name!r} is there twice")
                extensions[name[2]] = (info.offset_data, info.size)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path}: {error}") from error
    samples = []
    with path.open("rb") as file:
        for key, extensions in members.items():
            left = next((extensions[e] for e in _LEFT if e in extensions), None)
            if left is None or "text.png" not in extensions or "txt" not in extensions:
                raise DataError(f"{path}: sample {key} lacks its left picture, text.png or txt")
            ids = (_id(_read(file, *left)), _id(_read(file, *extensions["txt"])))
            samples.append(Sample(key, shard, left, extensions["text.png"], *ids))
    return samples


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _id(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


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
    held: dict[int, Sample] = {}
    texts: set[int] = set()
    for sample in sorted((s for s in samples if s.left_id in held_pictures), key=lambda s: s.key):
        if sample.left_id not in held and sample.right_id not in texts:
            held[sample.left_id] = sample
            texts.add(sample.right_id)
    return train, list(held.values())


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
            data = _read(self._files[sample.shard], *place)
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


class Batches:
    """Decodes the batches of a plan ahead of time, in a thread, and counts how long the trainer waits for them.

    Args:
        decoder: Decodes.
        plan: Says what.
        samples: Kind -> training samples.
        rights: Kind -> for each training sample the position of the one whose right side it gets; the control with shuffled
            pairs. Default: its own.
        ahead: Batches kept ready. Default: 4.

    Attributes:
        waited: Seconds that `__next__` has waited so far.
    """

    def __init__(
        self,
        decoder: Decoder,
        plan: Plan,
        samples: Mapping[str, Sequence[Sample]],
        *,
        rights: Mapping[str, npt.NDArray[np.int64]] | None = None,
        ahead: int = 4,
    ) -> None:
        self.waited = 0.0
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(decoder, plan, samples, rights), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - began
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue

    def _work(self, decoder: Decoder, plan: Plan, samples: Any, rights: Any) -> None:
        try:
            for kind, positions in plan:
                lefts = [samples[kind][p] for p in positions]
                others = None if rights is None else [samples[kind][p] for p in rights[kind][positions]]
                batch = decoder.batch(kind, lefts, others)
                while not self._stop.is_set():
                    try:
                        self._ready.put(batch, timeout=0.1)
                        break
                    except queue.Full:
                        continue
                if self._stop.is_set():
                    return
        except BaseException as error:
            self._ready.put(error)
