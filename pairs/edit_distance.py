"""How far apart two wordings are: Levenshtein's distance over characters and over words, a column at a time.

Levenshtein 1966: the fewest insertions, deletions and substitutions that make one sequence the other. Divided by the longer
sequence's length it lies in [0, 1] (0: equal; 1: nothing in common), whatever the lengths.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, characters
from pairs.jit import jit

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MAX_UNITS: Final = 2000
"""Characters, or words, of a side that are compared: the work grows with the product of both lengths."""

_APART: Final = r"[^\pL\pM\pN\p{Sm}\p{Sc}]+"


def folded(texts: pa.StringArray) -> pa.StringArray:
    """Texts in small letters, whatever stands between words as one space: what two wordings are compared by."""
    return pc.utf8_trim(pc.replace_substring_regex(pc.utf8_lower(texts), _APART, " "), " ")


def of_characters(left: pa.StringArray, right: pa.StringArray) -> Floats:
    """Distance of two columns over code points.

    Args:
        left: n strings, null counts as empty; characters after `MAX_UNITS` are not looked at.
        right: n strings.

    Returns:
        float32 (n,) in [0, 1]; 0 where both are empty.
    """
    a, b = (characters.decode(pc.utf8_slice_codeunits(side.fill_null(""), 0, MAX_UNITS)) for side in (left, right))
    return _distances(a.code.astype(np.int64), a.start, b.code.astype(np.int64), b.start)


def of_words(left: pa.StringArray, right: pa.StringArray) -> Floats:
    """Distance of two columns over words between single spaces, as `folded` leaves them.

    Args:
        left: n strings, null counts as empty; words after `MAX_UNITS` are not looked at.
        right: n strings.

    Returns:
        float32 (n,) in [0, 1]; 0 where both are empty.
    """
    sides = [pc.utf8_split_whitespace(side.fill_null("")) for side in (left, right)]
    words = pa.concat_arrays([arrow.strings(side.flatten()) for side in sides]).dictionary_encode()
    number = words.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    held = words.dictionary
    empty = pc.index(held, pa.scalar("", held.type)).as_py()
    split = len(sides[0].flatten())
    a, b = (
        _without(number[first:last], _starts(side), empty)
        for side, first, last in ((sides[0], 0, split), (sides[1], split, len(number)))
    )
    return _distances(*a, *b)


def _starts(column: pa.ListArray) -> Ints:
    starts = np.zeros(len(column) + 1, np.int64)
    np.cumsum(pc.list_value_length(column).to_numpy(zero_copy_only=False), out=starts[1:])
    return starts


def _without(number: Ints, start: Ints, empty: int) -> tuple[Ints, Ints]:
    """The words of each row without the empty ones, that splitting an empty text gives, and those after the bound."""
    row = np.repeat(np.arange(len(start) - 1), np.diff(start))
    kept = (number != empty) & (np.arange(len(number)) - start[row] < MAX_UNITS)
    begins = np.zeros(len(start), np.int64)
    np.cumsum(np.bincount(row[kept], minlength=len(start) - 1), out=begins[1:])
    return number[kept], begins


def _distances(a: Ints, a_start: Ints, b: Ints, b_start: Ints) -> Floats:
    longest = int(np.diff(b_start).max(initial=0))
    distance = np.zeros(len(a_start) - 1, np.int64)
    _levenshtein(a, a_start, b, b_start, np.zeros(longest + 1, np.int64), distance)
    longer = np.maximum(np.diff(a_start), np.diff(b_start))
    return (distance / np.maximum(longer, 1)).astype(np.float32)


@jit
def _levenshtein(a: Any, a_start: Any, b: Any, b_start: Any, line: Any, distance: Any) -> None:
    """One line of Wagner and Fischer's table at a time; what both rows begin and end with alike is left out."""
    for row in range(len(distance)):
        first, last, other, end = a_start[row], a_start[row + 1], b_start[row], b_start[row + 1]
        while first < last and other < end and a[first] == b[other]:
            first += 1
            other += 1
        while first < last and other < end and a[last - 1] == b[end - 1]:
            last -= 1
            end -= 1
        width = end - other
        for column in range(width + 1):
            line[column] = column
        for at in range(first, last):
            before = line[0]
            line[0] = at - first + 1
            for column in range(1, width + 1):
                least = before + (a[at] != b[other + column - 1])
                before = line[column]
                least = min(least, before + 1, line[column - 1] + 1)
                line[column] = least
        distance[row] = line[width]
