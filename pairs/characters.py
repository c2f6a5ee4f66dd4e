"""What a text is made of, counted for a whole column at once over its code points.

One table over all of Unicode says of each code point its class and its script; the column is decoded once, end to
end, and every measure is a NumPy reduction over it. Tables come from the `unicodedata` of the running Python.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow, spans
from pairs.jit import jit

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
CodePoints = npt.NDArray[np.uint32]

OTHER, LETTER, MARK, DIGIT, NUMBER, PUNCT, SYMBOL, SPACE = range(8)
"""Classes of code points: Unicode's general categories L, M, Nd, Nl+No, P, S, Z (and white space); the rest is
OTHER."""

_CLASS_OF: Final = {"L": LETTER, "M": MARK, "N": NUMBER, "P": PUNCT, "S": SYMBOL, "Z": SPACE, "C": OTHER}

# ISO 15924 codes by the first words of the character names of a script.
_SCRIPT_WORDS: Final = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "CJK": "Hani", "IDEOGRAPHIC": "Hani", "HIRAGANA": "Hira",
    "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana", "HANGUL": "Hang", "ARABIC": "Arab", "HEBREW": "Hebr",
    "DEVANAGARI": "Deva", "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr", "ORIYA": "Orya", "TAMIL": "Taml",
    "TELUGU": "Telu", "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh", "THAI": "Thai", "LAO": "Laoo",
    "TIBETAN": "Tibt", "MYANMAR": "Mymr", "GEORGIAN": "Geor", "ETHIOPIC": "Ethi", "CHEROKEE": "Cher",
    "CANADIAN": "Cans",
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

CJK: Final = ("Hani", "Hira", "Kana", "Bopo", "Yiii")
"""Of these the scripts in which a word is a character or two."""
DENSE: Final = (*CJK, "Hang", "Ethi")
"""Scripts of which a character says about what two letters of an alphabet say: a syllable or more."""
CHARS_PER_WORD_CJK: Final = 2
"""Han, kana: characters a word; segmented corpora have 1.8 in Chinese words and 1.3 in Japanese morphemes."""
CHARS_PER_WORD_SEA: Final = 5
"""Letters and marks a word in the unspaced scripts of South East Asia: an estimate of ours, from Thai."""


@dataclass(frozen=True)
class Tables:
    """One entry for every code point, 0 to 0x10FFFF."""

    kind: Bytes  # the classes above
    script: Bytes  # index into SCRIPTS, of letters and marks
    extend: npt.NDArray[np.bool_]  # marks, joiners, variation selectors, emoji modifiers: never begin a cluster
    lower: CodePoints  # the small letter of a capital, where it is one code point


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
    lower = np.arange(0x110000, dtype=np.uint32)
    for code in range(0x20000):
        if 0xAC00 <= code <= 0xD7A3 or 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xD800 <= code <= 0xF8FF:
            continue
        character = chr(code)
        category = unicodedata.category(character)
        kind[code] = DIGIT if category == "Nd" else _CLASS_OF[category[0]]
        if category[0] in "LM":
            script[code] = NUMBER_OF[_script_word(unicodedata.name(character, ""))]
        extend[code] = category[0] == "M"
        small = character.lower()
        if len(small) == 1:
            lower[code] = ord(small)
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
    for table in (kind, script, extend, lower):
        table.setflags(write=False)
    return Tables(kind, script, extend, lower)


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

    @functools.cached_property
    def row(self) -> Ints:
        """int64 (total,): each code point's row."""
        return np.repeat(np.arange(self.n), self.length)

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
    found = spans.decode(texts)
    return Column(found.code, np.append(found.begin, len(found.code)))


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
    script: Ints  # index into SCRIPTS of the most frequent script among letters and marks; 0 where there is none
    script_switches: Ints  # places where a letter follows a letter of another alphabet, without a space
    longest_run: Ints  # most repetitions of one character that is no space or digit, side by side
    dense: Ints  # letters of Han, kana, Hangul and the other syllabic scripts of `DENSE`
    separators: Ints  # , ; | and their like: what stands between the items of a list
    hashtags: Ints  # # before a letter
    repetition: npt.NDArray[np.float32]  # 1 - distinct words / words
    expected_share: npt.NDArray[
        np.float32
    ]  # letters in the row's expected scripts / letters, see `measure`; 1 for none

    @property
    def weight(self) -> Ints:
        """int64 (n,): characters, those of dense scripts twice: how long a text is, whatever it is written in."""
        return self.chars + self.dense

    def share(self, part: Ints) -> npt.NDArray[np.float32]:
        """part / characters that are no spaces; 0 for an empty text."""
        seen = np.maximum(self.chars - self.spaces, 1)
        return np.asarray(part / seen, np.float32)


def measure(texts: pa.StringArray, *, expected: Sequence[frozenset[str]] = (), which: Ints | None = None) -> Measures:
    """Counts a whole column.

    Words are runs without a space that hold a letter or digit of a spaced script; letters of scripts without spaces add
    one word for each `CHARS_PER_WORD_CJK` or `CHARS_PER_WORD_SEA` begun. Repetition compares words without their case
    and the punctuation around them; in Han and kana it compares pairs of neighbouring characters.

    Args:
        texts: n strings; null counts as empty.
        expected: Sets of scripts (ISO 15924) that texts are expected in; an empty set expects any.
        which: int64 (n,), the set of each row; by default no row expects any.

    Returns:
        Counts, each of shape (n,). For the expected share a character of Han or kana weighs as much as three letters,
        since a name in Latin letters takes many more of them.
    """
    return measure_spans(spans.decode(texts), expected=expected, which=which)


def measure_spans(
    texts: spans.Spans, *, expected: Sequence[frozenset[str]] = (), which: Ints | None = None
) -> Measures:
    """`measure` of texts that are decoded."""
    sets = np.zeros((len(expected) + 1, len(SCRIPTS)), bool)
    for number, scripts in enumerate(expected):
        sets[number] = script_set(*scripts) if scripts else True
    sets[-1] = True
    wanted = np.full(len(texts), len(expected), np.int64) if which is None else which
    counts = np.zeros((len(texts), 12), np.int64)
    shares = np.zeros((len(texts), 2), np.float32)
    longest = int(texts.chars.max()) if len(texts) else 0
    _count(
        texts.code, texts.begin, texts.end, _natures(), tables().lower, _script_nature(), sets, wanted, counts, shares,
        np.zeros(1 << max(4, (2 * longest).bit_length()), np.uint64),
        np.zeros(1 << max(4, (2 * longest).bit_length()), np.int64),
    )  # fmt: skip
    letters, marks, digits, puncts, spaces, words, script, switches, run, dense, separators, hashtags = counts.T
    return Measures(
        chars=texts.chars,
        words=words,
        letters=letters + marks,
        digits=digits,
        puncts=puncts,
        spaces=spaces,
        script=script,
        script_switches=switches,
        longest_run=run,
        dense=dense,
        separators=separators,
        hashtags=hashtags,
        repetition=shares[:, 0],
        expected_share=shares[:, 1],
    )


_SEPARATORS: Final = ",;|、，；•·،؛"
_ALPHABET, _CJK_LIKE, _SEA_LIKE, _NO_ALPHABET = 0, 1, 2, 3
# What `_count` asks of a code point, in one number: its class, its script's nature, and these; the script's number above them.
_HEAVY, _WORDY, _SEPARATOR, _SCRIPT_AT = 1 << 5, 1 << 6, 1 << 7, 8


@functools.cache
def _script_nature() -> Bytes:
    """For each script: an alphabet, one without spaces and with some two characters a word, with some five, or none."""
    nature = np.zeros(len(SCRIPTS), np.uint8)
    nature[script_set(*UNSPACED)] = _SEA_LIKE
    nature[script_set(*CJK)] = _CJK_LIKE
    nature[script_set("Zyyy", "Hang")] = _NO_ALPHABET
    return nature


@functools.cache
def _natures() -> npt.NDArray[np.uint16]:
    """uint16 (0x110000,): class, nature, `_HEAVY` (a script of `DENSE`), `_WORDY` (a letter or mark of a spaced script, or a digit:
    makes a word), `_SEPARATOR`, and the script."""
    table = tables()
    nature = _script_nature()[table.script].astype(np.uint16)
    found: npt.NDArray[np.uint16] = (table.kind | nature << 3 | table.script.astype(np.uint16) << _SCRIPT_AT).astype(
        np.uint16
    )
    found |= np.where(script_set(*DENSE)[table.script], _HEAVY, 0).astype(np.uint16)
    inside = np.isin(table.kind, (LETTER, MARK, DIGIT)) & np.isin(nature, (_ALPHABET, _NO_ALPHABET))
    found |= np.where(inside | (table.kind == NUMBER), _WORDY, 0).astype(np.uint16)
    found[[ord(sign) for sign in _SEPARATORS]] |= _SEPARATOR
    found.setflags(write=False)
    return found


@jit
def _count(
    code: Any,
    begins: Any,
    ends: Any,
    natures: Any,
    lower: Any,
    nature_of: Any,
    sets: Any,
    wanted: Any,
    counts: Any,
    shares: Any,
    slots: Any,
    stamps: Any,
) -> None:
    """One pass over all code points; `slots` and `stamps` are a hash set that a row number empties."""
    n_scripts = len(nature_of)
    by_script = np.zeros(n_scripts, np.int64)
    size = len(slots)
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    for row in range(len(begins)):
        by_script[:] = 0  # what has no script of its own, number 0, is never counted as more
        begin, end = begins[row], ends[row]
        words = switches = best_run = run = separators = hashtags = cjk = sea = dense = 0
        total_words = distinct = 0
        letters = marks = digits = puncts = spaces = 0
        wordy = False  # the run since the last space holds a letter or digit of a spaced script
        word_hash = basis
        pending = np.uint64(0)  # punctuation since the last letter of the word: counts only if a letter follows
        previous = np.uint32(0)
        previous_here = np.uint16(SPACE)
        script_run = 0  # letters and marks of one script, not yet in `by_script`
        script_here = np.uint16(0)
        for at in range(begin, end + 1):
            if at < end:
                c = code[at]
                here = natures[c]
            else:
                c = np.uint32(32)
                here = np.uint16(SPACE)
            k = here & np.uint16(7)
            token = np.uint64(0)
            has_token = False
            if k == SPACE:
                spaces += at < end
                run = 0
                words += wordy
                if word_hash != basis:
                    has_token = True
                    token = word_hash
                wordy = False
                word_hash = basis
                pending = np.uint64(0)
            else:
                run = run + 1 if c == previous else 1
                if k in (LETTER, MARK):
                    if k == LETTER:
                        letters += 1
                        if previous == 35:
                            hashtags += 1
                    else:
                        marks += 1
                    if here >> np.uint16(8) == script_here:
                        script_run += 1
                    else:
                        by_script[script_here] += script_run
                        script_here = here >> np.uint16(8)
                        script_run = 1
                    if (
                        here != previous_here
                        and here & np.uint16(31) == LETTER
                        and previous_here & np.uint16(31) == LETTER
                    ):
                        switches += here >> np.uint16(8) != previous_here >> np.uint16(8)  # both of alphabets
                    if here & np.uint16(0x38):
                        nature = (here >> np.uint16(3)) & np.uint16(3)
                        dense += (here & np.uint16(1 << 5)) != 0
                        if nature == _CJK_LIKE:
                            cjk += 1
                            if previous_here & np.uint16(31) == np.uint16(LETTER | _CJK_LIKE << 3):
                                has_token = True
                                token = (np.uint64(previous) << np.uint64(32)) | np.uint64(c)
                        elif nature == _SEA_LIKE:
                            sea += 1
                elif k == DIGIT:
                    digits += 1
                    run = 0
                elif k in (PUNCT, SYMBOL):
                    puncts += 1
                if here & np.uint16(1 << 6):
                    wordy |= k != NUMBER
                    if word_hash != basis:
                        word_hash = (word_hash ^ pending) * prime
                    pending = np.uint64(0)
                    word_hash = (word_hash ^ np.uint64(lower[c])) * prime
                    word_hash ^= word_hash >> np.uint64(29)
                elif k in (PUNCT, SYMBOL, OTHER):
                    pending = (pending ^ np.uint64(c)) * prime
                    separators += (here & np.uint16(1 << 7)) != 0
                if run > best_run:
                    best_run = run
            if has_token:
                total_words += 1
                slot = np.int64((token * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & (size - 1)
                while stamps[slot] == row + 1 and slots[slot] != token:
                    slot = (slot + 1) & (size - 1)
                if stamps[slot] != row + 1:
                    stamps[slot] = row + 1
                    slots[slot] = token
                    distinct += 1
            previous, previous_here = c, here
        by_script[script_here] += script_run
        by_script[0] = 0
        best = 0
        inside = outside = 0
        for number in range(1, n_scripts):
            if by_script[number] == 0:
                continue
            weight = by_script[number] * (3 if nature_of[number] == _CJK_LIKE else 1)
            if sets[wanted[row], number]:
                inside += weight
            else:
                outside += weight
            if by_script[number] > by_script[best]:
                best = number
        words += (cjk + CHARS_PER_WORD_CJK - 1) // CHARS_PER_WORD_CJK + (
            sea + CHARS_PER_WORD_SEA - 1
        ) // CHARS_PER_WORD_SEA
        counts[row, 0] = letters
        counts[row, 1] = marks
        counts[row, 2] = digits
        counts[row, 3] = puncts
        counts[row, 4] = spaces
        counts[row, 5] = words
        counts[row, 6] = best
        counts[row, 7] = switches
        counts[row, 8] = best_run
        counts[row, 9] = dense
        counts[row, 10] = separators
        counts[row, 11] = hashtags
        if total_words > 1:
            shares[row, 0] = 1.0 - distinct / total_words
        shares[row, 1] = inside / (inside + outside) if inside + outside > 0 else 1.0


def script_codes(numbers: npt.NDArray[np.intp]) -> pa.StringArray:
    """ISO 15924 codes of script numbers; null where no letter has a script."""
    return pa.array(SCRIPTS, pa.string()).take(pa.array(numbers, mask=numbers == 0))
