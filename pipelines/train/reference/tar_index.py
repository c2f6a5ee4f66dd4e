"""Finds the members of a shard's samples in the tar's bytes, piece by piece, in one pass and without a Python object a member."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rendering.jit import jit

BLOCK: Final[int] = 512
MAX_KEY: Final[int] = 64
MAX_MEMBER_BYTES: Final[int] = 64 << 20
LEFT, PIXELS, TEXT, REST = range(4)
"""Columns of `TarIndex.places`: the left picture, the right text's PNG, the right text, the json."""

MESSAGES: Final[tuple[str, ...]] = (
    "",
    "is not one of a sample: a regular ustar file called <hex key>.jpg|png|webp|text.png|txt|json, 64 MiB at most",
    "is there twice, or its key does not come after the one before",
    "has a header whose checksum is wrong",
    "is of one sample more than the manifest says",
)
_MORE, _END = 0, -1


class TarIndex:
    """The index of one shard, filled by `feed`.

    Args:
        samples: As the manifest says; what is allocated, so it is the bound of the index's memory (about 150 bytes each).

    Attributes:
        keys: S64 [samples].
        places: int64 [samples, 4, 2], offset and length in bytes of each member, columns as LEFT … REST; length -1: there is none.
        count: Samples found so far.
    """

    def __init__(self, samples: int) -> None:
        self.keys: npt.NDArray[np.bytes_] = np.zeros(samples, f"S{MAX_KEY}")
        self.places: npt.NDArray[np.int64] = np.full((samples, 4, 2), -1, np.int64)
        self.count = 0
        self.ended = False
        self._next = 0

    def feed(self, piece: bytes | memoryview, base: int) -> str:
        """Reads the headers in a piece of the file.

        Args:
            piece: Bytes of the file from `base` on, in order; a multiple of 512 but for the last.
            base: Offset of the piece in the file.

        Returns:
            What is wrong with the archive, empty for nothing.
        """
        data = np.frombuffer(piece, np.uint8)
        whole = data[: len(data) // BLOCK * BLOCK]
        if self.ended:
            return ""
        keys = self.keys.view(np.uint8).reshape(len(self.keys), MAX_KEY)
        state, self._next, self.count = _walk(whole, base, self._next, self.count, keys, self.places)
        if state == _END:
            self.ended = True
        elif state != _MORE:
            name = bytes(whole[self._next - base :][:100]).split(b"\0", 1)[0]
            return f"member {name.decode(errors='replace')!r} {MESSAGES[state]}"
        return ""

    def fault(self, samples: int) -> str:
        """What is wrong with the whole archive after its last piece: cut off, too few samples, or a sample without its members."""
        if not self.ended:
            return "the archive has no end: it was cut off"
        if self.count != samples:
            return f"{self.count} samples, the manifest says {samples}"
        lacking = (self.places[: self.count, :REST, 1] < 0).any(axis=1)
        if lacking.any():
            return f"sample {self.keys[int(lacking.argmax())].decode()} lacks its left picture, text.png or txt"
        return ""


@jit
def _walk(data: Any, base: int, at: int, count: int, keys: Any, places: Any) -> tuple[int, int, int]:
    """Returns (0 more is to come | -1 the end | number of a message, offset of the next header, samples so far)."""
    stop = base + len(data)
    while at < stop:
        h = at - base
        if data[h] == 0:
            for i in range(h, h + 512):
                if data[i] != 0:
                    return 1, at, count
            return -1, at, count
        total = 8 * 32
        for i in range(h, h + 148):
            total += data[i]
        for i in range(h + 156, h + 512):
            total += data[i]
        if total != _octal(data, h + 148, 8):
            return 3, at, count
        kind = data[h + 156]
        if (kind != 48 and kind != 0) or data[h + 345] != 0 or data[h + 257] != 117 or data[h + 258] != 115:
            return 1, at, count
        size = _octal(data, h + 124, 12)
        if size < 0 or size > 67108864:
            return 1, at, count
        dot = 0
        while dot < 64:
            c = data[h + dot]
            if not (48 <= c <= 57 or 97 <= c <= 102):
                break
            dot += 1
        if dot == 0 or data[h + dot] != 46:
            return 1, at, count
        column = _column(data, h + dot + 1)
        if column < 0:
            return 1, at, count
        order = 1
        if count > 0:
            order = _compare(data, h, dot, keys[count - 1])
        if order < 0:
            return 2, at, count
        if order > 0:
            if count == len(keys):
                return 4, at, count
            for i in range(dot):
                keys[count, i] = data[h + i]
            count += 1
        if places[count - 1, column, 1] >= 0:
            return 2, at, count
        places[count - 1, column, 0] = at + 512
        places[count - 1, column, 1] = size
        at += 512 + (size + 511) // 512 * 512
    return 0, at, count


@jit
def _octal(data: Any, at: int, width: int) -> int:
    """An octal field, -1 where it is none."""
    value, digits = 0, 0
    for i in range(at, at + width):
        c = data[i]
        if 48 <= c <= 55:
            value = value * 8 + (c - 48)
            digits += 1
        elif (c == 0 or c == 32) and digits > 0:
            break
        elif c != 32:
            return -1
    return value if digits > 0 else -1


@jit
def _column(data: Any, at: int) -> int:
    """Which member an extension names, its first byte at `at`, -1 for none; the name must end after it."""
    found, length = -1, 0
    a, b, c, d = data[at], data[at + 1], data[at + 2], data[at + 3]
    if (a == 106 and b == 112 and c == 103) or (a == 112 and b == 110 and c == 103):  # jpg
        found, length = 0, 3
    elif a == 119 and b == 101 and c == 98 and d == 112:  # webp
        found, length = 0, 4
    elif a == 116 and b == 120 and c == 116:  # txt
        found, length = 2, 3
    elif a == 106 and b == 115 and c == 111 and d == 110:  # json
        found, length = 3, 4
    elif a == 116 and b == 101 and c == 120 and d == 116:  # text.png
        e, f, g, h = data[at + 4], data[at + 5], data[at + 6], data[at + 7]
        if e == 46 and f == 112 and g == 110 and h == 103:
            found, length = 1, 8
    return found if found >= 0 and data[at + length] == 0 else -1


@jit
def _compare(data: Any, at: int, length: int, key: Any) -> int:
    """1 where the key at `at` comes after `key`, 0 where it is the same, -1 where it comes before."""
    for i in range(len(key)):
        c = data[at + i] if i < length else 0
        if c != key[i]:
            return 1 if c > key[i] else -1
    return 0
