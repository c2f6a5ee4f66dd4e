"""The numbers in texts, whatever script their digits are of and however their thousands are set apart."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow, characters
from pairs.jit import jit

Ints = npt.NDArray[np.int64]

_SEPARATORS: Final = (0x2C, 0x2E, 0x27, 0x2019, 0x20, 0xA0, 0x202F, 0x2009, 0x66C, 0xFF0C)
"""What stands between the thousands: , . ' and the spaces; Arabic's own."""
_POINTS: Final = (0x2C, 0x2E, 0x66B, 0x3A)
_MAX_DIGITS: Final = 18
FIRM_DIGITS: Final = 3
"""Numbers of so many digits are seldom worded otherwise: of WMT22's references none has one on each side alone."""


@functools.cache
def _digit_values() -> npt.NDArray[np.uint8]:
    """The value of each code point as a digit; 255 for what is none."""
    kind = characters.tables().kind
    values = np.full(len(kind), 255, np.uint8)
    for code in np.flatnonzero(kind == characters.DIGIT).tolist():
        values[code] = unicodedata.decimal(chr(code), 255)
    return values


def lists(texts: pa.StringArray) -> pa.ListArray:
    """The numbers of each text, in order: `1,200` gives 1200, `२०१९` gives 2019, `1,00,000` gives 100000.

    A decimal gives its digits too, `4.2` gives 4, 42 and 2, since it may be a whole number of another unit. Signs and
    leading zeros are left out; digits after the 18th are cut off.

    Args:
        texts: n strings, none null.

    Returns:
        n lists of int64.
    """
    digits = arrow.mask(arrow.matches(texts, r"\p{Nd}"))
    if not digits.any():
        return pa.ListArray.from_arrays(pa.array(np.zeros(len(texts) + 1, np.int32)), pa.array([], pa.int64()))
    column = characters.decode(texts.filter(pa.array(digits)))
    value = np.zeros(len(column.code), np.int64)
    counts = np.zeros(len(texts), np.int64)
    found = np.zeros(column.n, np.int64)
    size = _find(column.code, column.start, _digit_values(), np.array(_SEPARATORS, np.uint32), value, found)
    counts[digits] = found
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(value[:size].copy()))


@jit
def _group(code: Any, at: int, end: int, digits: Any, separators: Any) -> int:
    """How many digits (3, or 2 before a further group) follow a separator at `at` as a group of thousands; else 0."""
    if at >= end or code[at] not in separators:
        return 0
    size = 0
    while at + 1 + size < end and digits[code[at + 1 + size]] < 10:
        size += 1
    if size == 3:
        return 3
    after = at + 1 + size
    if size == 2 and code[at] == 44 and after < end and code[after] == 44:
        inner = 0
        while after + 1 + inner < end and digits[code[after + 1 + inner]] < 10:
            inner += 1
        if inner in (2, 3):
            return 2
    return 0


@jit
def _fraction(code: Any, at: int, end: int, digits: Any) -> int:
    """How many digits (1 or 2) follow a decimal point at `at`; 0 where the dots go on, as in a date."""
    if at >= end or code[at] not in _POINTS or code[at] == 58:
        return 0
    size = 0
    while at + 1 + size < end and digits[code[at + 1 + size]] < 10:
        size += 1
    after = at + 1 + size
    if size > 2 or (after + 1 < end and code[after] in _POINTS and digits[code[after + 1]] < 10):
        return 0
    return size


@jit
def _find(code: Any, start: Any, digits: Any, separators: Any, value: Any, found: Any) -> int:
    total = 0
    for row in range(len(start) - 1):
        at, end = start[row], start[row + 1]
        while at < end:
            if digits[code[at]] > 9:
                at += 1
                continue
            number, size = np.int64(0), 0
            start_is_plain = at == start[row] or code[at - 1] not in _POINTS
            while at < end and digits[code[at]] < 10:
                if size < _MAX_DIGITS:
                    number = number * 10 + digits[code[at]]
                size += 1
                at += 1
            more = _group(code, at, end, digits, separators) if size <= 3 and number > 0 else 0
            while more > 0:
                for step in range(1, more + 1):
                    if size < _MAX_DIGITS:
                        number = number * 10 + digits[code[at + step]]
                    size += 1
                at += more + 1
                more = _group(code, at, end, digits, separators)
            value[total] = number
            found[row] += 1
            total += 1
            part = _fraction(code, at, end, digits) if start_is_plain else 0
            if part > 0 and size + part < _MAX_DIGITS:
                for step in range(1, part + 1):
                    number = number * 10 + digits[code[at + step]]
                value[total] = number
                found[row] += 1
                total += 1
    return total


def differ(left: pa.ListArray, right: pa.ListArray, least: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where the numbers of two columns do not fit: both sides hold some and share none, or each holds one of
    `FIRM_DIGITS` digits or more that the other lacks.

    Trailing zeros do not count, since 15,000 may be 15 thousand on the other side. The 1880s may be the 80s of the 19th
    century, and 22:00 may be 10 in the evening.

    Args:
        left: n lists, as `lists` gives them.
        right: n lists.
        least: Numbers below this are often words on the other side, and are not asked for.

    Returns:
        bool (n,) each: whether they do not fit; whether one side holds a number of `FIRM_DIGITS` digits and the other none at
        all, which it may have in words.
    """
    n = len(left)
    sides = [_exploded(side) for side in (left, right)]
    exact = [(row, _stem(value)) for row, value in sides]
    loose = [_worded(row, value) for row, value in sides]
    values = np.unique(np.concatenate([value for _, value in (*exact, *loose)]))
    exact_code, loose_code = (
        [row * len(values) + np.searchsorted(values, value) for row, value in found] for found in (exact, loose)
    )
    shared = np.zeros(n, bool)
    for a, b in ((0, 1), (1, 0)):
        shared[np.intersect1d(loose_code[a], exact_code[b]) // len(values)] = True
    has, alone, firm, none = [], [], [], []
    for side, (row, value) in enumerate(sides):
        large = value >= max(least, 10 ** (FIRM_DIGITS - 1))
        lacking = large & ~np.isin(exact_code[side], loose_code[1 - side])
        has.append(_rows(row[value >= least], n))
        alone.append(_rows(row[lacking], n))
        firm.append(_rows(row[large], n))
        none.append(~_rows(row, n))
    missing = (firm[0] & none[1]) | (firm[1] & none[0])
    return (has[0] & has[1] & ~shared) | (alone[0] & alone[1]), missing


def _rows(row: Ints, n: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(n, bool)
    found[row] = True
    return found


def _exploded(column: pa.ListArray) -> tuple[Ints, Ints]:
    sizes = np.diff(column.offsets.to_numpy().astype(np.int64))
    return np.repeat(np.arange(len(column)), sizes), column.flatten().to_numpy()


def _worded(row: Ints, value: Ints) -> tuple[Ints, Ints]:
    """Numbers with what else may be written for them."""
    year, evening = (value >= 1000) & (value < 2100), (value > 12) & (value <= 24)
    rows = np.concatenate([row, row[year], row[year], row[evening]])
    return rows, _stem(np.concatenate([value, value[year] % 100, value[year] // 100 + 1, value[evening] - 12]))


def _stem(value: Ints) -> Ints:
    """Numbers without their trailing zeros; 0 stays."""
    stem = value.copy()
    while (more := (stem % 10 == 0) & (stem > 0)).any():
        stem[more] //= 10
    return stem
