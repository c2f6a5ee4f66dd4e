"""The published rules once more, row by row in plain Python: what the presets are held against.

Nothing here comes from the package: words, scripts, sizes and counts are worked out from `str`, `unicodedata` and Pillow.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

UNSPACED = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO", "YI ", "THAI", "LAO ", "KHMER", "MYANMAR", "TIBETAN",
            "JAVANESE", "BALINESE")  # fmt: skip
PAIRED = UNSPACED[:6]


@dataclass
class Row:
    """One row: its normalised text, what fastText says of it, and the facts of its picture."""

    text: str
    lang: str | None
    image: str  # what tells pictures apart
    format: str | None = None
    width: int = 0
    height: int = 0
    length: int = 0


def _is(character: str, scripts: Sequence[str]) -> bool:
    if unicodedata.category(character)[0] not in "LM":
        return False
    name = unicodedata.name(character, "")
    for prefix in ("FULLWIDTH ", "HALFWIDTH ", "MODIFIER LETTER "):
        name = name.removeprefix(prefix)
    return name.startswith(tuple(scripts))


def unigrams(text: str) -> list[str]:
    """Runs of letters, marks and digits; an apostrophe inside does not end one; each letter of an unspaced script is one."""
    found, word = [], ""
    for at, character in enumerate(text + " "):
        wordy = unicodedata.category(character)[0] in "LMN"
        lone = wordy and _is(character, UNSPACED)
        if wordy and not lone:
            word += character.lower()
            continue
        after = text[at + 1 : at + 2]
        if (
            word
            and character in "'’"
            and after
            and unicodedata.category(after)[0] in "LMN"
            and not _is(after, UNSPACED)
        ):
            word += "'"
            continue
        if word:
            found.append(word)
            word = ""
        if lone and unicodedata.category(character)[0] == "L":
            found.append(character)
    return found


def repetition(text: str) -> float:
    """Share of words that repeat an earlier one, without case and the punctuation around; pairs of letters in Han and kana."""
    words: list[str] = []
    for piece in text.split():
        bare = "".join(c for c in piece if not _is(c, UNSPACED))
        ends = [at for at, c in enumerate(bare) if unicodedata.category(c)[0] in "LMN"]
        if ends:
            inside = bare[ends[0] : ends[-1] + 1]
            words.append("".join(c.lower() if len(c.lower()) == 1 else c for c in inside))
    for first, second in itertools.pairwise(text):
        if _is(first, PAIRED) and _is(second, PAIRED) and unicodedata.category(first)[0] == "L":
            words.append(first + second)
    return 1 - len(set(words)) / len(words) if len(words) > 1 else 0.0


def _short(row: Row) -> int:
    return min(row.width, row.height)


def _ratio(row: Row) -> float:
    return max(row.width, row.height) / max(_short(row), 1)


def align(rows: Sequence[Row]) -> list[str | None]:
    images, texts = defaultdict(set), defaultdict(set)
    for row in rows:
        images[row.text].add(row.image)
        texts[row.image].add(row.text)

    def why(row: Row) -> str | None:
        if row.format and not _short(row) > 200:
            return "image_too_small"
        if row.format and not _ratio(row) < 3:
            return "image_aspect"
        if len(texts[row.image]) > 1000:
            return "image_with_many_texts"
        if len(images[row.text]) > 10:
            return "text_on_many_images"
        count = len(unigrams(row.text))
        return "too_short" if count < 3 else "too_long" if count > 20 else None

    return [why(row) for row in rows]


def cc12m(rows: Sequence[Row]) -> list[str | None]:
    def why(row: Row) -> str | None:
        if row.format and row.format != "jpg":
            return "image_format"
        if row.format and not (row.width > 400 and row.height > 400):
            return "image_too_small"
        if row.format and not _ratio(row) <= 2.5:
            return "image_aspect"
        count = len(unigrams(row.text))
        if count < 3 or count > 256:
            return "too_short" if count < 3 else "too_long"
        return "repetition" if repetition(row.text) > 0.2 + 1e-7 else None

    return [why(row) for row in rows]


def coyo(rows: Sequence[Row]) -> list[str | None]:
    seen = Counter(row.text for row in rows)

    def why(row: Row) -> str | None:
        if row.format and row.length < 5 * 1024:
            return "few_bytes"
        if row.format and _ratio(row) > 3.0:
            return "image_aspect"
        if row.format and _short(row) < 200:
            return "image_too_small"
        count = len(row.text.split())
        if len(row.text) <= 5 or count < 3:
            return "too_short"
        if count > 256 or len(row.text) > 1000:
            return "too_long"
        return "text_too_frequent" if seen[row.text] > 10 else None

    return [why(row) for row in rows]


def datacomp_basic(rows: Sequence[Row]) -> list[str | None]:
    def why(row: Row) -> str | None:
        if row.lang is not None and row.lang != "en":
            return "language"
        if not (len(row.text.split()) > 2 and len(row.text) > 5):
            return "too_short"
        if row.format and _short(row) < 200:
            return "image_too_small"
        return "image_aspect" if row.format and _ratio(row) > 3.0 else None

    return [why(row) for row in rows]


def lit_yfcc(rows: Sequence[Row]) -> list[str | None]:
    def why(row: Row) -> str | None:
        text = row.text
        if not text:
            return "empty"
        if text.startswith(("DSC", "IMG", "Picture")) or text.lower() == "image":
            return "camera_title"
        digits = sum(unicodedata.category(character) == "Nd" for character in text)
        return "many_digits" if digits > len(text) / 2 else None

    return [why(row) for row in rows]


PRESETS: dict[str, Callable[[Sequence[Row]], list[str | None]]] = {
    "align": align,
    "cc12m": cc12m,
    "coyo": coyo,
    "datacomp_basic": datacomp_basic,
    "lit_yfcc": lit_yfcc,
}
