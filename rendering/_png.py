"""Kernels of the PNG encoder: packed rows -> DEFLATE -> a whole file (PNG specification, third edition; RFC 1950, 1951).

The raw data of an image are its rows, each behind a filter byte of 0. Two kinds of match carry almost all of it: the row
above (distance = bytes of a row) and a run of one byte (distance 1). So there is no search: at each place both are compared, eight
bytes at a time, and the longer one is taken from three bytes on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._draw import draw_plane, plane_to_rows
from ._memory import load_native, store_native, trailing_zeros
from .jit import jit

Array = Any

U8 = np.uint64(8)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@jit
def match_length(raw: Array, at: int, back: int, most: int) -> int:
    """How many bytes from raw[at] on equal those `back` before them, at most `most`; reads up to 8 bytes past them."""
    length = 0
    while length < most:
        differs = load_native(raw, at + length) ^ load_native(raw, at + length - back)
        if differs:
            return min(most, length + int(trailing_zeros(differs) >> np.uint64(3)))
        length += 8
    return most


@jit
def next_token(raw: Array, at: int, size: int, distance: int) -> int:
    """What to write for raw[at:size]: a byte's value for a literal, or 256 + length, + 1024 if it is at `distance`, for a match.

    Args:
        raw: uint8, with 8 bytes of anything after size. distance: bytes of a row.
    """
    most = min(258, size - at)
    run = above = 0
    if at >= 1 and raw[at] == raw[at - 1]:
        run = match_length(raw, at, 1, most)
    if at >= distance and raw[at] == raw[at - distance]:
        above = match_length(raw, at, distance, most)
    if run >= above and run >= 3:
        return 256 + run
    if above >= 3:
        return 1280 + above
    return int(raw[at])


@jit
def tokens(raw: Array, size: int, distance: int, out: Array) -> int:
    """All tokens of raw[:size] into `out`, int32, at least size long; returns how many. For finding a table, not for encoding."""
    count = 0
    at = 0
    while at < size:
        token = next_token(raw, at, size, distance)
        out[count] = token
        count += 1
        at += 1 if token < 256 else (token & 1023) - 256
    return count


@jit
def adler32(raw: Array, size: int, zeros: int) -> int:
    """RFC 1950: Adler-32 of raw[:size] and then `zeros` zero bytes."""
    low, high = 1, 0
    at = 0
    while at < size:
        count = min(2048, size - at)
        total = weighted = 0
        for k in range(count):
            byte = int(raw[at + k])
            total += byte
            weighted += (count - k) * byte
        high = (high + count * low + weighted) % 65521
        low = (low + total) % 65521
        at += count
    return ((high + zeros * low) % 65521) << 16 | low


@jit
def crc32(data: Array, start: int, end: int, table: Array) -> int:
    """PNG, annex D: CRC-32 of data[start:end], eight bytes a step. `table`: uint32 (8, 256), see png.crc_table."""
    crc = np.uint64(0xFFFFFFFF)
    low = np.uint64(255)
    at = start
    while at + 8 <= end:
        word = load_native(data, at) ^ crc
        crc = np.uint64(0)
        for k in range(8):
            crc ^= np.uint64(table[7 - k, (word >> np.uint64(8 * k)) & low])
        at += 8
    while at < end:
        crc = np.uint64(table[0, (crc ^ np.uint64(data[at])) & low]) ^ (crc >> U8)
        at += 1
    return int(crc ^ np.uint64(0xFFFFFFFF))


@jit
def put_big_endian(out: Array, at: int, value: int) -> None:
    """Four bytes of `value`, most significant first."""
    for k in range(4):
        out[at + k] = (value >> (24 - 8 * k)) & 255


@jit
def encode(
    raw: Array,
    size: int,
    total: int,
    distance: int,
    zlib_head: Array,
    head_value: Any,
    head_bits: Any,
    literal: Array,
    literal_bits: Array,
    match: Array,
    match_bits: Array,
    prefix: Array,
    suffix: Array,
    crc_table: Array,
    out: Array,
    at: int,
) -> int:
    """Writes one PNG file to out[at:] and returns where it ends.

    Args:
        raw: uint8, raw[:size] are the rows with ink, each with its filter byte, and 8 bytes more of anything.
        total: bytes of all rows; those after `size` are zero.
        distance: bytes of a row with its filter byte.
        zlib_head to match_bits: the fields of a _deflate.Table.
        prefix: uint8, the file up to the length of IDAT. suffix: uint8, the file after IDAT's CRC. crc_table: see crc32.
        out: uint8, with room for the worst case, png.worst_case.
    """
    for k in range(len(prefix)):
        out[at + k] = prefix[k]
    idat = at + len(prefix)  # the length goes here, then the type, then the data
    out[idat + 4], out[idat + 5], out[idat + 6], out[idat + 7] = 73, 68, 65, 84  # "IDAT"
    pos = idat + 8
    for k in range(len(zlib_head)):
        out[pos + k] = zlib_head[k]
    pos += len(zlib_head)
    bits = head_value
    held = head_bits

    where = 0
    while where < size:
        token = next_token(raw, where, size, distance)
        if token < 256:
            bits |= literal[token] << held
            held += literal_bits[token]
            where += 1
        else:
            which, length = token >> 10, (token & 1023) - 256
            bits |= match[which, length] << held
            held += match_bits[which, length]
            where += length
        store_native(out, pos, bits)  # held < 8 before, and no token has more than 56 bits
        pos += int(held >> np.uint64(3))
        bits >>= held & np.uint64(0x38)
        held &= np.uint64(7)

    rest = total - size
    if rest and (size == 0 or raw[size - 1]):  # a run needs a zero to repeat
        bits |= literal[0] << held
        held += literal_bits[0]
        rest -= 1
    while rest > 0:
        if rest >= 3:
            length = 258 if rest >= 261 or rest == 258 else min(rest, 255)  # never leaves a rest of one or two
            bits |= match[0, length] << held
            held += match_bits[0, length]
            rest -= length
        else:
            bits |= literal[0] << held
            held += literal_bits[0]
            rest -= 1
        store_native(out, pos, bits)
        pos += int(held >> np.uint64(3))
        bits >>= held & np.uint64(0x38)
        held &= np.uint64(7)
    bits |= literal[256] << held
    held += literal_bits[256]
    store_native(out, pos, bits)
    pos += int((held + np.uint64(7)) >> np.uint64(3))
    put_big_endian(out, pos, adler32(raw, size, total - size))
    pos += 4
    put_big_endian(out, idat, pos - idat - 8)
    put_big_endian(out, pos, crc32(out, idat + 4, pos, crc_table))
    pos += 4
    for k in range(len(suffix)):
        out[pos + k] = suffix[k]
    return pos + len(suffix)


@jit
def render_png(
    data: Array,
    offsets: Array,
    surrogates: Array,
    max_chars: int,
    index: Array,
    ascii_index: Array,
    rows: Array,
    widths: Array,
    width: int,
    height: int,
    glyphs: Array,
    xs: Array,
    lines: Array,
    plane: Array,
    scratch: Array,
    zlib_head: Array,
    head_value: Any,
    head_bits: Any,
    literal: Array,
    literal_bits: Array,
    match: Array,
    match_bits: Array,
    prefix: Array,
    suffix: Array,
    crc_table: Array,
    first: int,
    worst: int,
    ends: Array,
    out: Array,
) -> tuple[int, int, int]:
    """Texts from `first` on as PNG files, one behind the other, as long as `out` has room for `worst` bytes more.

    Args:
        scratch: uint8, height * (1 + ceil(width / 8)) + 8 bytes. ends: int64 (n,), where in `out` a text's file ends.
        The rest as in _draw.render_bits and in encode.

    Returns:
        (next text, -1, 0), or (row, row, widest glyph) of a text whose widest glyph is not narrower than the canvas.
    """
    stride = (width + 7) // 8
    at = 0
    row = first
    while row < len(offsets) - 1 and at + worst <= len(out):
        used, most = draw_plane(
            data, offsets[row], offsets[row + 1], surrogates[row], max_chars, index, ascii_index, rows, widths, width, glyphs,
            xs, lines, plane,
        )  # fmt: skip
        if used < 0:
            return row, row, most
        drawn = plane_to_rows(plane, used, height, stride, 1, scratch)
        at = encode(
            scratch, drawn * (stride + 1), height * (stride + 1), stride + 1, zlib_head, head_value, head_bits, literal,
            literal_bits, match, match_bits, prefix, suffix, crc_table, out, at,
        )  # fmt: skip
        ends[row] = at
        row += 1
    return row, -1, 0
