"""Compressed streams unpacked piece by piece: gzip, zstd, bzip2, xz; every frame of a file, and an error where the last one is cut.

The libraries' own file objects lose what they had unpacked when they meet damage, or take the end of the file for the end of the
data. Here every byte that was good before the damage is handed on first.
"""

from __future__ import annotations

import bz2
import lzma
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import zstandard
from isal import isal_zlib

ENDINGS = (".gz", ".zst", ".zstd", ".bz2", ".xz")
"""How the names of compressed files end."""
_GZIP_PIECE = 1 << 13  # at most a thousand times as much comes out
_ZSTD_PIECE = 1 << 10  # a block of 4 bytes may hold 128 KiB: so much input gives at most 32 MiB at once
_OUT = 1 << 20
_MAX_HEADER = 1 << 18
_XZ_MEMORY = 256 << 20


def unpacked(file: BinaryIO, url: str) -> BinaryIO:
    """The file's content, unpacked where its name ends so, in any case of letters."""
    for ending, pieces in ((".gz", _gzip), (".zst", _zstd), (".zstd", _zstd), (".bz2", _bzip2), (".xz", _xz)):
        if url.lower().endswith(ending):
            return _Unpacked(file, pieces(file))  # type: ignore[return-value]
    return file


class _Unpacked:
    """A file of pieces that are made as they are asked for."""

    def __init__(self, file: BinaryIO, pieces: Iterator[bytes]) -> None:
        self._file, self._pieces, self._rest = file, pieces, b""

    def read1(self, size: int = -1) -> bytes:
        """The next piece, of at most `size` bytes; empty at the end.

        Raises:
            EOFError: The file ends inside a frame.
            OSError: It is damaged.
        """
        piece = self._rest or next(self._pieces, b"")
        self._rest = b""
        if 0 <= size < len(piece):
            piece, self._rest = piece[:size], piece[size:]
        return piece

    read = read1

    def __enter__(self) -> _Unpacked:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    """RFC 1952, zeros behind the last member passed over; the sum is checked when all that it is of has been handed on."""
    held = file.read(_GZIP_PIECE)
    while held:
        while (size := _header(held)) is None:
            held += _more(file, "gzip")
        held = held[size:]
        inflate: Any = isal_zlib.decompressobj(-15)
        total = checksum = 0
        while not inflate.eof:
            try:
                data = inflate.decompress(held or _more(file, "gzip"))
            except isal_zlib.error as error:  # type: ignore[misc]  # its stub takes the class for an instance
                raise OSError(f"damaged gzip data: {error}") from error
            held = b""
            total, checksum = total + len(data), isal_zlib.crc32(data, checksum)
            if data:
                yield data
        held = inflate.unused_data
        while len(held) < 8:
            held += _more(file, "gzip")
        if struct.unpack("<II", held[:8]) != (checksum, total & 0xFFFFFFFF):
            raise OSError("the checksum or the length of a gzip member is wrong")
        held = held[8:].lstrip(b"\0")
        while not held and (piece := file.read(_GZIP_PIECE)):
            held = piece.lstrip(b"\0")


def _header(data: bytes) -> int | None:
    """Bytes of a gzip member's header; None: there must be more of it."""
    if data[:2] != b"\x1f\x8b"[: len(data)] or (len(data) > 2 and data[2] != 8):
        raise OSError(f"no gzip data: it begins with {data[:3]!r}")
    if len(data) > _MAX_HEADER:
        raise OSError("the header of a gzip member does not end")
    if len(data) < 10:
        return None
    flags, size = data[3], 10
    if flags & 4:
        if len(data) < size + 2:
            return None
        size += 2 + int.from_bytes(data[size : size + 2], "little")
    for flag in (8, 16):  # a name, a comment
        if flags & flag:
            end = data.find(b"\0", size)
            if end < 0:
                return None
            size = end + 1
    size += 2 if flags & 2 else 0
    return size if len(data) >= size else None


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    return _frames(
        file, "zstd", _ZSTD_PIECE, lambda: zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    )


def _bzip2(file: BinaryIO) -> Iterator[bytes]:
    return _frames(file, "bzip2", _GZIP_PIECE, lambda: _Bounded(bz2.BZ2Decompressor()))


def _xz(file: BinaryIO) -> Iterator[bytes]:
    return _frames(file, "xz", _GZIP_PIECE, lambda: _Bounded(lzma.LZMADecompressor(memlimit=_XZ_MEMORY)))


class _Bounded:
    """A decompressor of the standard library that gives so much at once and no more."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    @property
    def needs_input(self) -> bool:
        return bool(self._inner.needs_input)

    def decompress(self, data: bytes) -> bytes:
        return bytes(self._inner.decompress(data, _OUT))


def _frames(file: BinaryIO, name: str, size: int, make: Callable[[], Any]) -> Iterator[bytes]:
    """Frame after frame, until the file ends."""
    held = file.read(size)
    while held:
        frame = make()
        while not frame.eof:
            more = getattr(frame, "needs_input", True)
            try:
                data = frame.decompress(held or (_more(file, name, size) if more else b""))
            except (lzma.LZMAError, ValueError) as error:
                raise OSError(f"damaged {name} data: {error}") from error
            held = b""
            if data:
                yield data
        held = frame.unused_data or file.read(size)


def _more(file: BinaryIO, name: str, size: int = _GZIP_PIECE) -> bytes:
    piece = file.read(size)
    if not piece:
        raise EOFError(f"the file ends inside a {name} {'member' if name == 'gzip' else 'frame'}")
    return piece
