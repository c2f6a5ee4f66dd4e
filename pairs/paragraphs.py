"""Documents -> the lines that hold running text, each other line with the name of what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, line_signs, normalise, reasons, signs, spans
from pairs.jit import jit
from pairs.spans import Spans

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
_NAVIGATION: Final = r"(?: [·•] [^·•]*){3}"
_PROSE_CHARS: Final = 40  # a line of fewer says little of a document's language


@dataclass(frozen=True)
class Lines:
    """The lines of n documents that hold more than spaces.

    Attributes:
        spans: m texts, tidy.
        doc: int64 (m,), rising: each line's document.
        number: int64 (m,): its number in the document, empty lines counted.
        signs: uint32 (m,): the bits of `line_signs`.
    """

    spans: Spans
    doc: Ints
    number: Ints
    signs: npt.NDArray[np.uint32]

    @property
    def chars(self) -> Ints:
        """int64 (m,): characters of each line."""
        return self.spans.chars


def lines(texts: pa.Array) -> Lines:
    """Cuts documents into lines and tidies them: escapes, markup, mojibake, composition, invisible characters, white space.

    Args:
        texts: n documents; null counts as empty.
    """
    text = normalise.cut(arrow.strings(texts).fill_null(""), MAX_DOCUMENT_CHARS)
    data, begin, end, doc, number, held = line_signs.outline(text)
    # Escapes and markup may stand for line ends and run over them: documents that hold such are repaired and cut again.
    marked = held != 0
    repaired = None
    if marked.any():
        keep = ~marked[doc]
        begin, end, doc, number = begin[keep], end[keep], doc[keep], number[keep]
        change = text.filter(pa.array(marked))
        change = signs.change(change, (held & line_signs.AMP)[marked] != 0, normalise.unescape)
        repaired = line_signs.outline(normalise.strip_markup(change))
    # Some room more: repaired lines go behind the others.
    code = spans.room(len(data) * 9 // 8 + (0 if repaired is None else len(repaired[0])))
    table = line_signs.table()
    cut, total, singles, doubles = spans.read(data, begin, end, code, 0, table)
    if repaired is not None:
        data, begin, end, among, order, _ = repaired
        more, total, *noted = spans.read(data, begin, end, code, total, table)
        doc, number = np.append(doc, np.flatnonzero(marked)[among]), np.append(number, order)
        rows = np.argsort(doc, kind="stable")  # two rising runs
        doc, number = doc[rows], number[rows]
        cut = Spans(code, np.append(cut.begin, more.begin)[rows], np.append(cut.end, more.end)[rows])
        singles, doubles = np.append(singles, noted[0])[rows], np.append(doubles, noted[1])[rows]
    return _tidy(Lines(cut, doc, number, line_signs.about(cut, singles, doubles)), total)


def _tidy(found: Lines, total: int) -> Lines:
    """Lines whose signs ask for it repaired; `total` code points are there before."""
    held, table = found.signs, line_signs.table()
    begin, end, code = found.spans.begin, found.spans.end, found.spans.code

    broken = held & (line_signs.DAMAGE | line_signs.COMPOSE) != 0
    if broken.any():
        rows = np.flatnonzero(broken)
        damaged = (held & line_signs.DAMAGE != 0)[rows]
        text = normalise.nfc(signs.change(found.spans.take(rows).texts(), damaged, _repair))
        data, offsets = arrow.bytes_and_offsets(text)
        code = _room(code, total, len(data))
        cut, total, *noted = spans.read(data, offsets[:-1], offsets[1:], code, total, table)
        begin[rows], end[rows], held[rows] = cut.begin, cut.end, line_signs.about(cut, *noted)

    spaced = held & line_signs.SPACES != 0
    if spaced.any():
        rows = np.flatnonzero(spaced)
        code = _room(code, total, int((end - begin)[rows].sum()))
        begins, ends = begin[rows], end[rows]
        line_signs.plain_spaces(code, begins, ends, table, total)
        cut = Spans(code, begins, ends)
        begin[rows], end[rows], held[rows] = begins, ends, line_signs.about(cut, *spans.note(cut, table))

    cut = Spans(code, begin, end).trim()
    filled = cut.chars > 0
    return Lines(cut.take(filled), found.doc[filled], found.number[filled], held[filled])


def _room(code: spans.CodePoints, total: int, more: int) -> spans.CodePoints:
    """An array with room for so many code points behind the first `total`."""
    return code if total + more <= len(code) else np.append(code[:total], np.empty(more, np.uint32))


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
    held = found.signs
    masks = {
        "too_long": found.chars > MAX_PARAGRAPH_CHARS,
        "repeated": _repeated(found),
        "code": (held & line_signs.CODE != 0) | _matches(found, held & line_signs.CODE_LIKE != 0, _CODE),
        "list": held & line_signs.LIST != 0,
        "navigation": (held & line_signs.NAVIGATION != 0)
        | _matches(found, held & line_signs.NAVIGATION_LIKE != 0, _NAVIGATION),
    }
    return reasons.first_failure({name: pa.array(mask) for name, mask in masks.items()}, len(found.spans))


def _matches(found: Lines, rows: Bools, pattern: str) -> Bools:
    """Where RE2 finds the pattern among the marked lines."""
    matched = np.zeros(len(rows), bool)
    if rows.any():
        matched[rows] = arrow.mask(arrow.matches(found.spans.take(rows).texts(), pattern))
    return matched


def _repeated(found: Lines) -> Bools:
    """Lines that occur more than once in their document: every copy, since what repeats is a page's frame."""
    repeated = np.zeros(len(found.doc), bool)
    room = 1 << max(4, (2 * int(np.bincount(found.doc).max(initial=0))).bit_length())
    slots, stamps = np.zeros(room, np.int64), np.full(room, -1, np.int64)
    _find_repeated(found.spans.code, found.spans.begin, found.spans.end, found.doc, slots, stamps, repeated)
    return repeated


@jit
def _find_repeated(code: Any, begin: Any, end: Any, doc: Any, slots: Any, stamps: Any, repeated: Any) -> None:
    """`slots` and `stamps` are a hash table of lines that a document's number empties."""
    room = len(slots)
    for line in range(len(doc)):
        size = end[line] - begin[line]
        key = np.uint64(size)
        # Some 64 code points tell lines apart; what they do not, the comparison does.
        for at in range(begin[line], end[line], 1 + size // 64):
            key = (key ^ np.uint64(code[at])) * np.uint64(0x100000001B3)
        slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & (room - 1)
        while stamps[slot] == doc[line]:
            other = slots[slot]
            if end[other] - begin[other] == size:
                same = True
                for at in range(size):
                    if code[begin[other] + at] != code[begin[line] + at]:
                        same = False
                        break
                if same:
                    repeated[other] = repeated[line] = True
                    break
            slot = (slot + 1) & (room - 1)
        if stamps[slot] != doc[line]:
            stamps[slot] = doc[line]
            slots[slot] = line


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
    heads = found.spans.take(rows).head(max_chars).texts()
    return arrow.strings(pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), heads), " "))
