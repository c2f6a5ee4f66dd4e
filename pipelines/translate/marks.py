"""Marks that engines put before words that they could not translate: taken off, and counted."""

from __future__ import annotations

import re


def take_off(sentence: str, translation: str, unknown: str, failed: str) -> tuple[str, int, int]:
    """A translation without an engine's marks.

    A mark that the sentence itself has as often (`#hashtag`, `@name`, `*emphasis*`) is the author's and stays.

    Args:
        sentence: What went in.
        translation: What came out.
        unknown: Characters that stand before words that the engine does not know.
        failed: Characters that stand before words that it could not carry over or form.

    Returns:
        The text, how many words were unknown, and how many it failed on.
    """
    counts = []
    for marks in (unknown, failed):
        count = 0
        for mark in marks:
            sign = re.escape(mark)
            # Before a word, or before the part of one that follows a digit or _: `30*s`.
            pattern = re.compile(rf"(?<!\w){sign}(?=\w)|(?<=[\d_]){sign}(?=[^\W\d_])")
            more = len(pattern.findall(translation)) - len(pattern.findall(sentence))
            if more > 0:
                translation, count = pattern.sub("", translation), count + more
        counts.append(count)
    return translation, counts[0], counts[1]
