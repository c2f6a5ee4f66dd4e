"""Content keys, and every random choice of the pipeline as a hash of (seed, stage, key).

No generator carries state from row to row: a choice depends on what the row is and on nothing else, so the result is
the same with any batch size, any order of files and any number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow

UInt64 = npt.NDArray[np.uint64]

_DIGEST_BYTES: Final = 16
_NULL: Final = b"\xff" * 8  # a length that no value has
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MASK: Final = 0xFFFFFFFFFFFFFFFF


def _framed(value: bytes | None) -> bytes:
    """The value behind its length, so that no two rows of values share a byte string."""
    return _NULL if value is None else len(value).to_bytes(8, "little") + value


def _digest(values: Iterable[bytes | None]) -> str:
    return hashlib.blake2b(b"".join(map(_framed, values)), digest_size=_DIGEST_BYTES).hexdigest()


def content_key(*values: str | bytes | None) -> str:
    """The content key of one row of values.

    Args:
        *values: The columns of the row; a string counts as its UTF-8 bytes, null differs from empty.

    Returns:
        32 hex digits: BLAKE2b-128 over the length-prefixed values.
    """
    return _digest(v.encode("utf-8") if isinstance(v, str) else v for v in values)


def content_keys(*columns: pa.Array) -> pa.StringArray:
    """The content keys of many rows, see `content_key`.

    Args:
        *columns: String or binary arrays of one length n, each row one set of values. At least one.

    Returns:
        n strings of 32 hex digits, none null.

    Raises:
        ValueError: No column is given, or their lengths differ.
    """
    if not columns:
        raise ValueError("content_keys needs at least one column")
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"content_keys needs columns of one length, got {[len(column) for column in columns]}")
    framed = [
        [_framed(value) for value in arrow.plain(column).cast(pa.large_binary()).to_pylist()] for column in columns
    ]
    digest, size = hashlib.blake2b, _DIGEST_BYTES
    return pa.array(
        [digest(b"".join(row), digest_size=size).hexdigest() for row in zip(*framed, strict=True)], pa.string()
    )


def _mix(x: UInt64) -> UInt64:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _salt(seed: int, stage: str) -> np.uint64:
    framed = _framed(str(int(seed)).encode()) + _framed(stage.encode())
    return np.uint64(int.from_bytes(hashlib.blake2b(framed, digest_size=8).digest(), "little"))


def draw(keys: pa.Array | npt.NDArray[Any], seed: int, stage: str) -> UInt64:
    """One 64-bit hash of (seed, stage, key) for every key.

    Each key is cut into words of eight bytes; every word is mixed with its place and the salt of (seed, stage), the
    words are added and the sum is mixed again with the length. Well mixed for any keys; not meant against an adversary.

    Args:
        keys: n keys: strings or binary (an Arrow or object array), or a NumPy array of integers.
        seed: Any integer.
        stage: The name of the choice, so that two choices about one key are independent.

    Returns:
        uint64 of shape (n,). Null keys all draw the same number.
    """
    salt = _salt(seed, stage)
    if isinstance(keys, np.ndarray):
        if keys.dtype.kind in "iu":
            return _mix(_mix(keys.astype(np.uint64) * _GOLDEN + salt) + salt)
        keys = pa.array(keys.tolist())
    column = arrow.plain(keys).cast(pa.large_binary())
    n = len(column)
    if n == 0:
        return np.zeros(0, np.uint64)
    valid = arrow.mask(pc.is_valid(column))
    data, offsets = arrow.bytes_and_offsets(column.fill_null(b""))
    lengths = np.diff(offsets)
    words_each = (lengths + 7) // 8
    starts = np.cumsum(words_each) - words_each
    total = int(words_each.sum())
    if total and int(lengths.min()) == int(lengths.max()) and int(lengths[0]) % 8 == 0:
        words = np.frombuffer(data.tobytes(), "<u8")
    else:
        padded = np.zeros(total * 8, np.uint8)
        shift = np.repeat(starts * 8 - offsets[:-1], lengths)
        padded[np.arange(len(data)) + shift] = data
        words = padded.view("<u8")
    place = (np.arange(total) - np.repeat(starts, words_each)).astype(np.uint64)
    mixed = _mix(words.astype(np.uint64) ^ _mix((place + np.uint64(1)) * _GOLDEN + salt))
    sums = np.zeros(n, np.uint64)
    filled = words_each > 0
    if total:
        sums[filled] = np.add.reduceat(mixed, starts[filled])
    marks = np.where(valid, lengths, -1).astype(np.int64).view(np.uint64)
    return _mix(_mix(sums + marks * _GOLDEN) ^ salt)


def child_draw(parents: UInt64, index: npt.NDArray[np.int64]) -> UInt64:
    """Draws for the parts of a row: the i-th word of a sentence, for example.

    Args:
        parents: uint64 (n,), each part's row's own draw.
        index: int64 (n,), the number of the part in its row.

    Returns:
        uint64 (n,).
    """
    return _mix(parents + _mix((index.astype(np.uint64) + np.uint64(1)) * _GOLDEN))


def unit(draws: UInt64) -> npt.NDArray[np.float64]:
    """Draws as float64 in [0, 1): their upper 53 bits."""
    return (draws >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53))


def uniform(keys: pa.Array | npt.NDArray[Any], seed: int, stage: str) -> npt.NDArray[np.float64]:
    """`draw` as float64 in [0, 1), shape (n,)."""
    return unit(draw(keys, seed, stage))
