"""Plain text whose lines were broken at a width (mail, e-books, RFCs): found, and its paragraphs put together again.

A line end is a wrap where the next line's first word would not have fitted, or where a sentence goes on in small letters. These
are the rules by which `fmt` and `par` break lines, read backwards; the shares are ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

MAX_WIDTH: Final = 100
"""Columns; hardly a line of a wrapped text is longer: 72 and 80 are usual."""
_MIN_WIDTH: Final = 40
"""Narrower ones are lists of words."""
_MOST_LONGER: Final = 0.02
_LEAST_FULL: Final = 0.4
_LEAST_GOING_ON: Final = 0.25
_FULL: Final = 0.9
"""Of the width: people break lines by hand, too."""
_WIDTH_OF: Final = 0.98
"""The share of lines that are not longer than the width."""

_ITEM: Final = re.compile(r"\s*(?:[-*+•‣·>|#=]|[–—]\s|--|\(?(?:\d{1,3}|[A-Za-z])[.)]\s)")
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff]"
)
"""Scripts without spaces, and their punctuation: their lines are joined without one."""
_WORD: Final = re.compile(r"\S+")
_WIDE_OR_MARK: Final = re.compile(
    r"[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u231a-\u27ff\u2b00-\u2bff\u2e80-\uffff\U00010000-\U0010ffff]"
)
"""Where a character may take two columns or none."""


def columns(text: str) -> int:
    """The columns that a text takes in a terminal: a wide character two, a mark none."""
    if text.isascii() or not _WIDE_OR_MARK.search(text):
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(sign) in "WF" else 0 if unicodedata.combining(sign) else 1 for sign in text
    )


def width(lines: Sequence[str]) -> int | None:
    """The width at which lines were broken, columns; None where they are no wrapped text.

    Args:
        lines: Of one file, in order, white space at their ends or not; an empty one ends a paragraph.
    """
    bare = [line.rstrip() for line in lines]
    taken = sorted(columns(line) for line in bare if line)
    if not taken or sum(size > MAX_WIDTH for size in taken) > _MOST_LONGER * len(taken):
        return None
    found = taken[min(int(_WIDTH_OF * len(taken)), len(taken) - 1)]
    if found < _MIN_WIDTH:
        return None
    breaks = [(line, after) for line, after in pairwise(bare) if line and after and not _apart(line, after)]
    full = [(line, after) for line, after in breaks if _is_full(line, after, found)]
    going_on = sum(_goes_on(line, after) for line, after in full)
    if len(full) < 3 or len(full) < _LEAST_FULL * len(breaks) or going_on < _LEAST_GOING_ON * len(full):
        return None
    return found


def unwrap(text: str, at: int) -> str:
    """A wrapped document with each paragraph on one line; headings, items of lists, verse and what is set in stay on theirs.

    Args:
        text: Its lines end in a newline.
        at: The width, as `width` gives it.
    """
    return "\n".join(_paragraphs(text.split("\n"), at))


def _paragraphs(lines: Iterable[str], at: int) -> Iterable[str]:
    gathered: list[str] = []
    before = ""
    for line in lines:
        line = line.rstrip()
        if gathered and _belongs(before, line, at):
            gathered += [_between(before, line.lstrip()), line.lstrip()]
        else:
            if gathered:
                yield "".join(gathered)
            gathered = [line]
        before = line
    if gathered:
        yield "".join(gathered)


def _between(before: str, after: str) -> str:
    """What joins two lines: a space, but within a word and in scripts without spaces. A hyphen stays: it may be the word's."""
    within = len(before) > 1 and before[-1] == "-" and before[-2].isalpha()
    unspaced = _UNSPACED.match(before[-1]) and _UNSPACED.match(after)
    return "" if within or unspaced else " "


def _belongs(before: str, line: str, at: int) -> bool:
    """Whether a line goes on with the paragraph of the one before."""
    if not before or not line or _apart(before, line):
        return False
    return _goes_on(before, line) or _is_full(before, line, at)


def _apart(before: str, line: str) -> bool:
    """Whether a line is an item of a list, or set in as a quotation's author is: whatever stands before it, it begins anew."""
    return bool(_ITEM.match(line)) or (_set_in(line) > _set_in(before) and not _ITEM.match(before))


def _set_in(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


def _is_full(line: str, after: str, at: int) -> bool:
    """Whether what stands first on the next line would not have fitted on this one."""
    first = after.lstrip()
    if _UNSPACED.match(first):
        return columns(line) + 2 > _FULL * at
    word = _WORD.match(first)
    return columns(line) + 1 + columns(word[0] if word else "") > _FULL * at


def _goes_on(line: str, after: str) -> bool:
    """Whether a sentence goes on over a line end: no mark ends it here, and it goes on in small letters, or without spaces."""
    last, first = line[-1], after.lstrip()[0]
    if not (last.isalnum() or last in ",-–—" or unicodedata.category(last)[0] == "M"):
        return False
    return first.islower() or bool(_UNSPACED.match(last) and _UNSPACED.match(first))
