"""Where sentences end: the decision at each mark, compiled.

Functions here call no compiled function of another file: numba's cache looks at the date of one file alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pairs.jit import jit


@jit
def _find(keys: Any, kinds: Any, key: Any) -> int:
    """The kind of a word, 0 if it is in no list."""
    slot = np.int64((key ^ (key >> np.uint64(32))) & np.uint64(len(keys) - 1))
    while keys[slot] != 0:
        if keys[slot] == key:
            return int(kinds[slot])
        slot = (slot + 1) & (len(keys) - 1)
    return 0


@jit
def _key(lang: int, mark: int, code: Any, first: int, end: int, lower: Any) -> Any:
    """The hash of a word: a mark before it (0: none), and in small letters unless `lower` is empty."""
    key = (np.uint64(0xCBF29CE484222325) ^ np.uint64(lang)) * np.uint64(0x100000001B3)
    if mark:
        key = (key ^ np.uint64(mark)) * np.uint64(0x100000001B3)
    for at in range(first, end):
        c = np.uint64(code[at])
        if len(lower) and c < 0x20000:
            c = np.uint64(lower[c])
        key = (key ^ c) * np.uint64(0x100000001B3)
    return key


@jit
def _kind(lang: int, code: Any, first: int, end: int, lower: Any, keys: Any, kinds: Any) -> int:
    """What the lists say of a word: as it is written, in small letters, in any language."""
    found = _find(keys, kinds, _key(lang, 0, code, first, end, lower[:0]))
    if not found:
        found = _find(keys, kinds, _key(lang, 0, code, first, end, lower))
    if not found and lang:
        found = _find(keys, kinds, _key(0, 0, code, first, end, lower))
    return found


@jit
def _is_start(code: Any, at: int, end: int, flags: Any, lower: Any, lang: int, keys: Any, kinds: Any) -> bool:
    """Whether the word that begins here is one that begins sentences."""
    last = at
    while last < end and last - at < 24 and flags[min(code[last], 0x20000)] & 0x4700:  # UPPER | LOWER | CASELESS | MARK
        last += 1
    if last == at or (last == at + 1 and last < end and code[last] == 46):
        return False  # an initial
    return _find(keys, kinds, _key(lang, 94, code, at, last, lower)) == 5  # START


@jit
def _is_syllable(c: Any, flags: Any) -> bool:
    """Whether one letter says a word: of Han, kana, Hangul."""
    return bool(0xAC00 <= c <= 0xD7A3 or flags[min(c, 0x20000)] & 0x1000)


@jit
def _is_lone_i(code: Any, at: int, end: int, flags: Any) -> bool:
    """Whether the English word I stands here, which is a capital anywhere."""
    return bool(code[at] == 73 and (at + 1 >= end or not flags[min(code[at + 1], 0x20000)] & 0x4F00))


@jit
def _is_numbered(
    code: Any, begin: int, at: int, flags: Any, lower: Any, lang: int, does: int, keys: Any, kinds: Any
) -> bool:
    """Whether the number that begins here belongs to what stands before it: No. 5, p. 7, № 3; then it is no ordinal, no list's."""
    if at > begin and code[at - 1] == 32:
        at -= 1
    if at == begin:
        return False
    if code[at - 1] in (35, 0xA7, 0x2116):
        return True
    if code[at - 1] != 46:
        return False
    last = at - 1
    first = last
    while first > begin and flags[min(code[first - 1], 0x20000)] & 0x4700:
        first -= 1
    if first == last:
        return False
    kind = _kind(lang, code, first, last, lower, keys, kinds)
    return kind == 2 or (kind == 1 and not does & 1)  # NUMBER, TITLE


@jit
def _stop(
    code: Any,
    begin: int,
    at: int,
    nxt: int,
    end: int,
    flags: Any,
    lower: Any,
    lang: int,
    does: int,
    keys: Any,
    kinds: Any,
) -> bool:
    """Whether one full stop at `at`, before white space and a word that begins at `nxt` with no small letter, ends a sentence."""
    first = at
    letters = digits = dots = vowels = marks = 0
    longest = piece = 0
    upper = 0
    while first > begin and at - first < 24:
        c = min(code[first - 1], 0x20000)
        f = flags[c]
        if f & 0x4700:  # UPPER | LOWER | CASELESS | MARK
            if f & 0x4000:
                marks += 1
            else:
                letters += 1
                piece += 1
                longest = max(longest, piece)
            if f & 0x2000:
                vowels += 1
            if f & 0x100:
                upper += 1
        elif f & 0x800:
            digits += 1
            piece += 1
            longest = max(longest, piece)
        elif c == 46:
            dots += 1
            piece = 0
        elif c in (39, 45, 0x2019, 0xBA, 0xAA) and first - 1 > begin and flags[min(code[first - 2], 0x20000)] & 0x4F00:
            pass
        elif c == 34 and first - 1 > begin and 0x5D0 <= code[first - 2] <= 0x5EA:
            pass  # Hebrew sets it before the last letter of what is short
        else:
            break
        first -= 1
    size = at - first
    following = flags[min(code[nxt], 0x20000)]
    if size == 0:
        if first - 2 > begin and code[first - 1] == 32 and code[first - 2] == 46:  # . . .
            return (following & 0x0D00) != 0 and not _is_lone_i(code, nxt, end, flags)
        return first > begin  # a stop that stands alone is an end, but not at the beginning
    numeral = (following & 0x800) != 0
    if letters == 0 and digits:
        if first == begin or (first == begin + 1 and dots == 0 and size <= 3):
            return size > 3  # 1. First item
        value = 0
        for place in range(first, at):
            value = value * 10 + (int(code[place]) - 48 if 48 <= code[place] <= 57 else 99)
        if dots == 0 and _is_numbered(code, begin, first, flags, lower, lang, does, keys, kinds):
            return not numeral  # Nr. 5. Gut
        alone = flags[min(code[first - 1], 0x20000)] & 0x60 != 0 and code[first - 1] != 45
        if alone and dots == 0 and value <= (99 if does & 1 else 12):  # 3. Oktober, 2. Next item
            return not numeral and _is_start(code, nxt, end, flags, lower, lang, keys, kinds)
        return True
    initial = letters == 1 and upper == 1 and digits == 0 and marks == 0
    kind = _kind(lang, code, first, at, lower[:0] if initial else lower, keys, kinds)
    counted = (
        first - 2 >= begin
        and flags[min(code[first - 1], 0x20000)] & 0x40
        and flags[min(code[first - 2], 0x20000)] & 0x800
    )
    if digits or counted:
        bare = first
        while bare < at and flags[min(code[bare], 0x20000)] & 0x800:
            bare += 1
        single = at - bare == 1 and (upper or not lang or _kind(lang, code, bare, at, lower, keys, kinds))
        if not single and _find(keys, kinds, _key(0, 35, code, bare, at, lower)):
            return True  # 15 mm.
    start = _is_start(code, nxt, end, flags, lower, lang, keys, kinds)
    if (
        letters == 1
        and first - 3 >= begin
        and flags[min(code[first - 1], 0x20000)] & 0x40
        and code[first - 2] == 46
        and flags[min(code[first - 3], 0x20000)] & 0x700
    ):
        pair = np.empty(3, np.uint32)  # т. д. as т.д.
        pair[0], pair[1], pair[2] = code[first - 3], 46, code[first]
        kind = (
            max(kind, _kind(lang, pair, 0, 3, lower, keys, kinds))
            if kind != 1
            else _kind(lang, pair, 0, 3, lower, keys, kinds)
        )
    if kind > 1 and letters >= 2 and upper == letters and dots == 0:
        kind = 0  # capitals alone are a name
    if kind == 1:  # TITLE; behind a number it is a unit: 1990 г. Он
        return bool(counted and start)
    if kind == 2:  # NUMBER
        return not numeral
    if kind == 4:  # END
        return not does & 8 or start
    if kind == 3:  # MAY
        return start or (counted and not does & 8 and not numeral)
    if first == begin and (letters > 1 or lang) and _find(keys, kinds, _key(lang, 58, code, first, at, lower)) == 8:
        return False  # LABEL
    if (
        letters == 1
        and digits == 0
        and marks == 0
        and (lang or upper or not vowels)
        and not _is_syllable(code[first], flags)
    ):
        return start  # J. Smith; in a language without a list a small vowel may be a word
    if dots and longest <= 2 and digits == 0:
        return start  # U.S., z. B.
    if vowels == 0 and letters <= 4 and digits == 0 and marks == 0 and upper <= 1 and dots == 0 and not counted:
        plain = True
        for place in range(first, at):
            c = code[place]
            plain = plain and (c < 0x250 or 0x400 <= c < 0x500)
            plain = (
                plain and not (does & 32 and c in (108, 114, 0x43B, 0x440)) and not (does & 64 and c in (119, 0x175))
            )
        if plain and not _find(keys, kinds, _key(0, 35, code, first, at, lower)):
            return start  # a word without a vowel is short for another
    return True


@jit
def cut(
    code: Any,
    begins: Any,
    stops: Any,
    row_lang: Any,
    row_does: Any,
    look: Any,
    flags: Any,
    lower: Any,
    keys: Any,
    kinds: Any,
    cuts: Any,
    counts: Any,
) -> int:
    """Fills `cuts` with the code points at which pieces end, all rows' one after the other; returns how many."""
    total = 0
    for row in range(len(begins)):
        begin, end = begins[row], stops[row]
        lang, does = row_lang[row], row_does[row]
        before = total
        piece = begin  # where this piece begins
        quotes = 0
        at = begin
        while at < end:
            c = min(code[at], 0x20000)
            if look[c] == 0:
                at += 1
                continue
            if c == 34:
                quotes += 1
                at += 1
                continue
            f = flags[c]
            greek = (does & 2 and c == 59) or (does & 16 and c == 58)
            bar = c == 124 and at > begin and _indic(code, begin, at, flags)
            if not (f & 0x0F) and not greek and not bar:
                # Thai and Lao set a space between clauses and sentences, not between words.
                spaced = f & 0x8000 and at + 2 < end and flags[min(code[at + 1], 0x20000)] & 0x40
                if spaced and at - piece >= 40 and _run(code, at + 2, end, flags) >= 12:
                    cuts[total] = at + 2
                    total += 1
                    piece = at + 2
                at += 1
                continue
            # A run of marks.
            dots = ask = other = 0
            strong = False
            first = at
            while at < end:
                c = min(code[at], 0x20000)
                f = flags[c]
                if f & 0x01:
                    dots += 1
                elif f & 0x02 or greek:
                    ask += 1
                elif f & 0x04:
                    other += 1
                elif f & 0x08 or bar:
                    strong = True
                else:
                    break
                greek = bar = False
                at += 1
            last = at
            while at < end and flags[min(code[at], 0x20000)] & 0x10:
                if flags[min(code[at], 0x20000)] & 0x20 and not _closes(code, piece, at, end, flags, quotes):
                    break
                quotes += code[at] == 34
                at += 1
            if (
                at + 1 < end
                and flags[min(code[at], 0x20000)] & 0x40
                and code[at + 1] == 0xBB
                and (at + 2 == end or flags[min(code[at + 2], 0x20000)] & 0x40)
            ):
                at += 2  # French sets a space before »
            closed = at > last
            if at >= end:
                break
            f = flags[min(code[at], 0x20000)]
            spaced = (f & 0x40) != 0
            prior = flags[min(code[first - 1], 0x20000)] if first > begin else 0
            if first == piece and not strong:
                continue
            nxt = at
            while nxt < end and flags[min(code[nxt], 0x20000)] & 0x40:
                nxt += 1
            if nxt >= end:
                break
            cut = smile = nxt
            emoji = False
            if spaced:
                # Emoji behind the mark belong to what they follow.
                smile = nxt
                while smile < end and flags[min(code[smile], 0x20000)] & 0x80:
                    smile += 1
                if smile > nxt and smile < end and not flags[min(code[smile], 0x20000)] & 0x40:
                    emoji = True  # before a word without a space: a bullet
                elif smile > nxt:
                    while smile < end and flags[min(code[smile], 0x20000)] & 0x40:
                        smile += 1
                    cut = nxt = smile
                    if nxt >= end:
                        break
            opener = nxt
            nxt = smile if emoji else nxt
            while nxt < end and (
                flags[min(code[nxt], 0x20000)] & 0x20 or (nxt > opener and flags[min(code[nxt], 0x20000)] & 0xC0)
            ):
                nxt += 1
            opened = nxt > opener
            if nxt >= end:
                continue
            g = flags[min(code[nxt], 0x20000)]
            c = code[nxt]
            if g & 0x200 and _capital_inside(code, nxt, end, flags):
                g = 0x100
            ends = False
            if strong or (not spaced and (prior & 0x1000 or g & 0x1000) and not (dots == 1 and ask == 0)):
                ends = True
                if nxt == at and c in (0x3001, 0xFF0C, 44, 0xFF1A, 0xFF1B, 58, 59, 0x2026, 0x30FB):
                    ends = False
                elif not spaced and strong and prior & 0x800 and g & 0x800 and last - first == 1:
                    ends = False  # a fullwidth decimal, a time
                elif does & 4 and nxt == at and _goes_on(code, at, end, closed, lang, keys, kinds):
                    ends = False  # 「…。」と
                elif first == last - (dots + other) and not strong and other:
                    ends = False  # ……
                elif (
                    ask == 1
                    and not strong
                    and _find(keys, kinds, _key(0, 33, code, _word_before(code, piece, first, flags), first, lower))
                ):
                    ends = False  # Yahoo!
            elif spaced:
                if ask:
                    ends = not (g & 0x200 and (closed or opened)) and (g & 0x0F00) != 0
                    if ends and ask == 1 and code[first] == 33:
                        ends = not _find(
                            keys, kinds, _key(0, 33, code, _word_before(code, piece, first, flags), first, lower)
                        )
                elif dots >= 2 or other:
                    ends = (g & 0x0D00) != 0 and not _is_lone_i(code, nxt, end, flags)
                elif dots == 1:
                    dash = opened and code[opener] in (45, 0x2013, 0x2014) and 0x400 <= c < 0x530
                    if g & 0x0D00 and not dash:
                        ends = _stop(code, piece, first, nxt, end, flags, lower, lang, does, keys, kinds)
            elif ask and nxt == at and g & 0x100 and prior & 0x200:
                # No space behind: merci!Bon
                ends = not _find(keys, kinds, _key(0, 33, code, _word_before(code, piece, first, flags), first, lower))
            if ends:
                cuts[total] = cut
                total += 1
                piece = cut
                at = max(at, cut)
        cuts[total] = end
        total += 1
        counts[row] = total - before
    return total


@jit
def _indic(code: Any, begin: int, at: int, flags: Any) -> bool:
    """Whether an Indic word stands before: the danda is often typed as a bar."""
    at -= 1
    while at > begin and flags[min(code[at], 0x20000)] & 0x40:
        at -= 1
    return bool(0x900 <= code[at] < 0xE00)


@jit
def _capital_inside(code: Any, at: int, end: int, flags: Any) -> bool:
    """Whether a word's capital stands behind a prefix: uTom, nGaeilge, eBay; or behind 'n, 's and 't of Afrikaans and Dutch."""
    if code[at] in (110, 115, 116) and code[at - 1] in (39, 0x2019) and at + 2 < end and code[at + 1] == 32:
        return bool(flags[min(code[at + 2], 0x20000)] & 0x100)
    for place in range(at + 1, min(at + 4, end)):
        f = flags[min(code[place], 0x20000)]
        if f & 0x100:
            return place + 1 < end and (flags[min(code[place + 1], 0x20000)] & 0x200) != 0
        if not f & 0x200:
            return False
    return False


@jit
def _word_before(code: Any, begin: int, at: int, flags: Any) -> int:
    while at > begin and flags[min(code[at - 1], 0x20000)] & 0x300:
        at -= 1
    return at


@jit
def _goes_on(code: Any, at: int, end: int, closed: bool, lang: int, keys: Any, kinds: Any) -> bool:
    """Whether a Japanese sentence goes on here, behind a quotation or a question inside it."""
    none = np.zeros(0, np.uint32)
    for size in range(1, 4):
        if at + size <= end and _find(keys, kinds, _key(lang, 126, code, at, at + size, none)):
            return True
    return closed and code[at] in (
        0x3068,
        0x304C,
        0x306F,
        0x306B,
        0x3082,
        0x3067,
        0x3084,
        0x3078,
        0x305F,
    )  # と が は に も で や へ た


@jit
def _closes(code: Any, piece: int, at: int, end: int, flags: Any, quotes: int) -> bool:
    """Whether a sign that both opens and closes closes here, behind a mark."""
    c = code[at]
    if c in (0x201D, 0x2019, 0xBB, 0x203A):
        return True
    following = flags[min(code[at + 1], 0x20000)] if at + 1 < end else 0x40
    if c in (42, 95):  # * and _ close what they have opened, and are bullets else
        if at + 1 < end and code[at + 1] == c:
            return True
        for place in range(piece, at):  # noqa: SIM110 - numba
            if code[place] == c:
                return True
        return False
    if c == 34 and quotes & 1:
        return True
    return (following & 0x50) != 0  # SPACE | CLOSE


@jit
def _run(code: Any, at: int, end: int, flags: Any) -> int:
    first = at
    while at < end and flags[min(code[at], 0x20000)] & 0x8000:
        at += 1
    return at - first
