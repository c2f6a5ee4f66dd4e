"""Opened shards: verified and indexed when they are first needed, and read by position."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pipelines.train.reference.fetched import ShardCache
from pipelines.train.reference.tar_index import TarIndex
from pipelines.train.reference.version import DataError, Version

PIECE_BYTES: Final[int] = 8 << 20
_EDGE: Final[int] = 4096


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair, and what tells it from others.

    Attributes:
        shard: Position in `Version.shards`.
        position: Of the sample in its shard, from 0.
        key: Its key.
        left_id: `content_id` of the left picture's bytes.
        right_id: The same of the right text.
    """

    shard: int
    position: int
    key: str
    left_id: int
    right_id: int


def content_id(data: bytes) -> int:
    """63 bits of a hash of a member's length, its first and its last 4 KiB: equal for equal contents, in practice only for these.

    The whole is not hashed, since that would cost as much as reading the shard again.
    """
    if len(data) > 2 * _EDGE:
        data = data[:_EDGE] + data[-_EDGE:] + len(data).to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


@dataclass(frozen=True, slots=True)
class Members:
    """What was read of one sample.

    Attributes:
        shard: Where it lies.
        position: In the shard.
        left: The left picture's file.
        pixels: The right text's PNG.
        text: The right text, UTF-8.
        rest: The json; empty where there is none.
    """

    shard: OpenShard
    position: int
    left: bytes
    pixels: bytes
    text: bytes
    rest: bytes

    @property
    def key(self) -> str:
        """The sample's key."""
        return self.shard.key(self.position)

    @property
    def where(self) -> str:
        """Shard and key, for messages."""
        return f"{self.shard.name}: sample {self.key}"


class OpenShard:
    """A shard whose bytes were held against the manifest, with the places of its samples. Any number of threads may read.

    The file stays open, so a shard that is deleted during a run does no harm; one that is written to is noticed at the next read.
    """

    def __init__(self, name: str, file: int, stamp: tuple[int, int, int], index: TarIndex) -> None:
        self.name = name
        self.stamp = stamp
        self._file = file
        places = index.places[: index.count]
        offsets, there = places[:, :, 0], places[:, :, 1] >= 0
        starts = np.where(there, offsets, np.iinfo(np.int64).max).min(axis=1)
        ends = np.where(there, offsets + places[:, :, 1], 0)
        self._spans = np.stack([starts, ends.max(axis=1) - starts], axis=1)
        cuts = np.stack([offsets, ends], axis=2) - starts[:, None, None]
        self._cuts = np.where(there[:, :, None], cuts, 0).reshape(-1, 8)
        width = max(1, int(np.char.str_len(index.keys).max(initial=1)))
        self._keys = index.keys[: index.count].astype(f"S{width}")

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, position: int) -> str:
        """The key of a sample."""
        return bytes(self._keys[position]).decode()

    def read(self, position: int) -> Members:
        """Reads a sample at one go: its members lie side by side.

        Raises:
            DataError: The file was cut since it was verified, or cannot be read.
        """
        start, length = self._spans[position].tolist()
        try:
            data = os.pread(self._file, length, start)
        except OSError as error:
            raise DataError(f"{self.name}: {error.strerror}") from error
        if len(data) != length:
            raise DataError(f"{self.name}: was cut while it was being trained on")
        a, b, c, d, e, f, g, h = self._cuts[position].tolist()
        return Members(self, position, data[a:b], data[c:d], data[e:f], data[g:h])

    def check(self) -> None:
        """Sees that nobody has written to the file. DataError if so."""
        if _stamp(self._file) != self.stamp:
            raise DataError(f"{self.name}: was changed while it was being trained on")

    def __del__(self) -> None:
        os.close(self._file)


class Shards:
    """The shards of a version, opened on demand; the least recently used are closed again.

    Args:
        version: Whose shards.
        cache: Where shards of a version in an object store are kept; needed for these alone.
        most_open: How many are kept open, with their indexes of some 120 bytes a sample. Default: 256.
    """

    def __init__(self, version: Version, *, cache: ShardCache | None = None, most_open: int = 256) -> None:
        self.version, self._cache = version, cache
        self._most = most_open
        self._open: OrderedDict[int, OpenShard] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[int, threading.Lock] = {}
        # Shared with forked loader processes: what one of them has hashed, the others need not hash again.
        self._verified = torch.zeros(len(version.shards), 3, dtype=torch.int64).share_memory_()

    def get(self, number: int) -> OpenShard:
        """The opened shard.

        Raises:
            DataError: It is gone, is not the file that was published, or is no archive of samples.
        """
        with self._lock:
            found = self._open.get(number)
            if found is not None:
                self._open.move_to_end(number)
                return found
            making = self._making.setdefault(number, threading.Lock())
        with making:
            with self._lock:
                found = self._open.get(number)
            if found is None:
                found = self._make(number)
                with self._lock:
                    self._open[number] = found
                    self._making.pop(number, None)
                    while len(self._open) > self._most:
                        self._open.popitem(last=False)
        return found

    def verify(self, numbers: Sequence[int]) -> None:
        """Opens and verifies shards now rather than when they are first needed. DataError as `get`."""
        for number in numbers:
            self.get(number)

    def samples(self, number: int) -> list[Sample]:
        """Every sample of a shard with its ids, for shards that are small enough to be listed."""
        shard = self.get(number)
        found = map(shard.read, range(len(shard)))
        return [Sample(number, m.position, m.key, content_id(m.left), content_id(m.text)) for m in found]

    def _make(self, number: int) -> OpenShard:
        entry = self.version.shards[number]
        path = entry.path
        if entry.url:
            if self._cache is None:
                raise DataError(
                    f"{entry.name}: a version in an object store needs a folder of this machine for its shards"
                )
            path = self._cache.fetch(entry)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(f"{entry.name}: {error.strerror}") from error
        try:
            stamp = _stamp(file)
            if stamp[0] != entry.bytes:
                raise DataError(f"{entry.name}: {stamp[0]} bytes, the manifest says {entry.bytes}")
            known = tuple(self._verified[number].tolist()) == stamp
            index = TarIndex(entry.samples)
            fault = _scan(file, index, None if known else entry.sha256) or index.fault(entry.samples)
            if fault or _stamp(file) != stamp:
                if entry.url and self._cache is not None:
                    self._cache.forget(entry)
                raise DataError(f"{entry.name}: {fault or 'was changed while it was being read'}")
        except OSError as error:
            os.close(file)
            raise DataError(f"{entry.name}: {error.strerror}") from error
        except DataError:
            os.close(file)
            raise
        self._verified[number] = torch.tensor(stamp)
        return OpenShard(entry.name, file, stamp, index)


def _stamp(file: int) -> tuple[int, int, int]:
    """What changes when a file is written to: its size, time and inode."""
    found = os.fstat(file)
    return found.st_size, found.st_mtime_ns, found.st_ino


def _scan(file: int, index: TarIndex, sha256: str | None) -> str:
    """Indexes a file and hashes it, in one pass and bounded memory; returns what is wrong with it.

    The hash is looked at before the archive's own faults: a file with another hash is another file, whatever is in it.
    """
    digest = hashlib.sha256()
    base, fault = 0, ""
    while piece := os.pread(file, PIECE_BYTES, base):
        if sha256 is not None:
            digest.update(piece)
        fault = fault or index.feed(piece, base)
        base += len(piece)
    if sha256 is not None and digest.hexdigest() != sha256:
        return f"sha256 is {digest.hexdigest()}, the manifest says {sha256}: the shard was changed"
    return fault
