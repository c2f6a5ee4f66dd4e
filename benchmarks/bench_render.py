"""How fast and how small rendering is, as ratios to what one would write without it.

    python benchmarks/bench_render.py [--shared DIR] [--repeats N]

Texts: the alt-texts of ../shared/data/alttext (LAION rows) and sentence pairs of 120 to 300 characters made of ../shared/data/wmt
(English and German: half two consecutive sentences, half a sentence and its translation). Every contender of a row runs
in this one process, one after the other and that several times over; the ratio is the median over the repeats, each
within one turn, so that a busy
machine slows both. One core: nothing here uses threads.

Prints a table, then one line a row, `<name> <ratio> <goal> ok|short`; exits 1 if a row is short, 2 if something it
needs is not there.

What is compared:
    render, bits   the batch API on Arrow strings, 256 texts a call into one buffer, against tests/rendering/reference.py
    tar            Arrow texts to PNG + txt + json in a tar on disk with its sha256, against Pillow drawing Unifont's OpenType font
                   (28 characters a line), Pillow's PNG and tarfile; the json's bytes are ready-made for both
    png-bytes      bytes of our PNG over those of the same file with zlib level 9 (at most: smaller is better)
    loader         a list of str to uint8 images, 64 texts a call, against Pillow decoding our PNGs to uint8
    memory-mb      peak resident memory of a process that renders a million texts through the batch API (at most)
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "rendering")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import reference  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from pipelines.shards.tar import write_tar  # noqa: E402
from rendering import Renderer, load_font  # noqa: E402
from rendering.png import SIGNATURE, chunk  # noqa: E402

OTF = Path("/usr/share/fonts/opentype/unifont/unifont.otf")
ALT = Path("data/alttext/img2dataset_laion_test_10000.parquet")
ROWS = 256
GOALS = {
    "render": (60, 90), "bits": (120, 150), "tar": (40, 35), "png-bytes": (1.2, 1.2), "loader": (15, 12),
}  # fmt: skip
MEMORY_MB = 500


def alt_texts(shared: Path) -> list[str]:
    table = pq.read_table(shared / ALT, columns=["TEXT"])
    return [text for text in table["TEXT"].to_pylist() if text]


def sentence_pairs(shared: Path) -> list[str]:
    def lines(name: str) -> list[str]:
        (path,) = sorted((shared / "data/wmt/wmt22").glob(name))[:1]
        return path.read_text("utf-8").splitlines()

    english, german = lines("generaltest2022.en-de.src.en"), lines("generaltest2022.en-de.ref*.de")
    both = [
        *(f"{a} {b}" for a, b in itertools.pairwise(english)),
        *(f"{a} {b}" for a, b in zip(english, german, strict=True)),
    ]
    return [text for text in both if 120 <= len(text) <= 300]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Contest:
    """Ours and theirs, by turns, each with its own number of texts; times are per text."""

    def __init__(
        self, name: str, goal: float, ours: Callable[[], object], n: int, theirs: Callable[[], object], m: int
    ) -> None:
        self.name, self.goal = name, goal
        self._ours, self._n, self._theirs, self._m = ours, n, theirs, m
        self.times: list[tuple[float, float]] = []

    def turn(self) -> None:
        self.times.append((seconds(self._ours) / self._n, seconds(self._theirs) / self._m))

    @property
    def ratio(self) -> float:
        return statistics.median(theirs / ours for ours, theirs in self.times)

    def speeds(self) -> tuple[float, float]:
        """Texts per second, ours and theirs, medians."""
        return tuple(1 / statistics.median(column) for column in zip(*self.times, strict=True))


def contests(kind: str, texts: list[str], folder: Path) -> list[Contest]:
    """The timed rows of one kind of text. Ours take all texts, theirs a sample spread over them."""
    renderer = Renderer()
    array = pa.array(texts, pa.large_string())
    batches = [array[at : at + ROWS] for at in range(0, len(texts), ROWS)]
    small = texts[:: max(1, len(texts) // 60)]
    some = texts[:: max(1, len(texts) // 200)]
    images, bits = np.empty((ROWS, 224, 224), np.uint8), np.empty((ROWS, 6272), np.uint8)
    glyphs = {int(p): load_font().rows[i + 1].tolist() for i, p in enumerate(load_font().codepoints)}
    keys = pa.array([f"{i:032x}" for i in range(len(texts))])
    rest = pa.array([json.dumps({"kind": kind, "left_text": text}) for text in texts])
    otf = ImageFont.truetype(str(OTF), 16, layout_engine=ImageFont.Layout.BASIC)
    files = renderer.render_png(some)
    lists = [texts[at : at + 64] for at in range(0, len(texts), 64)]

    def plain(pack: bool) -> None:
        for text in small:
            image, _ = reference.render(text, glyphs)  # type: ignore[misc]
            if pack:
                np.packbits(image == 0)

    def our_tar() -> None:
        write_tar(
            folder / "ours.tar", keys, [("json", rest), ("png", renderer.render_png_array(array)), ("txt", array)]
        )  # fmt: skip

    def pillow_tar() -> None:
        with tarfile.open(folder / "theirs.tar", "w") as archive:
            for row, text in enumerate(some):
                image = Image.new("L", (224, 224), 127)
                ImageDraw.Draw(image).multiline_text(
                    (0, 0), "\n".join(textwrap.wrap(text, 28)), fill=0, font=otf, spacing=0
                )
                png = io.BytesIO()
                image.save(png, "PNG")
                members = (("json", rest[row].as_py().encode()), ("png", png.getvalue()), ("txt", text.encode()))
                for extension, data in members:
                    info = tarfile.TarInfo(f"{row:032x}.{extension}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))

    def decode() -> None:
        for file in files:
            np.asarray(Image.open(io.BytesIO(file)).convert("L"))

    which = 0 if kind == "alt" else 1
    return [
        Contest(f"render-{kind}", GOALS["render"][which], lambda: [renderer.render(b, images[: len(b)]) for b in batches],
                len(texts), lambda: plain(False), len(small)),
        Contest(f"bits-{kind}", GOALS["bits"][which], lambda: [renderer.render_bits(b, bits[: len(b)]) for b in batches],
                len(texts), lambda: plain(True), len(small)),
        Contest(f"tar-{kind}", GOALS["tar"][which], our_tar, len(texts), pillow_tar, len(some)),
        Contest(f"loader-{kind}", GOALS["loader"][which], lambda: [renderer.render(b, images[: len(b)]) for b in lists],
                len(texts), decode, len(some)),
    ]  # fmt: skip


def png_bytes(texts: Iterable[str]) -> tuple[float, float, float]:
    """(ours / zlib 9, our mean bytes, zlib's mean bytes), whole files with the same chunks."""
    texts = list(texts)
    renderer = Renderer()
    ours = sum(map(len, renderer.render_png(texts)))
    frame = len(SIGNATURE) + sum(
        len(chunk(kind, bytes(size)))
        for kind, size in ((b"IHDR", struct.calcsize(">IIBBBBB")), (b"PLTE", 6), (b"IEND", 0))
    )
    zlibs = 0
    for _, images in renderer.batches(texts):
        rows = np.zeros((len(images), 224, 29), np.uint8)
        rows[:, :, 1:] = np.packbits(images == renderer.spec.text, axis=2)
        zlibs += sum(frame + len(chunk(b"IDAT", zlib.compress(image.tobytes(), 9))) for image in rows)
    return ours / zlibs, ours / len(texts), zlibs / len(texts)


# A process of its own, which imports what a trainer would; it prints its peak in MB (10**6 bytes). Not by getrusage: a child
# inherits ru_maxrss from the process that started it.
MILLION = """
import re, sys
import pyarrow as pa, pyarrow.parquet as pq
from rendering import Renderer
some = pq.read_table(sys.argv[1], columns=["TEXT"])["TEXT"].combine_chunks().drop_null()
texts = pa.concat_arrays([some] * (1_000_000 // len(some) + 1))[:1_000_000]
count = sum(len(images) for _, images in Renderer().batches(texts))
assert count == 1_000_000
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024 / 1e6)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    for need, how in ((args.shared / "data", "the shared samples"), (OTF, "Debian's package fonts-unifont")):
        if not need.exists():
            print(f"{need} is not there: this benchmark needs {how}", file=sys.stderr)
            return 2
    kinds = {"alt": alt_texts(args.shared), "pair": sentence_pairs(args.shared)}
    lines: list[tuple[str, float, float, bool]] = []
    with tempfile.TemporaryDirectory() as scratch:
        rows = [row for kind, texts in kinds.items() for row in contests(kind, texts, Path(scratch))]
        for row in rows:
            row.turn()  # compiles, fills caches
            row.times.clear()
        for _ in range(args.repeats):
            for row in rows:
                row.turn()
    print(f"{'row':14} {'ours/s':>10} {'theirs/s':>10} {'ratio':>8} {'goal':>6}")
    for row in rows:
        ours, theirs = row.speeds()
        print(f"{row.name:14} {ours:10,.0f} {theirs:10,.0f} {row.ratio:8.1f} {row.goal:6}")
        lines.append((row.name, row.ratio, row.goal, row.ratio >= row.goal))
    for which, (kind, texts) in enumerate(kinds.items()):
        ratio, ours, zlibs = png_bytes(texts[:: max(1, len(texts) // 2000)])
        goal = GOALS["png-bytes"][which]
        print(f"{'png-bytes-' + kind:14} {ours:10,.0f} {zlibs:10,.0f} {ratio:8.3f} {goal:6}")
        lines.append((f"png-bytes-{kind}", ratio, goal, ratio <= goal))
    command = [sys.executable, "-c", MILLION, str(args.shared / ALT)]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    print(f"{'memory-mb':14} {peak:10,.0f} {'':10} {peak:8.0f} {MEMORY_MB:6}")
    lines.append(("memory-mb", peak, MEMORY_MB, peak <= MEMORY_MB))
    print()
    for name, ratio, goal, good in lines:
        print(f"{name} {ratio:.3f} {goal} {'ok' if good else 'short'}")
    return 0 if all(good for *_, good in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
