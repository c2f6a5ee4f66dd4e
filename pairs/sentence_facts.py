"""What is measured of each sentence that may be drawn: counts, how it ends, addresses, markup, what pages say of themselves."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow, characters, flags, spans
from pairs.jit import jit
from pairs.literals import Literals
from pairs.spans import Spans

Bools = npt.NDArray[np.bool_]
Facts = dict[str, npt.NDArray[Any]]

_ENDS: Final = ".!?…。！？｡．।॥؟۔።։៕។၊။༎᠃⁇⁈⁉‼‽᱾᱿෴"
_CLOSERS: Final = "'\"”’»›“‘«*_)」』】〉》）］〕]"
_EMOJI: Final = ((0x2600, 0x27BF), (0x1F000, 0x1FAFF))
_JOINERS: Final = " \ufe0f\u200d"
_AFTER_WORD: Final = tuple(ord(sign) for sign in " ,;:'’")
_NO_END_SCRIPTS: Final = ("Thai", "Laoo", "Khmr", "Tibt")

_BOILERPLATE: Final = {
    "reserved": r"all rights reserved", "cookie": r"\bcookies?\b", "privacy": r"privacy policy",
    "terms": r"terms (?:of|and) (?:use|service|conditions)", "lorem": r"lorem ipsum", "javascript": r"javascript",
    "click": r"click (?:here|on the|the)", "read more": r"read more", "learn more": r"learn more", "subscribe": r"subscribe",
    "sign up": r"sign up", "log": r"log ?in\b", "newsletter": r"newsletter", "copyright": r"copyright",
    "your ": r"your (?:browser|shopping cart)", "leave a": r"leave a (?:comment|reply)",
    "alle rechte": r"alle rechte vorbehalten", "datenschutz": r"datenschutz", "impressum": r"impressum",
    "warenkorb": r"warenkorb", "hier klicken": r"hier klicken", "klicken sie": r"klicken sie", "mehr lesen": r"mehr lesen",
    "weiterlesen": r"weiterlesen",
    "mentions": r"mentions légales", "tous droits": r"tous droits réservés", "cliquez": r"cliquez", "lire la": r"lire la suite",
    "todos los": r"todos los derechos", "haga clic": r"haga clic", "aviso": r"aviso legal", "leer m": r"leer más",
    "todos os": r"todos os direitos", "clique": r"clique aqui", "tutti i": r"tutti i diritti", "clicca": r"clicca",
    "voorbehouden": r"alle rechten voorbehouden", "klik ": r"klik hier", "wszelkie": r"wszelkie prawa", "kliknij": r"kliknij",
    "конфиденциальности": r"политик\w+ конфиденциальности", "все права": r"все права защищены", "нажмите": r"нажмите",
    "подписывайтесь": r"подписывайтесь", "подпишитесь": r"подпишитесь", "читать далее": r"читать далее",
    "利用規約": r"利用規約", "版权所有": r"版权所有", "版權所有": r"版權所有", "著作権": r"著作権", "プライバシー": r"プライバシー",
    "クッキー": r"クッキー", "クリックして": r"クリックして", "点击": r"点击", "點擊": r"點擊",
    "저작권": r"저작권", "무단": r"무단",
}  # fmt: skip
"""What pages say of themselves, in the languages that are commonest on the web; ours. Before each pattern a literal that stands
in all it finds."""
BOILERPLATE: Final = "(?i)" + "|".join(_BOILERPLATE.values())

# Bits of code points; for pairs see `spans.read`.
_TWO_SLASHES, _TWO_W, _TWO_QUOTES, _CYRILLIC_1, _CYRILLIC_2, _ASKED = (1 << bit for bit in range(6))
_AT, _MARKUP, _END, _CLOSE, _PICTURE, _JOIN, _NAME, _DOMAIN, _BROKEN, _SMALL, _LARGE = (
    1 << bit for bit in range(16, 27)
)


@functools.cache
def _table() -> npt.NDArray[np.uint32]:
    """uint32 (0x30001,): the bits of each code point; the last entry is for all beyond."""
    table = np.zeros(0x30001, np.uint32)
    for signs, bit in (
        ("/", _TWO_SLASHES | _TWO_SLASHES << 8), ("wW", _TWO_W | _TWO_W << 8), ("'", _TWO_QUOTES | _TWO_QUOTES << 8), ("@", _AT),
        ("<&{}[=\\", _MARKUP), (_ENDS, _END), (_CLOSERS, _CLOSE), (_JOINERS, _JOIN),
    ):  # fmt: skip
        table[[ord(sign) for sign in signs]] |= bit
    for first, last in _EMOJI:
        table[first : last + 1] |= _PICTURE
    # What `flags.MOJIBAKE` begins with: each sign, or pair of signs, that it cannot do without.
    table[[*range(0x80, 0xA0), 0xFFFD, *map(ord, "ïÂÃâÐÑ")]] |= _BROKEN
    table[[0x420, 0x421]] |= _CYRILLIC_1 << 8 | _CYRILLIC_2
    table[[*range(0x402, 0x410), *range(0x452, 0x460), *range(0xA0, 0xBC), *range(0x2018, 0x2123)]] |= _CYRILLIC_1
    table[0xB0:0x460] |= _CYRILLIC_2 << 8
    table[ord("?")] |= _ASKED << 8 | _ASKED
    codes = np.array([code for code in range(0x30000) if not 0xD800 <= code < 0xE000])
    signs_of_codes = pa.array(list(map(chr, codes)), pa.string())
    for pattern, bit in ((r"[\pL\pN]", _NAME | _DOMAIN | _ASKED), (r"\p{Ll}", _SMALL), (r"[\p{Lu}\p{Lt}]", _LARGE)):
        table[codes[arrow.mask(arrow.matches(signs_of_codes, pattern))]] |= bit
    table[[ord(sign) for sign in "._%+-"]] |= _NAME
    table.setflags(write=False)
    return table


@functools.cache
def _literals() -> Literals:
    """Those of the boilerplate; that of markup without a sign of its own."""
    return Literals(_BOILERPLATE, ["function"])


def measure(sentences: Spans) -> Facts:
    """What is measured of each sentence, each of shape (n,)."""
    measured = characters.measure_spans(sentences)
    held, pairs = spans.note(sentences, _table())
    ends, mailed = np.zeros(len(sentences), bool), held & _AT != 0
    _ends(sentences.code, sentences.begin, sentences.end, _table(), ends)
    small, large = np.zeros(len(sentences), bool), np.zeros(len(sentences), bool)
    _begins(sentences.code, sentences.begin, sentences.end, _table(), small, large)
    _find_addresses(sentences.code, sentences.begin, sentences.end, _table(), mailed)
    words = _literals().found(sentences)
    address = pairs & (_TWO_SLASHES | _TWO_W) != 0
    broken = (held & _BROKEN != 0) | (pairs & (_CYRILLIC_1 | _CYRILLIC_2 | _ASKED) != 0)
    marked = (held & _MARKUP != 0) | (pairs & _TWO_QUOTES != 0) | (words & 2 != 0)
    return {
        "chars": measured.chars,
        "words": measured.words,
        "weight": measured.weight,
        "letter_share": measured.share(measured.letters),
        "digit_share": measured.share(measured.digits),
        "repetition": measured.repetition,
        "begins_small": small,
        "begins_large": large,
        "has_end": ends | characters.script_set(*_NO_END_SCRIPTS)[measured.script],
        "is_url": _matches(sentences, address, flags.URL) | mailed,
        "is_markup": _matches(sentences, marked, flags.MARKUP),
        "is_mojibake": _matches(sentences, broken, flags.MOJIBAKE),
        "is_boilerplate": _matches(sentences, words & 1 != 0, BOILERPLATE),
    }


def _matches(texts: Spans, rows: Bools, pattern: str) -> Bools:
    """Where RE2 finds the pattern among the marked texts."""
    found = np.zeros(len(texts), bool)
    if rows.any():
        found[rows] = arrow.mask(arrow.matches(texts.take(rows).texts(), pattern))
    return found


@jit
def _ends(code: Any, begin: Any, end: Any, table: Any, ends: Any) -> None:
    """Whether each text ends in a mark, then any closers, then any emoji."""
    beyond = np.uint32(len(table) - 1)
    for row in range(len(begin)):
        at, first = end[row], begin[row]
        while at > first and table[min(code[at - 1], beyond)] & np.uint32(1 << 20):  # _PICTURE
            at -= 1
            while at > first and table[min(code[at - 1], beyond)] & np.uint32(1 << 21):  # _JOIN
                at -= 1
        while at > first and table[min(code[at - 1], beyond)] & np.uint32(1 << 19):  # _CLOSE
            at -= 1
        ends[row] = at > first and table[min(code[at - 1], beyond)] & np.uint32(1 << 18) != 0  # _END


@jit
def _begins(code: Any, begin: Any, end: Any, table: Any, small: Any, large: Any) -> None:
    """Whether each text's first word is of small letters alone, and whether its first letter or digit is a capital."""
    beyond = np.uint32(len(table) - 1)
    for row in range(len(begin)):
        at = begin[row]
        while at < end[row] and not table[min(code[at], beyond)] & np.uint32(1 << 23):  # _DOMAIN
            at += 1
        if at == end[row]:
            continue
        large[row] = table[min(code[at], beyond)] & np.uint32(1 << 26) != 0  # _LARGE
        at = begin[row]
        while at < end[row] and table[min(code[at], beyond)] & np.uint32(1 << 25):  # _SMALL
            at += 1
        # What goes on with a digit, a hyphen, a stop or a capital is a name or a command: iPhone, e-mail, aa-genprof.
        small[row] = at > begin[row] and (at == end[row] or code[at] in _AFTER_WORD)


@jit
def _find_addresses(code: Any, begin: Any, end: Any, table: Any, found: Any) -> None:
    """`flags.EMAIL` where `found` says that there is an @: the pattern itself takes milliseconds to be made ready."""
    beyond = np.uint32(len(table) - 1)
    for row in range(len(begin)):
        if not found[row]:
            continue
        found[row] = False
        for at in range(begin[row] + 1, end[row]):
            if code[at] != 0x40 or not table[min(code[at - 1], beyond)] & np.uint32(1 << 22):  # _NAME
                continue
            place = at + 1
            while place < end[row] and (
                code[place] == 0x2D or table[min(code[place], beyond)] & np.uint32(1 << 23)
            ):  # _DOMAIN
                place += 1
            dot = place > at + 1 and place + 1 < end[row] and code[place] == 0x2E
            if dot and table[min(code[place + 1], beyond)] & np.uint32(1 << 23):
                found[row] = True
                break
