"""Perceptual hashes that are near each other: at most some bits of 64 differ.

Two hashes that differ in at most d bits agree in at least one of d + 1 bands of bits (pigeonhole), so that only hashes that share
a band are ever compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

UInt64 = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MAX_DISTANCE = 15
_PAIRS_AT_ONCE = 1 << 22


def bands(hashes: UInt64, distance: int) -> Iterator[UInt64]:
    """The d + 1 bands of each hash, uint64 (n,) each.

    Args:
        hashes: uint64 (n,).
        distance: Bits that may differ, 0 to `MAX_DISTANCE`.
    """
    edges = [64 * number // (distance + 1) for number in range(distance + 2)]
    for low, high in itertools.pairwise(edges):
        mask = np.uint64((1 << (high - low)) - 1)
        yield (hashes >> np.uint64(low)) & mask


def _candidates(lower: Ints, upper: Ints) -> Iterator[tuple[Ints, Ints]]:
    """(query, place) of all places from lower[q] to upper[q], some millions at a time."""
    sizes = upper - lower
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        base = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, base + _PAIRS_AT_ONCE, side="right")))
        part = sizes[first:last]
        query = np.repeat(np.arange(first, last), part)
        place = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part) + np.repeat(lower[first:last], part)
        yield query, place
        first = last


class HashIndex:
    """A set of hashes to look others up in."""

    def __init__(self, hashes: UInt64, distance: int) -> None:
        """Sorts the set by each band.

        Args:
            hashes: uint64 (m,).
            distance: Bits that may differ.
        """
        self.distance = distance
        unique = np.unique(np.asarray(hashes, np.uint64))
        self._tables = []
        for band in bands(unique, distance):
            order = np.argsort(band, kind="stable")
            self._tables.append((band[order], unique[order]))

    def near(self, hashes: UInt64) -> Bools:
        """bool (n,): which of n hashes have one of the set within the distance."""
        found = np.zeros(len(hashes), bool)
        for (keys, members), band in zip(self._tables, bands(hashes, self.distance), strict=True):
            lower, upper = np.searchsorted(keys, band, "left"), np.searchsorted(keys, band, "right")
            for query, place in _candidates(lower.astype(np.int64), upper.astype(np.int64)):
                close = np.bitwise_count(hashes[query] ^ members[place]) <= self.distance
                found[query[close]] = True
        return found


def beaten(hashes: UInt64, rank: Ints, distance: int) -> Bools:
    """Which rows have another row within the distance whose rank is less: all but the survivors.

    The rule looks at pairs of rows alone, so the result does not depend on the order of the rows, and rows may be compared in
    several groups whose answers are then joined by or.

    Args:
        hashes: uint64 (n,).
        rank: int64 (n,), all different.
        distance: Bits that may differ.

    Returns:
        bool (n,).
    """
    # Rows of one hash first: only the least of them is compared with others.
    order = np.lexsort((rank, hashes))
    h = hashes[order]
    first = np.ones(len(h), bool)
    first[1:] = h[1:] != h[:-1]
    leaders = order[first]
    unique, best = hashes[leaders], rank[leaders]
    least = best.copy()
    if distance:
        for band in bands(unique, distance):
            by = np.argsort(band, kind="stable")
            ordered = band[by]
            lower = np.searchsorted(ordered, band, "left").astype(np.int64)
            upper = np.searchsorted(ordered, band, "right").astype(np.int64)
            for query, place in _candidates(lower, upper):
                other = by[place]
                close = np.bitwise_count(unique[query] ^ unique[other]) <= distance
                np.minimum.at(least, query[close], best[other[close]])
    result = np.empty(len(h), bool)
    result[order] = rank[order] > least[np.cumsum(first) - 1]
    return result
