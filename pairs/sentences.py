"""Pairs of sentences that follow each other in one paragraph of a document.

C4 dropped lines and joined the rest, so two sentences are neighbours only inside one paragraph. What the CLIPPO paper
does not say (the splitter, how many pairs a document gives, their lengths) is an option with our default here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, boundaries, characters, keys, language, neighbours, paragraphs, reasons, sentence_rules
from pairs.schema import PAIR_SCHEMA
from pairs.sentence_facts import Facts
from pairs.sentence_rules import RULES, Rule, SentenceOptions, fails, select

__all__ = [
    "DOCUMENT_REASONS",
    "RULES",
    "Books",
    "Rule",
    "SentenceOptions",
    "annotate",
    "fails",
    "select",
    "to_pairs",
]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LANGUAGE_CHARS: Final = 400
"""Characters that a document's language is told from."""
SENTENCE_LANGUAGE_CHARS: Final = 64
"""Characters that a candidate's sentence's language is told from."""

DOCUMENT_REASONS: Final = ("empty", "too_short", "code", "no_language", "no_neighbours")
"""Why a document gives no candidate: nothing but spaces; fewer characters than two sentences need; program text; its
language is none of the allowed ones; no two sentences stand side by side in one paragraph."""


@dataclass
class Books:
    """What became of the lines and the neighbours of the documents that gave candidates.

    Attributes:
        lines: Lines that hold more than spaces; line_reasons: reason -> lines left out (`paragraphs.LINE_REASONS`, and `alone`: a
            line of one sentence).
        neighbours: Neighbours in the other lines; neighbour_reasons: rule -> examined ones that failed it; `not_drawn`: the rest.
    """

    lines: int = 0
    line_reasons: Counter[str] = field(default_factory=Counter)
    neighbours: int = 0
    neighbour_reasons: Counter[str] = field(default_factory=Counter)


def annotate(
    batch: pa.RecordBatch,
    *,
    options: SentenceOptions,
    lid: language.LanguageIdentifier,
    seed: int,
    source: str,
    books: Books | None = None,
) -> tuple[pa.RecordBatch, pa.StringArray]:
    """Candidates: two sentences side by side in one paragraph.

    Lists, navigation, code and repeated lines are left out before they are split. Of a document's neighbours that pass all rules
    but the language's, up to `pairs_per_document` are drawn; of a document that has none, one of the others, so that `select`
    says what was wrong.

    Args:
        batch: n documents with origin, url, text.
        options: Bounds; those of `fails` decide here which candidates are drawn from.
        lid: Identifies languages, of each document and of each candidate's sentences.
        seed: The recipe's seed.
        source: The source's name in the recipe, part of each draw.
        books: Where lines and neighbours are counted.

    Returns:
        m candidates, in the documents' order: origin `<document's origin>#<paragraph>.<sentence>`, url, left_text, right_text,
        doc_lang (a guess where doc_lang_prob is small), doc_lang_prob, and for each side lang, lang_prob, chars, words, weight,
        letter_share, digit_share, repetition, begins_small, begins_large, has_end, is_url, is_markup, is_mojibake,
        is_boilerplate; and n reasons, null for a document with at least one candidate.
    """
    n = batch.num_rows
    lines = paragraphs.lines(batch.column("text"))
    size = np.bincount(lines.doc, weights=lines.chars, minlength=n).astype(np.int64)
    too_short = _too_short(lines, size, 2 * (options.min_chars or 1))
    doc_lang, doc_prob = lid.identify(paragraphs.samples(lines, n, LANGUAGE_CHARS), max_chars=LANGUAGE_CHARS)
    # A language that the model was not trained on gets some label of a low probability.
    known_lang = pc.if_else(pa.array(doc_prob >= options.language_min_prob), doc_lang, None)
    wrong_lang = np.zeros(n, bool)
    if options.languages is not None:
        listed = np.zeros(n, bool)
        for allowed in options.languages:
            listed |= arrow.mask(language.same_language(known_lang, arrow.constant(allowed, n)))
        wrong_lang = ~listed

    why_line = paragraphs.reasons_of(lines)
    code = arrow.mask(pc.equal(why_line, "code"))
    is_code = np.bincount(lines.doc, weights=code * lines.chars, minlength=n) > 0.3 * np.maximum(size, 1)
    open_line = arrow.mask(pc.is_null(why_line))
    wanted = open_line & ~(wrong_lang | is_code | too_short)[lines.doc]
    doc, number = lines.doc[wanted], lines.number[wanted]

    found, counts = boundaries.cut(lines.spans.take(wanted), doc_lang.take(pa.array(doc)))
    paragraph = np.repeat(np.arange(len(counts)), counts)
    sentences = found.trim()
    filled = sentences.chars > 0
    if not filled.all():
        sentences, paragraph = sentences.take(filled), paragraph[filled]
    place = paragraphs.number_in(paragraph)
    left = np.flatnonzero(paragraph[1:] == paragraph[:-1]) if len(paragraph) else np.zeros(0, np.int64)
    where = paragraph[left]
    parents = keys.draw(batch.column("origin"), seed, f"sentences/{source}")
    hashes = keys.child_draw(parents[doc[where]], (number[where] << 20) + place[left])

    def check(facts: Facts, lefts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        same = pa.array(sentences.take(lefts).equals(sentences.take(lefts + 1)))
        masks = sentence_rules.cheap(_facts_of(facts, lefts), same, options)
        first = np.full(len(lefts), -1, np.int64)
        for rule in reversed([rule for rule in options.order if rule in masks]):
            first[arrow.mask(masks[rule])] = RULES.index(rule)
        return first

    drawn = neighbours.draw(sentences, left, doc[where], hashes, options.pairs_per_document, check)
    at, where = left[drawn.chosen], where[drawn.chosen]
    documents = pa.array(doc[where])
    spot = pc.binary_join_element_wise(
        pa.array(number[where]).cast(pa.string()), pa.array(place[at]).cast(pa.string()), "."
    )
    columns: dict[str, pa.Array] = {
        "origin": pc.binary_join_element_wise(arrow.strings(batch.column("origin")).take(documents), spot, "#"),
        "url": arrow.strings(batch.column("url")).take(documents),
        "doc_lang": doc_lang.take(documents),
        "doc_lang_prob": pa.array(doc_prob).take(documents),
    }
    columns |= {"left_text": sentences.take(at).texts(), "right_text": sentences.take(at + 1).texts()}
    columns |= _facts_of(drawn.facts, at)
    both = pa.concat_arrays([columns["left_text"], columns["right_text"]])
    lang, prob = lid.identify(both, max_chars=SENTENCE_LANGUAGE_CHARS)
    for side, part in (("left", slice(0, len(at))), ("right", slice(len(at), None))):
        columns |= {f"{side}_lang": lang[part], f"{side}_lang_prob": pa.array(prob[part])}

    has = np.zeros(n, bool)
    has[doc[where]] = True
    if books is not None:
        _write(books, lines.doc, has, why_line, wanted, counts, doc[paragraph[left]], drawn)
    masks = {
        "empty": pa.array(size == 0),
        "too_short": pa.array(too_short),
        "code": pa.array(is_code),
        "no_language": pa.array(wrong_lang),
        "no_neighbours": pa.array(~has),
    }
    return pa.RecordBatch.from_pydict(columns), reasons.first_failure(masks, n)


def _too_short(lines: paragraphs.Lines, size: Ints, least: int) -> Bools:
    """Documents of less weight than two sentences need; characters of dense scripts are counted only where that can matter."""
    short: Bools = size < least
    rows = np.flatnonzero(short[lines.doc])
    if len(rows):
        dense = characters.measure_spans(lines.spans.take(rows)).dense
        short &= size + np.bincount(lines.doc[rows], weights=dense, minlength=len(size)) < least
    return short


def _facts_of(facts: Facts, left: Ints) -> dict[str, pa.Array]:
    """Facts of both sides of neighbours."""
    columns = {}
    for name, values in facts.items():
        columns[f"left_{name}"] = pa.array(values[left])
        columns[f"right_{name}"] = pa.array(values[left + 1])
    return columns


def _write(
    books: Books,
    line_doc: Ints,
    has: Bools,
    why: pa.StringArray,
    wanted: Bools,
    counts: Ints,
    doc: Ints,
    drawn: neighbours.Drawn,
) -> None:
    """Counts the lines and neighbours of the documents that gave candidates."""
    inside = has[line_doc]
    books.lines += int(inside.sum())
    books.line_reasons.update(reasons.count(why.filter(pa.array(inside))))
    books.line_reasons["alone"] += int((counts[has[line_doc[wanted]]] < 2).sum())
    books.neighbours += len(doc)
    reason = drawn.reason.copy()
    reason[drawn.chosen] = len(RULES)
    found = np.bincount(reason + 2, minlength=len(RULES) + 3)
    books.neighbour_reasons["not_drawn"] += int(found[0] + found[1])
    books.neighbour_reasons.update({rule: int(found[2 + at]) for at, rule in enumerate(RULES) if found[2 + at]})


def to_pairs(batch: pa.RecordBatch, *, source: str, seed: int, min_prob: float = 0.5) -> pa.RecordBatch:
    """Pairs of annotated, selected candidates, in reading order: the left sentence comes first.

    Args:
        batch: m rows as `annotate` returns them.
        source: The source's name in the recipe.
        seed: Not used: the order of two sentences is not drawn.
        min_prob: Probability below which a document's language is not told, unless both sentences surely have one: most
            languages of the world are none that the identifier knows, and it names one that looks alike (of the Universal
            Declaration's 532 versions 61 % are such).

    Returns:
        m rows of `PAIR_SCHEMA`, kind sentences. key = content key of (kind, left text, right text).
    """
    n = batch.num_rows
    kind = arrow.constant("sentences", n)
    left, right = batch.column("left_text"), batch.column("right_text")
    known = pc.greater_equal(batch.column("doc_lang_prob"), min_prob)
    left_lang, right_lang = batch.column("left_lang"), batch.column("right_lang")
    least = pc.min_element_wise(batch.column("left_lang_prob"), batch.column("right_lang_prob"))
    agreed = pc.and_(pc.greater_equal(least, min_prob), pc.equal(left_lang, right_lang))
    none = pa.scalar(None, pa.string())
    lang = language.tags(pc.if_else(known, batch.column("doc_lang"), pc.if_else(agreed, left_lang, none)))
    names = (
        "left_lang",
        "left_lang_prob",
        "right_lang",
        "right_lang_prob",
        "left_chars",
        "right_chars",
        "left_words",
        "right_words",
    )
    columns = {
        "key": keys.content_keys(kind, left, right),
        "kind": kind,
        "image": arrow.nulls(n, PAIR_SCHEMA.field("image").type),
        "left_text": left,
        "right_text": right,
        "left_lang": lang,
        "right_lang": lang,
        "source": arrow.constant(source, n),
        "origin": batch.column("origin"),
        "url": batch.column("url"),
        "scores": arrow.json_objects({name: batch.column(name) for name in names}),
    }
    return arrow.pair_batch(columns)
