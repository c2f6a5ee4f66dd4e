"""The Huffman table of rendered text: DEFLATE (RFC 1951) with one fixed table for every image.

Rendered text is so alike that a table per image gains nothing but costs two passes. The lengths below were made by
`python -m rendering._deflate`, which reads alt-texts and sentence pairs, draws them, counts the tokens of `_png.tokens`
and shortens what is then the sum of header and body. A table decides how many bytes a PNG has, never its pixels.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

END = 256
# RFC 1951, 3.2.5: base and extra bits of the length codes 257..285 and of the distance codes 0..29.
LENGTH_BASE = (
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    13,
    15,
    17,
    19,
    23,
    27,
    31,
    35,
    43,
    51,
    59,
    67,
    83,
    99,
    115,
    131,
    163,
    195,
    227,
    258,
)
LENGTH_EXTRA = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)
DISTANCE_BASE = (
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193,
    12289, 16385, 24577,
)  # fmt: skip
DISTANCE_EXTRA = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13)
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def length_code(length: int) -> tuple[int, int, int]:
    """(symbol, extra bits' value, extra bits) of a match length, 3 to 258."""
    at = next(i for i in range(len(LENGTH_BASE) - 1, -1, -1) if length >= LENGTH_BASE[i])
    return 257 + at, length - LENGTH_BASE[at], LENGTH_EXTRA[at]


def distance_code(distance: int) -> tuple[int, int, int]:
    """(symbol, extra bits' value, extra bits) of a distance, 1 to 32768."""
    at = next(i for i in range(len(DISTANCE_BASE) - 1, -1, -1) if distance >= DISTANCE_BASE[i])
    return at, distance - DISTANCE_BASE[at], DISTANCE_EXTRA[at]


def huffman_lengths(counts: Sequence[float], longest: int) -> list[int]:
    """Code lengths of an optimal prefix code whose codes have at most `longest` bits (package-merge); 0 for a count of 0."""
    leaves = sorted((count, (symbol,)) for symbol, count in enumerate(counts) if count > 0)
    lengths = [0] * len(counts)
    if len(leaves) == 1:
        lengths[leaves[0][1][0]] = 1
        return lengths
    row: list[tuple[float, tuple[int, ...]]] = []
    for _ in range(longest):
        pairs = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(row[::2], row[1::2], strict=False)]
        row = list(heapq.merge(leaves, pairs))
    for _, symbols in row[: 2 * len(leaves) - 2]:
        for symbol in symbols:
            lengths[symbol] += 1
    return lengths


def codes(lengths: Sequence[int]) -> list[int]:
    """Canonical codes (RFC 1951, 3.2.2), bit-reversed so that the first bit to write is bit 0."""
    found = [0] * len(lengths)
    code = 0
    for bits in range(1, max(lengths) + 1):
        code <<= 1
        for symbol, length in enumerate(lengths):
            if length == bits:
                found[symbol] = int(format(code, f"0{bits}b")[::-1], 2)
                code += 1
    return found


class Bits:
    """A bit string, least significant bit first, as DEFLATE writes it."""

    def __init__(self) -> None:
        self.value = 0
        self.count = 0

    def add(self, value: int, count: int) -> None:
        """Appends the lower `count` bits of `value`."""
        self.value |= value << self.count
        self.count += count


def _run_lengths(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """RFC 1951, 3.2.7: lengths as (symbol, extra value, extra bits), with repeats of the last length and runs of zero."""
    found = []
    at = 0
    while at < len(lengths):
        value = lengths[at]
        run = 1
        while at + run < len(lengths) and lengths[at + run] == value:
            run += 1
        at += run
        if value:
            found.append((value, 0, 0))
            run -= 1
            while run >= 3:
                take = min(run, 6) if run - min(run, 6) not in (1, 2) or run < 6 else run - 3 if run - 3 <= 6 else 6
                found.append((16, take - 3, 2))
                run -= take
        while value == 0 and run >= 3:
            take = min(run, 138)
            found.append((18, take - 11, 7) if take > 10 else (17, take - 3, 3))
            run -= take
        found += [(value, 0, 0)] * run
    return found


def header(literal_lengths: Sequence[int], distance_lengths: Sequence[int]) -> Bits:
    """The start of a final block with these tables: BFINAL = 1, BTYPE = 2 and the code lengths."""
    literals = max(257, max(i for i, n in enumerate(literal_lengths) if n) + 1)
    distances = max(i for i, n in enumerate(distance_lengths) if n) + 1
    items = _run_lengths([*literal_lengths[:literals], *distance_lengths[:distances]])
    counts = np.bincount([symbol for symbol, _, _ in items], minlength=19)
    lengths = huffman_lengths(counts.tolist(), 7)
    if (
        sum(n > 0 for n in lengths) == 1
    ):  # a code of one symbol alone: give it a partner, some decoders want a full code
        lengths[lengths.index(0)] = 1
    table = codes(lengths)
    used = max(i for i, symbol in enumerate(_ORDER) if lengths[symbol]) + 1
    out = Bits()
    out.add(1 | 2 << 1, 3)
    out.add(literals - 257, 5)
    out.add(distances - 1, 5)
    out.add(max(used, 4) - 4, 4)
    for symbol in _ORDER[: max(used, 4)]:
        out.add(lengths[symbol], 3)
    for symbol, extra, bits in items:
        out.add(table[symbol], lengths[symbol])
        out.add(extra, bits)
    return out


class Table:
    """All that an encoder writes, ready to be or-ed in.

    Attributes:
        head: uint8, the zlib header and the block's start, whole bytes; `head_bits` more bits lie in `head_value`.
        literal: uint64 (257,), code of each byte and of the end of the block. literal_bits: uint64 (257,).
        match: uint64 (2, 259), length and distance of a match by its length; [0] at distance 1, [1] at `distance`.
        match_bits: uint64 (2, 259).
    """

    def __init__(self, lengths: Sequence[int], distance: int) -> None:
        far, far_extra, far_bits = distance_code(distance)
        distance_lengths = [0] * (far + 1)
        distance_lengths[0] = distance_lengths[far] = 1
        start = header(lengths, distance_lengths)
        whole = start.count // 8
        # RFC 1950: deflate with a 32 KiB window, best compression, no dictionary.
        self.head = np.frombuffer(
            b"\x78\xda" + (start.value & (1 << 8 * whole) - 1).to_bytes(whole, "little"), np.uint8
        )
        self.head_value = np.uint64(start.value >> 8 * whole)
        self.head_bits = np.uint64(start.count % 8)
        table = codes(lengths)
        self.literal = np.array(table[:257], np.uint64)
        self.literal_bits = np.array(lengths[:257], np.uint64)
        self.match = np.zeros((2, 259), np.uint64)
        self.match_bits = np.zeros((2, 259), np.uint64)
        far_codes = codes(distance_lengths)
        for length in range(3, 259):
            symbol, extra, bits = length_code(length)
            near = (table[symbol] | extra << lengths[symbol], lengths[symbol] + bits)
            for which, (code, tail) in enumerate(((far_codes[0], 0), (far_codes[far] | far_extra << 1, far_bits))):
                self.match[which, length] = near[0] | code << near[1]
                self.match_bits[which, length] = near[1] + 1 + tail


def parse_lengths(text: str) -> list[int]:
    """Code lengths from their short form: "9*12 7 8*3" is twelve nines, a seven and three eights."""
    found: list[int] = []
    for item in text.split():
        value, _, times = item.partition("*")
        found += [int(value)] * int(times or 1)
    return found


def format_lengths(lengths: npt.ArrayLike) -> str:
    """The inverse of parse_lengths."""
    items: list[list[int]] = []
    for value in np.asarray(lengths).tolist():
        if items and items[-1][0] == value:
            items[-1][1] += 1
        else:
            items.append([value, 1])
    return " ".join(f"{value}*{times}" if times > 1 else str(value) for value, times in items)
