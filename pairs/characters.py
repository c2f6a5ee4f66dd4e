"""What a text is made of, counted for a whole column at once over its code points.

One table over all of Unicode says of each code point its class and its script; the column is decoded once, end to end, and
every measure is a NumPy reduction over it. Tables come from the `unicodedata` of the running Python.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
CodePoints = npt.NDArray[np.uint32]

OTHER, LETTER, MARK, DIGIT, NUMBER, PUNCT, SYMBOL, SPACE = range(8)
"""Classes of code points: Unicode's general categories L, M, Nd, Nl+No, P, S, Z (and white space); the rest is OTHER."""

_CLASS_OF: Final = {"L": LETTER, "M": MARK, "N": NUMBER, "P": PUNCT, "S": SYMBOL, "Z": SPACE, "C": OTHER}

# ISO 15924 codes by the first words of the character names of a script.
_SCRIPT_WORDS: Final = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "CJK": "Hani", "IDEOGRAPHIC": "Hani", "HIRAGANA": "Hira",
    "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana", "HANGUL": "Hang", "ARABIC": "Arab", "HEBREW": "Hebr",
    "DEVANAGARI": "Deva", "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr", "ORIYA": "Orya", "TAMIL": "Taml",
    "TELUGU": "Telu", "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh", "THAI": "Thai", "LAO": "Laoo",
    "TIBETAN": "Tibt", "MYANMAR": "Mymr", "GEORGIAN": "Geor", "ETHIOPIC": "Ethi", "CHEROKEE": "Cher", "CANADIAN": "Cans",
    "KHMER": "Khmr", "MONGOLIAN": "Mong", "ARMENIAN": "Armn", "SYRIAC": "Syrc", "THAANA": "Thaa", "NKO": "Nkoo",
    "YI": "Yiii", "TIFINAGH": "Tfng", "OL CHIKI": "Olck", "BALINESE": "Bali", "JAVANESE": "Java", "SUNDANESE": "Sund",
    "BOPOMOFO": "Bopo", "COPTIC": "Copt", "GLAGOLITIC": "Glag", "VAI": "Vaii", "CHAM": "Cham", "TAI LE": "Tale",
    "NEW TAI LUE": "Talu", "TAI THAM": "Lana", "RUNIC": "Runr", "OGHAM": "Ogam", "GOTHIC": "Goth", "LISU": "Lisu",
    "MEETEI MAYEK": "Mtei", "ADLAM": "Adlm", "OSMANYA": "Osma", "CHAKMA": "Cakm", "BUGINESE": "Bugi", "TAGALOG": "Tglg",
    "BAMUM": "Bamu", "LEPCHA": "Lepc", "LIMBU": "Limb", "MANDAIC": "Mand", "SAURASHTRA": "Saur", "SYLOTI NAGRI": "Sylo",
    "NEWA": "Newa", "TIRHUTA": "Tirh", "WARANG CITI": "Wara", "HANIFI ROHINGYA": "Rohg", "DESERET": "Dsrt",
}  # fmt: skip
SCRIPTS: Final[tuple[str, ...]] = ("Zyyy", *sorted(set(_SCRIPT_WORDS.values())))
"""ISO 15924 codes by number in `Tables.script`; Zyyy (no script of its own) is 0."""

NUMBER_OF: Final[dict[str, int]] = {code: number for number, code in enumerate(SCRIPTS)}

UNSPACED: Final[tuple[str, ...]] = (
    "Hani",
    "Hira",
    "Kana",
    "Bopo",
    "Yiii",
    "Thai",
    "Laoo",
    "Khmr",
    "Mymr",
    "Tibt",
    "Java",
    "Bali",
)
"""Scripts whose words are not set apart by spaces."""

_CJK: Final = ("Hani", "Hira", "Kana", "Bopo", "Yiii")
CHARS_PER_WORD_CJK: Final = 2
"""Han, kana: characters a word; Chinese words average 1.5 to 1.8 characters and Japanese ones some 2.2 in segmented corpora."""
CHARS_PER_WORD_SEA: Final = 5
"""Letters a word in the unspaced scripts of South East Asia: Thai words average 4 to 5 characters in segmented corpora."""


@dataclass(frozen=True)
class Tables:
    """One entry for every code point, 0 to 0x10FFFF."""

    kind: Bytes  # the classes above
    script: Bytes  # index into SCRIPTS, of letters and marks
    extend: npt.NDArray[np.bool_]  # marks, joiners, variation selectors, emoji modifiers: never begin a cluster


def _script_word(name: str) -> str:
    for prefix in ("FULLWIDTH ", "HALFWIDTH ", "MATHEMATICAL ", "MODIFIER LETTER "):
        name = name.removeprefix(prefix)
    words = name.split(" ", 3)
    for length in (1, 2, 3):
        code = _SCRIPT_WORDS.get(" ".join(words[:length]))
        if code is not None:
            return code
    return "Zyyy"


@functools.cache
def tables() -> Tables:
    """Builds the tables on first use, about 0.1 s."""
    kind = np.zeros(0x110000, np.uint8)
    script = np.zeros(0x110000, np.uint8)
    extend = np.zeros(0x110000, bool)
    for code in range(0x20000):
        if 0xAC00 <= code <= 0xD7A3 or 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xD800 <= code <= 0xF8FF:
            continue
        character = chr(code)
        category = unicodedata.category(character)
        kind[code] = DIGIT if category == "Nd" else _CLASS_OF[category[0]]
        if category[0] in "LM":
            script[code] = NUMBER_OF[_script_word(unicodedata.name(character, ""))]
        extend[code] = category[0] == "M"
    for start, end, code_name in (
        (0x3400, 0x4DBF, "Hani"), (0x4E00, 0x9FFF, "Hani"), (0x20000, 0x323AF, "Hani"), (0xAC00, 0xD7A3, "Hang"),
    ):  # fmt: skip
        kind[start : end + 1] = LETTER
        script[start : end + 1] = NUMBER_OF[code_name]
    kind[[0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x85]] = SPACE
    extend[[0x200C, 0x200D]] = True
    extend[0x1F3FB : 0x1F3FF + 1] = True
    extend[0xE0020 : 0xE007F + 1] = True
    extend[0xFF9E : 0xFF9F + 1] = True
    kind[0xE0100 : 0xE01EF + 1] = MARK
    extend[0xE0100 : 0xE01EF + 1] = True
    # Thai and Lao SARA AM are letters to Unicode's categories but extend the consonant before them (UAX 29).
    extend[[0x0E33, 0x0EB3]] = True
    for table in (kind, script, extend):
        table.setflags(write=False)
    return Tables(kind, script, extend)


@functools.cache
def script_set(*codes: str) -> npt.NDArray[np.bool_]:
    """A lookup over script numbers: True for the scripts named."""
    found = np.zeros(len(SCRIPTS), bool)
    found[[NUMBER_OF[code] for code in codes]] = True
    return found


@dataclass(frozen=True)
class Column:
    """A column of texts as code points, end to end."""

    code: CodePoints  # (total,)
    start: Ints  # (n + 1,): row r is code[start[r]:start[r + 1]]
    row: Ints  # (total,): each code point's row

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.start) - 1

    @property
    def length(self) -> Ints:
        """int64 (n,): characters of each row."""
        return np.diff(self.start)

    def per_row(self, marked: npt.NDArray[np.bool_]) -> Ints:
        """int64 (n,): how many marked code points each row has."""
        sums = np.zeros(len(self.code) + 1, np.int64)
        np.cumsum(marked, out=sums[1:])
        return sums[self.start[1:]] - sums[self.start[:-1]]

    def is_start(self) -> npt.NDArray[np.bool_]:
        """bool (total,): the first code point of its row."""
        first = np.zeros(len(self.code), bool)
        begins = self.start[:-1]
        first[begins[begins < self.start[1:]]] = True
        return first


def decode(texts: pa.StringArray) -> Column:
    """The code points of a column; null rows are empty."""
    data, _ = arrow.bytes_and_offsets(texts)
    code = np.frombuffer(data.tobytes().decode("utf-8", "replace").encode("utf-32-le", "surrogatepass"), np.uint32)
    length = pc.utf8_length(texts).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    start = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(length, out=start[1:])
    return Column(code, start, np.repeat(np.arange(len(texts)), length))


def encode(code: CodePoints, row: Ints, n: int) -> pa.StringArray:
    """The texts of code points that lie row by row: the inverse of `decode`.

    Args:
        code: uint32 (total,).
        row: int64 (total,), not decreasing.
        n: Number of rows; rows without a code point are empty strings.
    """
    width = 1 + (code > 0x7F).astype(np.int64) + (code > 0x7FF) + (code > 0xFFFF)
    sizes = np.bincount(row, weights=width, minlength=n).astype(np.int64)
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return arrow.from_bytes(code.astype("<u4").tobytes().decode("utf-32-le").encode("utf-8"), offsets)


@dataclass(frozen=True)
class Measures:
    """What `measure` counts; every array has shape (n,)."""

    chars: Ints  # code points
    words: Ints  # language-aware, see `measure`
    letters: Ints  # letters and marks
    digits: Ints  # decimal digits
    puncts: Ints  # punctuation and symbols
    spaces: Ints
    script: npt.NDArray[np.intp]  # index into SCRIPTS of the most frequent script among the letters
    scripts: Ints  # how many scripts have at least two letters; Han, kana and Bopomofo are one
    script_switches: Ints  # places where a letter follows a letter of another alphabet, without a space
    longest_run: Ints  # most repetitions of one character that is no space or digit, side by side
    unspaced: Ints  # letters of scripts without spaces

    def share(self, part: Ints) -> npt.NDArray[np.float32]:
        """part / characters that are no spaces; 0 for an empty text."""
        seen = np.maximum(self.chars - self.spaces, 1)
        return (part / seen).astype(np.float32)


def measure(texts: pa.StringArray) -> Measures:
    """Counts a whole column.

    Words are runs without a space that hold a letter or digit of a spaced script; letters of scripts without spaces add one
    word for each `CHARS_PER_WORD_CJK` or `CHARS_PER_WORD_SEA` begun.

    Args:
        texts: n strings; null counts as empty.

    Returns:
        Integer counts, each of shape (n,).
    """
    column = decode(texts)
    table = tables()
    n, total = column.n, len(column.code)
    kind = table.kind[column.code]
    script = table.script[column.code]
    counts = np.bincount(column.row * 8 + kind, minlength=n * 8).reshape(n, 8)
    first = column.is_start()

    by_script = np.bincount(column.row * len(SCRIPTS) + script, minlength=n * len(SCRIPTS)).reshape(n, len(SCRIPTS))
    by_script[:, 0] = 0
    dominant = np.argmax(by_script, axis=1)
    cjk = by_script[:, script_set(*_CJK)].sum(axis=1)
    unspaced = by_script[:, script_set(*UNSPACED)].sum(axis=1)
    several = (by_script >= 2) & ~script_set(*_CJK)
    scripts = several.sum(axis=1) + (cjk >= 2)

    is_space = kind == SPACE
    is_unspaced = script_set(*UNSPACED)[script]
    wordy = ((kind == LETTER) | (kind == DIGIT) | (kind == MARK)) & ~is_unspaced
    words = np.zeros(n, np.int64)
    runs = np.zeros(n, np.int64)
    switches = np.zeros(n, np.int64)
    if total:
        token = np.cumsum(is_space | first) - 1
        holds = np.zeros(int(token[-1]) + 1, bool)
        holds[token[wordy]] = True
        token_row = column.row[is_space | first]
        words = np.bincount(token_row[holds], minlength=n)
        change = np.ones(total, bool)
        change[1:] = column.code[1:] != column.code[:-1]
        change |= first
        begins = np.flatnonzero(change)
        lengths = np.diff(np.append(begins, total))
        lengths[is_space[begins] | (kind[begins] == DIGIT)] = 0
        np.maximum.at(runs, column.row[begins], lengths)
        alphabetic = ~(script_set(*UNSPACED) | script_set("Zyyy", "Hang"))
        letter = alphabetic[script] & (kind == LETTER)
        switch = np.zeros(total, bool)
        switch[1:] = letter[1:] & letter[:-1] & (script[1:] != script[:-1]) & ~first[1:]
        switches = column.per_row(switch)
    words = words + -(-cjk // CHARS_PER_WORD_CJK) + -(-(unspaced - cjk) // CHARS_PER_WORD_SEA)
    return Measures(
        chars=column.length,
        words=words,
        letters=counts[:, LETTER] + counts[:, MARK],
        digits=counts[:, DIGIT],
        puncts=counts[:, PUNCT] + counts[:, SYMBOL],
        spaces=counts[:, SPACE],
        script=dominant,
        scripts=scripts,
        script_switches=switches,
        longest_run=runs,
        unspaced=unspaced,
    )


def script_codes(numbers: npt.NDArray[np.intp]) -> pa.StringArray:
    """ISO 15924 codes of script numbers; null where no letter has a script."""
    return pa.array(SCRIPTS, pa.string()).take(pa.array(numbers, mask=numbers == 0))


def repetition(texts: pa.StringArray) -> npt.NDArray[np.float32]:
    """The share of words that repeat an earlier word of the same text, case aside.

    Words are runs between spaces, without the punctuation around them; text without spaces is one word and scores 0.

    Args:
        texts: n strings; null counts as empty.

    Returns:
        float32 (n,): 1 - distinct words / words, 0 for fewer than two words.
    """
    n = len(texts)
    lowered = pc.utf8_lower(texts.fill_null(""))
    lists = pc.utf8_split_whitespace(lowered)
    words = pc.utf8_trim(lists.flatten(), ",.;:!?\"'()|-#*")
    rows = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    keep = pc.utf8_length(words).to_numpy() > 0
    rows, words = rows[keep], words.filter(pa.array(keep))
    if len(words) == 0:
        return np.zeros(n, np.float32)
    codes = words.dictionary_encode().indices.to_numpy().astype(np.int64)
    distinct = np.unique(rows * (int(codes.max()) + 1) + codes) // (int(codes.max()) + 1)
    total = np.bincount(rows, minlength=n)
    return (1.0 - np.bincount(distinct, minlength=n) / np.maximum(total, 1)).astype(np.float32) * (total > 1)
