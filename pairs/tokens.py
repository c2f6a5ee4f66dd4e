"""Unigrams: a column's texts as hashes of their words, for lists of words, n-grams and counts alike.

A unigram is a run of letters, marks and digits without its case (an apostrophe inside does not end it); in scripts without
spaces each letter is one. Punctuation belongs to none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import characters
from pairs.characters import DIGIT, LETTER, MARK, NUMBER
from pairs.jit import jit

UInt64 = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

_WORD, _CHARACTER = 2, 1


@dataclass(frozen=True)
class Tokens:
    """The unigrams of a column, end to end.

    Attributes:
        hash: uint64 (total,), equal for equal unigrams.
        weight: uint8 (total,): 2 for a word, 1 for a letter of a script without spaces, which says about half as much.
        start: int64 (n + 1,): row r has the unigrams start[r] to start[r + 1].
    """

    hash: UInt64
    weight: npt.NDArray[np.uint8]
    start: Ints

    @property
    def count(self) -> Ints:
        """int64 (n,): unigrams of each row."""
        return np.diff(self.start)

    def per_row(self, marked: npt.NDArray[np.bool_]) -> Ints:
        """int64 (n,): how many marked unigrams each row has."""
        sums = np.zeros(len(marked) + 1, np.int64)
        np.cumsum(marked, out=sums[1:])
        return sums[self.start[1:]] - sums[self.start[:-1]]


def tokens(texts: pa.StringArray) -> Tokens:
    """Cuts a column into unigrams; null rows have none."""
    column = characters.decode(texts)
    table = characters.tables()
    total = len(column.code)
    hashes, weights, start = np.zeros(total, np.uint64), np.zeros(total, np.uint8), np.zeros(column.n + 1, np.int64)
    unspaced = characters.script_set(*characters.UNSPACED)
    found = _tokenise(
        column.code, column.start, table.kind, table.script, table.lower, unspaced, hashes, weights, start
    )
    return Tokens(hashes[:found], weights[:found], start)


@jit
def _tokenise(
    code: Any, begin: Any, kind: Any, script: Any, lower: Any, unspaced: Any, hashes: Any, weights: Any, start: Any
) -> int:
    prime, basis = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
    found = 0
    for row in range(len(begin) - 1):
        value = basis
        inside = apostrophe = False
        for at in range(begin[row], begin[row + 1] + 1):
            ends = at == begin[row + 1]
            c = np.uint32(32) if ends else code[at]
            k = kind[c]
            of_word = not ends and k in (LETTER, MARK, DIGIT, NUMBER)
            lone = of_word and unspaced[script[c]]
            if of_word and not lone:
                if apostrophe:
                    value = (value ^ np.uint64(39)) * prime
                value = (value ^ np.uint64(lower[c])) * prime
                value ^= value >> np.uint64(29)
                inside, apostrophe = True, False
                continue
            if inside and not ends and not apostrophe and c in (39, 0x2019):
                apostrophe = True
                continue
            if inside:
                hashes[found], weights[found] = value, _WORD
                found += 1
                value, inside = basis, False
            apostrophe = False
            if lone and k == LETTER:
                value = (basis ^ np.uint64(c)) * prime
                hashes[found], weights[found] = value ^ (value >> np.uint64(29)), _CHARACTER
                found += 1
                value = basis
        start[row + 1] = found
    return found


def vocabulary(words: Iterable[str]) -> UInt64:
    """The unigrams of a list of words, sorted, each once: what `rare` looks texts up in."""
    return np.unique(tokens(pa.array(list(words), pa.string())).hash)


def known(hashes: UInt64, listed: UInt64) -> npt.NDArray[np.bool_]:
    """Which hashes are in a sorted list."""
    if not len(listed):
        return np.zeros(len(hashes), bool)
    place = np.searchsorted(listed, hashes)
    place[place == len(listed)] = 0
    return np.asarray(listed[place] == hashes)


def rare(texts: pa.StringArray, listed: UInt64) -> Ints:
    """int64 (n,): how many unigrams of each text are not in the list (ALIGN's rare tokens)."""
    cut = tokens(texts)
    return cut.per_row(~known(cut.hash, listed))


def ngrams(texts: pa.StringArray, words: int) -> tuple[UInt64, Ints]:
    """The n-grams of a column.

    Args:
        texts: n strings.
        words: Words of an n-gram; two letters of a script without spaces count as one.

    Returns:
        uint64 (total,) hashes, and int64 (total,) the row of each. A text that is shorter has none.
    """
    cut = tokens(texts)
    hashes, rows = np.zeros(len(cut.hash), np.uint64), np.zeros(len(cut.hash), np.int64)
    found = _windows(cut.hash, cut.weight, cut.start, words * _WORD, hashes, rows)
    return hashes[:found], rows[:found]


@jit
def _windows(token: Any, weight: Any, start: Any, wanted: int, hashes: Any, rows: Any) -> int:
    prime, basis = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
    found = 0
    for row in range(len(start) - 1):
        for first in range(start[row], start[row + 1]):
            value, sum_ = basis, 0
            for at in range(first, start[row + 1]):
                value = (value ^ token[at]) * prime
                value ^= value >> np.uint64(29)
                sum_ += weight[at]
                if sum_ >= wanted:
                    hashes[found], rows[found] = value, row
                    found += 1
                    break
            if sum_ < wanted:
                break
    return found
