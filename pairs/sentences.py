"""Pairs of sentences that follow each other in one paragraph of a document.

C4 dropped lines and joined the rest, so two sentences are neighbours only inside one paragraph. What the CLIPPO paper
does not say (the splitter, how many pairs a document gives, their lengths) is an option with our default here.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, boundaries, characters, flags, keys, language, normalise, reasons
from pairs.schema import PAIR_SCHEMA

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MAX_DOCUMENT_CHARS: Final = 1_000_000
"""Characters of a document that are looked at; a longer one is cut here, at a line's end where there is one."""
MAX_PARAGRAPH_CHARS: Final = 20_000
"""A longer line is no paragraph: it is left out before it is split."""

LANGUAGE_CHARS: Final = 600
"""Characters that a document's language is told from; of a candidate, half as many, a quarter from each sentence."""

Rule = Literal[
    "no_end",
    "too_short",
    "too_long",
    "few_letters",
    "many_digits",
    "url",
    "markup",
    "repetition",
    "identical",
    "wrong_language",
]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""All rules of candidates, in the default order."""

DOCUMENT_REASONS: Final = ("empty", "too_short", "code", "no_language", "no_neighbours")
"""Why a document gives no candidate: nothing but spaces; fewer characters than two sentences need; program text; its
language is none of the allowed ones; no two sentences stand side by side in one paragraph."""


class SentenceOptions(BaseModel):
    """Which documents, paragraphs and sentences make pairs; null switches a bound off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs_per_document: int | None = Field(
        4,
        ge=1,
        le=10_000,
        description="most pairs of one document, drawn by hash, no sentence in two of them; null: all neighbours",
    )
    min_chars: int | None = Field(
        20,
        ge=1,
        description="too_short: fewest characters of a sentence, those of characters.DENSE twice",
    )
    max_chars: int | None = Field(
        500, ge=1, le=MAX_PARAGRAPH_CHARS, description="too_long: most characters of a sentence"
    )
    min_words: int | None = Field(
        4, ge=1, description="too_short: fewest words of a sentence (C4 drops lines of fewer than 5)"
    )
    min_letter_share: float | None = Field(
        0.6,
        ge=0,
        le=1,
        description="few_letters: least letters and marks / characters that are no spaces, either sentence",
    )
    max_digit_share: float | None = Field(
        0.3, ge=0, le=1, description="many_digits: most digits / characters that are no spaces"
    )
    max_repetition: float | None = Field(
        0.6, ge=0, le=1, description="repetition: most words that repeat an earlier one, either sentence"
    )
    require_end: bool = Field(
        True,
        description="no_end: both sentences must end as sentences do (C4's rule for lines), where the script marks it",
    )
    url: bool = Field(True, description="url: drop sentences with an address or an e-mail address")
    markup: bool = Field(True, description="markup: drop sentences with markup or script left")
    languages: tuple[str, ...] | None = Field(
        None, min_length=1, description="no_language: languages of documents to keep; null: all"
    )
    language_min_prob: float = Field(
        0.5, ge=0, le=1, description="no_language, wrong_language: a less probable identification decides nothing"
    )
    language_min_weight: int = Field(
        60,
        ge=0,
        description="wrong_language: a shorter pair is never dropped (characters, those of characters.DENSE twice)",
    )
    order: tuple[Rule, ...] = Field(
        RULES, description="the rules in the order in which a dropped candidate's reason is looked for"
    )


_END: Final = r"[.!?…。！？｡．।॥؟۔።։៕၊။\x{0964}][\"'”’»›）)」』】\]*]*$"
_NO_END_SCRIPTS: Final = ("Thai", "Laoo", "Khmr", "Tibt")
_CODE: Final = (
    r"[{}]\s*$|;\s*$|=>|\bfunction ?\("
    r"|^\s*(?:#include|import [a-z_.]+;?$|def \w+\(|public (?:static|class)|</?\w+|//|/\*|<\?php|\$\w+ ?=)"
)
_LIST: Final = r"^\s*(?:[•·▪►●○◦‣*»›→✓✔]|[-–—] |\(?[0-9ivx]{1,3}[.)] |[a-z]\) |#)"
_NAVIGATION: Final = (
    r"(?i)\||»$|›|→|©|all rights reserved|cookie|privacy policy|terms (?:of|and) (?:use|service|conditions)|"
    r"lorem ipsum|javascript|click here|read more|subscribe|sign up|log ?in\b|newsletter|copyright|alle rechte vorbehalten|"
    r"datenschutz|impressum|mentions légales|"
    r"tous droits réservés|todos los derechos|политик\w+ конфиденциальности|все права защищены|version française|"
    r"利用規約|版权所有|著作権|プライバシー"
)


def _documents(batch: pa.RecordBatch) -> pa.StringArray:
    """The documents' texts with clean lines."""
    given = arrow.strings(batch.column("text")).fill_null("")
    text = normalise.cut(given, MAX_DOCUMENT_CHARS)
    return normalise.lines(normalise.repair_mojibake(normalise.strip_markup(normalise.unescape(text))))


def _paragraphs(text: pa.StringArray) -> tuple[pa.StringArray, Ints, Ints]:
    """Lines: their texts, their documents and their numbers in them, lines of nothing but spaces left out but
    counted."""
    lists = pc.split_pattern(text, "\n")
    lines = pc.utf8_trim(lists.flatten(), " ")
    doc = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    number = _number_in(doc)
    filled = arrow.mask(pc.not_equal(lines, ""))
    return lines.filter(pa.array(filled)), doc[filled], number[filled]


def _number_in(groups: Ints) -> Ints:
    """0, 1, 2, ... inside each run of equal group numbers."""
    if len(groups) == 0:
        return np.zeros(0, np.int64)
    starts = np.ones(len(groups), bool)
    starts[1:] = groups[1:] != groups[:-1]
    begin = np.flatnonzero(starts)
    return np.arange(len(groups)) - np.repeat(begin, np.diff(np.append(begin, len(groups))))


def _repeated(lines: pa.StringArray, doc: Ints) -> Bools:
    """Lines that occur more than once in their document: every copy, since what repeats is a page's frame."""
    codes = lines.dictionary_encode().indices.to_numpy().astype(np.int64)
    size = int(codes.max()) + 1 if len(codes) else 1
    _, inverse, count = np.unique(doc * size + codes, return_inverse=True, return_counts=True)
    repeated: Bools = count[inverse] > 1
    return repeated


def annotate(
    batch: pa.RecordBatch, *, options: SentenceOptions, lid: language.LanguageIdentifier, seed: int, source: str
) -> tuple[pa.RecordBatch, pa.StringArray]:
    """Candidates: two sentences side by side in one paragraph.

    Lists, navigation, code and repeated lines are left out before they are split. Of a document's candidates that
    pass all rules but the language's, up to `pairs_per_document` are drawn; of a document that has none, one of the
    others, so that `select` says what was wrong.

    Args:
        batch: n documents with origin, url, text.
        options: Bounds; those of `fails` decide here which candidates are drawn from.
        lid: Identifies languages, of each document and of each candidate.
        seed: The recipe's seed.
        source: The source's name in the recipe, part of each draw.

    Returns:
        m candidates, in the documents' order: origin `<document's origin>#<paragraph>.<sentence>`, url, left_text,
        right_text, doc_lang, lang, lang_prob (of the two sentences together), and for each side chars, words, weight,
        letter_share, digit_share, repetition, has_end, is_url, is_markup; and n reasons, null for a document with at
        least one candidate.
    """
    n = batch.num_rows
    text = _documents(batch)
    weight = pc.utf8_length(text).to_numpy().astype(np.int64) + _dense(text)
    too_short = weight < 2 * (options.min_chars or 1)
    doc_lang, doc_prob = lid.identify(_sample(text), max_chars=LANGUAGE_CHARS)
    wrong_lang = np.zeros(n, bool)
    if options.languages is not None:
        listed = np.zeros(n, bool)
        for allowed in options.languages:
            listed |= arrow.mask(language.same_language(doc_lang, arrow.constant(allowed, n)))
        wrong_lang = ~listed

    lines, doc, number = _paragraphs(text)
    size = pc.utf8_length(lines).to_numpy().astype(np.int64)
    code = arrow.mask(flags.found(lines, _CODE))
    code_share = np.bincount(doc, weights=code * size, minlength=n) / np.maximum(
        np.bincount(doc, weights=size, minlength=n), 1
    )
    is_code = code_share > 0.3
    wanted = ~code & ~_repeated(lines, doc) & (size <= MAX_PARAGRAPH_CHARS) & ~(wrong_lang | is_code | too_short)[doc]
    wanted &= ~arrow.mask(flags.found(lines, _LIST))
    chosen = pa.array(wanted)
    lines, doc, number = lines.filter(chosen), doc[wanted], number[wanted]

    found, counts = boundaries.split(lines, doc_lang.take(pa.array(doc)))
    paragraph = np.repeat(np.arange(len(lines)), counts)
    sentences = pc.utf8_trim(found, " ")
    filled = arrow.mask(pc.not_equal(sentences, ""))
    sentences, paragraph = sentences.filter(pa.array(filled)), paragraph[filled]
    place = _number_in(paragraph)

    left = np.flatnonzero(paragraph[1:] == paragraph[:-1]) if len(paragraph) else np.zeros(0, np.int64)
    facts = _facts(sentences)
    boiler = facts.pop("boiler")
    left = left[~(boiler[left] | boiler[left + 1])]
    columns: dict[str, pa.Array] = {}
    documents = pa.array(doc[paragraph[left]])
    spot = pc.binary_join_element_wise(
        pa.array(number[paragraph[left]]).cast(pa.string()), pa.array(place[left]).cast(pa.string()), "."
    )
    columns["origin"] = pc.binary_join_element_wise(arrow.strings(batch.column("origin")).take(documents), spot, "#")
    columns["url"] = arrow.strings(batch.column("url")).take(documents)
    columns["left_text"] = sentences.take(pa.array(left))
    columns["right_text"] = sentences.take(pa.array(left + 1))
    columns["doc_lang"] = doc_lang.take(documents)
    columns["doc_lang_prob"] = pa.array(doc_prob).take(documents)
    for name, values in facts.items():
        columns[f"left_{name}"] = pa.array(values[left])
        columns[f"right_{name}"] = pa.array(values[left + 1])
    candidates = pa.RecordBatch.from_pydict(columns)
    drawn = _draw(candidates, doc[paragraph[left]], paragraph[left], left, options, seed, source)
    candidates = candidates.take(pa.array(drawn))
    heads = [
        pc.utf8_slice_codeunits(candidates.column(f"{side}_text"), 0, LANGUAGE_CHARS // 4) for side in ("left", "right")
    ]
    lang, prob = lid.identify(pc.binary_join_element_wise(*heads, " "))
    candidates = candidates.append_column("lang", lang).append_column("lang_prob", pa.array(prob))

    has = np.zeros(n, bool)
    has[doc[paragraph[left[drawn]]]] = True
    masks = {
        "empty": pa.array(arrow.mask(pc.equal(pc.utf8_trim_whitespace(text), ""))),
        "too_short": pa.array(too_short),
        "code": pa.array(is_code),
        "no_language": pa.array(wrong_lang),
        "no_neighbours": pa.array(~has),
    }
    return candidates, reasons.first_failure(masks, n)


def _sample(text: pa.StringArray) -> pa.StringArray:
    """What a document's language is told from: its first lines of 40 characters or more, else all of it."""
    prose = pc.utf8_trim_whitespace(
        pc.replace_substring_regex(pc.utf8_slice_codeunits(text, 0, 5_000), r"(?m)^.{0,39}$\n?", "")
    )
    return pc.if_else(pc.greater_equal(pc.utf8_length(prose), 60), prose, text)


def _dense(text: pa.StringArray) -> Ints:
    """Letters of dense scripts, of the first 200 characters: enough to tell whether a document is too
    short."""
    return characters.measure(pc.utf8_slice_codeunits(text, 0, 200)).dense


def _facts(sentences: pa.StringArray) -> dict[str, npt.NDArray[Any]]:
    """What is measured of each sentence, each of shape (sentences,)."""
    measured = characters.measure(sentences)
    no_end = characters.script_set(*_NO_END_SCRIPTS)[measured.script]
    return {
        "chars": measured.chars,
        "words": measured.words,
        "weight": measured.weight,
        "letter_share": measured.share(measured.letters),
        "digit_share": measured.share(measured.digits),
        "repetition": measured.repetition,
        "has_end": arrow.mask(flags.found(sentences, _END)) | no_end,
        "is_url": arrow.mask(flags.found(sentences, flags.URL)) | arrow.mask(flags.email(sentences)),
        "is_markup": arrow.mask(flags.markup(sentences)),
        "boiler": arrow.mask(flags.found(sentences, _NAVIGATION)),
    }


def _draw(
    candidates: pa.RecordBatch, doc: Ints, paragraph: Ints, left: Ints, options: SentenceOptions, seed: int, source: str
) -> Ints:
    """Which candidates are drawn: int64, rising."""
    n = candidates.num_rows
    if n == 0:
        return np.zeros(0, np.int64)
    reason = reasons.first_failure(_cheap(candidates, options), n)
    passing = arrow.mask(pc.is_null(reason))
    draws = keys.draw(candidates.column("origin"), seed, f"sentences/{source}")
    eligible = passing.copy()
    if options.pairs_per_document is not None:
        # In each run of passing neighbours every second one, from the first or the second on: no sentence is used
        # twice.
        where = np.flatnonzero(passing)
        starts = np.ones(len(where), bool)
        starts[1:] = (np.diff(left[where]) != 1) | (paragraph[where[1:]] != paragraph[where[:-1]])
        begin = np.flatnonzero(starts)
        size = np.diff(np.append(begin, len(where)))
        offset = np.where(size > 1, (draws[where[begin]] & np.uint64(1)).astype(np.int64), 0)
        step = np.arange(len(where)) - np.repeat(begin, size)
        eligible[where] = (step - np.repeat(offset, size)) % 2 == 0
    barren = np.ones(int(doc.max()) + 1, bool)
    barren[doc[eligible]] = False
    limit = np.where(barren[doc], 1, options.pairs_per_document or n)
    pool = np.flatnonzero(eligible | barren[doc])
    order = pool[np.lexsort((draws[pool], doc[pool]))]
    drawn = order[_number_in(doc[order]) < limit[order]]
    return np.sort(drawn)


def _cheap(batch: pa.RecordBatch, options: SentenceOptions) -> dict[str, pa.BooleanArray]:
    """All rules but the language's."""

    def either(compare: Any, name: str, bound: float) -> pa.BooleanArray:
        return pc.or_(compare(batch.column(f"left_{name}"), bound), compare(batch.column(f"right_{name}"), bound))

    found: dict[str, pa.BooleanArray] = {}
    if options.require_end:
        found["no_end"] = pc.invert(pc.and_(batch.column("left_has_end"), batch.column("right_has_end")))
    short = [
        either(pc.less, name, bound)
        for name, bound in (("weight", options.min_chars), ("words", options.min_words))
        if bound
    ]
    if short:
        found["too_short"] = pc.or_(short[0], short[-1])
    if options.max_chars is not None:
        found["too_long"] = either(pc.greater, "chars", options.max_chars)
    if options.min_letter_share is not None:
        found["few_letters"] = either(pc.less, "letter_share", options.min_letter_share)
    if options.max_digit_share is not None:
        found["many_digits"] = either(pc.greater, "digit_share", options.max_digit_share)
    for rule in ("url", "markup"):
        if getattr(options, rule):
            found[rule] = pc.or_(batch.column(f"left_is_{rule}"), batch.column(f"right_is_{rule}"))
    if options.max_repetition is not None:
        found["repetition"] = either(pc.greater, "repetition", options.max_repetition)
    found["identical"] = pc.equal(batch.column("left_text"), batch.column("right_text"))
    return found


def fails(batch: pa.RecordBatch, options: SentenceOptions) -> dict[str, pa.BooleanArray]:
    """Which candidates fail which rule.

    Args:
        batch: m rows as `annotate` returns them.
        options: The thresholds.

    Returns:
        Rule name -> m booleans (True: the row fails), in the options' order, rules that are off left out.
    """
    found = _cheap(batch, options)
    sure = pc.and_(
        pc.greater_equal(batch.column("lang_prob"), options.language_min_prob),
        pc.greater_equal(
            pc.add(batch.column("left_weight"), batch.column("right_weight")), options.language_min_weight
        ),
    )
    same = language.same_language(batch.column("lang"), batch.column("doc_lang")).fill_null(True)
    found["wrong_language"] = pc.and_(sure, pc.invert(same))
    return {rule: found[rule] for rule in options.order if rule in found}


def select(batch: pa.RecordBatch, options: SentenceOptions) -> pa.StringArray:
    """The first rule that each candidate fails; null = kept."""
    return reasons.first_failure(fails(batch, options), batch.num_rows)


def to_pairs(batch: pa.RecordBatch, *, source: str, seed: int) -> pa.RecordBatch:
    """Pairs of annotated, selected candidates, in reading order: the left sentence comes first.

    Args:
        batch: m rows as `annotate` returns them.
        source: The source's name in the recipe.
        seed: Not used: the order of two sentences is not drawn.

    Returns:
        m rows of `PAIR_SCHEMA`, kind sentences. key = content key of (kind, left text, right text).
    """
    n = batch.num_rows
    kind = arrow.constant("sentences", n)
    left, right = batch.column("left_text"), batch.column("right_text")
    lang = language.tags(batch.column("doc_lang"))
    names = ("lang", "lang_prob", "left_chars", "right_chars", "left_words", "right_words")
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
