"""What each code point can be at a boundary, what the lists say of words, and what languages do that their script does not say."""

from __future__ import annotations

import functools
import unicodedata
from typing import Final

import numpy as np
import numpy.typing as npt

from pairs import abbreviations, characters

Ints = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

DOT, ASK, ELLIPSIS, STRONG, CLOSE, OPEN, SPACE, EMOJI = (1 << bit for bit in range(8))
UPPER, LOWER, CASELESS, DIGIT, CJK, VOWEL, MARK, THAI = (1 << bit for bit in range(8, 16))
_ENDS: Final = DOT | ASK | ELLIPSIS | STRONG

_STRONG: Final = "。｡！？．⁇⁈⁉‼‽؟۔।॥።፧፨։។៕။།༎᠃᠉܀܁܂꓿᱾᱿꯫෴⸮\u037e꧉᭟᥄᥅"
_CLOSERS: Final = "\"'”’»›)]}」』】〉》〕）］｝〙〗＂＇*_“‘«"
_OPENERS: Final = "\"'“‘«‹([{「『【〈《〔（［｛¿¡–—-−‐•·*#_„‚”’»›▪●►→~/@&+<>=|§†$€£¥₹№■◻◼□▶◆◇○←↑↓⇒※〇・\u200b\u2060"
_EMOJI: Final = (
    (0x2600, 0x27BF),
    (0x1F000, 0x1FAFF),
    (0x2B00, 0x2BFF),
    (0xFE0F, 0xFE0F),
    (0x200D, 0x200D),
    (0x20E3, 0x20E3),
)
_VOWELS: Final = "aeiouyæœøıŋəɛɔаеёиоуыэюяіїєѐѝъөүұәѣѫѧѹѡαεηιουω"
_CUT: Final = 0x20000  # planes from here on are Han

# What a language does that its script does not say.
_ORDINALS, _GREEK, _JAPANESE, _NOUNS, _ARMENIAN, _SYLLABIC, _WELSH = 1, 2, 4, 8, 16, 32, 64


@functools.cache
def flags() -> npt.NDArray[np.uint16]:
    """uint16 (0x20001,): what each code point can be; the last entry is for all beyond."""
    table = characters.tables()
    found = np.zeros(_CUT + 1, np.uint16)
    kind, script = table.kind[:_CUT], table.script[:_CUT]
    uncased = (characters.NUMBER_OF["Geor"], characters.NUMBER_OF["Cher"])
    cjk = characters.script_set("Hani", "Hira", "Kana", "Bopo", "Yiii")[script]
    thai = characters.script_set("Thai", "Laoo")[script]
    found[:_CUT][kind == characters.SPACE] |= SPACE
    found[:_CUT][kind == characters.DIGIT] |= DIGIT
    found[:_CUT][kind == characters.MARK] |= MARK
    found[:_CUT][(kind == characters.LETTER) & cjk] |= CJK
    found[:_CUT][thai] |= THAI
    for code in np.flatnonzero(kind == characters.LETTER):
        category = unicodedata.category(chr(code))
        base = unicodedata.normalize("NFD", chr(code))[0]
        found[code] |= VOWEL if base.lower() in _VOWELS else 0
        # Georgian and Cherokee have two sets of letters, and write sentences in one.
        if script[code] in uncased:
            category = "Lo"
        found[code] |= UPPER if category in ("Lu", "Lt") else LOWER if category == "Ll" else CASELESS
    for start, end in _EMOJI:
        found[start : end + 1] |= EMOJI
    for characters_of, bit in (
        (".", DOT), ("!?", ASK), ("…", ELLIPSIS), (_STRONG, STRONG), (_CLOSERS, CLOSE), (_OPENERS, OPEN),
        ("、，：；，、·〜～ー・", CJK),
    ):  # fmt: skip
        for character in characters_of:
            found[ord(character)] |= bit
    found[0xFF01:0xFF5F] |= CJK
    found[0x3001:0x3030] |= CJK
    found[_CUT] = CASELESS | CJK
    found.setflags(write=False)
    return found


@functools.cache
def look() -> npt.NDArray[np.uint8]:
    """uint8 (0x20001,): 1 where a boundary may be near: the marks, Greek's and Armenian's own, the bar, Thai and Lao;
    and at quotes, which are counted."""
    found: npt.NDArray[np.uint8] = ((flags() & (_ENDS | THAI)) != 0).astype(np.uint8)
    found[[ord(character) for character in ';:|"']] = 1
    return found


@functools.cache
def lower() -> npt.NDArray[np.uint32]:
    return np.append(characters.tables().lower[:_CUT], np.uint32(0))


_PRIME: Final = np.uint64(0x100000001B3)
_BASIS: Final = np.uint64(0xCBF29CE484222325)


def _hash(lang: int, word: str) -> int:
    value = (int(_BASIS) ^ lang) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
    for character in word:
        value = (value ^ ord(character)) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


@functools.cache
def words() -> tuple[dict[str, int], UInt64, npt.NDArray[np.uint8]]:
    """Numbers of the languages that have lists; the hashes of (language, word) in a table of open addressing, 0 = empty, and their
    kinds beside them."""
    lists = abbreviations.lists()
    number = {lang: at for at, lang in enumerate(sorted({lang for lang, _ in lists}))}
    assert number["*"] == 0
    found = {_hash(number[lang], word): kind for (lang, word), kind in lists.items()}
    found |= {_hash(0, f"#{unit}"): abbreviations.END for unit in abbreviations.UNITS}
    size = 1 << (4 * len(found)).bit_length()
    keys, kinds = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    for key, kind in sorted(found.items()):
        slot = (key ^ (key >> 32)) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot], kinds[slot] = key, kind
    return number, keys, kinds


def language(tag: str | None) -> tuple[int, int]:
    """A language's number among those with lists (0: none), and what it does."""
    base = (tag or "").lower().replace("_", "-").split("-")[0]
    number = words()[0].get(base, 0)
    does = _ORDINALS if base in abbreviations.ORDINAL else 0
    does |= _GREEK if base == "el" else 0
    does |= _JAPANESE if base == "ja" else 0
    does |= _NOUNS if base in ("de", "lb", "nds", "als", "bar", "gsw") else 0
    does |= _SYLLABIC if base in abbreviations.SYLLABIC else 0
    does |= _WELSH if base == "cy" else 0
    does |= _ARMENIAN if base in ("hy", "hyw") else 0
    return number, does
