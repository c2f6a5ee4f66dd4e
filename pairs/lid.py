"""fastText's classifier (Joulin et al. 2016; Bojanowski et al. 2017) for a whole column at once.

Reads a model of fastText's file format, version 12, quantised or not, trained with hierarchical softmax as lid.176 is, and computes
what `predict(text, k=1)` computes: the mean of the vectors of the words and of their character n-grams, and the most probable leaf
of the tree of labels. The library takes a text a call; this takes a column's bytes, and is some ten times as fast.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pairs.jit import jit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_MAGIC: Final = 793712314
_VERSION: Final = 12
_HIERARCHICAL_SOFTMAX: Final = 1
_END: Final = b"</s>"


class ModelError(Exception):
    """A file that is no model of the kind that is read here."""


@dataclass(frozen=True)
class Model:
    """A model as arrays.

    Attributes:
        labels: Without `__label__`.
        words: uint64 (2**k,), hashes of the words, open addressing, 0 = empty; word_row: int32, their rows.
        kept: uint32 (buckets / 32,): a bit for each bucket of n-grams that pruning left.
        first: uint32 (buckets / 32,): the row of the first one of these 32 that is.
        buckets: Number of buckets.
        vectors: float32 (rows, dim) of words, then of the buckets that are left, in rising order.
        tree: float32 (labels - 1, dim), the vectors of the inner nodes.
        left, right: int32 (labels - 1,), children of the inner nodes: below `len(labels)` a leaf.
        end_row: Row of the token that ends a line, -1 where there is none.
        minn, maxn: Characters of the n-grams.
    """

    labels: tuple[str, ...]
    words: npt.NDArray[np.uint64]
    word_row: npt.NDArray[np.int32]
    kept: npt.NDArray[np.uint32]
    first: npt.NDArray[np.uint32]
    buckets: int
    vectors: Floats
    tree: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    end_row: int
    minn: int
    maxn: int

    def predict(self, data: npt.NDArray[np.uint8], offsets: Ints) -> tuple[Ints, Floats]:
        """The most probable label of each text.

        Args:
            data: UTF-8 of the texts, end to end; no line break inside a text.
            offsets: int64 (n + 1,), where each begins.

        Returns:
            int64 (n,) numbers of labels, -1 where a text has no known part; float32 (n,) probabilities, 0 there.
        """
        n = len(offsets) - 1
        label, probability = np.full(n, -1, np.int64), np.zeros(n, np.float32)
        _predict(
            data, offsets, self.words, self.word_row, self.kept, self.first, self.buckets, self.vectors, self.tree,
            self.left, self.right, self.end_row, self.minn, self.maxn, label, probability,
        )  # fmt: skip
        return label, probability


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def values(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return found

    def array(self, kind: Any, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def word(self) -> bytes:
        end = self.data.index(b"\0", self.at)
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def quantizer(self, codes: npt.NDArray[np.uint8], rows: int) -> Floats:
        """Vectors of product-quantised codes."""
        dim, parts, width, last = self.values("4i")
        centroids = self.array("<f4", dim * 256)
        codes = codes.reshape(rows, parts)
        found = np.empty((rows, dim), np.float32)
        for part in range(parts):
            size = last if part == parts - 1 else width
            table = centroids[part * 256 * width :][: 256 * size].reshape(256, size)
            found[:, part * width : part * width + size] = table[codes[:, part]]
        return found

    def matrix(self, quantised: bool) -> Floats:
        if not quantised:
            rows, dim = self.values("2q")
            return np.array(self.array("<f4", rows * dim).reshape(rows, dim))
        (normed,) = self.values("?")
        rows, _ = self.values("2q")
        (size,) = self.values("i")
        found = self.quantizer(self.array(np.uint8, size), rows)
        if normed:
            found *= self.quantizer(self.array(np.uint8, rows), rows)
        return found


def load(path: Path) -> Model:
    """Reads a model.

    Raises:
        ModelError: The file is damaged, or a model of another kind.
    """
    reader = _Reader(path.read_bytes())
    try:
        return _load(reader)
    except (struct.error, ValueError, IndexError) as error:
        raise ModelError(f"{path}: not a fastText model, or a damaged one: {error}") from error


def _load(reader: _Reader) -> Model:
    magic, version = reader.values("2i")
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError(f"magic {magic}, version {version}")
    _, _, _, _, _, word_ngrams, loss, _, buckets, minn, maxn, _ = reader.values("12i")
    reader.values("d")
    if loss != _HIERARCHICAL_SOFTMAX or word_ngrams != 1 or not 1 <= minn <= maxn < minn + 32:
        raise ValueError("only models with hierarchical softmax and character n-grams, without word n-grams")
    size, words, n_labels = reader.values("3i")
    _, pruned = reader.values("2q")
    entries = []
    for _ in range(size):
        word = reader.word()
        entries.append((word, *reader.values("qb")))
    if pruned >= 0:
        pairs = reader.array("<i4", 2 * pruned).reshape(-1, 2)
        numbers, places = pairs[:, 0], pairs[:, 1]
    else:
        numbers = places = np.arange(buckets, dtype=np.int32)
    vectors = reader.matrix(*reader.values("?"))
    order = np.argsort(numbers, kind="stable")
    vectors = np.concatenate([vectors[:words], vectors[words + places[order]]])
    tree = reader.matrix(*reader.values("?"))
    kept, first = _kept(numbers, buckets, words)
    labels = [(word, count) for word, count, kind in entries if kind == 1]
    left, right = _tree([count for _, count in labels])
    known = [word for word, _, kind in entries if kind == 0]
    table = np.zeros(1 << max(4, (2 * len(known)).bit_length()), np.uint64)
    rows = np.zeros(len(table), np.int32)
    for row, word in enumerate(known):
        key = _hash(np.frombuffer(word, np.uint8), 0, len(word))
        slot = int(key & np.uint64(len(table) - 1))
        while table[slot]:
            slot = (slot + 1) & (len(table) - 1)
        table[slot], rows[slot] = key, row
    return Model(
        labels=tuple(word.decode().removeprefix("__label__") for word, _ in labels),
        words=table,
        word_row=rows,
        kept=kept,
        first=first,
        buckets=buckets,
        vectors=np.ascontiguousarray(vectors, np.float32),
        tree=np.ascontiguousarray(tree[: n_labels - 1], np.float32),
        left=left,
        right=right,
        end_row=known.index(_END) if _END in known else -1,
        minn=minn,
        maxn=maxn,
    )


def _kept(
    numbers: npt.NDArray[np.int32], buckets: int, row: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """`Model.kept` and `Model.first`, of buckets whose rows begin at `row`."""
    left = np.zeros(-(-buckets // 32) * 32, bool)
    left[numbers] = True
    bits = np.packbits(left, bitorder="little").view("<u4").astype(np.uint32)
    count = left.reshape(-1, 32).sum(axis=1)
    return bits, (np.cumsum(count) - count + row).astype(np.uint32)


def _tree(counts: list[int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Huffman's tree over the labels, commonest first, as fastText builds it."""
    n = len(counts)
    total = [*counts, *([10**15] * (n - 1))]
    left, right = np.zeros(n - 1, np.int32), np.zeros(n - 1, np.int32)
    leaf, node = n - 1, n
    for inner in range(n, 2 * n - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and total[leaf] < total[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        left[inner - n], right[inner - n] = pair
        total[inner] = total[pair[0]] + total[pair[1]]
    return left, right


@jit
def _hash(data: Any, begin: int, end: int) -> Any:
    """A word's own hash, never 0."""
    key = np.uint64(0xCBF29CE484222325)
    for at in range(begin, end):
        key = (key ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
    return key | np.uint64(1)


@jit
def _add(total: Any, vectors: Any, rows: Any, count: int) -> None:
    """Adds rows of `vectors`, one after the other: four at a time, since each sum must wait for the one before."""
    dim = vectors.shape[1]
    at = 0
    while at + 4 <= count:
        a, b, c, e = rows[at], rows[at + 1], rows[at + 2], rows[at + 3]
        for d in range(dim):
            total[d] = (((total[d] + vectors[a, d]) + vectors[b, d]) + vectors[c, d]) + vectors[e, d]
        at += 4
    while at < count:
        for d in range(dim):
            total[d] += vectors[rows[at], d]
        at += 1


@jit
def _step(h: Any, byte: Any) -> Any:
    """FNV-1a over bytes, taken as fastText takes them: as signed characters."""
    return np.uint32((h ^ np.uint32(np.int32(np.int8(byte)))) * np.uint32(16777619))


@jit
def _letters(
    data: Any,
    at: int,
    end: int,
    words: Any,
    word_row: Any,
    letter: Any,
    size: Any,
    rest: Any,
    starts: Any,
    word: Any,
    maxn: int,
) -> tuple[int, int]:
    """Cuts one text into words, each between `<` and `>`, and these into letters; returns how many of both.

    Fills, for each letter, its bytes as one number (the first lowest), how many these are, and how many letters of its word are
    left, itself included (255 where these are more than `maxn`); for each word where it starts and its row, -1 where it has none.
    """
    n = count = 0
    while at < end:
        byte = data[at]
        if byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0):
            at += 1
            continue
        starts[count] = n
        letter[n], size[n], rest[n] = 60, 1, 255  # <
        n += 1
        key = np.uint64(0xCBF29CE484222325)
        while at < end:
            byte = data[at]
            if byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0):
                break
            key = (key ^ np.uint64(byte)) * np.uint64(0x100000001B3)
            if byte & 0xC0 == 0x80 and size[n - 1] < 4:
                letter[n - 1] |= np.uint32(byte) << np.uint32(8 * size[n - 1])
                size[n - 1] += 1
            else:
                letter[n], size[n], rest[n] = byte, 1, 255
                n += 1
            at += 1
        letter[n], size[n] = 62, 1  # >
        n += 1
        for place in range(max(starts[count], n - maxn), n):
            rest[place] = n - place
        key |= np.uint64(1)
        slot = np.int64(key & np.uint64(len(words) - 1))
        word[count] = -1
        while words[slot] != 0:
            if words[slot] == key:
                word[count] = word_row[slot]
                break
            slot = (slot + 1) & (len(words) - 1)
        count += 1
    return n, count


@jit
def _parts(
    n: int, count: int, kept: Any, first_row: Any, buckets: Any, minn: int, maxn: int, letter: Any, size: Any, rest: Any,
    starts: Any, word: Any, hashes: Any, bucket: Any, known: Any, rows: Any,
) -> int:  # fmt: skip
    """Rows of the words and n-grams of one text, in fastText's order; returns how many.

    All n-grams are hashed first, n by n: that is what makes a compiler do many at once.
    """
    several = False
    for at in range(n):
        several |= size[at] != 1
        hashes[at] = np.uint32(2166136261)
        known[at] = 0
    for gram in range(1, maxn + 1):
        # Beyond the text stands what was there before: `rest` says that it does not count.
        for at in range(n):
            hashes[at] = _step(hashes[at], letter[at + gram - 1])
        if several:
            for at in range(n):
                following, length = letter[at + gram - 1], size[at + gram - 1]
                h = hashes[at]
                second = _step(h, following >> np.uint32(8))
                h = second if length > 1 else h
                third = _step(h, following >> np.uint32(16))
                h = third if length > 2 else h
                fourth = _step(h, following >> np.uint32(24))
                hashes[at] = fourth if length > 3 else h
        if gram < minn:
            continue
        level = gram - minn
        if buckets == np.uint32(2000000):  # a divisor that the compiler knows is several times as fast
            for at in range(n):
                bucket[level, at] = hashes[at] % np.uint32(2000000)
        else:
            for at in range(n):
                bucket[level, at] = hashes[at] % buckets
        for at in range(n):
            b = np.int64(bucket[level, at])
            bit = (kept[b >> 5] >> np.uint32(b & 31)) & np.uint32(1)
            known[at] |= (bit & np.uint32(gram <= rest[at])) << np.uint32(level)
    if minn == 1:
        for number in range(count):  # < and > alone are none
            end = starts[number + 1] if number + 1 < count else n
            known[starts[number]] &= ~np.uint32(1)
            known[end - 1] &= ~np.uint32(1)
    for number in range(count):
        known[starts[number]] |= np.uint32(word[number] >= 0) << np.uint32(31)
    # Which n-grams are kept cannot be foreseen: each is written, and the next one over it where it is not.
    places = 0
    for at in range(n):
        hashes[places] = at
        places += known[at] != 0
    found: Any = 0
    number = 0
    for place in range(places):
        here = np.int64(hashes[place])
        held = known[here]
        while number + 1 < count and starts[number + 1] <= here:
            number += 1
        rows[found] = ~word[number]
        found += np.int64(held >> np.uint32(31))
        for level in range(maxn - minn + 1):
            rows[found] = np.int64(bucket[level, here])
            found += np.int64((held >> np.uint32(level)) & np.uint32(1))
    for place in range(found):
        this = max(rows[place], 0)
        below = kept[this >> 5] & np.uint32((np.uint32(1) << np.uint32(this & 31)) - np.uint32(1))
        # How many bits stand there: the trick that compilers know as one instruction.
        below = np.uint32(below - ((below >> np.uint32(1)) & np.uint32(0x55555555)))
        below = np.uint32((below & np.uint32(0x33333333)) + ((below >> np.uint32(2)) & np.uint32(0x33333333)))
        below = np.uint32((below + (below >> np.uint32(4))) & np.uint32(0x0F0F0F0F))
        below = np.uint32(below * np.uint32(0x01010101)) >> np.uint32(24)
        row = np.int64(first_row[this >> 5]) + np.int64(below)
        rows[place] = row if rows[place] >= 0 else ~rows[place]
    return int(found)


@jit
def _predict(
    data: Any, offsets: Any, words: Any, word_row: Any, kept: Any, first_row: Any, buckets: int, vectors: Any, tree: Any,
    left: Any, right: Any, end_row: int, minn: int, maxn: int, label: Any, probability: Any,
) -> None:  # fmt: skip
    dim = vectors.shape[1]
    n_labels = len(left) + 1
    score, waiting = np.zeros(n_labels + 1, np.float32), np.zeros(n_labels + 1, np.int64)
    hidden = np.zeros(dim, np.float32)
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = 3 * longest + maxn + 3  # a text of single letters between spaces has most
    letter, size, rest = np.zeros(room, np.uint32), np.zeros(room, np.uint8), np.zeros(room, np.uint8)
    starts, word = np.zeros(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    hashes, known = np.zeros(room, np.uint32), np.zeros(room, np.uint32)
    bucket = np.zeros((maxn - minn + 1, room), np.uint32)
    rows = np.zeros(room * (maxn - minn + 1) + longest + 2, np.int64)
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        if at == end:
            continue
        n, count = _letters(data, at, end, words, word_row, letter, size, rest, starts, word, maxn)
        found = _parts(
            n,
            count,
            kept,
            first_row,
            np.uint32(buckets),
            minn,
            maxn,
            letter,
            size,
            rest,
            starts,
            word,
            hashes,
            bucket,
            known,
            rows,
        )
        if end_row >= 0:
            rows[found] = end_row
            found += 1
        if found == 0:
            continue
        hidden[:] = 0.0
        _add(hidden, vectors, rows, found)
        scale = np.float32(1.0 / found)
        for d in range(dim):
            hidden[d] *= scale
        # Down the likelier branch first: most of the others then are below the leaf that was found.
        best, best_score = -1, np.float32(-np.inf)
        waiting[0], score[0] = 2 * n_labels - 2, 0.0
        count = 1
        while count:
            count -= 1
            node, above = waiting[count], score[count]
            if above <= best_score:
                continue
            if node < n_labels:
                best, best_score = node, above
                continue
            inner = node - n_labels
            f = np.float32(0.0)
            for d in range(dim):
                f += tree[inner, d] * hidden[d]
            p = np.float32(1.0 / (1.0 + np.exp(-f)))
            to_left = above + np.float32(np.log(1.0 - p + 1e-5))
            to_right = above + np.float32(np.log(p + 1e-5))
            first = to_left >= to_right  # the last one in is the first one out
            waiting[count], score[count] = (right[inner], to_right) if first else (left[inner], to_left)
            waiting[count + 1], score[count + 1] = (left[inner], to_left) if first else (right[inner], to_right)
            count += 2
        label[row] = best
        probability[row] = np.exp(best_score)
