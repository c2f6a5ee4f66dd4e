"""Builds rendering/assets/unifont-15.0.01.npz from Debian's packages of GNU Unifont.

    python tools/build_unifont.py                       # downloads the two packages with apt-get
    python tools/build_unifont.py --debs DIR            # takes the .deb files from DIR
    python tools/build_unifont.py --check all.hex.gz    # also counts how many glyphs another release draws alike

The Basic Multilingual Plane is `unifont.hex` of the package `unifont`. The upper planes exist there only as an OpenType
font (`unifont_upper.otf` of `fonts-unifont`), whose outlines are the squares of the original bitmaps: FreeType gives the
bitmaps back at 16 px in monochrome without hinting. What the OpenType font loses is where a combining glyph stood in
its cell: such a glyph has no advance and is moved left by the width of its cell, 8 or 16 columns. `NARROW` below says which are
8 wide; it was read off the hex file of the next release (15.1.01), whose cells hold the same drawings.

The file holds only the arrays `codepoints` (uint32, ascending) and `rows` (uint16, n x 16; bit 15 is the leftmost
pixel), written so that the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import ImageFont

ROOT = Path(__file__).resolve().parent.parent
VERSION = "15.0.01"
PACKAGES = ("unifont", "fonts-unifont")
HEX = "usr/share/unifont/unifont.hex"
OTF = "usr/share/fonts/opentype/unifont/unifont_upper.otf"
# Combining code points whose cell is 8 columns wide (first, last); all other combining cells are 16 wide.
NARROW = (
    (0x102E0, 0x10EAC), (0x11173, 0x11173), (0x11436, 0x11436), (0x114B9, 0x114B9), (0x11639, 0x11639),
    (0x11726, 0x11726), (0x11A01, 0x11A47), (0x11C38, 0x11C38), (0x11C92, 0x11CB6), (0x16AF0, 0x16B36),
    (0x1D165, 0x1D189), (0x1D1AA, 0x1D244), (0x1E000, 0x1E2AE), (0x1E4EC, 0x1E4EF),
)  # fmt: skip


def parse_hex(data: bytes) -> dict[int, np.ndarray]:
    """Reads `.hex` lines: code point, colon, 32 or 64 hex digits -> sixteen uint16 rows, an 8-wide glyph on the left."""
    glyphs = {}
    for line in data.split():
        point, _, digits = line.partition(b":")
        raw = bytes.fromhex(digits.decode())
        rows = np.frombuffer(raw, ">u2") if len(raw) == 32 else np.frombuffer(raw, "u1").astype("<u2") << 8
        if rows.shape != (16,):
            raise SystemExit(f"U+{point.decode()}: {len(digits)} hex digits, neither 32 nor 64")
        glyphs[int(point, 16)] = rows.astype("<u2")
    return glyphs


def covered(otf: bytes) -> list[int]:
    """The code points of an OpenType font, from its format-12 `cmap` (OpenType specification, cmap)."""
    tables = {}
    for i in range(struct.unpack_from(">H", otf, 4)[0]):
        tag, _, offset, _ = struct.unpack_from(">4sIII", otf, 12 + 16 * i)
        tables[tag] = offset
    base = tables[b"cmap"]
    for i in range(struct.unpack_from(">H", otf, base + 2)[0]):
        start = base + struct.unpack_from(">HHI", otf, base + 4 + 8 * i)[2]
        if struct.unpack_from(">H", otf, start)[0] == 12:
            groups = struct.unpack_from(">I", otf, start + 12)[0]
            found = [struct.unpack_from(">III", otf, start + 16 + 12 * g)[:2] for g in range(groups)]
            return [point for first, last in found for point in range(first, last + 1)]
    raise SystemExit("the font has no format-12 cmap")


def upper_glyphs(path: Path) -> dict[int, np.ndarray]:
    """The 16 x 16 cells of the code points from U+10000 on, as sixteen uint16 rows each."""
    font = ImageFont.truetype(str(path), 16, layout_engine=ImageFont.Layout.BASIC)
    glyphs = {}
    for point in covered(path.read_bytes()):
        if point < 0x10000:
            continue
        mask, (left, top) = font.getmask2(chr(point), mode="1")
        width, height = mask.size
        ink = np.asarray(mask, dtype=np.uint8).reshape(height, width) > 0
        cell = np.zeros((16, 16), np.uint32)
        ys, xs = np.nonzero(ink)
        if len(xs):
            xs, ys = xs + left, ys + top
            if xs.min() < 0:
                if font.getlength(chr(point)):
                    raise SystemExit(f"U+{point:04X} is drawn left of its origin but is no combining glyph")
                xs = xs + (8 if any(first <= point <= last for first, last in NARROW) else 16)
            if xs.min() < 0 or xs.max() > 15 or ys.min() < 0 or ys.max() > 15:
                raise SystemExit(f"U+{point:04X} does not fit a 16 x 16 cell")
            cell[ys, xs] = 1
        glyphs[point] = (cell << np.arange(15, -1, -1, dtype=np.uint32)).sum(axis=1).astype("<u2")
    return glyphs


def write(path: Path, glyphs: dict[int, np.ndarray]) -> None:
    """Writes the two arrays as a `.npz` without a clock in it."""
    points = sorted(glyphs)
    arrays = {"codepoints": np.array(points, "<u4"), "rows": np.stack([glyphs[p] for p in points]).astype("<u2")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            archive.writestr(entry, buffer.getvalue(), compresslevel=9)


def main() -> None:
    """Command line; prints what PROVENANCE.md records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--debs", type=Path, help="folder with the .deb files; without it apt-get downloads them")
    parser.add_argument("--check", type=Path, help="a .hex or .hex.gz file of another release to compare with")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / f"rendering/assets/unifont-{VERSION}.npz")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        debs = args.debs or Path(scratch)
        if args.debs is None:
            subprocess.run(["apt-get", "download", *PACKAGES], cwd=debs, check=True)
        for package in PACKAGES:
            (deb,) = sorted(debs.glob(f"{package}_*.deb"))
            if VERSION not in deb.name:
                raise SystemExit(f"{deb.name} is not version {VERSION}")
            print(f"{hashlib.sha256(deb.read_bytes()).hexdigest()}  {deb.name}")
            subprocess.run(["dpkg-deb", "-x", str(deb), str(tree)], check=True)
        for part in (HEX, OTF):
            print(f"{hashlib.sha256((tree / part).read_bytes()).hexdigest()}  {part}")
        glyphs = parse_hex((tree / HEX).read_bytes()) | upper_glyphs(tree / OTF)
    write(args.output, glyphs)
    upper = sum(point >= 0x10000 for point in glyphs)
    print(f"{hashlib.sha256(args.output.read_bytes()).hexdigest()}  {args.output.name}")
    print(
        f"{len(glyphs) - upper} glyphs in the BMP, {upper} above; {args.output.stat().st_size} bytes; "
        f"Python {sys.version.split()[0]}, NumPy {np.__version__}"
    )
    if args.check:
        data = args.check.read_bytes()
        other = parse_hex(gzip.decompress(data) if args.check.suffix == ".gz" else data)
        for name, chosen in (("BMP", range(0x10000)), ("upper planes", range(0x10000, 0x110000))):
            both = [p for p in glyphs if p in other and p in chosen]
            alike = sum(bool((glyphs[p] == other[p]).all()) for p in both)
            print(f"{args.check.name}, {name}: {len(both)} code points in both, {alike} drawn alike")


if __name__ == "__main__":
    main()
