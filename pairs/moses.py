"""Moses' punctuation normalising and detokenising, as sacremoses ports them, for whole columns.

`normalise` gives what `sacremoses.MosesPunctNormalizer(lang).normalize` gives: its list of substitutions, read from the
installed package, run one by one over the rows that hold what they look for. A test holds the two against each other.
`detokenise` is sacremoses' own, which does some 100,000 lines a second, and what Chinese and Japanese need beyond it.
"""

from __future__ import annotations

import functools
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sacremoses import MosesDetokenizer
from sacremoses.normalize import MosesPunctNormalizer

from pairs import arrow

_HINT: Final = r"[()`'„“”–—´‘’‚…«»\x{a0}%:;?!\r\"]|  |, "
_PYTHON_SPACE: Final = r"[\s\x0b\x1c-\x1f\x{85}\p{Z}]"


def _re2(pattern: str) -> str:
    """A pattern of sacremoses as RE2 reads it: Python's \\d and \\s mean all of Unicode."""
    return pattern.replace(r"\d", r"\p{Nd}").replace(r"\s", _PYTHON_SPACE)


@functools.lru_cache(256)
def _substitutions(lang: str) -> tuple[tuple[str, str, str, bool], ...]:
    """(pattern, replacement, what a row must hold, literal) in order, for one language."""
    found = []
    for pattern, replacement in MosesPunctNormalizer(lang=lang).substitutions:
        literal = not any(character in pattern for character in "\\[](){}*+?.^$|")
        found.append(
            (
                pattern if literal else _re2(pattern),
                replacement.replace(r"\g<1>", r"\1").replace(r"\g<2>", r"\2"),
                "  " if (pattern, replacement) == (" +", " ") else _required(pattern),
                literal,
            )
        )
    return tuple(found)


def _required(pattern: str) -> str:
    """The longest run of characters that whatever the pattern matches must hold; the pattern has no alternatives."""
    runs = [""]
    at = 0
    while at < len(pattern):
        character, after = pattern[at], pattern[at + 1 : at + 2]
        if character == "[":
            at = pattern.index("]", at + 2)
            runs.append("")
        elif character == "\\" and after.isalpha() and after != "r":
            at += 1
            runs.append("")
        elif character in "*?":
            runs[-1:] = [runs[-1][:-1], ""]
        elif character == "+":
            runs.append("")
        elif character == "|":
            return ""
        elif character not in "()":
            at += character == "\\"
            runs[-1] += "\r" if pattern[at] == "r" and character == "\\" else pattern[at]
        at += 1
    return max(runs, key=len)


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
        held = _bytes(part)
        for pattern, replacement, required, literal in _substitutions(lang):
            if required.encode() not in held:
                continue
            there = arrow.mask(pc.match_substring(part, required))
            replace = pc.replace_substring if literal else pc.replace_substring_regex
            changed = replace(part.filter(pa.array(there)), pattern, replacement)
            part = changed if there.all() else pc.replace_with_mask(part, pa.array(there), changed)
            held = _bytes(part)
        texts = pc.replace_with_mask(texts, pa.array(rows), part)
    return pc.utf8_trim_whitespace(texts)


def _bytes(texts: pa.StringArray) -> bytes:
    return arrow.bytes_and_offsets(texts)[0].tobytes()


# --- tokens ----------------------------------------------------------------------------------------------------------------------

_CJK: Final = (
    r"\x{2e80}-\x{2fdf}\x{3001}-\x{303f}\x{3040}-\x{30ff}\x{31f0}-\x{31ff}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}"
    r"\x{f900}-\x{faff}\x{ff01}-\x{ffef}\x{20000}-\x{323af}"
)
_DETACHED: Final = r"[^\s.,] [.,](?: |$)"
_ATTACHED: Final = r"[^\s.,][.,](?: |$)"
_APART: Final = rf"[{_CJK}] [{_CJK}]\S* [{_CJK}]"
_EIGHT_CJK: Final = rf"(?:[{_CJK}][^{_CJK}]*){{8}}"
_MOSES_ESCAPES: Final = r"&(?:apos|quot|amp|lt|gt|#91|#93|#124);|@-@"


def is_tokenised(texts: pa.StringArray, lang: str | None) -> bool:
    """Whether a file's text is tokenised, from some of its lines: what a corpus does, it does throughout.

    It is, if full stops and commas that stand apart (`word .`) are four times as frequent as those that do not; in Chinese
    and Japanese, if three of five lines of 8 characters or more have them set apart by spaces. Question marks are not asked:
    French sets them apart in natural text.

    Args:
        texts: Lines; null counts as empty.
        lang: Their language tag.
    """
    texts = texts.fill_null("")
    if (lang or "").split("-")[0] in ("zh", "ja", "yue", "wuu", "lzh"):
        long = texts.filter(arrow.matches(texts, _EIGHT_CJK))
        apart = int(arrow.mask(arrow.matches(long, _APART)).sum())
        return len(long) > 0 and apart >= 0.6 * len(long)
    detached = int(arrow.mask(arrow.matches(texts, _DETACHED)).sum())
    attached = int(arrow.mask(arrow.matches(texts, _ATTACHED)).sum())
    return detached > 0 and detached >= 4 * attached


def detokenise(texts: pa.StringArray, lang: str) -> pa.StringArray:
    """Tokens put together again, as Moses does by language: `i 'll go .` -> `i'll go.`, `« oui »` stays.

    In Chinese and Japanese no space is left beside their characters.

    Args:
        texts: n strings, none null.
        lang: The language subtag.

    Returns:
        n strings.
    """
    rows = arrow.mask(arrow.matches(texts, rf" |{_MOSES_ESCAPES}"))
    if rows.any():
        join = MosesDetokenizer(lang=lang).detokenize
        part = texts.filter(pa.array(rows))
        texts = arrow.replace_rows(texts, rows, [join(text.split()) for text in part.to_pylist()])
    if lang in ("zh", "ja", "yue", "wuu", "lzh"):
        for _ in range(2):  # a character between two spaces is in both matches
            texts = arrow.sub(texts, rf"([{_CJK}]) +(\S)", r"\1\2")
            texts = arrow.sub(texts, rf"(\S) +([{_CJK}])", r"\1\2")
    return texts
