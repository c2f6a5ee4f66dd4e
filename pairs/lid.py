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
        kept: uint8 (buckets / 8,), a bit for each bucket of n-grams that pruning left.
        gram_row: int32 (buckets,), their rows.
        vectors: float32 (rows, dim) of words, then of buckets.
        tree: float32 (labels - 1, dim), the vectors of the inner nodes.
        left, right: int32 (labels - 1,), children of the inner nodes: below `len(labels)` a leaf.
        end_row: Row of the token that ends a line, -1 where there is none.
        minn, maxn: Characters of the n-grams.
    """

    labels: tuple[str, ...]
    words: npt.NDArray[np.uint64]
    word_row: npt.NDArray[np.int32]
    kept: npt.NDArray[np.uint8]
    gram_row: npt.NDArray[np.int32]
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
            data, offsets, self.words, self.word_row, self.kept, self.gram_row, self.vectors, self.tree, self.left, self.right,
            self.end_row, self.minn, self.maxn, label, probability,
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
    if loss != _HIERARCHICAL_SOFTMAX or word_ngrams != 1 or maxn == 0:
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
    gram_row = np.full(buckets, -1, np.int32)
    gram_row[numbers] = places + words
    vectors = reader.matrix(*reader.values("?"))
    tree = reader.matrix(*reader.values("?"))
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
        kept=np.packbits(gram_row >= 0, bitorder="little"),
        gram_row=gram_row,
        vectors=np.ascontiguousarray(vectors, np.float32),
        tree=np.ascontiguousarray(tree[: n_labels - 1], np.float32),
        left=left,
        right=right,
        end_row=known.index(_END) if _END in known else -1,
        minn=minn,
        maxn=maxn,
    )


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
def _predict(
    data: Any, offsets: Any, words: Any, word_row: Any, kept: Any, gram_row: Any, vectors: Any, tree: Any, left: Any, right: Any,
    end_row: int, minn: int, maxn: int, label: Any, probability: Any,
) -> None:  # fmt: skip
    dim = vectors.shape[1]
    buckets = np.uint32(len(gram_row))
    usual = buckets == np.uint32(2000000)
    n_labels = len(left) + 1
    score = np.zeros(2 * n_labels - 1, np.float32)
    hidden = np.zeros(dim, np.float32)
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    word = np.zeros(longest + 2, np.uint8)
    for row in range(len(offsets) - 1):
        hidden[:] = 0.0
        found = 0
        at, end = offsets[row], offsets[row + 1]
        if at == end:
            continue
        while at < end:
            if data[at] == 32 or 9 <= data[at] <= 13 or data[at] == 0:
                at += 1
                continue
            size = 1
            word[0] = 60  # <
            first = at
            while at < end and not (data[at] == 32 or 9 <= data[at] <= 13 or data[at] == 0):
                word[size] = data[at]
                size += 1
                at += 1
            word[size] = 62  # >
            size += 1
            key = _hash(data, first, at)
            slot = np.int64(key & np.uint64(len(words) - 1))
            while words[slot] != 0:
                if words[slot] == key:
                    for d in range(dim):
                        hidden[d] += vectors[word_row[slot], d]
                    found += 1
                    break
                slot = (slot + 1) & (len(words) - 1)
            for begin in range(size):
                if word[begin] & 0xC0 == 0x80:
                    continue
                h = np.uint32(2166136261)
                place = begin
                n = 1
                while place < size and n <= maxn:
                    while True:
                        byte = np.uint32(word[place])
                        if byte & np.uint32(0x80):
                            byte |= np.uint32(0xFFFFFF00)  # as a signed char
                        h = np.uint32((h ^ byte) * np.uint32(16777619))
                        place += 1
                        if place >= size or word[place] & 0xC0 != 0x80:
                            break
                    if n >= minn and not (n == 1 and (begin == 0 or place == size)):
                        # A divisor that the compiler knows is several times as fast.
                        bucket = np.int64(h % np.uint32(2000000)) if usual else np.int64(h % buckets)
                        if kept[bucket >> 3] >> (bucket & 7) & 1:
                            gram = gram_row[bucket]
                            for d in range(dim):
                                hidden[d] += vectors[gram, d]
                            found += 1
                    n += 1
        if end_row >= 0:
            for d in range(dim):
                hidden[d] += vectors[end_row, d]
            found += 1
        if found == 0:
            continue
        scale = np.float32(1.0 / found)
        for d in range(dim):
            hidden[d] *= scale
        score[2 * n_labels - 2] = 0.0
        best = -1
        for inner in range(n_labels - 2, -1, -1):
            above = score[inner + n_labels]
            if best >= 0 and above < score[best]:
                score[left[inner]] = score[right[inner]] = above  # nothing below can be better
                continue
            f = np.float32(0.0)
            for d in range(dim):
                f += tree[inner, d] * hidden[d]
            p = np.float32(1.0 / (1.0 + np.exp(-f)))
            score[left[inner]] = above + np.float32(np.log(1.0 - p + 1e-5))
            score[right[inner]] = above + np.float32(np.log(p + 1e-5))
            for child in (left[inner], right[inner]):
                if child < n_labels and (best < 0 or score[child] > score[best]):
                    best = child
        label[row] = best
        probability[row] = np.exp(score[best])
