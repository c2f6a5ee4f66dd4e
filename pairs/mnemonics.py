"""Keyboard marks of menus in message catalogues: `_File`, `E&xit`, `ファイル (_F)`. Who reads the menu does not see them.

GNOME writes `_`, Qt and Windows `&`, LibreOffice `~` before the letter; languages that are not written in Latin letters put it in
brackets behind the text (accelerators, as the Translate Toolkit calls them). One side alone may be a name (`auth_file`, `AT&T`),
so that both sides are looked at.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow

MAX_CHARS: Final = 100
"""A longer text is no menu's."""

_HINT: Final = r"[_&~][\pL\pN]"
_BRACKETED: Final = re.compile(r"\s?[(（]([_&~])[^\W_][)）]")
_MARKS: Final = "_&~"


def undo(left: pa.StringArray, right: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    """Pairs without keyboard marks.

    Args:
        left, right: n texts, none null.

    Returns:
        The n left and right texts.
    """
    marked = [arrow.mask(arrow.matches(side, _HINT)) for side in (left, right)]
    rows: npt.NDArray[np.bool_] = marked[0] | marked[1]
    if not rows.any():
        return left, right
    chosen = pa.array(rows)
    found = [
        _undone(*pair) for pair in zip(left.filter(chosen).to_pylist(), right.filter(chosen).to_pylist(), strict=True)
    ]
    return arrow.replace_rows(left, rows, [a for a, _ in found]), arrow.replace_rows(right, rows, [b for _, b in found])


def _undone(left: str, right: str) -> tuple[str, str]:
    if max(len(left), len(right)) > MAX_CHARS:
        return left, right
    for mark in _MARKS:
        if mark in left or mark in right:
            left, right = _without(left, right, mark)
    return left, right


def _without(left: str, right: str, mark: str) -> tuple[str, str]:
    """Both texts without this mark, where it surely is one."""
    bare = [_BRACKETED.sub(lambda found: "" if found[1] == mark else found[0], text) for text in (left, right)]
    bracketed = bare != [left, right]
    places = [_place(text, mark) for text in bare]
    words = [_word(text, at) for text, at in zip(bare, places, strict=True) if at is not None]
    if len(words) < sum(mark in text for text in bare):
        return bare[0], bare[1]  # a mark that is none: twice, or before no letter
    first, capital = (any(word.startswith(mark) for word in words), all(_is_title(word, mark) for word in words))
    differ = len(words) == 2 and words[0].casefold().replace(mark, "") != words[1].casefold().replace(mark, "")
    if words and (bracketed or capital or (first and differ)):
        bare = [text if at is None else text[:at] + text[at + 1 :] for text, at in zip(bare, places, strict=True)]
    return bare[0], bare[1]


def _place(text: str, mark: str) -> int | None:
    """Where the one mark of a text stands, if a letter follows."""
    at = text.find(mark)
    return at if text.count(mark) == 1 and text[at + 1 : at + 2].isalnum() else None


def _word(text: str, at: int) -> str:
    """The word around a place."""
    begin = text.rfind(" ", 0, at) + 1
    end = text.find(" ", at)
    return text[begin : len(text) if end < 0 else end]


def _is_title(word: str, mark: str) -> bool:
    """`_File`: a mark, a capital and a small letter."""
    return word[:1] == mark and word[1:2].isupper() and word[2:3].islower()
