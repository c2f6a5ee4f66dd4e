"""Documents -> the lines that hold running text, each other line with the name of what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, normalise, reasons, signs

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MAX_DOCUMENT_CHARS: Final = 1_000_000
"""Characters of a document that are looked at; a longer one is cut here."""
MAX_PARAGRAPH_CHARS: Final = 20_000
"""A longer line is no paragraph."""

LineReason = Literal["too_long", "repeated", "code", "list", "navigation"]
LINE_REASONS: Final[tuple[LineReason, ...]] = get_args(LineReason)
"""Why a line is left out: longer than MAX_PARAGRAPH_CHARS; a copy of another line of its document; program text; an item of a list;
a bar of links."""

_CODE: Final = (
    r"[{}]\s*$|;\s*$|=>|\bfunction ?\("
    r"|^\s*(?:#include|import [a-z_.]+;?$|def \w+\(|public (?:static|class)|</?\w+|//|/\*|<\?php|\$\w+ ?=)"
)
_CODE_SIGNS: Final = r"[{};=>(<#/$]|^import "
_LIST: Final = r"^\s*(?:[•·▪►●○◦‣*»›→✓✔■◆]|[-–—] |\(?[0-9ivx]{1,3}[.)] |[a-z]\) |#)"
_NAVIGATION: Final = r"(?:\|[^|]*){2}|(?:›[^›]*){2}|(?:→[^→]*){2}|(?: [·•] [^·•]*){3}"
_PROSE_CHARS: Final = 40  # a line of fewer says little of a document's language


@dataclass(frozen=True)
class Lines:
    """The lines of n documents that hold more than spaces.

    Attributes:
        text: m strings, tidy.
        doc: int64 (m,), rising: each line's document.
        number: int64 (m,): its number in the document, empty lines counted.
        chars: int64 (m,): characters.
    """

    text: pa.StringArray
    doc: Ints
    number: Ints
    chars: Ints


def lines(texts: pa.Array) -> Lines:
    """Cuts documents into lines and tidies them: escapes, markup, mojibake, composition, invisible characters, white space.

    Args:
        texts: n documents; null counts as empty.
    """
    text = normalise.cut(arrow.strings(texts).fill_null(""), MAX_DOCUMENT_CHARS)
    held = signs.scan(text)
    escaped = held & signs.AMP != 0
    text = signs.change(text, escaped, normalise.unescape)
    marked = escaped | (held & (signs.TAG | signs.SQUARE) != 0)
    text = signs.change(text, marked, normalise.strip_markup)
    text = signs.change(text, escaped | (held & signs.LINE_END != 0), normalise.line_ends)
    cut = pc.split_pattern(text, "\n")
    doc = pc.list_parent_indices(cut).to_numpy().astype(np.int64)
    number = number_in(doc)
    text = arrow.strings(cut.flatten())
    filled = arrow.mask(pc.not_equal(text, ""))
    text, doc, number = text.filter(pa.array(filled)), doc[filled], number[filled]
    foreign = arrow.mask(pc.not_equal(pc.utf8_length(text), pc.binary_length(text)))
    damaged = foreign & signs.matches(text, foreign, normalise.MOJIBAKE_HINT)
    text = signs.change(text, damaged, _repair)
    text = signs.change(text, foreign, normalise.nfc)
    odd = damaged | marked[doc] | (held & (signs.INVISIBLE | signs.SPACES) != 0)[doc]
    text = pc.utf8_trim(signs.change(text, odd, normalise.spaces), " ")
    filled = arrow.mask(pc.not_equal(text, ""))
    if not filled.all():
        text, doc, number = text.filter(pa.array(filled)), doc[filled], number[filled]
    return Lines(text, doc, number, pc.utf8_length(text).to_numpy().astype(np.int64))


def _repair(rows: pa.StringArray) -> pa.StringArray:
    """Mojibake undone; a line stays one line."""
    return pc.replace_substring_regex(normalise.line_ends(normalise.repair_mojibake(rows)), r"\n+", " ")


def number_in(groups: Ints) -> Ints:
    """0, 1, 2, ... inside each run of equal group numbers."""
    if len(groups) == 0:
        return np.zeros(0, np.int64)
    starts = np.ones(len(groups), bool)
    starts[1:] = groups[1:] != groups[:-1]
    begin = np.flatnonzero(starts)
    return np.arange(len(groups)) - np.repeat(begin, np.diff(np.append(begin, len(groups))))


def reasons_of(found: Lines) -> pa.StringArray:
    """Why each line is left out (`LINE_REASONS`); null: it may hold neighbours."""
    short = pc.utf8_slice_codeunits(found.text, 0, 8)
    code_like = arrow.mask(arrow.matches(found.text, _CODE_SIGNS))
    masks = {
        "too_long": found.chars > MAX_PARAGRAPH_CHARS,
        "repeated": _repeated(found.text, found.doc),
        "code": signs.matches(found.text, code_like, _CODE),
        "list": arrow.mask(arrow.matches(short, _LIST)),
        "navigation": signs.matches(found.text, arrow.mask(arrow.matches(found.text, r"[|›→·•]")), _NAVIGATION),
    }
    return reasons.first_failure({name: pa.array(mask) for name, mask in masks.items()}, len(found.text))


def _repeated(text: pa.StringArray, doc: Ints) -> Bools:
    """Lines that occur more than once in their document: every copy, since what repeats is a page's frame."""
    codes = text.dictionary_encode().indices.to_numpy().astype(np.int64)
    size = int(codes.max()) + 1 if len(codes) else 1
    _, inverse, count = np.unique(doc * size + codes, return_inverse=True, return_counts=True)
    repeated: Bools = count[inverse] > 1
    return repeated


def samples(found: Lines, n: int, max_chars: int) -> pa.StringArray:
    """What each document's language is told from: its first lines of 40 characters or more, else its first lines.

    Args:
        found: The lines of n documents.
        n: Number of documents.
        max_chars: Characters after which no further line is taken.
    """
    prose = found.chars >= _PROSE_CHARS
    rich = np.bincount(found.doc[prose], minlength=n) > 0
    taken = prose | ~rich[found.doc]
    rows = np.flatnonzero(taken)
    doc, chars = found.doc[rows], found.chars[rows]
    before = np.cumsum(chars) - chars
    first = number_in(doc) == 0
    base = np.repeat(before[first], np.diff(np.append(np.flatnonzero(first), len(doc))))
    rows, doc = rows[before - base < max_chars], doc[before - base < max_chars]
    counts = np.bincount(doc, minlength=n)
    offsets = np.zeros(n + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    heads = pc.utf8_slice_codeunits(found.text.take(pa.array(rows)), 0, max_chars)
    return arrow.strings(pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), heads), " "))
