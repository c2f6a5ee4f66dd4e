"""How languages are written: in which scripts, and how many characters they take to say the same."""

from __future__ import annotations

import functools
from typing import Final

from pairs import characters, language

DENSITY: Final = {
    "zh": 0.31, "yue": 0.32, "wuu": 0.31, "lzh": 0.25, "ja": 0.45, "ko": 0.5, "am": 0.59, "arz": 0.73, "he": 0.74, "ar": 0.82,
    "th": 0.84,
}  # fmt: skip
"""Characters of a language for one of English: medians over the pairs of LASER's Tatoeba test sets with 20 characters of
English or more (WMT22's references give the same for zh and ja). Languages not listed lie between 0.85 and 1.35."""

_SCRIPTS: Final = {
    "Latn": "af ast az bs ca ceb cs cy da de en eo es et eu fi fil fr fy ga gd gl ha haw hr ht hu id ig is it jv ku la lb lt lv "
    "mg mi ms mt nb nl nn no nds oc pl pt rm ro rw sk sl sm sn so sq st su sv sw tl tn tr ts vi wo xh yo zu uz tk",
    "Cyrl": "be bg kk ky mk mn ru sr tg tt uk uz ba cv az",
    "Arab": "ar fa ps ur ug sd ckb ku arz az",
    "Grek": "el",
    "Hebr": "he yi",
    "Deva": "hi mr ne sa mai bh",
    "Beng": "bn as",
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Laoo": "lo",
    "Mymr": "my",
    "Khmr": "km",
    "Tibt": "bo dz",
    "Geor": "ka",
    "Armn": "hy",
    "Ethi": "am ti",
    "Hang": "ko",
    "Hani": "zh yue wuu lzh ja",
    "Hira": "ja",
    "Kana": "ja",
    "Mong": "mn",
}
"""Which scripts a language is written in (CLDR's likely scripts); a language that is not here is in any."""

_SCRIPTS_OF_TAG: Final = {
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}


@functools.lru_cache(1024)
def scripts_of(tag: str) -> frozenset[str]:
    """The scripts that a language tag names, or its language is written in; empty where it is not known."""
    for subtag in tag.split("-")[1:]:
        if subtag in _SCRIPTS_OF_TAG:
            return frozenset(_SCRIPTS_OF_TAG[subtag])
        if subtag in characters.NUMBER_OF:
            return frozenset([subtag])
    lang = tag.split("-")[0]
    return frozenset(script for script, langs in _SCRIPTS.items() if lang in langs.split())


@functools.lru_cache(1024)
def density_of(tag: str) -> float:
    """Characters of a language for one of English; 1 where it is not known."""
    return DENSITY.get(language.primary(tag) or "", 1.0)
