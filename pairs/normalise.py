"""Repairs that a raw web text may need before it is measured: escapes, markup, quoting, encoding, white space.

Every repair searches the column for the rows that need it and touches those alone; the rest of the column is passed
through.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Callable
from typing import Final

import ftfy
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow

_ENTITY: Final = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"

_BLOCK: Final = (
    "address|article|aside|blockquote|body|br|button|caption|center|col|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|"
    "head|header|hr|html|iframe|img|input|li|link|main|meta|nav|noscript|object|ol|option|p|param|pre|script|section|select|source|"
    "style|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video"
)
_INLINE: Final = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|label|mark|o:p|q|s|samp|small|span|st1:[a-z]+|strike|strong|sub|"
    "sup|time|tt|u|var|wbr"
)
TAGS: Final = f"{_BLOCK}|{_INLINE}"
"""HTML's elements, and what word processors add, as a pattern."""

_TAG_END: Final = r"(?:[\s/][^<>]*)?>"
_BLOCK_TAG: Final = (
    rf"(?is)<!--.*?-->|<!\[CDATA\[|\]\]>|</?(?:{_BLOCK}){_TAG_END}|<script\b.*?</script>|<style\b.*?</style>"
)
_INLINE_TAG: Final = rf"(?is)</?(?:{_INLINE}){_TAG_END}"
_CUT_TAG: Final = rf"(?is)<(?:{TAGS})\s+[a-z:-]+\s*=[^<>]*$"
_QTRANSLATE: Final = r"\[:[a-z]{0,2}\]"

# A UTF-8 lead byte and a continuation byte, each as the character that a single-byte code page made of it: Latin-1 and
# Windows-1252 leads; Windows-1251 leads (mostly capital Er and Es) before signs that Russian does not put there; code page 437.
_TYPOGRAPHY: Final = (
    "\u00a0-\u00bb\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122"  # of both Windows pages
)
_LEADS: Final = (
    "\u00c2-\u00f4\u0102\u0103\u010e\u0110\u0111\u0118\u011a\u0139\u0142\u0143",
    "\u0420\u0421\u0432\u0412",
    "\u251c",
)
_TRAILS: Final = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014" + _TYPOGRAPHY,
    "\u0402-\u040f\u0452-\u045f\u0490\u0491" + _TYPOGRAPHY,
    "\u2500-\u259f\u00a0-\u00ff",
)
MOJIBAKE_HINT: Final = "|".join(
    [*(f"[{lead}][{trail}]" for lead, trail in zip(_LEADS, _TRAILS, strict=True)), "[\u0080-\u009f]"]
)


def _members(ranges: str) -> frozenset[int]:
    """The code points of a character class such as `a-cx`."""
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x10000))))
    return frozenset(map(ord, re.findall(f"[{ranges}]", every)))


@functools.cache
def mojibake_pairs() -> tuple[tuple[frozenset[int], frozenset[int]], ...]:
    """`MOJIBAKE_HINT` but for the controls: code points, and those that damage puts behind them."""
    return tuple((_members(lead), _members(trail)) for lead, trail in zip(_LEADS, _TRAILS, strict=True))


_SPACES: Final = r"[\p{Z}\t\n\x0b\x0c\r\x1c-\x1f\x{85}]"
# Controls, unassigned and private characters, and the format characters that draw nothing; the joiners U+200C and
# U+200D stay, since Persian, the Indic scripts and emoji are written with them, and so do emoji tags.
INVISIBLE: Final = (
    r"[\x00-\x08\x0e-\x1b\x7f\x{80}-\x{84}\x{86}-\x{9f}\x{ad}\x{61c}\x{180e}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}"
    r"\x{2060}-\x{2064}\x{2066}-\x{206f}\x{feff}\x{fff9}-\x{fffc}\p{Co}\x{fdd0}-\x{fdef}\x{fffe}\x{ffff}]"
)


def _rows(column: pa.StringArray, hint: str, function: Callable[[str], str]) -> pa.StringArray:
    """A Python function applied to the rows in which RE2 finds the hint."""
    rows = arrow.mask(arrow.matches(column, hint))
    if not rows.any():
        return column
    return arrow.replace_rows(column, rows, [function(text) for text in column.filter(pa.array(rows)).to_pylist()])


def cut(column: pa.StringArray, max_chars: int) -> pa.StringArray:
    """Texts cut to at most max_chars characters, so that nothing after this can be made slow by one row."""
    if pc.max(pc.binary_length(column)).as_py() in (None, 0) or pc.max(pc.binary_length(column)).as_py() <= max_chars:
        return column
    return pc.utf8_slice_codeunits(column, 0, max_chars)


def undo_csv_quotes(column: pa.StringArray) -> pa.StringArray:
    """`"A ""fine"" thing"` -> `A "fine" thing`: a whole CSV field whose quotes were never undone (RFC 4180, rule 7).

    A field that ends early (cut text) is undone as well where doubled quotes prove that it was one.
    """
    whole = arrow.mask(arrow.matches(column, r'(?s)^"(?:[^"]|"")*"$')) & arrow.mask(
        pc.not_equal(column, '""').fill_null(False)
    )
    cut_off = arrow.mask(arrow.matches(column, r'(?s)^"(?:[^"]|"")*""(?:[^"]|"")*$'))
    either = whole | cut_off
    if not either.any():
        return column
    rows = pa.array(either)
    inner = pc.replace_substring_regex(column.filter(rows), r'(?s)^"(.*?)"?$', r"\1")
    inner = pc.if_else(pa.array(whole[either]), inner, pc.utf8_slice_codeunits(column.filter(rows), 1, None))
    return pc.replace_with_mask(column, rows, pc.replace_substring(inner, '""', '"'))


def _unescape(text: str) -> str:
    for _ in range(3):
        once = html.unescape(text)
        if once == text:
            break
        text = once
    return text


def unescape(column: pa.StringArray) -> pa.StringArray:
    """HTML character references undone, up to three times over (`&amp;quot;` -> `"`)."""
    return _rows(column, _ENTITY, _unescape)


_JSON_ESCAPE: Final = r"(?i)\\?\bu00(?:2[267]|3[ce])"
_JSON_CHARACTERS: Final = {"22": '"', "26": "&", "27": "'", "3c": "<", "3e": ">"}


def _unescape_json(text: str) -> str:
    return re.sub(r"(?i)\\?\bu00(2[267]|3[ce])", lambda found: _JSON_CHARACTERS[found[1].lower()], text)


def unescape_json(column: pa.StringArray) -> pa.StringArray:
    """`u003c3` -> `<3`: what JSON writers do to signs of HTML, undone, also where the backslash was lost."""
    return _rows(column, _JSON_ESCAPE, _unescape_json)


_TITLED_FILE: Final = (
    r"^(\pL[\pL\pM\pN'\x{2019}&()-]*,?(?: [\pL\pM\pN'\x{2019}&()-]+,?){2,})\.(?i:jpe?g|png|gif|webp|svg|tiff?|bmp)$"
)


def strip_extension(column: pa.StringArray) -> pa.StringArray:
    """`tamale pie with serving spoon.jpg` -> the title alone, where three words or more stand before the ending; `IMG_1.jpg`
    and `a-b-c.jpg` stay for the rules to see."""
    return arrow.sub(column, _TITLED_FILE, r"\1", where=r"\.[A-Za-z]{3,4}$")


def strip_markup(column: pa.StringArray) -> pa.StringArray:
    """HTML tags taken out, known names only, so that `<PERSON>` and `a < b` stay: block tags leave a space, inline
    ones nothing."""
    column = arrow.sub(column, _BLOCK_TAG, " ", where="<")
    column = arrow.sub(column, _INLINE_TAG, "", where="<")
    column = arrow.sub(column, _CUT_TAG, "", where="<")
    return arrow.sub(column, _QTRANSLATE, " ")


def repair_mojibake(column: pa.StringArray) -> pa.StringArray:
    """UTF-8 that was read as a single-byte code page put right by ftfy, in the rows that may hold such."""
    return _rows(column, MOJIBAKE_HINT, ftfy.fix_encoding)


def strip_invisible(column: pa.StringArray) -> pa.StringArray:
    """Control, invisible and private characters gone."""
    return arrow.sub(column, INVISIBLE, "")


def single_spaces(column: pa.StringArray) -> pa.StringArray:
    """Every run of white space one space, nothing at the ends."""
    column = arrow.sub(
        column,
        rf"{_SPACES}+",
        " ",
        where=r"[\p{Zl}\p{Zp}\t\n\x0b\x0c\r\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]|  ",
    )
    return pc.utf8_trim(column, " ")


def tidy(column: pa.StringArray) -> pa.StringArray:
    """NFC; every run of white space one space; invisible and private characters gone; nothing at the ends."""
    return single_spaces(strip_invisible(nfc(column)))


def line_ends(column: pa.StringArray) -> pa.StringArray:
    """Every kind of line end as one newline."""
    return arrow.sub(column, r"\r\n?|[\x0b\x0c\x1c-\x1e\x{85}\x{2028}\x{2029}]", "\n")


ODD_SPACES: Final = r"[\t\x1f\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"
"""Spaces that `spaces` makes plain."""


def spaces(column: pa.StringArray) -> pa.StringArray:
    """Invisible characters gone, every run of white space one space; line breaks stay."""
    column = arrow.sub(column, INVISIBLE, "")
    return arrow.sub(column, r"[\p{Zs}\t\x1f]+", " ", where=f"{ODD_SPACES}|  ")


@functools.cache
def not_nfc() -> frozenset[int]:
    """Code points without which, and without two of `ordered_marks` side by side, a text is in NFC: those that NFC replaces or
    joins to what stands before (Unicode's NFC_Quick_Check No and Maybe)."""
    found = set()
    for code in (*range(0xD800), *range(0xE000, 0x30000)):
        if not unicodedata.is_normalized("NFC", chr(code)):
            found.add(code)
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(int(parts[1], 16))
    return frozenset(found | {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)})


@functools.cache
def ordered_marks() -> frozenset[int]:
    """Marks whose order NFC may change, where two stand side by side (of a combining class that is not 0)."""
    return frozenset(code for code in range(0x30000) if unicodedata.combining(chr(code)))


def _character_class(codes: frozenset[int]) -> str:
    """An RE2 class of code points, runs as ranges."""
    every = sorted(codes)
    breaks = [at for at in range(1, len(every)) if every[at] != every[at - 1] + 1]
    runs = zip([0, *breaks], [*breaks, len(every)], strict=True)
    return "[" + "".join(f"\\x{{{every[first]:x}}}-\\x{{{every[end - 1]:x}}}" for first, end in runs) + "]"


@functools.cache
def _not_nfc() -> str:
    """RE2: what a text that is not in NFC holds."""
    marks = _character_class(ordered_marks())
    return f"{_character_class(not_nfc())}|{marks}{marks}|[\\x{{30000}}-\\x{{10ffff}}]"


def nfc(column: pa.StringArray) -> pa.StringArray:
    """Canonically composed, by Python's `unicodedata`, in the rows that may not be.

    Arrow's own `utf8_normalize` is not used: in version 25 its NFC gives decomposed text.
    """
    data, _ = arrow.bytes_and_offsets(column)
    if not len(data) or not (data > 0x7F).any():
        return column
    return _rows(column, _not_nfc(), functools.partial(unicodedata.normalize, "NFC"))


_STEPS: Final[tuple[tuple[str, tuple[Callable[[pa.StringArray], pa.StringArray], ...]], ...]] = (
    ("white_space", (pc.utf8_trim_whitespace,)),
    ("csv_quotes", (undo_csv_quotes,)),
    ("escapes", (unescape_json, unescape)),
    ("markup", (strip_markup,)),
    ("mojibake", (repair_mojibake,)),
    ("nfc", (nfc,)),
    ("invisible", (strip_invisible,)),
    ("white_space", (single_spaces,)),
    ("extension", (strip_extension,)),
)
"""What `clean` does, in the order in which the damage is usually done, last first."""

REPAIRS: Final = tuple(dict.fromkeys(name for name, _ in _STEPS))
"""Names of the kinds of repairs: bit i of `clean_counted`'s mask is REPAIRS[i]."""


def clean(column: pa.StringArray) -> pa.StringArray:
    """All repairs, see `_STEPS`."""
    for _, functions in _STEPS:
        for function in functions:
            column = function(column)
    return column


def clean_counted(column: pa.StringArray) -> tuple[pa.StringArray, npt.NDArray[np.uint8]]:
    """`clean`, and what it changed of each row.

    Args:
        column: n texts, none null.

    Returns:
        The n clean texts, and uint8 (n,): bit i is set where the repair REPAIRS[i] changed the text.
    """
    changed = np.zeros(len(column), np.uint8)
    for name, functions in _STEPS:
        before = column
        for function in functions:
            column = function(column)
        if column is not before:
            changed |= arrow.mask(pc.not_equal(before, column)).astype(np.uint8) << np.uint8(REPAIRS.index(name))
    return column, changed


def count_repairs(mask: pa.Array) -> dict[str, int]:
    """Repair -> rows that it changed, of a column of `clean_counted`'s masks; repairs without any are left out."""
    bits = mask.to_numpy(zero_copy_only=False)
    counts = {name: int(np.count_nonzero(bits & np.uint8(1 << at))) for at, name in enumerate(REPAIRS)}
    return {name: count for name, count in counts.items() if count}
