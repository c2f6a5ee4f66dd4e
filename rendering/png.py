"""The parts of a PNG file that a spec decides, and the plain 8-bit encoder for grey images."""

from __future__ import annotations

import struct
import zlib
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from ._deflate import Table
from ._png_table import LENGTHS
from .spec import RenderSpec

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(image: npt.NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG of a uint8 (height, width) image: for greys that two colours cannot hold. zlib level 6, filter 0."""
    height, width = image.shape
    raw = np.zeros((height, width + 1), np.uint8)
    raw[:, 1:] = image
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw.tobytes(), 6)) + chunk(b"IEND", b"")


@lru_cache(maxsize=1)
def crc_table() -> npt.NDArray[np.uint32]:
    """uint32 (8, 256): tables for eight bytes a step. Row 0 is PNG's own (annex D), row k the effect of k zero bytes more."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (np.uint32(0xEDB88320) * (table & np.uint32(1)))
    rows = [table]
    for _ in range(7):
        rows.append(table[rows[-1] & np.uint32(255)] ^ (rows[-1] >> np.uint32(8)))
    return np.stack(rows)


class PaletteEncoder:
    """What `_png.render_png` needs of a spec: 1 bit a pixel with the palette {background, text}.

    Not 1-bit grey, which has no way to say anything but black and white.
    """

    def __init__(self, spec: RenderSpec) -> None:
        stride = (spec.width + 7) // 8 + 1
        table = Table(LENGTHS, stride)
        head = struct.pack(">IIBBBBB", spec.width, spec.height, 1, 3, 0, 0, 0)
        palette = bytes([spec.background] * 3 + [spec.text] * 3)
        self.prefix = np.frombuffer(SIGNATURE + chunk(b"IHDR", head) + chunk(b"PLTE", palette) + bytes(4), np.uint8)[
            :-4
        ]
        self.suffix = np.frombuffer(chunk(b"IEND", b""), np.uint8)
        self.raw_bytes = spec.height * stride
        self._table = table
        longest = max(int(table.literal_bits.max()), 1)
        # Every byte a literal of the longest code, the frame, and a store of eight bytes beyond the end.
        self.worst_case = self.raw_bytes * longest // 8 + len(table.head) + len(self.prefix) + len(self.suffix) + 64

    @cached_property
    def arguments(self) -> tuple[object, ...]:
        """From `zlib_head` to `crc_table`, in the kernel's order."""
        t = self._table
        return (
            t.head, t.head_value, t.head_bits, t.literal, t.literal_bits, t.match, t.match_bits, self.prefix, self.suffix,
            crc_table(),
        )  # fmt: skip
