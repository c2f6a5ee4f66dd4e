"""Translations: what is measured of a pair, and which rules it must pass."""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, keys, language, numbers, reasons, translation_scores
from pairs.schema import PAIR_SCHEMA
from pairs.translation_scores import MAX_CHARS

UInt64 = npt.NDArray[np.uint64]

Rule = Literal[
    "too_long", "empty", "mojibake", "markup", "template", "url", "no_letters", "identical", "wrong_script", "wrong_language",
    "too_short", "length_ratio", "numbers_differ", "repetition", "fragment",
]  # fmt: skip
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""All rules, in the default order."""

MEASURED_BY: Final = frozenset({"normalise_punctuation"})
"""The options that change what is measured; the others are thresholds, and may move without measuring again."""


class TranslationOptions(BaseModel):
    """Thresholds of the translation rules; null (or false) switches a rule off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalise_punctuation: bool = Field(
        True, description="normalise punctuation as Moses does (sacremoses), by each side's language"
    )
    max_chars: int | None = Field(1500, ge=1, le=MAX_CHARS, description="too_long: most characters of a side")
    min_chars: int | None = Field(
        3, ge=1, description="too_short: fewest characters of a side, those of characters.DENSE twice"
    )
    max_length_ratio: float | None = Field(
        3.0,
        ge=1,
        description="length_ratio: longer side / shorter side, in characters weighed by language (OpusFilter: 3)",
    )
    length_ratio_slack: int = Field(
        15, ge=0, description="length_ratio: characters added to both sides first, so that short pairs may differ more"
    )
    identical: bool = Field(
        True, description="identical: drop pairs whose sides are equal, case, spaces and punctuation aside"
    )
    min_letter_share: float | None = Field(
        0.35, ge=0, le=1, description="no_letters: least letters and marks / characters that are no spaces, either side"
    )
    url: bool = Field(
        True, description="url: drop pairs of which a side is mostly an address, or holds an e-mail address or DOI"
    )
    markup: bool = Field(True, description="markup: drop pairs with HTML, wiki text or script left")
    template: bool = Field(
        True,
        description="template: drop pairs with a place holder that a program fills: %s, %1$d, %1, {name}, ${name}, $name",
    )
    mojibake: bool = Field(True, description="mojibake: drop pairs damaged by a wrong code page beyond repair")
    wrong_script: bool = Field(
        True, description="wrong_script: drop pairs of which a side is not in the scripts of its language"
    )
    script_min_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="wrong_script: least letters in the language's scripts / letters, Han and kana thrice",
    )
    script_min_letters: int = Field(4, ge=1, description="wrong_script: a side of fewer letters is not looked at")
    wrong_language: bool = Field(
        True, description="wrong_language: drop pairs of which a side is surely in another language"
    )
    language_min_prob: float = Field(
        0.7, ge=0, le=1, description="wrong_language: a less probable identification drops nothing"
    )
    language_min_weight: int = Field(
        30,
        ge=0,
        le=1000,
        description="wrong_language: a shorter side is never dropped (characters, those of characters.DENSE twice)",
    )
    numbers_differ: bool = Field(
        True,
        description="numbers_differ: drop pairs whose sides both hold numbers of numbers_min_digits and share none, or each "
        "a number of three digits that the other lacks, or one such a number and the other none at all",
    )
    numbers_min_digits: int = Field(
        2, ge=1, le=18, description="numbers_differ: shorter numbers are often words on the other side"
    )
    max_repetition: float | None = Field(
        0.6,
        ge=0,
        le=1,
        description="repetition: most of a side's words that are repeats (1 - distinct words / words), or twice the other's",
    )
    repetition_min_words: int = Field(8, ge=1, description="repetition: a side of fewer words is not looked at")
    fragment: bool = Field(
        True,
        description="fragment: drop pairs of which one side alone closes or opens a bracket that is not there, or ends in a "
        "hyphen or an opening mark",
    )
    max_pairs_per_source: int | None = Field(
        4,
        ge=1,
        description="pairs_per_source: most pairs over all sources in which one sentence, of either side, may be; those with "
        "the least hash stay. WMT's test sets have one English text for many languages",
    )
    order: tuple[Rule, ...] = Field(
        RULES,
        description="the rules in the order in which a dropped row's reason is looked for; a rule left out is off",
    )


def annotate(
    batch: pa.RecordBatch,
    *,
    options: TranslationOptions,
    lid: language.LanguageIdentifier,
    tokenized: tuple[bool, bool] = (False, False),
) -> pa.RecordBatch:
    """Normalises both sides and measures the pair.

    Args:
        batch: n rows with origin, url, left_text, right_text (null allowed), left_lang, right_lang (the source's
            declared tags).
        options: Only those of `MEASURED_BY` matter here.
        lid: Identifies the languages.
        tokenized: Whether left and right are tokenised and have to be put together again.

    Returns:
        The same rows, texts normalised (never null), language tags as BCP 47, and for each side: chars, words, weight,
        letters, dense (of scripts with a syllable a character or more), letter_share, script, found_lang, found_prob,
        script_share (of letters, in the language's scripts), repetition, longest_run, as_english (characters that English
        would take), numbers (list), is_url, is_markup, is_template, is_mojibake, no_kana (declared Japanese, none in it),
        begins_inside, breaks_off; for the pair: identical, numbered (Qt's place holders on both sides), myriads (a side counts
        in them), han_numerals (a side has numbers in Chinese characters).
    """
    return translation_scores.annotate(
        batch, lid=lid, normalise_punctuation=options.normalise_punctuation, tokenised=tokenized
    )


def fails(batch: pa.RecordBatch, options: TranslationOptions) -> dict[str, pa.BooleanArray]:
    """Which rows fail which rule.

    Args:
        batch: n rows as `annotate` returns them.
        options: The thresholds.

    Returns:
        Rule name -> n booleans (True: the row fails), in the options' order, rules that are off left out.
    """

    def either(test: object) -> pa.BooleanArray:
        assert callable(test)
        return pc.or_(test("left"), test("right"))

    def above(name: str, bound: float) -> pa.BooleanArray:
        return pc.greater(batch.column(name), bound).fill_null(False)

    def below(name: str, bound: float) -> pa.BooleanArray:
        return pc.less(batch.column(name), bound).fill_null(False)

    found: dict[str, pa.BooleanArray] = {"empty": either(lambda side: pc.equal(batch.column(f"{side}_chars"), 0))}
    bound = min(options.max_chars or MAX_CHARS, MAX_CHARS)
    found["too_long"] = either(lambda side: above(f"{side}_chars", bound))
    if options.min_chars is not None:
        least = options.min_chars
        found["too_short"] = either(lambda side: below(f"{side}_weight", least))
    if options.max_length_ratio is not None:
        ratio = length_ratio(batch, options.length_ratio_slack)
        found["length_ratio"] = pc.greater(ratio, options.max_length_ratio)
    if options.identical:
        found["identical"] = batch.column("identical")
    if options.min_letter_share is not None:
        share = options.min_letter_share
        found["no_letters"] = either(lambda side: below(f"{side}_letter_share", share))
    for rule in ("url", "markup", "mojibake"):
        if getattr(options, rule):
            found[rule] = either(lambda side, rule=rule: batch.column(f"{side}_is_{rule}"))
    if options.template:
        held = either(lambda side: batch.column(f"{side}_is_template"))
        found["template"] = pc.or_(held, batch.column("numbered"))
    if options.wrong_script:
        found["wrong_script"] = either(
            lambda side: pc.and_(
                pc.greater_equal(batch.column(f"{side}_letters"), options.script_min_letters),
                below(f"{side}_script_share", options.script_min_share),
            )
        )
    if options.wrong_language:
        found["wrong_language"] = either(lambda side: _wrong_language(batch, side, options))
    if options.numbers_differ:
        found["numbers_differ"] = _numbers_differ(batch, options)
    if options.max_repetition is not None:
        found["repetition"] = _repeated(batch, options.max_repetition, options.repetition_min_words)
    if options.fragment:
        found["fragment"] = pc.or_(
            pc.not_equal(batch.column("left_begins_inside"), batch.column("right_begins_inside")),
            pc.not_equal(batch.column("left_breaks_off"), batch.column("right_breaks_off")),
        )
    return {rule: found[rule] for rule in options.order if rule in found}


def length_ratio(batch: pa.RecordBatch, slack: int) -> pa.FloatArray:
    """Longer / shorter side, both as long as English would be and `slack` longer; float32 (n,)."""
    left, right = (batch.column(f"{side}_as_english").to_numpy() for side in ("left", "right"))
    longer, shorter = np.maximum(left, right) + slack, np.minimum(left, right) + slack
    return pa.array((longer / np.maximum(shorter, 1)).astype(np.float32))


def _wrong_language(batch: pa.RecordBatch, side: str, options: TranslationOptions) -> pa.BooleanArray:
    """Surely another language than declared. Identification takes Chinese for Japanese: a long text without kana is none."""
    found, declared = batch.column(f"{side}_found_lang"), batch.column(f"{side}_lang")
    sure = pc.and_(
        pc.greater_equal(batch.column(f"{side}_found_prob"), options.language_min_prob),
        pc.invert(language.same_language(found, declared).fill_null(True)),
    )
    long = pc.greater_equal(batch.column(f"{side}_weight"), options.language_min_weight)
    han = pc.greater_equal(pc.multiply(batch.column(f"{side}_dense"), 2), options.language_min_weight)
    return pc.or_(pc.and_(long, sure), pc.and_(han, batch.column(f"{side}_no_kana")))


def _numbers_differ(batch: pa.RecordBatch, options: TranslationOptions) -> pa.BooleanArray:
    """Numbers that do not fit; a side that counts in myriads shares none with any other."""
    least = 10 ** (options.numbers_min_digits - 1)
    differ, missing = numbers.differ(batch.column("left_numbers"), batch.column("right_numbers"), least)
    return pc.or_(
        pc.and_(pa.array(differ), pc.invert(batch.column("myriads"))),
        pc.and_(pa.array(missing), pc.invert(pc.or_(batch.column("myriads"), batch.column("han_numerals")))),
    )


def _repeated(batch: pa.RecordBatch, most: float, min_words: int) -> pa.BooleanArray:
    sides = []
    for side, other in (("left", "right"), ("right", "left")):
        share = batch.column(f"{side}_repetition").to_numpy()
        of_other = batch.column(f"{other}_repetition").to_numpy()
        words = batch.column(f"{side}_words").to_numpy()
        sides.append((words >= min_words) & (share > most) & (share > 2 * of_other))
    return pa.array(sides[0] | sides[1])


def select(batch: pa.RecordBatch, options: TranslationOptions) -> pa.StringArray:
    """The first rule that each row of an annotated batch fails; null = kept."""
    return reasons.first_failure(fails(batch, options), batch.num_rows)


def drawn_sides(batch: pa.RecordBatch, *, kind: str, seed: int) -> tuple[pa.StringArray, pa.BooleanArray]:
    """The keys of pairs of texts that have no side of their own, and which side is left.

    Args:
        batch: n rows with left_text, right_text.
        kind: Of the pairs.
        seed: The recipe's seed.

    Returns:
        n keys, content keys of (kind, lesser, greater) of the two texts' identities; n booleans, drawn from the key: whether the
        sides stay as they are given.
    """
    left, right = batch.column("left_text"), batch.column("right_text")
    folded = [identity(text) for text in (left, right)]
    ordered = pc.or_(pc.less(folded[0], folded[1]), pc.and_(pc.equal(folded[0], folded[1]), pc.less_equal(left, right)))
    lesser, greater = pc.if_else(ordered, *folded), pc.if_else(ordered, folded[1], folded[0])
    key = keys.content_keys(arrow.constant(kind, batch.num_rows), lesser, greater)
    lesser_first = pa.array((keys.draw(key, seed, f"{kind}/left") & np.uint64(1)).astype(bool))
    return key, pc.equal(lesser_first, ordered)


def to_pairs(batch: pa.RecordBatch, *, source: str, seed: int) -> pa.RecordBatch:
    """Pairs of an annotated, selected batch.

    Args:
        batch: n rows as `annotate` returns them.
        source: The source's name in the recipe.
        seed: The recipe's seed.

    Returns:
        n rows of `PAIR_SCHEMA`, kind translations. key = content key of (kind, lesser, greater) of the two texts' identities,
        so it depends neither on which side the source gave first nor on case, spaces and punctuation; which side is left
        is drawn from it.
    """
    n = batch.num_rows
    kind = arrow.constant("translations", n)
    key, as_given = drawn_sides(batch, kind="translations", seed=seed)

    def side(name: str, other: str) -> pa.Array:
        return pc.if_else(as_given, batch.column(name), batch.column(other))

    measured = {"length_ratio": length_ratio(batch, 0)}
    for score in ("chars", "found_lang", "found_prob"):
        measured[f"left_{score}"] = side(f"left_{score}", f"right_{score}")
        measured[f"right_{score}"] = side(f"right_{score}", f"left_{score}")
    columns = {
        "key": key,
        "kind": kind,
        "image": arrow.nulls(n, PAIR_SCHEMA.field("image").type),
        "left_text": side("left_text", "right_text"),
        "right_text": side("right_text", "left_text"),
        "left_lang": side("left_lang", "right_lang"),
        "right_lang": side("right_lang", "left_lang"),
        "source": arrow.constant(source, n),
        "origin": batch.column("origin"),
        "url": batch.column("url"),
        "scores": arrow.json_objects(measured),
    }
    return arrow.pair_batch(columns)


def identity(texts: pa.StringArray) -> pa.StringArray:
    """What tells one sentence from another: not case, spaces or punctuation. A text of nothing else is itself."""
    folded = translation_scores.folded(texts)
    return pc.if_else(pc.equal(folded, ""), texts, folded)


def sentences(pairs: pa.RecordBatch) -> tuple[UInt64, UInt64]:
    """The hashes of the two sentences of each pair, uint64 (n,) each: equal where the sentences are, by `identity`.

    Args:
        pairs: n rows of `PAIR_SCHEMA`.
    """
    left, right = (
        keys.draw(identity(arrow.strings(pairs.column(name))), 0, "sentence") for name in ("left_text", "right_text")
    )
    return left, right


def scored_group(pairs: pa.RecordBatch) -> pa.StringArray:
    """The group that a pair's scores name, 16 hex digits; null where they name none."""
    found = pc.extract_regex(arrow.strings(pairs.column("scores")), r'[{,]"group":"(?P<group>[0-9a-f]{16})"')
    return arrow.strings(pc.struct_field(found, "group"))


def group_of(pairs: pa.RecordBatch) -> pa.StringArray:
    """The group that `with_group` wrote; where none is, the lesser of the two sentences' hashes. 16 hex digits, none null."""
    least = pa.array([f"{value:016x}" for value in np.minimum(*sentences(pairs)).tolist()], pa.string())
    return arrow.strings(pc.coalesce(scored_group(pairs), least))


def with_group(
    pairs: pa.RecordBatch, row: npt.NDArray[np.int64], sentence: UInt64, count: npt.NDArray[np.int64]
) -> pa.RecordBatch:
    """Pairs with the key `group` in their scores: the hash of the sentence, of the two, that more pairs have.

    So all references of a source, and all languages that one text was translated to, are one group, whichever side the
    text is on; a trainer keeps a group out of one batch, where its pairs would be each other's negatives.

    Args:
        pairs: n rows of `PAIR_SCHEMA`, scores without a group.
        row: int64 (m,), rows of pairs, in any order, with
        sentence: uint64 (m,), the hash of a sentence that several pairs have, and
        count: int64 (m,), how many.
    """
    left, right = sentences(pairs)
    group, best = np.minimum(left, right), np.ones(pairs.num_rows, np.int64)
    for at in np.lexsort((sentence, -count)).tolist():
        if count[at] > best[row[at]]:
            best[row[at]], group[row[at]] = count[at], sentence[at]
    names = pa.array([f'{{"group":"{value:016x}",' for value in group.tolist()], pa.string())
    scores = pc.utf8_slice_codeunits(arrow.strings(pairs.column("scores")), 1)
    place = pairs.schema.get_field_index("scores")
    return pairs.set_column(place, PAIR_SCHEMA.field("scores"), pc.binary_join_element_wise(names, scores, ""))
