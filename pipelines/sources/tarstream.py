"""Reading tars that strangers made: every member or the reason why not, never a silent stop.

The standard library's reader takes a damaged header in the middle of an archive for its end and loses the rest without a word.
This one keeps its header parser and walks the blocks itself: after damage it looks for the next block that is a header and says
what it skipped.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

_BLOCK = 512
_RECORD = 20 * _BLOCK  # archives are filled up with zeros to a multiple of this
_EXTENDED_BYTES = 1 << 20  # longest extended header that is read; those of archives made on a Mac run to kilobytes
_EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
# As tarfile reads them: such a member has no data, whatever size its header states.
_WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
_SIZE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of a tar. `data` is None where it is larger than the bound, or where `file` reads it; `offset` counts from the
    tar's start.

    A byte of the name that is not UTF-8 is written `\\xNN`; a name with a backslash of its own is not accepted.
    """

    name: str
    offset: int
    length: int
    data: bytes | None
    file: BinaryIO | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not a readable regular file."""

    name: str
    offset: int
    reason: str
    detail: str


@dataclass(slots=True)
class _Extended:
    """What extended headers say of the member that follows them."""

    at: int = 0
    name: str | None = None
    size: int | None = None
    sparse: bool = False
    fault: str = ""


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    return info if info.size >= 0 else None


def _pax_fields(data: bytes) -> dict[str, str]:
    """Reads `length key=value` records.

    Raises:
        ValueError: One of them is malformed.
    """
    fields: dict[str, str] = {}
    while data:
        head = data[:21].partition(b" ")[0]
        if not head.isdigit() or not len(head) + 2 < (length := int(head)) <= len(data) or data[length - 1] != 10:
            raise ValueError("malformed pax record")
        key, equals, value = data[len(head) + 1 : length - 1].partition(b"=")
        if not equals:
            raise ValueError("malformed pax record")
        fields[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return fields


def _extend(extended: _Extended, kind: bytes, data: bytes) -> None:
    if kind == tarfile.GNUTYPE_LONGNAME:
        extended.name = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
    elif kind == tarfile.XHDTYPE:
        try:
            fields = _pax_fields(data)
        except ValueError as error:
            extended.fault = str(error)
            return
        extended.name = fields.get("path", extended.name)
        extended.sparse = extended.sparse or any(key.startswith("GNU.sparse.") for key in fields)
        if "size" in fields:
            if _SIZE.fullmatch(fields["size"]) is None:
                extended.fault = f"its size is {fields['size'][:40]!r}"
                return
            extended.size = int(fields["size"])


def _is_hostile(name: str) -> bool:
    return name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/")


def _shown(name: str) -> str:
    """The name as text that can be written: without lone surrogates."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Readable(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most; none at the end."""


@dataclass(slots=True)
class _Stream:
    file: Readable
    position: int = field(default=0)

    def take(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        data = self.file.read(count)
        while len(data) < count and (more := self.file.read(count - len(data))):
            data += more
        self.position += len(data)
        return data

    def skip(self, count: int) -> int:
        """Passes over so many bytes; returns how many there were."""
        left = count
        while left and (piece := self.take(min(left, 1 << 20))):
            left -= len(piece)
        return count - left


class _MemberFile:
    """A member's bytes as they come; to be read before the next member is asked for."""

    def __init__(self, stream: _Stream, length: int) -> None:
        self._stream, self.left = stream, length

    def read1(self, size: int = -1) -> bytes:
        """The next piece, of at most `size` bytes; empty at the end.

        Raises:
            EOFError: The archive ends inside the member.
        """
        if self.left == 0 or size == 0:
            return b""
        # One reading, not all that is wanted: damage behind it must not cost what came before.
        left, self.left = self.left, -1  # stays so where reading raises
        data = self._stream.file.read(min(left, 1 << 16 if size < 0 else size)) if left > 0 else b""
        if not data:
            raise EOFError("the archive ends inside this member")
        self._stream.position += len(data)
        self.left = left - len(data)
        return data

    read = read1

    def close(self) -> None:
        """Nothing: the archive's reader closes its file."""


def read_tar(file: Readable, *, max_member_bytes: int | None) -> Iterator[Member | Damage]:
    """Walks a tar stream.

    Args:
        file: An uncompressed tar, at its start; need not be seekable.
        max_member_bytes: Larger members are passed over (`data` None) so that memory stays bounded. None: members of any size,
            each as a `file`.

    Yields:
        Each regular file in order, and a `Damage` for links, devices, sparse files, names that are absolute or hold `..`, damaged
        headers (reading goes on at the next sound one) and an end that comes too soon. Archives that were joined are read on;
        other bytes after the closing blocks are passed over.
    """
    stream = _Stream(file)
    extended = _Extended()
    lost_at: int | None = None
    closed = False  # whether closing blocks stood before `lost_at`
    zeros = start = 0

    def orphaned() -> Iterator[Damage]:
        """An extended header whose member is not there."""
        if extended.name is not None or extended.size is not None or extended.fault:
            detail = extended.fault or "an extended header without its member"
            yield Damage(_shown(extended.name or ""), extended.at, "broken_member", detail)

    while True:
        at = stream.position
        block = stream.take(_BLOCK)
        if len(block) == _BLOCK and block.count(0) == _BLOCK:
            zeros += 1
            continue
        # One block of zeros alone is a header that was wiped out; two are the end.
        if zeros == 1 and lost_at is None and len(block) == _BLOCK:
            lost_at, closed = at - _BLOCK, False
            yield from orphaned()
            extended = _Extended()
        if len(block) < _BLOCK:
            yield from orphaned()
            if lost_at is not None and not closed:
                yield Damage("", lost_at, "broken_member", f"no sound header from byte {lost_at} to the end")
            elif lost_at is None and not zeros:
                yield Damage("", at, "truncated", "the archive ends without its closing blocks")
            return
        info = _header(block)
        if info is None:
            yield from orphaned()
            extended = _Extended()
            if lost_at is None:
                lost_at, closed = at - zeros * _BLOCK, zeros >= 2
            continue
        if lost_at is not None:
            yield Damage("", lost_at, "broken_member", f"damaged header; {at - lost_at} bytes passed over")
            lost_at = None
        elif zeros:
            yield from orphaned()
            extended = _Extended()
            if (at - start) % _RECORD:  # zeros in the midst of an archive are members that were wiped out
                yield Damage("", at - zeros * _BLOCK, "broken_member", f"{zeros} blocks of zeros inside the archive")
            else:
                start = at
        zeros = 0
        if info.type in _EXTENDED:
            if extended == _Extended():
                extended.at = at
            if info.size > _EXTENDED_BYTES:
                stream.skip(-(-info.size // _BLOCK) * _BLOCK)
                extended.fault = f"an extended header of {info.size} bytes"
            else:
                _extend(extended, info.type, stream.take(-(-info.size // _BLOCK) * _BLOCK)[: info.size])
            continue
        told, extended = extended, _Extended()
        name = told.name or info.name
        shown = _shown(name)
        length = info.size if told.size is None else told.size
        padded = 0 if info.type in _WITHOUT_DATA else -(-length // _BLOCK) * _BLOCK
        refusal = _refusal(info, told, name)
        if refusal is not None or info.type == tarfile.DIRTYPE:
            if refusal is not None:
                yield Damage(shown, at, *refusal)
            if stream.skip(padded) < padded:
                yield Damage(shown, at, "truncated", "the archive ends inside this member")
                return
            continue
        begin = stream.position
        if max_member_bytes is None:
            member = _MemberFile(stream, length)
            yield Member(shown, begin, length, None, member)  # type: ignore[arg-type]
            if member.left < 0:
                return  # its reader has been told
            rest = padded - length + member.left
            if stream.skip(rest) < rest:
                yield Damage(shown, at, "truncated", "the archive ends inside this member")
                return
            continue
        if length > max_member_bytes:
            if stream.skip(padded) < length:
                yield Damage(shown, at, "truncated", "the archive ends inside this member")
                return
            yield Member(shown, begin, length, None)
            continue
        data = stream.take(padded)
        if len(data) < length:
            yield Damage(shown, at, "truncated", f"the archive ends inside this member: {len(data)} of {length} bytes")
            return
        yield Member(shown, begin, length, data[:length])


def _refusal(info: tarfile.TarInfo, told: _Extended, name: str) -> tuple[str, str] | None:
    """Reason and detail for a member that is not to be read."""
    if told.fault:
        return "broken_member", told.fault
    if told.sparse or info.type == tarfile.GNUTYPE_SPARSE:
        return "not_a_file", "sparse files are not read"
    if info.type == tarfile.DIRTYPE:
        return None
    if info.type not in _FILES:
        return "not_a_file", "links and devices are not read"
    if not name or _is_hostile(name):
        return "unsafe_name", "empty, absolute or climbing path"
    return None
