"""Reading tars that strangers made: every member or the reason why not, never a silent stop.

The standard library's reader takes a damaged header in the middle of an archive for its end and loses the rest without a word.
This one keeps its header parser and walks the blocks itself: after damage it looks for the next block that is a header and says
what it skipped.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK = 512
_LONG_NAME_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of a tar. `data` is None where it is larger than the bound; `offset` counts from the tar's start."""

    name: str
    offset: int
    length: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not a readable regular file."""

    name: str
    offset: int
    reason: str
    detail: str


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _pax_fields(data: bytes) -> dict[str, str]:
    """Reads `length key=value` records; stops at the first that is malformed."""
    fields: dict[str, str] = {}
    while data:
        head, _, _ = data.partition(b" ")
        if not head.isdigit() or not 0 < (length := int(head)) <= len(data):
            break
        key, _, value = data[len(head) + 1 : length - 1].partition(b"=")
        fields[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return fields


def _is_hostile(name: str) -> bool:
    return name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/")


def read_tar(file: BinaryIO, *, max_member_bytes: int) -> Iterator[Member | Damage]:
    """Walks a tar stream.

    Args:
        file: An uncompressed tar, at its start; need not be seekable.
        max_member_bytes: Larger members are passed over (`data` None) so that memory stays bounded.

    Yields:
        Each regular file in order, and a `Damage` for links, devices, names that are absolute or hold `..`, damaged headers
        (reading goes on at the next sound one) and an end that comes too soon.
    """
    position = 0
    long_name: str | None = None
    override: int | None = None
    lost_at: int | None = None
    ended = False

    def take(count: int) -> bytes:
        nonlocal position
        data = file.read(count)
        while len(data) < count and (more := file.read(count - len(data))):
            data += more
        position += len(data)
        return data

    def skip(count: int) -> int:
        left = count
        while left and (piece := take(min(left, 1 << 20))):
            left -= len(piece)
        return count - left

    while True:
        at = position
        block = take(_BLOCK)
        if len(block) < _BLOCK:
            if lost_at is not None:
                yield Damage("", lost_at, "broken_member", f"no sound header from byte {lost_at} to the end")
            elif block or not ended:
                yield Damage("", at, "truncated", "the archive ends without its closing blocks")
            return
        if block.count(0) == _BLOCK:
            ended = True
            continue
        info = _header(block)
        if info is None:
            if ended:
                return  # what follows the closing blocks is not the archive's
            lost_at = at if lost_at is None else lost_at
            continue
        ended = False
        if lost_at is not None:
            yield Damage("", lost_at, "broken_member", f"damaged header; {at - lost_at} bytes passed over")
            lost_at = None
        padded = -(-info.size // _BLOCK) * _BLOCK
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            if info.size > _LONG_NAME_BYTES:
                yield Damage(info.name, at, "broken_member", f"extended header of {info.size} bytes")
                skip(padded)
                continue
            data = take(padded)[: info.size]
            if info.type == tarfile.GNUTYPE_LONGNAME:
                long_name = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif info.type == tarfile.XHDTYPE:
                fields = _pax_fields(data)
                long_name = fields.get("path", long_name)
                override = int(fields["size"]) if fields.get("size", "").isdigit() else None
            continue
        name, long_name = (long_name or info.name), None
        length, override = (info.size if override is None else override), None
        padded = -(-length // _BLOCK) * _BLOCK
        if info.type == tarfile.DIRTYPE:
            skip(padded)
            continue
        if info.type not in tarfile.REGULAR_TYPES:
            yield Damage(name, at, "not_a_file", "links and devices are not read")
            skip(padded)
            continue
        if _is_hostile(name):
            yield Damage(name, at, "unsafe_name", "absolute or climbing path")
            skip(padded)
            continue
        begin = position
        if length > max_member_bytes:
            if skip(padded) < length:
                yield Damage(name, at, "truncated", "the archive ends inside this member")
                return
            yield Member(name, begin, length, None)
            continue
        data = take(padded)
        if len(data) < length:
            yield Damage(name, at, "truncated", f"the archive ends inside this member: {len(data)} of {length} bytes")
            return
        yield Member(name, begin, length, data[:length])
