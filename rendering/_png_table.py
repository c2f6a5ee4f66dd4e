"""The code lengths of the PNG encoder's one Huffman table, and the command that found them.

    python -m rendering._png_table TEXTS...      # text files, one text a line, best half short and half long

It draws the texts, counts the encoder's tokens, makes the optimal prefix code, and then evens lengths out as long as the sum of a
table's header and of an average body falls: a table of a few long runs of equal lengths takes fewer bits to write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import _deflate, _png

# Literals 0..255, end of block, length codes 257..285.
LENGTHS = _deflate.parse_lengths(
    "4 6*5 8 7 5 8 6 8*5 5 6 9*2 6 10 9 8 7 10*5 7 8 5 6 7 9*5 6 10*19 6 8*2 10 5 7 5 9*13 6 10*33 9*13 12 6 "
    "7*2 9 6*2 9*27 6 11*22 9*12 10*25 9*23 10*13 5 6*2 8*12 9*6 12*7 6 "
)
LONGEST = 13


def count_tokens(texts: Iterable[str]) -> npt.NDArray[np.float64]:
    """How often an average image of CLIPPO's size uses each of the 286 symbols."""
    from .renderer import Renderer  # which encodes with this module's table

    renderer = Renderer()
    counts = np.zeros(286)
    found = np.empty(224 * 29, np.int32)
    images = 0
    for _, pixels in renderer.batches(list(texts)):
        packed = np.packbits(pixels == renderer.spec.text, axis=2)
        rows = np.zeros((len(packed), 224, 29), np.uint8)
        rows[:, :, 1:] = packed
        for image in rows.reshape(len(rows), -1):
            used = -(-int(np.max(np.flatnonzero(image), initial=0) // 29 + 1) // 16) * 16 * 29
            raw = np.concatenate((image[:used], np.zeros(8, np.uint8)))
            symbols = found[: _png.tokens(raw, used, 29, found)] & 1023
            rest = len(image) - used
            whole, last = divmod(rest, 258)
            symbols = np.concatenate((symbols, np.full(whole, 256 + 258), [256 + last] if last >= 3 else [], [-1]))
            symbols = symbols.astype(int)
            lengths = symbols >= 259
            codes = np.where(lengths, _LENGTH_SYMBOL[np.clip(symbols - 256, 0, 258)], symbols)
            counts += np.bincount(np.where(codes < 0, 256, codes), minlength=286)
            images += 1
    return counts / max(images, 1)


_LENGTH_SYMBOL = np.array([0, 0, 0] + [_deflate.length_code(n)[0] for n in range(3, 259)])


def cost(lengths: list[int], counts: npt.NDArray[np.float64], distance: int = 29) -> float:
    """Bits of the header and of an average body's symbols."""
    far = _deflate.distance_code(distance)[0]
    used = [0] * (far + 1)
    used[0] = used[far] = 1
    return _deflate.header(lengths, used).count + float(np.dot(lengths, counts))


def complete(lengths: list[int], counts: npt.NDArray[np.float64]) -> list[int]:
    """Shortens codes until the code space is full: inflaters refuse an incomplete code (RFC 1951, 3.2.7, as zlib reads it)."""
    lengths = lengths.copy()
    left = 2**15 - sum(2 ** (15 - n) for n in lengths)
    while left:
        able = [i for i, n in enumerate(lengths) if 2 ** (15 - n) <= left]
        chosen = min(able, key=lambda i: cost([*lengths[:i], lengths[i] - 1, *lengths[i + 1 :]], counts))
        left -= 2 ** (15 - lengths[chosen])
        lengths[chosen] -= 1
    return lengths


def search(counts: npt.NDArray[np.float64]) -> list[int]:
    """Code lengths with a small sum of header and body: steps that spend or save code space, kept when the cost falls."""
    best: list[int] = []
    best_cost = np.inf
    for smooth in (0.0005, 0.002, 0.005, 0.01, 0.02, 0.05):
        lengths = _deflate.huffman_lengths((counts + smooth).tolist(), LONGEST)
        spent = sum(2.0**-n for n in lengths)
        now = cost(lengths, counts)
        changed = True
        while changed:
            changed = False
            for first in range(286):
                for run in (1, 2, 3, 4, 6, 8, 12, 16):
                    for value in {lengths[max(first - 1, 0)], lengths[min(first + run, 285)]}:
                        trial = lengths.copy()
                        trial[first : first + run] = [value] * len(trial[first : first + run])
                        space = spent + sum(2.0**-n for n in trial[first : first + run])
                        space -= sum(2.0**-n for n in lengths[first : first + run])
                        if space > 1 + 1e-12 or trial == lengths:
                            continue
                        price = cost(trial, counts)
                        if price < now - 1e-9:
                            lengths, spent, now, changed = trial, space, price, True
        lengths = complete(lengths, counts)
        now = cost(lengths, counts)
        if now < best_cost:
            best, best_cost = lengths, now
        print(f"smoothing {smooth}: {now / 8:.1f} bytes, code space {sum(2.0**-n for n in lengths)}", file=sys.stderr)
    return best


def main() -> None:
    """Prints the lengths in the form of LENGTHS."""
    texts = [line for path in sys.argv[1:] for line in Path(path).read_text("utf-8").splitlines() if line]
    print(_deflate.format_lengths(search(count_tokens(texts))))


if __name__ == "__main__":
    main()
