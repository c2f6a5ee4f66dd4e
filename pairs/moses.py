"""Moses' punctuation normalising, as sacremoses ports it, for whole columns.

`normalise` gives what `sacremoses.MosesPunctNormalizer(lang).normalize` gives: its list of substitutions, read from the
installed package, run one by one over the rows that hold what they look for. A test holds the two against each other.
"""

from __future__ import annotations

import functools
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sacremoses.normalize import MosesPunctNormalizer

from pairs import arrow

_HINT: Final = r"[()`'„“”–—´‘’‚…«»\x{a0}%:;?!\r\"]|  |, "
_PYTHON_SPACE: Final = r"[\s\x0b\x1c-\x1f\x{85}\p{Z}]"


def _re2(pattern: str) -> str:
    """A pattern of sacremoses as RE2 reads it: Python's \\d and \\s mean all of Unicode."""
    return pattern.replace(r"\d", r"\p{Nd}").replace(r"\s", _PYTHON_SPACE)


@functools.lru_cache(256)
def _substitutions(lang: str) -> tuple[tuple[str, str, bool], ...]:
    """(pattern, replacement, literal) in order, for one language."""
    found = []
    for pattern, replacement in MosesPunctNormalizer(lang=lang).substitutions:
        literal = not any(character in pattern for character in "\\[](){}*+?.^$|")
        found.append(
            (
                pattern if literal else _re2(pattern),
                replacement.replace(r"\g<1>", r"\1").replace(r"\g<2>", r"\2"),
                literal,
            )
        )
    return tuple(found)


def normalise(texts: pa.StringArray, lang: str) -> pa.StringArray:
    """Punctuation as Moses normalises it.

    Args:
        texts: n strings.
        lang: The language subtag: en, de, es, fr, cs and cz have rules of their own.

    Returns:
        n strings, trimmed.
    """
    rows = arrow.mask(arrow.matches(texts, _HINT))
    if rows.any():
        part = texts.filter(pa.array(rows))
        for pattern, replacement, literal in _substitutions(lang):
            replace = pc.replace_substring if literal else arrow.sub
            part = replace(part, pattern, replacement)
        texts = pc.replace_with_mask(texts, pa.array(rows), part)
    return pc.utf8_trim_whitespace(texts)
