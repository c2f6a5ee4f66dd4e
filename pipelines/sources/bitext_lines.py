"""Two files in step: line n of one translates line n of the other. The two may be members of a Moses zip."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any, BinaryIO, Final, cast

from pipelines import storage
from pipelines.sources.bitext_rows import Row, decode, likeness, misaligned
from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    SourceError,
    bounded_lines,
    open_decompressed,
    pieces,
)
from pipelines.sources.spec import BitextSource

_ENDED: Final = object()
Open = Callable[[], contextlib.AbstractContextManager[BinaryIO]]

_BOMB_BYTES: Final = 16 << 20
_BOMB_RATIO: Final = 200
"""Text packs to a tenth or a fiftieth; what unpacks to more than 200 times its size is not text."""


def _lines(opened: Open, limit: int, fault: list[BrokenStreamError]) -> Iterator[bytes | None]:
    try:
        with opened() as file:
            lines = bounded_lines(file, limit)
            if (first := next(lines, _ENDED)) is not _ENDED:
                yield first.removeprefix(BOM) if first is not None else None  # type: ignore[attr-defined]
            yield from lines
    except BrokenStreamError as error:
        fault.append(error)


def count(opened: Open) -> tuple[int, bool]:
    """Lines of a file as `bounded_lines` counts them, and whether the file is whole."""
    lines, last = 0, b"\n"
    try:
        with opened() as file:
            for piece in pieces(file):
                lines += piece.count(b"\n")
                last = piece[-1:]
    except BrokenStreamError:
        return lines, False  # the line that was cut is lost
    return lines + (last != b"\n"), True


def _check(left_name: str, left: Open, right_name: str, right: Open) -> None:
    """Counts both sides before anything is taken from them.

    A damaged compressed file ends early and may be the shorter one: its sound lines are still aligned, and reading logs the
    damage.

    Raises:
        SourceError: The two sides have different numbers of lines; pairs from them would be shifted.
    """
    (left_lines, left_whole), (right_lines, right_whole) = count(left), count(right)
    shorter_is_whole = left_whole if left_lines < right_lines else right_whole
    if left_lines != right_lines and shorter_is_whole:
        raise misaligned(left_name, left_lines, right_name, right_lines)


def check(left_url: str, right_url: str) -> None:
    """Holds the numbers of lines of two files against each other; see `_check`."""
    _check(left_url, lambda: open_decompressed(left_url), right_url, lambda: open_decompressed(right_url))


def read(
    source: BitextSource, left_url: str, right_url: str, path: str, reading: Reading, mark: str = ""
) -> Iterator[Row]:
    """Reads the two files in step.

    Args:
        source: The recipe's words on the source.
        left_url: Where the one side lies.
        right_url: Where the other side lies.
        path: Name of the left file relative to the source, for errors.
        reading: Counts and logs.
        mark: Ends each place, where the left side has several references.

    Raises:
        SourceError: One side has more lines than the other, and the other is not damaged.
    """
    return _in_step(
        source.max_record_bytes,
        (left_url, lambda: open_decompressed(left_url)),
        (right_url, lambda: open_decompressed(right_url)),
        path,
        reading,
        "",
        mark,
    )


def _in_step(
    limit: int,
    left: tuple[str, Open],
    right: tuple[str, Open],
    path: str,
    reading: Reading,
    before: str,
    after: str,
) -> Iterator[Row]:
    faults: tuple[list[BrokenStreamError], list[BrokenStreamError]] = ([], [])
    names = (left[0].rsplit("/", 1)[-1], right[0].rsplit("/", 1)[-1])
    sides = zip_longest(_lines(left[1], limit, faults[0]), _lines(right[1], limit, faults[1]), fillvalue=_ENDED)
    number = 0
    alone = [0, 0]  # lines of the left, of the right, whose partner is lost
    for one, other in sides:
        if one is _ENDED or other is _ENDED:
            alone[one is _ENDED] += 1
            continue
        number += 1
        at = f"{before}line {number}"
        if one is None or other is None:
            reading.error(path, at, "line_too_long", f"more than {limit} bytes")
            continue
        first = decode(one, names[0], reading, path, at)  # type: ignore[arg-type]
        second = None if first is None else decode(other, names[1], reading, path, at)  # type: ignore[arg-type]
        if first is None or second is None:
            continue
        reading.records += 1
        yield f"{before.replace(' ', ':')}{number}{after}", first, second
    for side, lost_of in ((0, 1), (1, 0)):
        if alone[lost_of] and not faults[side]:
            raise misaligned(left[0], number + alone[0], right[0], number + alone[1])
        for fault in faults[side]:
            lost = max(1, alone[lost_of])
            reading.error(path, f"{before}after line {number}", fault.reason, f"{names[side]}: {fault}", rows=lost)
    if number == 0 and not any(alone) and not any(faults):
        reading.error(path, f"{before}file", "empty_file", "no lines")


# --- Moses zip -------------------------------------------------------------------------------------------------------------------


class _Member:
    """A member of a zip as a stream whose faults are those of any compressed file, and which is not unpacked for ever."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._size, self._given = max(1, info.compress_size), 0
        try:
            # IO[bytes] by its declaration, which tells reading from writing not apart; reading gives this, with a read1.
            self._file = cast(zipfile.ZipExtFile, archive.open(info))
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError) as error:
            raise BrokenStreamError("corrupt", f"{info.filename}: {error}") from error

    def read1(self, size: int = -1) -> bytes:
        """The next piece, empty at the end."""
        try:
            piece = self._file.read1(min(size, 1 << 20) if size > 0 else 1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise OSError(str(error) or "the archive ends inside the member") from error
        self._given += len(piece)
        if self._given > _BOMB_BYTES and self._given > _BOMB_RATIO * self._size:
            raise BrokenStreamError("zip_bomb", f"{self._size} bytes unpack to more than {_BOMB_RATIO} times as many")
        return piece

    read = read1

    def __enter__(self) -> _Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _members(archive: zipfile.ZipFile, languages: tuple[str, str]) -> list[tuple[str, str]]:
    """The members that are the two sides: `stem.en` and `stem.ru`, of one stem each; sorted.

    Raises:
        SourceError: A side is not there.
    """
    stems: dict[str, list[tuple[str, str]]] = {}
    for info in archive.infolist():
        name = info.filename.rsplit("/", 1)[-1]
        if info.is_dir() or info.filename.startswith("__MACOSX/") or name.startswith(".") or "." not in name:
            continue
        stem, _, tag = info.filename.rpartition(".")
        if any(likeness(language, tag) for language in languages):
            stems.setdefault(stem, []).append((tag, info.filename))
    found = []
    for stem in sorted(stems):
        ranked = []
        for language in languages:
            marks = sorted((-likeness(language, tag), name) for tag, name in stems[stem] if likeness(language, tag))
            ranked.append(marks[0][1] if marks else None)
        if ranked[0] is not None and ranked[1] is not None and ranked[0] != ranked[1]:
            found.append((ranked[0], ranked[1]))
    if not found:
        there = ", ".join(sorted(info.filename for info in archive.infolist())[:12]) or "nothing"
        endings = " and ".join(f".{language}" for language in languages)
        raise SourceError(f"{archive.filename}: no two members of one name that end in {endings}; it holds {there}")
    return found


@contextlib.contextmanager
def _archive(url: str) -> Iterator[zipfile.ZipFile]:
    with storage.open_read(url) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise BrokenStreamError("corrupt", f"not a whole zip archive: {error}") from error
        archive.filename = url
        with archive:
            yield archive


def _opener(archive: zipfile.ZipFile, name: str) -> Open:
    info: Any = archive.getinfo(name)
    return lambda: _Member(archive, info)  # type: ignore[return-value]


def check_zip(url: str, languages: tuple[str, str]) -> None:
    """Finds the two sides in a Moses zip and holds their numbers of lines against each other.

    Raises:
        SourceError: A side is missing, or has more lines than the other.
    """
    with contextlib.suppress(BrokenStreamError), _archive(url) as archive:
        for left, right in _members(archive, languages):
            _check(f"{url}/{left}", _opener(archive, left), f"{url}/{right}", _opener(archive, right))


def read_zip(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads a zip as OPUS packs it: two members that differ in their last ending, `name.en` and `name.ru`, line by line.

    Raises:
        SourceError: A side is missing, or has more lines than the other.
    """
    try:
        with _archive(url) as archive:
            found = _members(archive, source.languages)
            for left, right in found:
                before = f"{left} " if len(found) > 1 else ""
                sides = [(f"{url}/{name}", _opener(archive, name)) for name in (left, right)]
                yield from _in_step(source.max_record_bytes, sides[0], sides[1], path, reading, before, "")
    except BrokenStreamError as error:
        reading.error(path, "file", error.reason, error)
