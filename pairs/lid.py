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

from pairs import lid_kernel
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
        lid_kernel.predict(
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
