"""Files, wherever they lie: atomic writes with their hash, reads by range, listings in a fixed order.

Everything goes through fsspec, so a root may be a local folder or a URL of a store that all workers reach (`s3://`, `gs://`).
Local files are written without a name where the file system can (`O_TMPFILE`), so that a writer that is killed leaves nothing,
else under a temporary one; they are synced and renamed. Object stores make an object visible when its upload ends, which is the
same promise. Readers never glob for outputs: they follow manifests.
"""

from __future__ import annotations

import contextlib
import errno
import glob as globbing
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs

from pipelines import walking

_TEMPORARY = ".tmp-"
_NAMES_FOLLOW: dict[int, bool] = {}  # device -> whether nameless files can be named there; each process tries once


class StorageError(Exception):
    """An input that is missing or an output that cannot be written; the message says which and what to do."""


def is_local(url: str) -> bool:
    """Tells whether `url` names a file of this machine (a plain path or `file://`)."""
    return "://" not in url or url.startswith("file://")


def local_path(url: str) -> Path:
    """The path of a local URL."""
    return Path(url.removeprefix("file://"))


def join(base: str, *parts: str) -> str:
    """Joins URL and path segments with one slash each."""
    if base.endswith("://"):
        return base + "/".join(part.strip("/") for part in parts)
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path there.

    Raises:
        StorageError: There is no such kind of store, or its package is missing.
    """
    try:
        return url_to_fs(url)
    except ImportError as error:
        raise StorageError(f"{url}: {error}") from error  # fsspec names the package to install
    except ValueError as error:
        raise StorageError(f"{url}: {error}") from error


def exists(url: str) -> bool:
    """Tells whether there is a file or folder at `url`."""
    if is_local(url):
        return local_path(url).exists()
    fs, path = filesystem(url)
    return bool(fs.exists(path))


def size(url: str) -> int:
    """Size in bytes of the file at `url`."""
    if is_local(url):
        return local_path(url).stat().st_size
    fs, path = filesystem(url)
    return int(fs.size(path))


def make_folder(url: str) -> None:
    """Makes the folder and its parents where the store has folders."""
    if is_local(url):
        with said_clearly(url):
            local_path(url).mkdir(parents=True, exist_ok=True)
    else:
        fs, path = filesystem(url)
        fs.makedirs(path, exist_ok=True)


def open_read(url: str) -> BinaryIO:
    """Opens a file for reading as it is, without decompression."""
    if is_local(url):
        return local_path(url).open("rb")
    fs, path = filesystem(url)
    return fs.open(path, "rb")


def read_bytes(url: str) -> bytes:
    """The whole content of a file."""
    with open_read(url) as file:
        return file.read()


def read_ranges(url: str, offsets: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
    """Reads byte ranges of one file: one open file locally, concurrent range requests on an object store.

    A range that reaches past the end comes back short, as a file's read does; the caller compares hashes.
    """
    if is_local(url):
        with local_path(url).open("rb") as file:
            return [os.pread(file.fileno(), length, offset) for offset, length in zip(offsets, lengths, strict=True)]
    fs, path = filesystem(url)
    ends = [offset + length for offset, length in zip(offsets, lengths, strict=True)]
    return list(fs.cat_ranges([path] * len(ends), list(offsets), ends))


def sha256_of(url: str) -> str:
    """Hex sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with open_read(url) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fingerprint(url: str) -> str:
    """What identifies a raw input file's content: sha256 locally, the store's own tag (ETag, generation) elsewhere."""
    if is_local(url):
        return f"sha256:{sha256_of(url)}"
    fs, path = filesystem(url)
    return f"store:{fs.ukey(path)}"


def _is_hidden(names: Sequence[str]) -> bool:
    return any(name.startswith((".", "_")) for name in names)


def expand(pattern: str) -> list[str]:
    """Files that a path, a glob or a URL pattern names, sorted; a folder stands for all files below it whose names, and whose
    folders' names, begin with no stop or underscore.

    Raises:
        StorageError: Nothing is there.
    """
    if is_local(pattern):
        path = str(local_path(pattern))
        plain = not globbing.has_magic(path) or Path(path).is_file()  # a file's own name may hold brackets
        found = [path] if plain else walking.matches(path)
        if plain and Path(path).is_dir():
            below = (file for file in Path(path).rglob("*") if not _is_hidden(file.relative_to(path).parts))
            found = sorted(str(file) for file in below)
        for name in found:
            if Path(name).is_symlink() and not Path(name).exists():
                raise StorageError(f"{name} is a link to a file that is gone")
        found = [name for name in found if Path(name).is_file()]
    else:
        fs, path = filesystem(pattern)
        try:
            if globbing.has_magic(path):
                names = fs.glob(path)
            elif fs.isdir(path):
                base = path.rstrip("/")
                names = [
                    name for name in fs.find(path) if not _is_hidden(name.removeprefix(base).strip("/").split("/"))
                ]
            else:
                names = [path] if fs.exists(path) else []
        except ValueError as error:  # such as `**` inside of a name
            raise StorageError(f"{pattern}: {error}") from error
        scheme = pattern.partition("://")[0]
        found = [f"{scheme}://{fs.unstrip_protocol(name).partition('://')[2].lstrip('/')}" for name in sorted(names)]
    if not found:
        raise StorageError(f"no file at {pattern!r}")
    return found


def static_prefix(pattern: str) -> str:
    """The folder part of a pattern up to the first wildcard: what origins are relative to."""
    head = pattern
    for index, char in enumerate(pattern):
        if char in "*?[":
            head = pattern[:index]
            break
    return head.rsplit("/", 1)[0] if "/" in head else "."


@contextlib.contextmanager
def said_clearly(url: str) -> Iterator[None]:
    """Turns the errors of a full or read-only disk into one that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"the output disk is full: could not write {url}") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageError(f"no permission to write {url}: {error.strerror}") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise StorageError(f"cannot write {url}: a file is in the way of a folder") from error
        raise


def _owner() -> str:
    """Host and process, by which a later run tells a dead writer's leftover from a live one's work, and some random digits."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def _open_nameless(folder: Path) -> BinaryIO | None:
    """A new file in `folder` that has no name yet and is gone with its last descriptor; None where that cannot be had."""
    try:
        device = folder.stat().st_dev
        if device not in _NAMES_FOLLOW:
            _NAMES_FOLLOW[device] = _names_follow(folder)
        if not _NAMES_FOLLOW[device]:
            return None
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666), "wb")
    except OSError:  # whatever is wrong, opening by name will say it
        return None


def _names_follow(folder: Path) -> bool:
    """Tells by trying whether a nameless file can be had here and named later; some sandboxes allow only the first."""
    trial = str(folder / f".trial{_TEMPORARY}{_owner()}")
    try:
        with os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666), "wb") as file:
            _give_name(file, trial)
        Path(trial).unlink()
    except (OSError, AttributeError):  # AttributeError: an operating system without O_TMPFILE
        return False
    return True


def _give_name(file: BinaryIO, name: str) -> None:
    """Links a nameless file to a name that is free."""
    folder = os.open(Path(name).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:  # a folder's descriptor makes Python call linkat, the one call that follows the link in /proc
        os.link(f"/proc/self/fd/{file.fileno()}", Path(name).name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


@dataclass(slots=True)
class AtomicFile:
    """A file that appears whole or not at all, hashed while it is written.

    Use as a context manager; leaving it without an exception makes the file visible under its name.

    Attributes:
        url: The final place.
        keep_empty: False leaves no file where nothing was written.
        bytes: Bytes written so far.
        sha256: Hex digest of the whole, after the file was committed.
    """

    url: str
    keep_empty: bool = True
    bytes: int = 0
    sha256: str = ""
    _digest: Any = field(default_factory=hashlib.sha256)
    _file: Any = None
    _temporary: str = ""
    _nameless: bool = False

    def __enter__(self) -> AtomicFile:
        if is_local(self.url):
            path = local_path(self.url)
            self._temporary = str(path.with_name(f".{path.name}{_TEMPORARY}{_owner()}"))
            with said_clearly(self.url):
                self._file = _open_nameless(path.parent)
                self._nameless = self._file is not None
                if not self._nameless:
                    self._file = open(self._temporary, "wb")  # noqa: PTH123 (closed in __exit__)
        else:
            fs, inside = filesystem(self.url)
            self._file = fs.open(inside, "wb")
        return self

    def write(self, data: Any) -> int:
        """Appends bytes (any buffer); returns how many."""
        with said_clearly(self.url):
            self._file.write(data)
        count = memoryview(data).nbytes
        self._digest.update(data)
        self.bytes += count
        return count

    def tell(self) -> int:
        """Bytes written so far, for writers that ask."""
        return self.bytes

    def flush(self) -> None:
        """Nothing to do before the end; writers call it."""

    # pyarrow asks these of a file object.
    closed = False
    readable = staticmethod(lambda: False)
    writable = staticmethod(lambda: True)
    seekable = staticmethod(lambda: False)

    def close(self) -> None:
        """Closing happens when the context ends."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.sha256 = self._digest.hexdigest()
        if kind is not None or (self.bytes == 0 and not self.keep_empty):
            self._abandon()
            return
        try:
            with said_clearly(self.url):
                if self._temporary:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                if self._nameless:
                    _give_name(self._file, self._temporary)  # a rename can replace an older file, a link cannot
                self._file.close()
                if self._temporary:
                    os.replace(self._temporary, local_path(self.url))  # noqa: PTH105
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        with contextlib.suppress(OSError):
            if self._temporary:
                self._file.close()
            elif hasattr(self._file, "discard"):
                self._file.discard()
        if self._temporary:
            Path(self._temporary).unlink(missing_ok=True)


def write_bytes(url: str, data: bytes) -> AtomicFile:
    """Writes a small file atomically; the returned record has its bytes and sha256."""
    with AtomicFile(url) as file:
        file.write(data)
    return file


def place(source: str, target: str) -> None:
    """Puts the file at `source` also at `target`: a hard link on one file system, else a copy."""
    if is_local(source) and is_local(target):
        target_path = local_path(target)
        link = target_path.with_name(f".{target_path.name}{_TEMPORARY}{_owner()}")
        try:
            os.link(local_path(source), link)
            link.chmod(0o444)  # one file under two names: an edit of either would change what is published
            os.replace(link, target_path)  # noqa: PTH105
            return
        except OSError:
            pass  # another file system, or one without hard links
        finally:
            link.unlink(missing_ok=True)  # renaming leaves it where both names are one file already
    with open_read(source) as reader, AtomicFile(target) as writer:
        while piece := reader.read(1 << 22):
            writer.write(piece)


def remove(url: str) -> None:
    """Removes a file if it is there."""
    if is_local(url):
        with said_clearly(url):
            local_path(url).unlink(missing_ok=True)
    else:
        fs, path = filesystem(url)
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(path)


def sweep(folder: str) -> int:
    """Removes temporary files in a local folder that dead processes of this host left; returns how many."""
    if not is_local(folder) or not local_path(folder).is_dir():
        return 0
    removed = 0
    host = socket.gethostname()
    for path in local_path(folder).glob(f".*{_TEMPORARY}{host}-*"):
        pid = path.name.rsplit(f"{_TEMPORARY}{host}-", 1)[1].split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


__all__ = [
    "AtomicFile", "StorageError", "exists", "expand", "fingerprint", "is_local", "join", "local_path", "make_folder",
    "open_read", "place", "read_bytes", "read_ranges", "remove", "sha256_of", "size", "static_prefix", "sweep", "write_bytes",
]  # fmt: skip
