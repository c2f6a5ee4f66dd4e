"""WebDataset tar files straight from Arrow columns.

The bytes are those of webdataset's `TarWriter(mtime=0)`, made without a Python object per row.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rendering.jit import jit

BLOCK = 512
RECORD = 10240  # tarfile pads an archive to whole records
MAX_NAME = 100  # the name field of a ustar header
MAX_SIZE = 8**11 - 1  # eleven octal digits
CHUNK_BYTES = 8 << 20

_KEY_BYTES = np.zeros(256, bool)
_KEY_BYTES[list(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-/")] = True


class Writable(Protocol):
    """What takes bytes: a file, a pipe, `storage.AtomicFile`."""

    def write(self, data: Any, /) -> object:
        """Takes the bytes of any buffer."""


class _Column:
    """An Arrow string or binary array as NumPy views.

    Attributes:
        data: uint8 (bytes,). offsets: int64 (n + 1,) into data. present: bool (n,), false for a null.
        sizes: int64 (n,), bytes of each value, 0 for a null.
    """

    def __init__(self, name: str, array: pa.Array | pa.ChunkedArray, rows: int | None) -> None:
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        kind = array.type
        if pa.types.is_string(kind) or pa.types.is_string_view(kind):
            array = array.cast(pa.large_string())
        elif pa.types.is_binary(kind) or pa.types.is_binary_view(kind):
            array = array.cast(pa.large_binary())
        elif not (pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)):
            raise TypeError(f"the column {name!r} must hold strings or bytes, not {kind}")
        if rows is not None and len(array) != rows:
            raise ValueError(f"the column {name!r} has {len(array)} rows, the keys are {rows}")
        _, offsets, data = array.buffers()
        self.offsets = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        self.data = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
        self.present = array.is_valid().to_numpy(zero_copy_only=False)
        self.sizes = np.where(self.present, np.diff(self.offsets), 0)


def write_tar(
    target: str | os.PathLike[str] | Writable,
    keys: pa.Array | pa.ChunkedArray,
    members: list[tuple[str, pa.Array | pa.ChunkedArray]],
    *,
    user: str = "bigdata",
    group: str = "bigdata",
    mode: int = 0o444,
    digest: bool = True,
) -> tuple[int, str]:
    """Writes one tar file of `<key>.<extension>` members, row by row, the members of a row in the order given.

    ustar headers with zero mtime, uid and gid; two zero blocks and zeros up to a whole record of 10,240 bytes at the end. The same
    columns give the same bytes. Everything is checked before the first byte is written. Memory: some 8 MB, or the largest row.

    Args:
        target: a path, written in place, or anything with `write(bytes-like)`.
        keys: string (n,), distinct, of [0-9A-Za-z_/-], not beginning with "/": no dot, where WebDataset ends a key.
        members: (extension without its dot, string or binary (n,)); a null: this row has no such member.
        user, group, mode: what the headers say; the defaults are webdataset's.
        digest: compute the sha256; False where the target does so itself.

    Returns:
        (bytes written, hex sha256 of them, or "" without `digest`).

    Raises:
        ValueError: a key or an extension is not as above, a name has more than 100 bytes, a value 8 GiB or more.
        TypeError: a column is of another type.
    """
    names = _Column("keys", keys, None)
    rows = len(names.sizes)
    columns = [(extension, _Column(extension, array, rows)) for extension, array in members]
    _check(names, keys, columns)

    blocks = np.zeros((rows, len(columns)), np.int64)
    for m, (_, column) in enumerate(columns):
        blocks[:, m] = np.where(column.present, 1 + (column.sizes + BLOCK - 1) // BLOCK, 0) * BLOCK
    ends = np.cumsum(blocks.sum(axis=1))
    templates = [_template(extension, user, group, mode) for extension, _ in columns]
    sha = hashlib.sha256() if digest else None
    total = 0
    with Path(target).open("wb") if isinstance(target, (str, os.PathLike)) else _Borrowed(target) as file:
        buffer = np.empty(0, np.uint8)
        first = 0
        while first < rows:
            last = max(first + 1, int(np.searchsorted(ends, total + CHUNK_BYTES, side="right")))
            size = int(ends[last - 1]) - total
            if len(buffer) < size:
                buffer = np.empty(max(size, min(CHUNK_BYTES, int(ends[-1]))), np.uint8)
            places = np.cumsum(blocks[first:last].ravel()) - blocks[first:last].ravel()
            places = places.reshape(last - first, len(columns))
            for m, (extension, column) in enumerate(columns):
                _fill(
                    names.data, names.offsets[first : last + 1], column.data, column.offsets[first : last + 1],
                    column.present[first:last], places[:, m], np.frombuffer(b"." + extension.encode(), np.uint8),
                    templates[m], int(templates[m].sum()), buffer,
                )  # fmt: skip
            chunk = buffer[:size].data
            if sha is not None:
                sha.update(chunk)
            file.write(chunk)
            total += size
            first = last
        tail = bytes(2 * BLOCK + -(total + 2 * BLOCK) % RECORD)
        if sha is not None:
            sha.update(tail)
        file.write(tail)
    return total + len(tail), sha.hexdigest() if sha is not None else ""


class _Borrowed:
    """A context that leaves the caller's file open."""

    def __init__(self, file: Writable) -> None:
        self._file = file

    def __enter__(self) -> Writable:
        return self._file

    def __exit__(self, *_: object) -> None:
        return None


def _check(names: _Column, keys: pa.Array | pa.ChunkedArray, columns: list[tuple[str, _Column]]) -> None:
    rows = len(names.sizes)
    if not rows:
        return
    extensions = [extension for extension, _ in columns]
    for extension in extensions:
        if not extension or not extension.isascii() or not all(c.isalnum() or c in "._-" for c in extension):
            raise ValueError(f"{extension!r} is no extension for a member")
    if len(set(extensions)) < len(extensions):
        raise ValueError(f"an extension is given twice: {', '.join(extensions)}")
    if not names.present.all():
        raise ValueError(f"keys[{int(np.flatnonzero(~names.present)[0])}] is null")
    lead = names.data[np.minimum(names.offsets[:-1], len(names.data) - 1)] if len(names.data) else names.sizes
    used = names.data[names.offsets[0] : names.offsets[-1]]
    if not names.sizes.all() or not _KEY_BYTES[used].all() or (lead == ord("/")).any():
        for row, key in enumerate(keys.to_pylist()):  # slow, and only to name the culprit
            text = key if isinstance(key, bytes) else key.encode()
            if not text or text.startswith(b"/") or not _KEY_BYTES[list(text)].all():
                raise ValueError(
                    f"keys[{row}] is {key!r}: a key is one or more of [0-9A-Za-z_/-] and does not begin with '/'"
                )
    if pc.count_distinct(keys).as_py() < rows:
        counts = pc.value_counts(keys)
        twice = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"].as_py()
        raise ValueError(f"the key {twice!r} comes more than once")
    for extension, column in columns:
        longest = int(np.argmax(names.sizes))
        if names.sizes[longest] + 1 + len(extension) > MAX_NAME:
            raise ValueError(f"keys[{longest}].{extension}: the name has more than {MAX_NAME} bytes")
        if int(column.sizes.max()) > MAX_SIZE:
            row = int(np.argmax(column.sizes))
            raise ValueError(f"{extension}[{row}] has more than {MAX_SIZE} bytes, the most of a ustar header")


def _template(extension: str, user: str, group: str, mode: int) -> npt.NDArray[np.uint8]:
    """A ustar header (POSIX.1-1988, as `tarfile` lays it out) with an empty name, size 0 and blanks for the checksum."""
    for what, text in (("user", user), ("group", group)):
        if not text.isascii() or len(text) > 32:
            raise ValueError(f"{what} {text!r} is not at most 32 ASCII characters")
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"mode {mode:o} is none")
    fields: tuple[tuple[int, bytes], ...] = (
        (100, b"%07o\0" % mode), (108, b"0000000\0"), (116, b"0000000\0"), (124, b"00000000000\0"), (136, b"00000000000\0"),
        (148, b" " * 8), (156, b"0"), (257, b"ustar\x0000"), (265, user.encode()), (297, group.encode()),
    )  # fmt: skip
    header = np.zeros(BLOCK, np.uint8)
    for at, value in fields:
        header[at : at + len(value)] = np.frombuffer(value, np.uint8)
    return header


@jit
def _fill(
    key_data: Any,
    key_offsets: Any,
    data: Any,
    offsets: Any,
    present: Any,
    places: Any,
    suffix: Any,
    template: Any,
    template_sum: int,
    out: Any,
) -> None:
    """Writes one member of each row: header, value and zeros up to a whole block, to out[places[row]:].

    Args:
        key_data, data: uint8. key_offsets, offsets: int64 (n + 1,). present: bool (n,). places: int64 (n,).
        suffix: uint8, "." and the extension. template: uint8 (512,), see _template. template_sum: the sum of its bytes.
    """
    for row in range(len(places)):
        if not present[row]:
            continue
        at = places[row]
        out[at : at + 512] = template
        checksum = template_sum
        name = at
        for k in range(key_offsets[row], key_offsets[row + 1]):
            out[name] = key_data[k]
            checksum += int(key_data[k])
            name += 1
        for k in range(len(suffix)):
            out[name] = suffix[k]
            checksum += int(suffix[k])
            name += 1
        size = offsets[row + 1] - offsets[row]
        left = size
        for digit in range(134, 123, -1):
            out[at + digit] = 48 + (left & 7)
            checksum += left & 7
            left >>= 3
            if left == 0:
                break
        for digit in range(153, 147, -1):
            out[at + digit] = 48 + (checksum & 7)
            checksum >>= 3
        out[at + 154] = 0
        at += 512
        out[at : at + size] = data[offsets[row] : offsets[row + 1]]
        stop = at + (size + 511) // 512 * 512
        out[at + size : stop] = 0
