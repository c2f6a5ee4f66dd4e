"""Opened shards: verified and indexed when they are first needed, and read by position."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pipelines.train.reference.tar_index import LEFT, TEXT, TarIndex
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
    digest = hashlib.blake2b(data[:_EDGE], digest_size=8, salt=len(data).to_bytes(8, "little"))
    if len(data) > _EDGE:
        digest.update(data[max(_EDGE, len(data) - _EDGE) :])
    return int.from_bytes(digest.digest(), "little") >> 1


class OpenShard:
    """A shard whose bytes were held against the manifest, with the places of its samples. Any number of threads may read.

    The file stays open, so a shard that is deleted during a run does no harm; one that is written to is noticed at the next read.
    """

    def __init__(self, path: Path, file: int, stamp: tuple[int, int, int], index: TarIndex) -> None:
        self.path = path
        self.stamp = stamp
        self._file = file
        self._places = index.places[: index.count]
        width = max(1, int(np.char.str_len(index.keys).max(initial=1)))
        self._keys = index.keys[: index.count].astype(f"S{width}")

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, position: int) -> str:
        """The key of a sample."""
        return bytes(self._keys[position]).decode()

    def read(self, position: int, member: int) -> bytes:
        """A member of a sample, b"" where the sample has none; `member` is a column of `TarIndex.places`.

        Raises:
            DataError: The file was changed since it was verified, or cannot be read.
        """
        offset, length = self._places[position, member]
        if length < 0:
            return b""
        try:
            data = os.pread(self._file, int(length), int(offset))
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        if len(data) != length:
            raise DataError(f"{self.path}: was cut while it was being trained on")
        return data

    def check(self) -> None:
        """Sees that nobody has written to the file. DataError if so."""
        if _stamp(self._file) != self.stamp:
            raise DataError(f"{self.path}: was changed while it was being trained on")

    def __del__(self) -> None:
        os.close(self._file)


class Shards:
    """The shards of a version, opened on demand; the least recently used are closed again.

    Args:
        version: Whose shards.
        most_open: How many are kept open, with their indexes. Default: 256.
    """

    def __init__(self, version: Version, *, most_open: int = 256) -> None:
        self.version = version
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
        return [
            Sample(number, p, shard.key(p), content_id(shard.read(p, LEFT)), content_id(shard.read(p, TEXT)))
            for p in range(len(shard))
        ]

    def _make(self, number: int) -> OpenShard:
        entry = self.version.shards[number]
        try:
            file = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(f"{entry.path}: {error.strerror}") from error
        try:
            stamp = _stamp(file)
            if stamp[0] != entry.bytes:
                raise DataError(f"{entry.path}: {stamp[0]} bytes, the manifest says {entry.bytes}")
            known = tuple(self._verified[number].tolist()) == stamp
            index = TarIndex(entry.samples)
            fault = _scan(file, index, None if known else entry.sha256) or index.fault(entry.samples)
            if fault or _stamp(file) != stamp:
                raise DataError(f"{entry.path}: {fault or 'was changed while it was being read'}")
        except OSError as error:
            os.close(file)
            raise DataError(f"{entry.path}: {error.strerror}") from error
        except DataError:
            os.close(file)
            raise
        self._verified[number] = torch.tensor(stamp)
        return OpenShard(entry.path, file, stamp, index)


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
