"""What storage offers for agreement between processes: files that only one can make, and a clock that all share.

Whoever makes a file first, has it: locally and on NFS by a hard link, which fails where the name is taken, on an object store by
a conditional upload. Ages are differences between two times that the storage itself set, so no machine's clock is asked.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import secrets
from datetime import datetime

from pipelines import storage


def create(url: str, data: bytes) -> bool:
    """Makes a file with this content unless there is one by its name; tells whether it did.

    On a store without conditional uploads the check and the upload are two steps, between which another may come.

    Raises:
        StorageError: The folder cannot be written.
    """
    if storage.is_local(url):
        return _link(url, data)
    fs, path = storage.filesystem(url)
    with contextlib.suppress(FileExistsError):
        if "mode" in inspect.signature(fs.pipe_file).parameters:
            fs.pipe_file(path, data, mode="create")
            return True
        if not fs.exists(path):
            fs.pipe_file(path, data)
            return True
    return False


def _link(url: str, data: bytes) -> bool:
    path = storage.local_path(url)
    whole = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with storage.said_clearly(url):
        try:
            whole.write_bytes(data)
            os.link(whole, path)
            return True
        except FileExistsError:
            return False
        finally:
            whole.unlink(missing_ok=True)


def touch(url: str, data: bytes) -> None:
    """Gives a file of ours the storage's present time."""
    if storage.is_local(url):
        os.utime(storage.local_path(url))  # without times: a file server sets its own
    else:
        fs, path = storage.filesystem(url)
        fs.pipe_file(path, data)


def age(url: str) -> float | None:
    """Seconds since a file was last written or touched, by the storage's own clock; None where it is gone.

    Raises:
        StorageError: The store tells no times, or the folder cannot be written.
    """
    probe = storage.join(url.rsplit("/", 1)[0], f".now-{secrets.token_hex(8)}")
    try:
        if storage.is_local(url):
            with storage.said_clearly(probe):
                storage.local_path(probe).touch()
            # Opening asks a file server anew, where a bare stat may answer from a cache that is a minute old.
            with storage.local_path(url).open("rb") as file, storage.local_path(probe).open("rb") as present:
                return os.fstat(present.fileno()).st_mtime - os.fstat(file.fileno()).st_mtime
        fs, path = storage.filesystem(url)
        fs.pipe_file(storage.filesystem(probe)[1], b"now")
        fs.invalidate_cache()
        times: list[datetime] = [fs.modified(name) for name in (path, storage.filesystem(probe)[1])]
        return (times[1] - times[0]).total_seconds()
    except FileNotFoundError:
        return None
    except NotImplementedError as error:
        raise storage.StorageError(f"{url}: this kind of store tells no times, so no lease can lie on it") from error
    finally:
        with contextlib.suppress(OSError):
            storage.remove(probe)


def names(folder: str) -> list[str]:
    """The files of a folder, sorted, without those that are hidden; none where there is no such folder."""
    if storage.is_local(folder):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(name for name in os.listdir(storage.local_path(folder)) if not name.startswith("."))  # noqa: PTH208
        return []
    fs, path = storage.filesystem(folder)
    fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        found = (name.rstrip("/").rsplit("/", 1)[-1] for name in fs.ls(path, detail=False))
        return sorted(name for name in found if not name.startswith("."))
    return []
