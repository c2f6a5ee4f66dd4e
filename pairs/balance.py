"""Balance: pairs of much-used queries are thinned out, so that a data set speaks of many things (CLIP, MetaCLIP).

Texts are searched for the queries of a list with Aho-Corasick; a pair is then kept by what its queries count over all pairs.
The algorithm is that of MetaCLIP (Xu et al. 2023, arXiv:2309.16671, algorithm 1) and, as the other mode, the cap of CLIP
(Radford et al. 2021, section 2.2). docs/alt_text.md lists where this differs from their words.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any, Final, Literal

import ahocorasick
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pairs import arrow, characters, keys, normalise
from pairs.characters import DIGIT, LETTER, MARK, NUMBER, PUNCT, SYMBOL
from pairs.jit import jit

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

UNMATCHED: Final = "unmatched"
BALANCED_OUT: Final = "balanced_out"
REASONS: Final = (UNMATCHED, BALANCED_OUT)
"""Why a pair is dropped: it holds no query; or none of its queries kept it."""

STAGE: Final = "balance"
KEEPS_ALL: Final = np.uint64(2**64 - 1)
"""Mode cap: the bound of a query that keeps all of its pairs."""
MAX_QUERY_CHARS: Final = 1000
_MARK: Final = 0x1F  # stands where a word begins or ends; no normalised text holds it
_END: Final = 0x0A  # stands between texts
_SPACED_OUT: Final = ",.;:?!`"
"""Around these signs MetaCLIP sets spaces before it searches (its `spacing`)."""


class BalanceOptions(BaseModel):
    """Which queries, and how many pairs of one are enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: tuple[str, ...] = Field(
        min_length=1,
        description="files or globs of queries, plain, .gz or .zst: one a line (a count behind it is not read), or .json with a "
        "list of strings, as MetaCLIP's metadata.json; all lists together are one",
    )
    counted: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="lists of lines: whether a number at a line's end is a count and no part of the query; auto: where every "
        "line of a file has one",
    )
    mode: Literal["probability", "cap"] = Field(
        "probability",
        description="probability: each query keeps each of its pairs with probability min(1, threshold / count) (MetaCLIP); "
        "cap: each query keeps its `threshold` pairs of least hash (CLIP); a pair that any of its queries keeps is kept",
    )
    threshold: int = Field(
        20_000,
        ge=1,
        le=10**12,
        description="t: pairs of a query above which it is thinned (CLIP, MetaCLIP-400M: 20,000)",
    )
    unmatched: Literal["drop", "keep"] = Field(
        "drop", description="pairs whose text holds no query: dropped (`unmatched`), as both papers do, or kept"
    )
    case: Literal["fold", "exact"] = Field(
        "fold", description="fold: capitals and small letters are the same; exact: as written (MetaCLIP)"
    )
    boundaries: Literal["words", "spaces", "none"] = Field(
        "words",
        description="where a query may begin and end. words: where a word does, anywhere in scripts without spaces; spaces: at "
        "spaces and the signs , . ; : ? ! ` alone (MetaCLIP); none: anywhere",
    )

    @field_validator("queries", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        # Strict reading of Python values takes no list for a tuple.
        return tuple(given) if isinstance(given, list) else given


@functools.cache
def _fold_table() -> characters.CodePoints:
    """The folded form of each code point, where that is one code point: case folding, else the small letter."""
    table = np.arange(0x110000, dtype=np.uint32)
    for code in range(0x20000):
        if 0xD800 <= code <= 0xDFFF:
            continue
        character = chr(code)
        folded = character.casefold()
        small = folded if len(folded) == 1 else character.lower()
        table[code] = ord(small) if len(small) == 1 else code
    table[0x130] = 0x69  # the Turkish capital I with a dot, whose small letter is an i and a mark
    table.setflags(write=False)
    return table


@functools.cache
def _plain_table() -> characters.CodePoints:
    table = np.arange(0x110000, dtype=np.uint32)
    table.setflags(write=False)
    return table


def _fold(options: BalanceOptions) -> characters.CodePoints:
    return _fold_table() if options.case == "fold" else _plain_table()


@functools.cache
def _word_class() -> npt.NDArray[np.uint8]:
    """1: part of a word that spaces set apart; 2: continues what stands before it (marks of no script, joiners); else 0."""
    tables = characters.tables()
    unspaced = characters.script_set(*characters.UNSPACED)[tables.script]
    of_word = np.isin(tables.kind, (LETTER, MARK, DIGIT, NUMBER)) & ~unspaced
    found = of_word.astype(np.uint8)
    found[(tables.kind == MARK) & (tables.script == 0)] = 2
    found[[0x200C, 0x200D]] = 2
    found.setflags(write=False)
    return found


@jit
def _mark_words(code: Any, start: Any, fold: Any, word: Any, out: Any) -> int:
    """Writes each text with a mark at every edge of a word, an end behind it; returns how many code points."""
    at = 0
    for row in range(len(start) - 1):
        inside = False
        for place in range(start[row], start[row + 1]):
            c = code[place]
            if c in (_MARK, _END):
                c = np.uint32(32)
            is_word = inside if word[c] == 2 else word[c] == 1
            if is_word != inside:
                out[at] = _MARK
                at += 1
                inside = is_word
            out[at] = fold[c]
            at += 1
        if inside:
            out[at] = _MARK
            at += 1
        out[at] = _END
        at += 1
    return at


@jit
def _space_signs(code: Any, start: Any, fold: Any, signs: Any, out: Any) -> int:
    """Writes each text between two spaces, with spaces around the signs, as MetaCLIP's `spacing`; an end behind it."""
    at = 0
    for row in range(len(start) - 1):
        out[at] = 32
        at += 1
        for place in range(start[row], start[row + 1]):
            c = code[place]
            sign = c < 128 and signs[c]
            if sign:
                out[at] = 32
                at += 1
            out[at] = np.uint32(32) if c in (9, 10, 13) else fold[c]
            at += 1
            if sign:
                out[at] = 32
                at += 1
        out[at] = 32
        out[at + 1] = _END
        at += 2
    return at


@functools.cache
def _signs() -> Bools:
    found = np.zeros(128, bool)
    found[[ord(sign) for sign in _SPACED_OUT]] = True
    return found


def _searchable(texts: pa.StringArray, options: BalanceOptions) -> bytes:
    """Texts end to end as the automaton reads them, UTF-8, an end behind each."""
    column = characters.decode(texts)
    if options.boundaries == "spaces":
        out = np.empty(3 * len(column.code) + 3 * column.n, np.uint32)
        length = _space_signs(column.code, column.start, _fold(options), _signs(), out)
    else:
        # At most two marks a code point: with no class of words there is none.
        word = _word_class() if options.boundaries == "words" else np.zeros(0x110000, np.uint8)
        out = np.empty(2 * len(column.code) + 2 * column.n, np.uint32)
        length = _mark_words(column.code, column.start, _fold(options), word, out)
    return out[:length].tobytes().decode("utf-32-le").encode()


def tidy_queries(queries: pa.StringArray, options: BalanceOptions) -> pa.StringArray:
    """Queries in the form in which they are listed and told apart.

    Args:
        queries: n strings as a list has them, null allowed.
        options: Its `case` counts.

    Returns:
        n strings, normalised as texts are (NFC, white space, invisible characters), `_` read as a space as in WordNet's own
        files, without case if that is folded. An empty one is no query.
    """
    spaced = pc.replace_substring(arrow.strings(queries).fill_null(""), "_", " ")
    column = characters.decode(normalise.tidy(spaced))
    return characters.encode(_fold(options)[column.code], column.row, column.n)


def _edges(queries: list[str]) -> list[tuple[bool, bool]]:
    """MetaCLIP: whether a space must stand before, and after, each query: not at signs and letters of unspaced scripts."""
    tables = characters.tables()
    unspaced = characters.script_set(*characters.UNSPACED)

    def asks(character: str) -> bool:
        code = ord(character)
        return not (unspaced[tables.script[code]] or tables.kind[code] in (PUNCT, SYMBOL))

    return [(asks(query[0]), asks(query[-1])) for query in queries]


@dataclass(frozen=True)
class Matcher:
    """Finds the queries of a list in texts.

    Attributes:
        queries: The list, as `tidy_queries` gives it, none empty or twice; a query's id is its place.
        options: How they are compared.
        automaton: Of the searchable forms, in UTF-8 bytes: with an alphabet of 256 it is five times as fast as over code
            points, and a match of whole characters is one of their bytes and the other way round.
    """

    queries: pa.StringArray
    options: BalanceOptions
    automaton: Any

    @classmethod
    def of(cls, queries: pa.StringArray, options: BalanceOptions) -> Matcher:
        """Builds the automaton: about half a second and 70 MB for 385,000 queries.

        Args:
            queries: As `tidy_queries` gives them, each once, none empty.
            options: How to compare.

        Raises:
            ValueError: There is no query, an empty one, or one twice.
        """
        n = len(queries)
        listed = queries.to_pylist()
        if not n or "" in listed or len(set(listed)) != n:
            raise ValueError("a matcher needs queries, none of them empty or twice: see tidy_queries")
        if options.boundaries == "spaces":
            edges = _edges(listed)
            forms = [
                f"{' ' * before}{query}{' ' * after}".encode()
                for query, (before, after) in zip(listed, edges, strict=True)
            ]
        else:
            forms = _searchable(queries, options).split(bytes([_END]))[:-1]
        automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        for number, form in enumerate(forms):
            automaton.add_word(form.decode("latin-1"), number)
        automaton.make_automaton()
        return cls(queries, options, automaton)

    @property
    def n(self) -> int:
        """Number of queries."""
        return len(self.queries)

    def match(self, texts: pa.StringArray) -> tuple[Ints, Ints]:
        """Which queries each text holds.

        Args:
            texts: n normalised strings; null holds none.

        Returns:
            int64 (total,) rows and int64 (total,) ids of queries, by row, then id; each query once a row.
        """
        data = _searchable(arrow.strings(texts).fill_null(""), self.options)
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _END)
        found = np.fromiter(
            itertools.chain.from_iterable(self.automaton.iter(data.decode("latin-1"))), np.int64
        ).reshape(-1, 2)
        rows = np.searchsorted(ends, found[:, 0])
        both = np.unique(rows.astype(np.int64) * self.n + found[:, 1])
        return both // self.n, both % self.n


def query_hashes(queries: pa.StringArray) -> UInt64:
    """uint64 (n,): a hash of each query's own text, so that adding a query to a list moves no other's draws."""
    return keys.draw(queries, 0, "query")


def pair_draws(key: pa.StringArray, seed: int) -> UInt64:
    """uint64 (n,): hash(seed, "balance", key) of each pair; in mode cap its rank."""
    return keys.draw(key, seed, STAGE)


def chosen_by_probability(draws: UInt64, ids: Ints, hashes: UInt64, counts: Ints, threshold: int) -> Bools:
    """Which matches keep their pair: each by a draw of its own, hash(seed, "balance", key, query).

    Args:
        draws: uint64 (m,): `pair_draws` of each match's pair.
        ids: int64 (m,): its query.
        hashes: uint64 (n,): `query_hashes`.
        counts: int64 (n,): pairs of each query, over all.
        threshold: t.

    Returns:
        bool (m,): True with probability min(1, t / count).
    """
    of_match = keys.child_draw(draws, hashes[ids].view(np.int64))
    count = counts[ids]
    return np.asarray((count <= threshold) | (keys.unit(of_match) * count < threshold))


def cap_candidates(draws: UInt64, ids: Ints, counts: Ints, threshold: int) -> Bools:
    """Matches that can be among the t least of a query that has more than t: what needs comparing over all buckets.

    Hashes are uniform, so the t-th least of c lies near t / c; what lies ten standard deviations and more above is left out
    (it would be wrong to once in 10**20 queries, and then the query keeps fewer).

    Returns:
        bool (m,).
    """
    count = counts[ids]
    reach = (threshold + 10 * np.sqrt(threshold) + 100) / np.maximum(count, 1)
    return np.asarray((count > threshold) & (keys.unit(draws) < reach))


def cap_bounds(draws: UInt64, ids: Ints, threshold: int) -> tuple[Ints, UInt64]:
    """The t-th least hash of each query.

    Args:
        draws: uint64 (m,), of all candidates of these queries.
        ids: int64 (m,).
        threshold: t.

    Returns:
        int64 (k,) ids, ascending, and uint64 (k,) the greatest hash that each keeps.
    """
    order = np.lexsort((draws, ids))
    ids, draws = ids[order], draws[order]
    found, first, count = np.unique(ids, return_index=True, return_counts=True)
    return found, draws[first + np.minimum(count, threshold) - 1]


def chosen_by_cap(draws: UInt64, ids: Ints, bounds: UInt64) -> Bools:
    """Which matches keep their pair: those whose hash is within the query's bound.

    Args:
        draws: uint64 (m,): `pair_draws` of each match's pair.
        ids: int64 (m,).
        bounds: uint64 (n,): `cap_bounds` by query; the greatest number for a query that keeps all.
    """
    return np.asarray(draws <= bounds[ids])


def chosen(draws: UInt64, ids: Ints, queries: pa.StringArray, counts: Ints, options: BalanceOptions) -> Bools:
    """Which matches keep their pair, where all matches are at hand: the whole rule in one call.

    Args:
        draws: uint64 (m,): `pair_draws` of each match's pair.
        ids: int64 (m,): its query.
        queries: The n queries.
        counts: int64 (n,): pairs of each query.
        options: Mode and threshold.
    """
    if options.mode == "probability":
        return chosen_by_probability(draws, ids, query_hashes(queries), counts, options.threshold)
    at = np.flatnonzero(cap_candidates(draws, ids, counts, options.threshold))
    found, greatest = cap_bounds(draws[at], ids[at], options.threshold)
    bounds = np.full(len(queries), KEEPS_ALL, np.uint64)
    bounds[found] = greatest
    return chosen_by_cap(draws, ids, bounds)


def reasons_of(n: int, rows: Ints, chosen: Bools, options: BalanceOptions) -> npt.NDArray[np.uint8]:
    """Why each pair is dropped, as a number: 0 kept, i + 1 the reason `REASONS[i]`.

    Args:
        n: Number of pairs.
        rows: int64 (m,), the pair of each match.
        chosen: bool (m,), whether the match keeps it.
        options: Its `unmatched` counts.
    """
    why = np.zeros(n, np.uint8)
    if options.unmatched == "drop":
        why[:] = REASONS.index(UNMATCHED) + 1
    why[rows] = REASONS.index(BALANCED_OUT) + 1
    why[rows[chosen]] = 0
    return why


def reason_names(why: npt.NDArray[np.uint8]) -> pa.StringArray:
    """What `reasons_of` gives as names, null where the pair is kept."""
    return pa.array(REASONS, pa.string()).take(pa.array(why.astype(np.int32) - 1, mask=why == 0))
