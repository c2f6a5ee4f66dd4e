"""Which pairs of sentences are kept: the options, and a rule for each, over measured columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import language, reasons
from pairs.paragraphs import MAX_PARAGRAPH_CHARS

Rule = Literal[
    "no_end",
    "no_begin",
    "too_short",
    "too_long",
    "few_letters",
    "many_digits",
    "url",
    "markup",
    "mojibake",
    "repetition",
    "boilerplate",
    "identical",
    "wrong_language",
]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""All rules of candidates, in the default order."""


class SentenceOptions(BaseModel):
    """Which documents, paragraphs and sentences make pairs; null switches a bound off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs_per_document: int | None = Field(
        4,
        ge=1,
        le=10_000,
        description="most pairs of one document, drawn by hash, no sentence in two of them; null: all neighbours",
    )
    max_pairs_per_host: int | None = Field(
        None,
        ge=1,
        description="max_pairs_per_host: most pairs of all documents of one host (without www.), those of least hash; null: any "
        "number. Documents without an address are not bounded",
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
    require_begin: bool = Field(
        True,
        description="no_begin: the first sentence must not begin with a word in small letters where the second one begins with a "
        "capital: it is the end of one that began on the line before, or of a heading",
    )
    url: bool = Field(True, description="url: drop sentences with an address or an e-mail address")
    markup: bool = Field(True, description="markup: drop sentences with markup or script left")
    mojibake: bool = Field(
        True, description="mojibake: drop sentences with characters that a wrong code page destroyed"
    )
    boilerplate: bool = Field(
        True,
        description="boilerplate: drop what pages say of themselves (cookies, rights, calls to click or subscribe)",
    )
    languages: tuple[str, ...] | None = Field(
        None, min_length=1, description="no_language: languages of documents to keep; null: all"
    )
    language_min_prob: float = Field(
        0.5,
        ge=0,
        le=1,
        description="no_language, wrong_language: a less probable identification is none: a document's language is unknown then "
        "and none of those listed, a sentence is not wrong",
    )
    language_min_weight: int = Field(
        40,
        ge=0,
        description="wrong_language: a shorter sentence is never wrong (characters, those of characters.DENSE twice)",
    )
    order: tuple[Rule, ...] = Field(
        RULES, description="the rules in the order in which a dropped candidate's reason is looked for"
    )


def cheap(
    facts: Mapping[str, pa.Array], identical: pa.BooleanArray, options: SentenceOptions
) -> dict[str, pa.BooleanArray]:
    """All rules but the language's."""

    def either(compare: Any, name: str, bound: float) -> pa.BooleanArray:
        return pc.or_(compare(facts[f"left_{name}"], bound), compare(facts[f"right_{name}"], bound))

    found: dict[str, pa.BooleanArray] = {}
    if options.require_end:
        found["no_end"] = pc.invert(pc.and_(facts["left_has_end"], facts["right_has_end"]))
    if options.require_begin:
        found["no_begin"] = pc.and_(facts["left_begins_small"], facts["right_begins_large"])
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
    for rule in ("url", "markup", "mojibake", "boilerplate"):
        if getattr(options, rule):
            found[rule] = pc.or_(facts[f"left_is_{rule}"], facts[f"right_is_{rule}"])
    if options.max_repetition is not None:
        found["repetition"] = either(pc.greater, "repetition", options.max_repetition)
    found["identical"] = identical
    return found


def fails(batch: pa.RecordBatch, options: SentenceOptions) -> dict[str, pa.BooleanArray]:
    """Which candidates fail which rule.

    Args:
        batch: m rows as `annotate` returns them.
        options: The thresholds.

    Returns:
        Rule name -> m booleans (True: the row fails), in the options' order, rules that are off left out.
    """
    facts = dict(zip(batch.schema.names, batch.columns, strict=True))
    found = cheap(facts, pc.equal(facts["left_text"], facts["right_text"]), options)
    sure = {
        side: pc.and_(
            pc.greater_equal(batch.column(f"{side}_lang_prob"), options.language_min_prob),
            pc.greater_equal(batch.column(f"{side}_weight"), options.language_min_weight),
        )
        for side in ("left", "right")
    }

    known = pc.greater_equal(batch.column("doc_lang_prob"), options.language_min_prob)

    def differ(a: str, b: str) -> pa.BooleanArray:
        return pc.invert(language.same_language(batch.column(a), batch.column(b)).fill_null(True))

    wrong = [pc.and_(pc.and_(sure[side], known), differ(f"{side}_lang", "doc_lang")) for side in ("left", "right")]
    wrong.append(pc.and_(pc.and_(sure["left"], sure["right"]), differ("left_lang", "right_lang")))
    found["wrong_language"] = pc.or_(pc.or_(wrong[0], wrong[1]), wrong[2])
    return {rule: found[rule] for rule in options.order if rule in found}


def select(batch: pa.RecordBatch, options: SentenceOptions) -> pa.StringArray:
    """The first rule that each candidate fails; null = kept."""
    return reasons.first_failure(fails(batch, options), batch.num_rows)
