"""Bitmap fonts: GNU Unifont's `.hex` files and the bundled atlas.

A glyph is 16 rows of 16 pixels, kept as sixteen uint16 with bit 15 = leftmost pixel; a glyph of 8 columns stands on the
left. Format of `.hex`: one glyph a line, `<code point>:<digits>`, 32 digits for 8 columns, 64 for 16
(https://unifoundry.com/unifont/unifont-utilities.html).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

BUNDLED = Path(__file__).parent / "assets" / "unifont-15.0.01.npz"
CODE_POINTS = 0x110000
# GNU Unifont is 4 MB of text, all its planes 8 MB: more is no font, and bounds what a hostile .gz may unpack to.
MAX_HEX_BYTES = 64 << 20

PathLike = str | os.PathLike[str]


class FontError(ValueError):
    """A font file that is missing, truncated or not a font; the message names the file and what is wrong with it."""


@dataclass(frozen=True, eq=False)
class Font:
    """A bitmap font in memory, about 7 MB for all of Unifont. Immutable; share it between renderers and threads.

    Attributes:
        name: the file names it came from, joined by "+" (for people; the identity is `sha256`).
        codepoints: uint32 (n,), ascending: which code points have a glyph.
        rows: uint16 (n + 1, 16): row 0 is the blank glyph of code points without one, row i + 1 belongs to codepoints[i].
    """

    name: str
    codepoints: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint16]

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the code points and glyphs (little-endian): one font has one hash, as .hex, .hex.gz or bundled."""
        digest = hashlib.sha256(self.codepoints.astype("<u4").tobytes())
        digest.update(self.rows[1:].astype("<u2").tobytes())
        return digest.hexdigest()

    @cached_property
    def index(self) -> npt.NDArray[np.int32]:
        """int32 (0x110000,): the row of `rows` for each code point."""
        index = np.zeros(CODE_POINTS, np.int32)
        index[self.codepoints] = np.arange(1, len(self.codepoints) + 1, dtype=np.int32)
        return index

    @cached_property
    def ink(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
        """First and last column with ink of each row of `rows`, int16 (n + 1,) each; 0 and 0 for a blank glyph."""
        used = np.bitwise_or.reduce(self.rows, axis=1)
        first = np.zeros(len(used), np.int16)
        last = np.zeros(len(used), np.int16)
        for column in range(16):
            has = (used >> (15 - column)) & 1 == 1
            last[has] = column
        for column in range(15, -1, -1):
            first[(used >> (15 - column)) & 1 == 1] = column
        return first, last

    def __repr__(self) -> str:
        return f"Font({self.name!r}, {len(self.codepoints)} glyphs)"

    def __reduce__(self) -> tuple[object, ...]:
        return Font, (self.name, self.codepoints, self.rows)


def load_font(*paths: PathLike) -> Font:
    """Loads a bitmap font.

    Args:
        paths: `.hex` or `.hex.gz` files; a later one adds glyphs to the earlier ones and wins where both have one. None: the
            bundled GNU Unifont 15.0.01, loaded once a process.

    Returns:
        The font.

    Raises:
        FontError: a file is missing, unreadable, truncated or no `.hex` font.
    """
    if not paths:
        return _bundled()
    parts = [_read_hex(Path(path)) for path in paths]
    # np.unique keeps the first of equals, so the last file goes first.
    points, chosen = np.unique(np.concatenate([p for p, _ in reversed(parts)]), return_index=True)
    rows = np.concatenate([r for _, r in reversed(parts)])[chosen]
    return _make("+".join(Path(path).name for path in paths), points, rows)


@lru_cache(maxsize=1)
def _bundled() -> Font:
    try:
        with np.load(BUNDLED, allow_pickle=False) as arrays:
            points, rows = arrays["codepoints"], arrays["rows"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise FontError(f"{BUNDLED}: the bundled font cannot be read ({error}); reinstall the package") from error
    return _make(BUNDLED.stem, points, rows)


def _make(name: str, points: npt.NDArray[np.uint32], glyphs: npt.NDArray[np.uint16]) -> Font:
    rows = np.zeros((len(glyphs) + 1, 16), np.uint16)
    rows[1:] = glyphs
    points = np.ascontiguousarray(points, np.uint32)
    rows.flags.writeable = points.flags.writeable = False
    return Font(name, points, rows)


def _read_hex(path: Path) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """Parses one file without a loop over its lines: lines of one shape are decoded together."""
    text = _read_text(path)
    if not text.strip():
        raise FontError(f"{path}: the font file is empty")
    text = text.replace(b"\r\n", b"\n")
    if not text.endswith(b"\n"):
        text += b"\n"
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    keep = ends > starts  # an empty line is allowed
    starts, lengths = starts[keep], (ends - starts)[keep]
    digits = np.where(lengths >= 64, 64, 32)
    heads = lengths - digits - 1  # digits of the code point
    bad = (heads < 1) | (heads > 6) | (data[np.minimum(starts + np.clip(heads, 0, 6), len(data) - 1)] != ord(":"))
    values = _NIBBLE[data]
    points = np.zeros(len(starts), np.uint32)
    rows = np.zeros((len(starts), 16), np.uint16)
    for head in range(1, 7):
        for count in (32, 64):
            lines = np.flatnonzero(~bad & (heads == head) & (digits == count))
            if not len(lines):
                continue
            block = values[starts[lines, None] + np.arange(head + 1 + count)].astype(np.uint32)
            bad[lines] |= (block[:, :head] > 15).any(1) | (block[:, head + 1 :] > 15).any(1)
            points[lines] = (block[:, :head] << (4 * np.arange(head - 1, -1, -1, dtype=np.uint32))).sum(1)
            places = (np.arange(12, -1, -4) if count == 64 else np.array([12, 8])).astype(np.uint32)
            rows[lines] = (block[:, head + 1 :].reshape(len(lines), 16, -1) << places).sum(2)
    bad |= points >= CODE_POINTS
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        line = text[starts[first] : starts[first] + lengths[first]][:40]
        number = text.count(b"\n", 0, int(starts[first])) + 1
        raise FontError(
            f"{path}, line {number}: {line!r} is no glyph (want '<code point>:<32 or 64 hex digits>'); "
            "the file is truncated or is not a Unifont .hex font"
        )
    return points, rows


_NIBBLE = np.full(256, 255, np.uint8)
_NIBBLE[list(b"0123456789ABCDEF")] = range(16)
_NIBBLE[list(b"abcdef")] = range(10, 16)


def _read_text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            text = file.read(MAX_HEX_BYTES + 1)
    except FileNotFoundError as error:
        raise FontError(f"{path}: no such font file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise FontError(f"{path}: the font file cannot be read, it may be truncated ({error})") from error
    if len(text) > MAX_HEX_BYTES:
        raise FontError(f"{path}: more than {MAX_HEX_BYTES >> 20} MiB of text is no Unifont .hex font")
    return text
