"""What a sentence is made of when words are to be dropped from it, and how it is put together again without them.

A sentence is cut into items: *cores* (words, which can be dropped), openers and closers (brackets, quotes), separators (commas),
ends (full stops), and others (dashes, emoji). Punctuation is no part of the word that it touches, so that `(the old man)` without
`the` is `(old man)`. The result is always the sentence with characters left out, in their order.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pairs import characters
from pairs.characters import DIGIT, LETTER, MARK, NUMBER, PUNCT, SPACE
from pairs.jit import jit

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

CORE, OPEN, CLOSE, SEPARATOR, END, OTHER, CONNECTOR = range(7)
"""Kinds of items. A connector (a dash, &) stands between two things, so it goes when one of them is gone."""

_PLAIN, _OPENS, _CLOSES, _QUOTES, _SINGLE, _SEPARATES, _ENDS, _CONNECTS = range(8)
"""What a code point is beside a word."""

_SIGNS: Final = {
    _OPENS: "([{（［｛「『【〈《〔〖¿¡",
    _CLOSES: ")]}）］｝」』】〉》〕〗",
    _QUOTES: '"“”„‟«»‹›',
    _SINGLE: "'‘’‚",
    _SEPARATES: ",;:，；：、،؛·",
    _ENDS: ".!?…。！？．｡॥।؟۔።፧៖។៕།༎။՞՜։!?",
    _CONNECTS: "–—―‒-&+/=|~・",
}
_LINKERS: Final = (0x17D2, 0x1039, 0x1B44, 0xA9C0)
"""Khmer, Myanmar, Balinese, Javanese: the consonant behind is written below the one before."""
_JOINS_BEFORE: Final = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮーゝゞヽヾ々"
"""Kana that are half of a syllable with what stands before, and signs that repeat it."""
_VOWELS_BEFORE: Final = (*range(0x0E40, 0x0E45), *range(0x0EC0, 0x0EC5))
"""Thai's and Lao's vowels that stand before their consonant."""
_VOWELS_BEHIND: Final = (0x0E30, 0x0E32, 0x0E45, 0x0E46, 0x0E2F, 0x0EB0, 0x0EB2, 0x0EC6)
"""Thai's and Lao's vowels that stand behind their consonant, and the signs that repeat or cut a word short."""
_KILLS: Final = (0x103A, 0x17CB, 0x17CD)
"""Myanmar, Khmer: the consonant under it ends the syllable before."""
_TSHEG: Final = (0x0F0B, 0x0F0C)


@dataclass(frozen=True)
class Tables:
    """One entry for every code point."""

    sign: Bytes  # the classes above
    unspaced: Bools  # letters of scripts without spaces
    cjk: Bools  # of these the letters of scripts that have no spaces between phrases either
    joins_before: Bools  # belongs to the cluster before it
    joins_after: Bools  # what follows belongs to it
    tibetan: Bools


@functools.cache
def tables() -> Tables:
    """Builds the tables on first use."""
    base = characters.tables()
    sign = np.zeros(len(base.kind), np.uint8)
    for value, signs in _SIGNS.items():
        sign[[ord(one) for one in signs]] = value
    unspaced = characters.script_set(*characters.UNSPACED)[base.script] & (base.kind == LETTER)
    cjk = characters.script_set(*characters.CJK)[base.script]
    joins_before = base.extend.copy()
    joins_before[[*map(ord, _JOINS_BEFORE), *_VOWELS_BEHIND]] = True
    joins_after = np.zeros(len(base.kind), bool)
    joins_after[[*_VOWELS_BEFORE, *_LINKERS, 0x200D]] = True
    tibetan = characters.script_set("Tibt")[base.script] | np.isin(np.arange(len(base.kind)), _TSHEG)
    return Tables(sign, unspaced, cjk, joins_before, joins_after, tibetan)


@dataclass(frozen=True)
class Items:
    """The items of all rows, end to end, each array of shape (m,) but `start`, (n + 1,)."""

    kind: Bytes
    first: Ints  # code point
    last: Ints  # one behind the last code point
    space: Ints  # the space before it; -1: none
    dense: Bools  # a core in Chinese or Japanese
    start: Ints  # row r is items start[r] to start[r + 1]


def parse(column: characters.Column, joined: Bools) -> Items:
    """Cuts rows into items.

    Args:
        column: n texts with single spaces.
        joined: bool (total,): code points that are of one word with the one before them, though their script has no spaces, as a
            segmenter told.
    """
    base, own = characters.tables(), tables()
    total = len(column.code)
    kind, dense = np.zeros(total, np.uint8), np.zeros(total, bool)
    first, last, space = (np.zeros(total, np.int64) for _ in range(3))
    start = np.zeros(column.n + 1, np.int64)
    size = _parse(
        column.code, column.start, base.kind, own.sign, own.unspaced, own.cjk, own.joins_before, own.joins_after, own.tibetan,
        joined, kind, first, last, space, dense, start,
    )  # fmt: skip
    return Items(kind[:size], first[:size], last[:size], space[:size], dense[:size], start)


@jit
def _wordy(kind: Any) -> bool:
    return bool(kind in (LETTER, DIGIT, NUMBER, MARK))


@jit
def _ends_syllable(code: Any, at: int, end: int) -> bool:
    """Whether the letter carries a sign that ends the syllable before it; Myanmar's tone may stand between."""
    sign = at + 1
    if sign + 1 < end and code[sign] == 0x1037:
        sign += 1
    return bool(sign < end and code[sign] in _KILLS)


@jit
def _parse(
    code: Any, rows: Any, classes: Any, sign: Any, unspaced: Any, cjk: Any, before: Any, after: Any, tibetan: Any,
    joined: Any, kind: Any, first: Any, last: Any, space: Any, dense: Any, start: Any,
) -> int:  # fmt: skip
    size = 0
    for row in range(len(rows) - 1):
        at, end = rows[row], rows[row + 1]
        gap = -1
        singles = 0
        while at < end:
            c = code[at]
            if classes[c] == SPACE:
                gap = at
                at += 1
                continue
            if unspaced[c]:
                stop = at + 1
                if tibetan[c]:
                    while (
                        stop < end
                        and (tibetan[code[stop]] or before[code[stop]])
                        and code[stop - 1] not in (0x0F0B, 0x0F0C)
                    ):
                        stop += 1
                while stop < end and (
                    before[code[stop]]
                    or (
                        unspaced[code[stop]]
                        and (after[code[stop - 1]] or joined[stop] or _ends_syllable(code, stop, end))
                    )
                ):
                    stop += 1
                kind[size], dense[size] = CORE, cjk[c]
                first[size], last[size], space[size] = at, stop, gap
                size, at, gap = size + 1, stop, -1
                continue
            # A run to the next space or letter without spaces; wide punctuation stands alone.
            stop = at
            while stop < end and classes[code[stop]] != SPACE and not unspaced[code[stop]]:
                if code[stop] >= 0x3000 and sign[code[stop]] != _PLAIN:
                    break
                stop += 1
            if stop == at:
                kind[size] = _kind_of(sign[c], True)
                first[size], last[size], space[size] = at, at + 1, gap
                size, at, gap = size + 1, at + 1, -1
                continue
            inner, outer = at, stop
            while inner < stop and (sign[code[inner]] in (_OPENS, _QUOTES, _SINGLE)):
                if sign[code[inner]] == _SINGLE:
                    singles += 1
                inner += 1
            while outer > inner and sign[code[outer - 1]] in (_CLOSES, _QUOTES, _SINGLE, _SEPARATES, _ENDS):
                if sign[code[outer - 1]] == _SINGLE:
                    if singles == 0:
                        break  # the dogs' house
                    singles -= 1
                outer -= 1
            for place in range(at, inner):
                lone = inner == stop and code[place] in (0xBB, 0x201D, 0x203A, 0x2019)  # French sets its quotes apart
                kind[size] = CLOSE if lone else OPEN
                first[size], last[size], space[size] = place, place + 1, gap
                size, gap = size + 1, -1
            if outer > inner:
                word, links = False, True
                for place in range(inner, outer):
                    word = word or _wordy(classes[code[place]])
                    links = links and (sign[code[place]] == _CONNECTS or classes[code[place]] == PUNCT)
                kind[size] = CORE if word else CONNECTOR if links else OTHER
                first[size], last[size], space[size] = inner, outer, gap
                size, gap = size + 1, -1
            for place in range(outer, stop):
                kind[size] = _kind_of(sign[code[place]], outer > inner or inner == at)
                first[size], last[size], space[size] = place, place + 1, gap
                size, gap = size + 1, -1
            at = stop
        start[row + 1] = size
    return size


@jit
def _kind_of(sign: int, closing: bool) -> int:
    if sign == _OPENS:
        return OPEN
    if sign == _SEPARATES:
        return SEPARATOR
    if sign == _ENDS:
        return END
    if sign == _CONNECTS:
        return CONNECTOR
    if sign == _PLAIN:
        return OTHER
    return CLOSE if closing else OPEN


def rebuild(column: characters.Column, items: Items, gone: Bools) -> tuple[characters.CodePoints, Ints]:
    """Rows without some of their cores.

    Brackets and quotes that hold nothing any more go; so do commas at the beginning, behind another or before what ends the
    sentence, connectors that have lost a neighbour, and the full stop of an abbreviation that went. What ends the sentence stays.

    Args:
        column: The texts.
        items: As `parse` gave them.
        gone: bool (m,): items to drop, cores alone; of each row with any at least one core stays.

    Returns:
        uint32 code points of all rows, end to end, and int64 (n,), how many each row has.
    """
    out = np.zeros(len(column.code), np.uint32)
    size = np.zeros(column.n, np.int64)
    most = int(np.diff(items.start).max(initial=0))
    total = _rebuild(
        column.code, items.kind, items.first, items.last, items.space, items.dense, items.start, gone,
        np.zeros(most + 1, np.int64), out, size,
    )  # fmt: skip
    return out[:total], size


@jit
def _rebuild(
    code: Any, kind: Any, first: Any, last: Any, space: Any, dense: Any, start: Any, gone: Any, held: Any, out: Any, size: Any
) -> int:  # fmt: skip
    total = 0
    for row in range(len(start) - 1):
        begin, end = start[row], start[row + 1]
        final = end  # from here on only what ends the sentence
        while final > begin and kind[final - 1] in (END, CLOSE, SEPARATOR):
            final -= 1
        count = 0
        lost = False  # since the last item that was held
        core_gone = False  # the last core
        for item in range(begin, end):
            what = kind[item]
            if gone[item]:
                lost = core_gone = True
                continue
            previous = kind[held[count - 1]] if count > 0 else -1
            if what == CORE:
                core_gone = False
            elif what == CLOSE:
                while lost and previous in (SEPARATOR, CONNECTOR):
                    count -= 1
                    previous = kind[held[count - 1]] if count > 0 else -1
                if lost and previous == OPEN:
                    count -= 1
                    continue
            elif what in (SEPARATOR, CONNECTOR):
                if lost and previous in (-1, OPEN, SEPARATOR, CONNECTOR):
                    continue
            elif what == END:
                if item < final and core_gone:
                    continue
                while lost and count > 0 and previous in (SEPARATOR, CONNECTOR, OPEN, END):
                    count -= 1
                    previous = kind[held[count - 1]] if count > 0 else -1
            held[count] = item
            count += 1
            lost = False
        while lost and count > 0 and kind[held[count - 1]] in (SEPARATOR, CONNECTOR, OPEN):
            count -= 1
        before = total
        for place in range(count):
            item = held[place]
            if place > 0:
                gap = _gap(kind, space, dense, held[place - 1], item)
                if gap >= 0:
                    out[total] = code[gap]
                    total += 1
            for at in range(first[item], last[item]):
                out[total] = code[at]
                total += 1
        size[row] = total - before
    return total


@jit
def _gap(kind: Any, space: Any, dense: Any, left: int, right: int) -> int:
    """The space that stays between two items; -1: none."""
    if kind[right] in (CLOSE, SEPARATOR, END):
        return int(space[right])
    if kind[left] == OPEN:
        return int(space[left + 1])
    if right > left + 1 and dense[left] and dense[right]:
        return -1
    for item in range(left + 1, right + 1):
        if space[item] >= 0:
            return int(space[item])
    return -1
