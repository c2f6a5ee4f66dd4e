"""Which code points an OpenType or TrueType file has glyphs for (OpenType specification: "cmap", TTC header)."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt


def covered(data: bytes, index: int = 0) -> npt.NDArray[np.bool_]:
    """bool (0x110000,): true where font `index` of the file maps a code point, by its Unicode tables of format 4 and 12.

    Raises:
        ValueError: `data` is no such font, or is truncated.
    """
    found = np.zeros(0x110000, bool)
    try:
        start = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
        if data[start : start + 4] not in (b"OTTO", b"\x00\x01\x00\x00", b"true"):
            raise ValueError("it does not begin like an OpenType or TrueType font")
        tables = {}
        for i in range(struct.unpack_from(">H", data, start + 4)[0]):
            tag, _, offset, length = struct.unpack_from(">4sIII", data, start + 12 + 16 * i)
            if offset + length > len(data):
                raise ValueError(f"its table {tag!r} ends beyond the file: it is truncated")
            tables[tag] = offset
        if b"cmap" not in tables:
            raise ValueError("it has no character map")
        base = tables[b"cmap"]
        for i in range(struct.unpack_from(">H", data, base + 2)[0]):
            platform, encoding, offset = struct.unpack_from(">HHI", data, base + 4 + 8 * i)
            if platform == 0 or (platform == 3 and encoding in (1, 10)):
                _subtable(data, base + offset, found)
    except struct.error as error:
        raise ValueError(f"it is truncated or damaged ({error})") from error
    return found


def _subtable(data: bytes, at: int, found: npt.NDArray[np.bool_]) -> None:
    kind = struct.unpack_from(">H", data, at)[0]
    if kind == 12:
        for g in range(min(struct.unpack_from(">I", data, at + 12)[0], 0x110000)):
            first, last, _ = struct.unpack_from(">III", data, at + 16 + 12 * g)
            if last >= first:
                found[first : last + 1] = True
    elif kind == 4:
        count = struct.unpack_from(">H", data, at + 6)[0] // 2
        ends = struct.unpack_from(f">{count}H", data, at + 14)
        firsts = struct.unpack_from(f">{count}H", data, at + 16 + 2 * count)
        for first, last in zip(firsts, ends, strict=True):
            if first <= last and first != 0xFFFF:
                found[first : last + 1] = True
