"""Files appear whole or not at all, and errors of the disk say where."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pipelines import storage
from pipelines.storage import AtomicFile, StorageError


@pytest.fixture(params=["nameless", "named"], autouse=True)
def way_of_writing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here is run with nameless files, where the system has them, and with named ones."""
    if request.param == "named":
        monkeypatch.setattr(storage, "_names_follow", lambda _folder: False)
    monkeypatch.setattr(storage, "_NAMES_FOLLOW", {})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with AtomicFile(str(target)) as file:
        file.write(b"one ")
        file.write(memoryview(b"two"))
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"one two"
    assert (file.bytes, file.sha256) == (7, hashlib.sha256(b"one two").hexdigest())
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, before: bytes | None, error: type[BaseException]
) -> None:
    target = tmp_path / "a"
    if before is not None:
        target.write_bytes(before)
    with pytest.raises(error), AtomicFile(str(target)) as file:  # noqa: PT012
        file.write(b"x" * 100_000)
        raise error
    assert names(tmp_path) == ([] if before is None else ["a"])
    assert before is None or target.read_bytes() == before


def test_an_empty_file_appears_only_where_it_should(tmp_path: Path) -> None:
    with AtomicFile(str(tmp_path / "a")), AtomicFile(str(tmp_path / "b"), keep_empty=False):
        pass
    assert names(tmp_path) == ["a"]


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Each writes to a name of its own; the last one to end wins whole."""
    target = str(tmp_path / "a")
    contents = [bytes([65 + n]) * 300_000 for n in range(8)]
    start = threading.Barrier(len(contents))

    def write(data: bytes) -> None:
        start.wait()
        for _ in range(5):
            with AtomicFile(target) as file:
                for at in range(0, len(data), 10_000):
                    file.write(data[at : at + 10_000])

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Path(target).read_bytes() in contents
    assert names(tmp_path) == ["a"]


def test_urls_are_written_and_read_like_files() -> None:
    memory = fsspec.filesystem("memory")
    try:
        storage.make_folder("memory://here/x")
        written = storage.write_bytes("memory://here/x/a.bin", b"hello world")
        assert written.sha256 == storage.sha256_of("memory://here/x/a.bin")
        assert storage.size("memory://here/x/a.bin") == 11
        assert storage.read_ranges("memory://here/x/a.bin", [6, 0], [5, 2]) == [b"world", b"he"]
        assert storage.expand("memory://here/**/*.bin") == ["memory://here/x/a.bin"]
        with pytest.raises(StorageError, match="entire path component"):
            storage.expand("memory://here/**.bin")
        storage.place("memory://here/x/a.bin", "memory://here/b.bin")
        assert storage.read_bytes("memory://here/b.bin") == b"hello world"
        storage.remove("memory://here/b.bin")
        storage.remove("memory://here/b.bin")
        assert not storage.exists("memory://here/b.bin")
    finally:
        memory.rm("/here", recursive=True)


def test_ranges_of_a_file_that_is_shorter_come_back_short(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert storage.read_ranges(str(tmp_path / "a"), [8, 2, 20], [5, 3, 1]) == [b"89", b"234", b""]


# --- a disk that cannot be written -------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False, text=True
    )
    if done.returncode:
        pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("pieces", [[b"x" * 200_000], [b"x" * 100] * 2000])
def test_a_full_disk_is_named_and_nothing_is_left(small_disk: Path, pieces: list[bytes]) -> None:
    target = small_disk / "a"
    with pytest.raises(StorageError) as caught, AtomicFile(str(target)) as file:  # noqa: PT012
        for piece in pieces:
            file.write(piece)
    assert str(caught.value) == f"the output disk is full: could not write {target}"
    assert names(small_disk) == []


def test_placing_a_file_on_a_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(200_000))
    with pytest.raises(StorageError, match="the output disk is full"):
        storage.place(str(tmp_path / "big"), str(small_disk / "big"))
    assert names(small_disk) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_full_at_the_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was buffered meets the full disk only when it is flushed."""
    target = tmp_path / "a"
    with pytest.raises(StorageError, match="disk is full"), AtomicFile(str(target)) as file:  # noqa: PT012
        real = file._file
        file._file = open("/dev/full", "wb")  # noqa: PTH123, SIM115
        file.write(b"little")
        real.close()
    assert names(tmp_path) == []


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match="a file is in the way of a folder"):
        storage.make_folder(str(tmp_path / "a" / "b"))
    with pytest.raises(StorageError, match="a file is in the way of a folder"):
        storage.write_bytes(str(tmp_path / "a" / "b"), b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="no permission to write"):
        storage.write_bytes(str(tmp_path / "a"), b"x")


# --- placing, sweeping -------------------------------------------------------------------------------------------------------


def test_placing_again_changes_nothing(tmp_path: Path) -> None:
    """A publication that was interrupted places its files again; both names may be one file by then."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    for _ in range(3):
        storage.place(str(source), str(target))
        assert target.read_bytes() == source.read_bytes() == b"new"
        assert names(tmp_path) == ["a", "b"]


def test_placing_where_links_are_refused_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(storage, "_NAMES_FOLLOW", {})
    (tmp_path / "a").write_bytes(b"new")
    storage.place(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"new"
    assert not (tmp_path / "b").samefile(tmp_path / "a")
    assert names(tmp_path) == ["a", "b"]


def test_placing_what_is_not_there_leaves_the_target(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(OSError, match="No such file"):
        storage.place(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"old"
    assert names(tmp_path) == ["b"]


DIES = """
import os, sys
from pipelines import storage
from pipelines.storage import AtomicFile
if sys.argv[2] == "named":
    storage._names_follow = lambda folder: False
with AtomicFile(sys.argv[1]) as file:
    file.write(b"half")
    file._file.flush()
    os.kill(os.getpid(), 9)
"""


def _die(target: Path, way: str) -> None:
    dead = subprocess.run([sys.executable, "-c", DIES, target, way], check=False, cwd=Path(__file__).parents[2])
    assert dead.returncode == -9


@pytest.mark.skipif(not storage._names_follow(Path(tempfile.gettempdir())), reason="no nameless files in this folder")
def test_a_killed_writer_leaves_nothing_where_files_can_be_nameless(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    _die(tmp_path / "a", "nameless")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_leftovers_of_the_dead_are_swept_and_work_of_the_living_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _die(tmp_path / "dead", "named")
    assert len(names(tmp_path)) == 1, "the killed process leaves a temporary file"
    (tmp_path / "kept").write_bytes(b"")
    monkeypatch.setattr(storage, "_NAMES_FOLLOW", {tmp_path.stat().st_dev: False})
    with AtomicFile(str(tmp_path / "live")) as file:
        file.write(b"x")
        assert storage.sweep(str(tmp_path)) == 1
    assert names(tmp_path) == ["kept", "live"]
    assert storage.sweep(str(tmp_path)) == 0
    assert storage.sweep(str(tmp_path / "none")) == 0


# --- listing -----------------------------------------------------------------------------------------------------------------


def test_patterns_list_files_sorted(tmp_path: Path) -> None:
    for name in ("b", "a", "c", "x/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert storage.expand(str(tmp_path / "*")) == [str(tmp_path / name) for name in "abc"]
    assert storage.expand(str(tmp_path / "**" / "*")) == [str(tmp_path / name) for name in ("a", "b", "c", "x/d")]
    assert storage.expand(f"file://{tmp_path}/x/d") == [str(tmp_path / "x/d")]
    for name in (".hidden", "_SUCCESS", "_logs/e", "x/y/f"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert storage.expand(str(tmp_path)) == [str(tmp_path / name) for name in ("a", "b", "c", "x/d", "x/y/f")]
    (tmp_path / "empty").mkdir()
    for pattern in ("none", "*.none", "empty"):
        with pytest.raises(StorageError, match="no file at"):
            storage.expand(str(tmp_path / pattern))


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("/a/b/c.txt", "/a/b"), ("/a/*/c", "/a"), ("/a/b*/c", "/a"), ("s3://bucket/*", "s3://bucket"), ("*.txt", "."),
     ("/a/[x]/y", "/a")],
)  # fmt: skip
def test_the_fixed_part_of_a_pattern(pattern: str, prefix: str) -> None:
    assert storage.static_prefix(pattern) == prefix


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("/a/", "/b/", "c"), "/a/b/c"),
        (("s3://bucket", "a"), "s3://bucket/a"),
        (("s3://", "bucket/a"), "s3://bucket/a"),
        (("a",), "a"),
    ],
)
def test_joined_segments(parts: tuple[str, ...], joined: str) -> None:
    assert storage.join(*parts) == joined


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    for _ in range(2):
        storage.remove(str(tmp_path / "a"))
    with contextlib.suppress(FileNotFoundError):
        assert not (tmp_path / "a").exists()
