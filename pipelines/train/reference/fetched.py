"""Shards of a version in an object store, fetched whole into a folder of this machine when they are first needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipelines import storage
from pipelines.train.reference.version import DataError, Shard

COPY_BYTES: Final[int] = 8 << 20
CACHE_BYTES: Final[int] = 256 << 30
"""What a cache holds where nobody says otherwise."""


class ShardCache:
    """A folder of fetched shards, named by their hashes, shared by all processes and runs of a machine.

    What lies in it is believed no more than any other file: a shard is held against the manifest when it is opened.

    Args:
        folder: Made if absent.
        most_bytes: When more lie in it, those that were used least recently are removed. A process that has one open keeps it.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most = folder, most_bytes

    def path(self, shard: Shard) -> Path:
        """Where a shard lies once it is fetched."""
        return self._folder / f"{shard.sha256}.tar"

    def fetch(self, shard: Shard) -> Path:
        """Fetches a shard unless it is there; other processes that want it wait meanwhile.

        Raises:
            DataError: The store does not have it, has it with another size, or the folder cannot be written.
        """
        target = self.path(shard)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._alone(shard):
                if target.exists() and target.stat().st_size == shard.bytes:
                    os.utime(target)
                    return target
                part = target.with_suffix(f".{os.getpid()}.part")
                try:
                    with storage.open_read(shard.url) as source, part.open("wb") as file:
                        shutil.copyfileobj(source, file, COPY_BYTES)
                    if part.stat().st_size != shard.bytes:
                        raise DataError(f"{shard.url}: {part.stat().st_size} bytes, the manifest says {shard.bytes}")
                    part.replace(target)
                finally:
                    part.unlink(missing_ok=True)
        except (OSError, storage.StorageError) as error:
            raise DataError(f"{shard.url}: cannot be fetched into {self._folder}: {error}") from error
        self._remove_old(target)
        return target

    def forget(self, shard: Shard) -> None:
        """Removes a shard that turned out to be another than it should be."""
        self.path(shard).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _alone(self, shard: Shard) -> Iterator[None]:
        with (self._folder / f"{shard.sha256}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process, however that ends
            yield

    def _remove_old(self, newest: Path) -> None:
        found = []
        for path in self._folder.glob("*.tar"):
            with contextlib.suppress(FileNotFoundError):  # another process removes too
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._most:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size
