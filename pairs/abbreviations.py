"""Words that a full stop may follow inside a sentence, and words that begin sentences, by language.

Our own lists, kept short: what is frequent in running text of each language. What they lack is caught by shape (initials,
letters with stops between them, words without a vowel); see `pairs.boundaries`.

A line of abbreviations.txt is `language | kind | words`, in small letters, without the last stop. Kinds:
    title   never ends a sentence: a name, a noun or a number follows (Dr., z. B., e.g.)
    number  does not end one before a number (No. 5, p. 7)
    may     ends one only before a word that begins sentences (U.S., Co., bzw.)
    end     ends one before any capital (etc., a.m.), though its shape says otherwise
    start   begins sentences, and no name or noun does: The, Die, Он
    goes    Japanese, no word: how a sentence goes on behind a quotation or a question inside it
    label   is no sentence when it stands alone: `Question. Can I …`
    name    ends with an exclamation mark of its own: Yahoo!

A word written with a capital stands for that form alone. Language * holds for all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

TITLE, NUMBER, MAY, END, START, GOES_ON, NAME, LABEL = range(1, 9)

_KINDS: Final = {
    "title": TITLE,
    "number": NUMBER,
    "may": MAY,
    "end": END,
    "start": START,
    "goes": GOES_ON,
    "name": NAME,
    "label": LABEL,
}

_KIN: Final = {
    "no": "nb",
    "nn": "nb",
    "bs": "hr",
    "sh": "hr",
    "be": "ru",
    "mk": "bg",
    "lb": "de",
    "nds": "de",
    "als": "de",
    "bar": "de",
    "gsw": "de",
    "fy": "nl",
    "ast": "es",
    "an": "es",
    "oc": "ca",
    "mo": "ro",
    "az": "tr",
    "ky": "kk",
    "tt": "kk",
    "ne": "hi",
    "fo": "is",
    "hyw": "hy",
    "fil": "tl",
    "ceb": "tl",
    "rue": "uk",
    "sco": "en",
    "scn": "it",
    "lmo": "it",
    "pms": "it",
    "vec": "it",
    "br": "fr",
    "wa": "fr",
    "as": "bn",
}
"""Languages that take the lists of a near relative."""

ORDINAL: Final[frozenset[str]] = frozenset(
    (
        "de",
        "lb",
        "nds",
        "als",
        "bar",
        "gsw",
        "da",
        "nb",
        "nn",
        "no",
        "is",
        "fo",
        "fi",
        "et",
        "lv",
        "cs",
        "sk",
        "sl",
        "hr",
        "bs",
        "sh",
        "sr",
        "pl",
        "hu",
        "tr",
        "az",
        "eu",
        "hsb",
        "dsb",
        "se",
    )
)
"""Languages that write ordinal numbers, and so dates, with a stop: 3. Oktober, 19. Jahrhundert."""

SYLLABIC: Final[frozenset[str]] = frozenset(("cs", "sk", "sl", "hr", "bs", "sh", "sr", "mk", "bg"))
"""Languages in which r and l are vowels too: krk, vlk; Welsh has w: dŵr, hwn."""

UNITS: Final = (
    "km",
    "cm",
    "mm",
    "kg",
    "mg",
    "ml",
    "kw",
    "kwh",
    "gb",
    "mb",
    "tb",
    "hz",
    "mhz",
    "ghz",
    "ft",
    "lb",
    "px",
    "pt",
    "nm",
    "кг",
    "км",
    "см",
    "мм",
    "мл",
    "m",
    "g",
    "l",
)
"""Words that end sentences as others do: without a vowel, and after a number never short for something else; single letters unless
their language has them in a list (Lithuanian m., a year)."""


_MARKED: Final = {START: "^", GOES_ON: "~", NAME: "!", LABEL: ":"}
"""Sets that share no word with the others: each is looked up by itself."""


def lists() -> dict[tuple[str, str], int]:
    """(language, word) -> kind, relatives included; of a word listed twice the rule that splits least often."""
    found: dict[tuple[str, str], int] = {}
    strength = {TITLE: 5, NUMBER: 3, MAY: 4, END: 2}
    for line in (Path(__file__).parent / "abbreviations.txt").read_text(encoding="utf-8").splitlines():
        lang, kind, words = (part.strip() for part in line.split("|"))
        number = _KINDS[kind]
        tongues = [lang, *(relative for relative, of in _KIN.items() if of == lang)]
        for word in words.split():
            for tongue in tongues:
                place = (tongue, _MARKED.get(number, "") + word)
                if strength.get(number, 1) > strength.get(found.get(place, 0), 0):
                    found[place] = number
    return found
