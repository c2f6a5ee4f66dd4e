"""Back-translations: the options, what is measured of a sentence that was translated to another language and back, and the rules.

A sentence and its translation back say the same in other words, if the machine was good and not too good. CLIPPO publishes
neither languages nor rules for such pairs: these are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, characters, edit_distance, keys, language, reasons, translations
from pairs.schema import PAIR_SCHEMA
from pairs.translation_scores import MAX_CHARS
from pairs.translations import TranslationOptions

KIND: Final = "back_translation"

Rule = Literal[
    "too_long", "empty", "untranslated", "mojibake", "markup", "url", "no_letters", "identical", "wrong_script",
    "wrong_language", "too_short", "length_ratio", "numbers_differ", "repetition", "too_close", "too_far",
]  # fmt: skip
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""All rules, in the default order."""

_SHARED: Final = frozenset(RULES) & frozenset(translations.RULES)
"""Rules that are those of translations, here between a sentence and itself come back."""

MEASURED_BY: Final = frozenset({"normalise_punctuation"})
"""The options that change what is measured; the others are thresholds, and may move without measuring again."""

CHOSEN_BY: Final = frozenset({"sentences_of", "sides", "share"})
"""The options that say which sentences are translated."""


class BackTranslationOptions(BaseModel):
    """Which sentences are translated and what comes back is kept; null (or false) switches a rule off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences_of: tuple[Literal["sentences", "translations"], ...] = Field(
        ("sentences", "translations"),
        min_length=1,
        description="whose sentences are translated: of the pairs of these kinds, as far as the recipe makes them, after their "
        "own rules",
    )
    sides: Literal["one", "both"] = Field(
        "one",
        description="one: each pair gives one sentence, drawn by hash where a route begins with the language of both; both: "
        "each such sentence",
    )
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="not_drawn: share of the sentences that are translated, drawn by hash: machines cost",
    )
    normalise_punctuation: bool = Field(
        False, description="normalise punctuation of both sides as Moses does (sacremoses), by their language"
    )
    max_chars: int | None = Field(1000, ge=1, le=MAX_CHARS, description="too_long: most characters of a side")
    min_chars: int | None = Field(
        10, ge=1, description="too_short: fewest characters of a side, those of characters.DENSE twice"
    )
    max_length_ratio: float | None = Field(
        1.6,
        ge=1,
        description="length_ratio: longer side / shorter side, in characters; one language, so less than a translation's",
    )
    length_ratio_slack: int = Field(10, ge=0, description="length_ratio: characters added to both sides first")
    min_letter_share: float | None = Field(
        0.5, ge=0, le=1, description="no_letters: least letters and marks / characters that are no spaces, either side"
    )
    identical: bool = Field(
        True, description="identical: drop what came back as it went, case, spaces and punctuation aside"
    )
    url: bool = Field(True, description="url: drop a side that is mostly an address, or holds an e-mail address or DOI")
    markup: bool = Field(True, description="markup: drop HTML, wiki text or script")
    mojibake: bool = Field(True, description="mojibake: drop damage by a wrong code page beyond repair")
    wrong_script: bool = Field(True, description="wrong_script: drop a side that is not in the scripts of its language")
    wrong_language: bool = Field(
        True, description="wrong_language: drop what surely came back in another language, or not in one at all"
    )
    language_min_prob: float = Field(
        0.6, ge=0, le=1, description="wrong_language: a less probable identification drops nothing"
    )
    language_min_weight: int = Field(
        30, ge=0, le=1000, description="wrong_language: a shorter side is never dropped (characters, dense ones twice)"
    )
    numbers_differ: bool = Field(
        True, description="numbers_differ: drop pairs whose numbers are not the same, as for translations"
    )
    numbers_min_digits: int = Field(
        2, ge=1, le=18, description="numbers_differ: shorter numbers are often words on the other side"
    )
    max_repetition: float | None = Field(
        0.5,
        ge=0,
        le=1,
        description="repetition: most of a side's words that are repeats, or twice the other's: machines stammer",
    )
    repetition_min_words: int = Field(6, ge=1, description="repetition: a side of fewer words is not looked at")
    max_untranslated: float | None = Field(
        0.34,
        ge=0,
        le=1,
        description="untranslated: most words / words of the sentence that the engine marked as unknown on either way "
        "(`unknown_marks`); a word that it could not form (`failed_marks`) drops the pair at once",
    )
    min_distance: float | None = Field(
        0.05,
        ge=0,
        le=1,
        description="too_close: least edit distance / characters of the longer side, small letters, punctuation aside",
    )
    max_distance: float | None = Field(
        0.6,
        ge=0,
        le=1,
        description="too_far: most of it; does not ask Chinese and Japanese, where a character is a word",
    )
    max_word_distance: float | None = Field(
        0.9,
        ge=0,
        le=1,
        description="too_far: most edit distance over words / words, where words stand between spaces; over characters in Chinese "
        "and Japanese",
    )
    order: tuple[Rule, ...] = Field(
        RULES,
        description="the rules in the order in which a dropped row's reason is looked for; a rule left out is off",
    )

    def as_translations(self) -> TranslationOptions:
        """The thresholds that are those of translations."""
        shared = (set(TranslationOptions.model_fields) & set(BackTranslationOptions.model_fields)) - {"order"}
        order = tuple(rule for rule in translations.RULES if rule in _SHARED)
        told = {name: getattr(self, name) for name in shared}
        return TranslationOptions.model_validate({**told, "fragment": False, "order": order})


def annotate(
    batch: pa.RecordBatch,
    *,
    options: BackTranslationOptions,
    lid: language.LanguageIdentifier,
    tokenized: tuple[bool, bool] = (False, False),
) -> pa.RecordBatch:
    """Measures sentences against themselves come back.

    Args:
        batch: n rows with origin, url, left_text (the sentence), right_text (what came back), left_lang, right_lang; and where the
            pipeline translated: unknown, failed (int64, words that the engine marked), through_lang, route, group (what must not
            be divided from its translations).
        options: Only those of `MEASURED_BY` matter.
        lid: Identifies the languages.
        tokenized: Whether left and right are tokenised and have to be put together again.

    Returns:
        The rows as `translations.annotate` measures them, and distance (float32, see `edit_distance.of_characters`), word_distance
        (Chinese and Japanese: of characters, of which a word has one or two; null in other scripts without spaces), unknown, failed
        (0 where not told), through_lang, route (null where not told), group.
    """
    n = batch.num_rows
    measured = translations.annotate(
        batch,
        options=TranslationOptions.model_validate({"normalise_punctuation": options.normalise_punctuation}),
        lid=lid,
        tokenized=tokenized,
    )
    columns = {name: measured.column(name) for name in measured.schema.names}
    left, right = (edit_distance.folded(columns[f"{side}_text"]) for side in ("left", "right"))
    columns["distance"] = pa.array(edit_distance.of_characters(left, right))
    words = pc.if_else(
        _written(measured, characters.CJK), columns["distance"], pa.array(edit_distance.of_words(left, right))
    )
    others = [script for script in characters.UNSPACED if script not in characters.CJK]
    columns["word_distance"] = pc.if_else(_written(measured, others), pa.scalar(None, pa.float32()), words)
    for name in ("unknown", "failed"):
        columns.setdefault(name, pa.array(np.zeros(n, np.int64)))
    if "group" not in columns:  # a corpus: each sentence with all that came back of it
        group = keys.draw(translations.identity(columns["left_text"]), 0, "sentence")
        columns["group"] = pa.array([f"{value:016x}" for value in group.tolist()], pa.string())
    for name in ("through_lang", "route"):
        columns.setdefault(name, arrow.nulls(n, pa.string()))
    return pa.RecordBatch.from_pydict(columns)


def _written(batch: pa.RecordBatch, scripts: Sequence[str]) -> pa.BooleanArray:
    """Where either side is written in one of some scripts."""
    wanted = pa.array(scripts, pa.string())
    return pc.or_(*(pc.is_in(batch.column(f"{side}_script"), value_set=wanted) for side in ("left", "right")))


def fails(batch: pa.RecordBatch, options: BackTranslationOptions) -> dict[str, pa.BooleanArray]:
    """Which rows fail which rule.

    Args:
        batch: n rows as `annotate` returns them.
        options: The thresholds.

    Returns:
        Rule name -> n booleans (True: the row fails), in the options' order, rules that are off left out.
    """
    found = translations.fails(batch, options.as_translations())
    if options.max_untranslated is not None:
        words = np.maximum(batch.column("left_words").to_numpy(), 1)
        share = batch.column("unknown").to_numpy() / words
        found["untranslated"] = pc.or_(
            pa.array(share > options.max_untranslated), pc.greater(batch.column("failed"), 0)
        )
    distance = batch.column("distance")
    if options.min_distance is not None:
        found["too_close"] = pc.less(distance, options.min_distance)
    far = []
    if options.max_distance is not None:
        letters = pc.invert(_written(batch, characters.CJK))
        far.append(pc.and_(letters, pc.greater(distance, options.max_distance)))
    if options.max_word_distance is not None:
        far.append(pc.greater(batch.column("word_distance"), options.max_word_distance).fill_null(False))
    if far:
        found["too_far"] = pc.or_(far[0], far[-1])
    return {rule: found[rule] for rule in options.order if rule in found}


def select(batch: pa.RecordBatch, options: BackTranslationOptions) -> pa.StringArray:
    """The first rule that each row of an annotated batch fails; null = kept."""
    return reasons.first_failure(fails(batch, options), batch.num_rows)


def to_pairs(batch: pa.RecordBatch, *, source: str, seed: int) -> pa.RecordBatch:
    """Pairs of annotated, selected rows.

    Args:
        batch: n rows as `annotate` returns them.
        source: The source's name in the recipe.
        seed: The recipe's seed.

    Returns:
        n rows of `PAIR_SCHEMA`, kind back_translation. The key is made of both texts' identities, in the order of these; which side
        is left is drawn from it. scores.original says on which side the sentence is that was translated.
    """
    n = batch.num_rows
    kind = arrow.constant(KIND, n)
    key, as_given = translations.drawn_sides(batch, kind=KIND, seed=seed)

    def side(name: str, other: str) -> pa.Array:
        return pc.if_else(as_given, batch.column(name), batch.column(other))

    measured = {
        name: batch.column(name) for name in ("distance", "word_distance", "unknown", "through_lang", "route", "group")
    }
    measured["original"] = pc.if_else(as_given, pa.scalar("left"), pa.scalar("right"))
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
