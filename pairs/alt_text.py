"""Images with their alternative texts: what is measured of a text, and which rules a pair must pass.

`annotate` measures, once; `select` applies thresholds to the measured columns, so a changed threshold measures
nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pairs import (
    arrow,
    boilerplate,
    characters,
    flags,
    keys,
    language,
    normalise,
    presets,
    reasons,
    tokens,
)
from pairs.decontaminate import DecontaminateOptions, EvaluationSets
from pairs.dedupe import DuplicateOptions

MAX_CHARS: Final = 10_000
"""Characters of a text that are looked at. A longer one is cut here before anything else, its whole length kept in
n_chars."""

SCORES: Final[tuple[tuple[str, pa.DataType], ...]] = (
    ("raw_text", pa.string()),  # as it came, cut to MAX_CHARS
    ("lang", pa.string()),  # label of lid.176, null for an empty text
    ("lang_prob", pa.float32()),  # [0, 1]
    ("script", pa.string()),  # ISO 15924 of most letters, null without letters
    ("n_chars", pa.int64()),  # characters of the normalised text; of the raw one where that is longer than MAX_CHARS
    ("n_words", pa.int64()),  # see characters.measure
    ("n_whitespace_words", pa.int64()),  # as str.split counts them
    ("n_unigrams", pa.int64()),  # see tokens
    ("n_digits", pa.int64()),
    ("letter_share", pa.float32()),  # letters and marks / characters that are no spaces
    ("digit_share", pa.float32()),
    ("punct_share", pa.float32()),  # punctuation and symbols
    ("repetition", pa.float32()),  # share of words that repeat an earlier one
    ("longest_run", pa.int64()),  # one character side by side
    ("n_separators", pa.int64()),  # commas, semicolons, bars: what stands between the items of a list
    ("n_hashtags", pa.int64()),
    ("script_switches", pa.int64()),  # one alphabet into another inside a word
    ("weight", pa.int64()),  # characters, those of dense scripts (characters.DENSE) twice
    ("is_url", pa.bool_()),
    ("is_email", pa.bool_()),
    ("is_markup", pa.bool_()),
    ("is_template", pa.bool_()),
    ("is_file_name", pa.bool_()),
    ("is_camera_title", pa.bool_()),
    ("is_slug", pa.bool_()),
    ("is_boilerplate", pa.bool_()),
    ("is_mojibake", pa.bool_()),
    ("is_repaired", pa.bool_()),  # normalising changed more than white space at the ends
    ("repairs", pa.uint8()),  # what it changed: bit i for normalise.REPAIRS[i]
)
"""The columns that `annotate` adds."""

_IN_SCORES: Final = (
    "lang",
    "lang_prob",
    "script",
    "n_chars",
    "n_words",
    "letter_share",
    "digit_share",
    "punct_share",
    "repetition",
)

_SAID: Final = ("text_role", "similarity")
"""Columns that a source may bring, written into the scores too: which column a text is from, a declared similarity."""

_DECLARED: Final = ("declared_width", "declared_height")
"""The size of a picture that is not there, px."""

Rule = Literal[
    "too_long", "empty", "mojibake", "template", "markup", "url", "email", "file_name", "slug", "boilerplate",
    "many_digits", "few_letters", "long_run", "repetition", "keywords", "mixed_script", "too_short", "language",
    "image_format",
    "image_too_small", "image_aspect",
    "few_pixels", "few_bytes", "camera_title", "rare_words",
    "text_on_many_images", "text_too_frequent", "image_with_many_texts",
    "contaminated_image", "contaminated_text",
]  # fmt: skip
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""All rules, in the default order: what the text is comes before how much of it there is, so that a reason names the
cause."""

_WORDS_OF: Final = {"words": "n_words", "whitespace": "n_whitespace_words", "unigrams": "n_unigrams"}

_COUNTED: Final[Mapping[Rule, tuple[str, str]]] = {
    "text_on_many_images": ("images_per_text", "max_images_per_text"),
    "text_too_frequent": ("rows_per_text", "max_rows_per_text"),
    "image_with_many_texts": ("texts_per_image", "max_texts_per_image"),
}
"""Rule -> the count over all rows that it needs, and its option."""


class AltTextOptions(BaseModel):
    """Thresholds of the alt-text rules; null (or false) switches a rule off.

    The defaults are ours, for many languages: gentle on text (single words pass, nothing is asked of grammar or of
    English), strict on what describes no picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str | None = Field(
        None,
        description="start from published rules: align, cc12m, coyo, datacomp_basic, lit_yfcc, webli, or a YAML file "
        "(in a recipe: its path, from the recipe's folder); what is named beside it differs from the preset",
    )
    max_chars: int | None = Field(
        1000,
        ge=1,
        le=MAX_CHARS,
        description="too_long: most characters; ALIGN and CC12M bound words, 1000 is a long paragraph",
    )
    min_weight: int | None = Field(
        3,
        ge=1,
        le=1000,
        description="too_short: fewest characters, those of dense scripts (Han, kana, Hangul, ...) counting twice",
    )
    min_words: int | None = Field(
        1, ge=1, le=1000, description="too_short: fewest words; CC12M and ALIGN ask 3, DataComp-basic 3"
    )
    max_words: int | None = Field(256, ge=1, description="too_long: most words (CC12M, COYO: 256)")
    min_chars: int | None = Field(
        None, ge=1, le=1000, description="too_short: fewest characters, each counting once (COYO, DataComp: 6)"
    )
    word_counter: Literal["words", "whitespace", "unigrams"] = Field(
        "words",
        description="what min_words and max_words count. words: ours, for all languages; whitespace: as str.split does "
        "(COYO, DataComp); unigrams: runs of letters and digits (ALIGN, CC12M), each letter of scripts without spaces",
    )
    min_letter_share: float | None = Field(
        0.4, ge=0, le=1, description="few_letters: least letters and marks / characters that are no spaces"
    )
    max_digit_share: float | None = Field(
        0.5, ge=0, le=1, description="many_digits: most digits / characters that are no spaces (LiT, appendix E: half)"
    )
    digits_of: Literal["visible", "all"] = Field(
        "visible", description="many_digits: the share is of characters that are no spaces, or of all (LiT)"
    )
    max_repetition: float | None = Field(
        0.5,
        ge=0,
        le=1,
        description="repetition: most words that repeat an earlier one / words, in texts of repetition_min_words on",
    )
    repetition_min_words: int = Field(4, ge=2, le=1000, description="repetition: a shorter text is never dropped by it")
    max_run: int | None = Field(
        6, ge=2, description="long_run: most copies of one character side by side, digits and spaces apart"
    )
    max_script_switches: int | None = Field(
        1, ge=0, description="mixed_script: most places where a word changes its alphabet (Latin, Cyrillic, Greek, ...)"
    )
    mojibake: bool = Field(
        True, description="mojibake: drop texts damaged by a wrong code page beyond repair, U+FFFD among them"
    )
    markup: bool = Field(
        True, description="markup: drop texts with HTML, BBCode, wiki text, TeX or script left after stripping"
    )
    url: bool = Field(True, description="url: drop texts with an address or that are a domain name")
    email: bool = Field(True, description="email: drop texts with an e-mail address")
    template: bool = Field(True, description="template: drop texts with an unfilled place holder")
    file_name: bool = Field(True, description="file_name: drop names of files and stock codes (LiT, appendix E)")
    camera_title: bool = Field(
        False,
        description="camera_title: drop what starts with DSC, IMG or Picture, or is only the word image (LiT, appendix "
        "E); file_name is the finer rule",
    )
    slug: bool = Field(True, description="slug: drop words joined by hyphens or underscores")
    boilerplate: bool = Field(True, description="boilerplate: drop names of page elements, buttons and networks")
    max_hashtags: int | None = Field(4, ge=0, description="keywords: most hashtags")
    keywords_min_pieces: int | None = Field(
        10, ge=2, description="keywords: a list of this many pieces between commas, semicolons or bars, or more, ..."
    )
    keywords_max_piece_words: float = Field(
        2.5,
        ge=1,
        le=100,
        description="keywords: ... is one of search words if its pieces have at most this many words on average",
    )
    languages: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="language: the languages to keep (ISO 639 or BCP 47; the region is not looked at); null: all",
    )
    language_min_prob: float = Field(
        0.6, ge=0, le=1, description="language: a less probable identification drops nothing"
    )
    language_min_weight: int = Field(
        25,
        ge=0,
        le=1000,
        description="language: a shorter text is never dropped by identification alone (weight as in min_weight)",
    )
    image_formats: tuple[Literal["jpg", "png", "webp"], ...] | None = Field(
        ("jpg", "png", "webp"), min_length=1, description="image_format: formats to keep"
    )
    image_min_side: int | None = Field(
        64, ge=1, description="image_too_small: least of width and height, px; ALIGN and COYO ask 200"
    )
    image_max_aspect: float | None = Field(
        4.0, ge=1, description="image_aspect: longer side / shorter side at most; ALIGN and COYO: 3"
    )
    image_aspect_below: bool = Field(
        False, description="image_aspect: drop the bound itself too (ALIGN keeps what is smaller than 3)"
    )
    image_min_pixels: int | None = Field(None, ge=1, description="few_pixels: least of width x height")
    image_min_bytes: int | None = Field(None, ge=1, description="few_bytes: least bytes of the file (COYO: 5 KB)")
    max_images_per_text: int | None = Field(
        None, ge=1, description="text_on_many_images: most different pictures of one text, over all rows (ALIGN: 10)"
    )
    max_rows_per_text: int | None = Field(
        None, ge=1, description="text_too_frequent: most rows of one text, over all rows (COYO: 10)"
    )
    max_texts_per_image: int | None = Field(
        None,
        ge=1,
        description="image_with_many_texts: most different texts of one picture, over all rows (ALIGN: 1000)",
    )
    frequent_words: str | None = Field(
        None,
        description="rare_words: a file of words, one a line (what follows a space or tab is not read; .gz or plain); "
        "null: the rule is off",
    )
    max_rare_words: int = Field(0, ge=0, description="rare_words: most unigrams that are not in the list (ALIGN: none)")
    decontaminate: DecontaminateOptions | None = Field(
        None, description="contaminated_image, contaminated_text: drop what is in these evaluation sets"
    )
    duplicates: DuplicateOptions = Field(
        DuplicateOptions.model_validate({}),
        description="what else than a pair may not come twice; applied to the pairs that passed the rules",
    )
    language_exact: bool = Field(
        False,
        description="language: languages that identification confuses are not taken for each other (DataComp)",
    )
    order: tuple[Rule, ...] = Field(
        RULES,
        description="the rules in the order in which a dropped row's reason is looked for; a rule left out is off",
    )

    @model_validator(mode="before")
    @classmethod
    def _on_preset(cls, given: Any) -> Any:
        """The preset's options below those that are given; lists as tuples, as strict reading of Python values wants."""
        if not isinstance(given, dict):
            return given
        values, name = dict(given), given.get("preset")
        if isinstance(name, str):
            values = {**presets.load(name), **values}
        return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}

    @property
    def counts(self) -> dict[str, int]:
        """The counts over all rows that the rules need (see `counting.COUNTS`), with the bound above which one counts."""
        wanted = {name: getattr(self, option) for rule, (name, option) in _COUNTED.items() if rule in self.order}
        return {name: bound for name, bound in wanted.items() if bound is not None}


@dataclass(frozen=True)
class References:
    """What rules compare with that is no number: built once from the files that the options name.

    Attributes:
        frequent_words: `tokens.vocabulary` of the list.
        evaluation: The evaluation sets.
    """

    frequent_words: tokens.UInt64 | None = None
    evaluation: EvaluationSets | None = None


def annotate(batch: pa.RecordBatch, *, lid: language.LanguageIdentifier) -> pa.RecordBatch:
    """Normalises the texts and measures them.

    Args:
        batch: n rows with a string column `text` (null allowed); every other column is passed through, among them what a
            source declares: text_role, declared_width, declared_height, similarity.
        lid: Identifies the languages.

    Returns:
        The same rows, `text` normalised (never null), and the columns of `SCORES`.
    """
    given = arrow.strings(batch.column("text")).fill_null("")
    length = pc.utf8_length(given).to_numpy().astype(np.int64)
    raw = normalise.cut(given, MAX_CHARS)
    text, repairs = normalise.clean_counted(raw)
    measured = characters.measure(text)
    lang, prob = lid.identify(text)
    columns: dict[str, pa.Array] = {
        "raw_text": raw,
        "lang": lang,
        "lang_prob": pa.array(prob),
        "script": characters.script_codes(measured.script),
        "n_chars": pa.array(np.where(length > MAX_CHARS, length, measured.chars)),
        "n_words": pa.array(measured.words),
        # Normalised text has single spaces alone, and none at the ends.
        "n_whitespace_words": pc.add(pc.count_substring(text, " "), pc.greater(measured.chars, 0).cast(pa.int32())),
        "n_unigrams": pa.array(tokens.tokens(text).count),
        "n_digits": pa.array(measured.digits),
        "letter_share": pa.array(measured.share(measured.letters)),
        "digit_share": pa.array(measured.share(measured.digits)),
        "punct_share": pa.array(measured.share(measured.puncts)),
        "repetition": pa.array(measured.repetition),
        "longest_run": pa.array(measured.longest_run),
        "n_separators": pa.array(measured.separators),
        "n_hashtags": pa.array(measured.hashtags),
        "script_switches": pa.array(measured.script_switches),
        "weight": pa.array(measured.weight),
        "is_url": flags.url(text),
        "is_email": flags.email(text),
        "is_markup": flags.markup(text),
        "is_template": flags.template(text),
        "is_file_name": flags.file_name(text),
        "is_camera_title": flags.camera_title(text),
        "is_slug": flags.slug(text),
        "is_boilerplate": boilerplate.boilerplate(text),
        "is_mojibake": flags.mojibake(text),
        "is_repaired": pc.not_equal(pc.utf8_trim_whitespace(raw), text),
        "repairs": pa.array(repairs),
    }
    kept = {name: text if name == "text" else batch.column(name) for name in batch.schema.names}
    return pa.RecordBatch.from_pydict({**kept, **{name: columns[name].cast(kind) for name, kind in SCORES}})


def _bound(column: pa.Array, bound: float | int) -> pa.Scalar | float | int:
    """The bound as precise as the column: a share of 1 in 5, kept in 32 bits, is no more than 0.2."""
    return pa.scalar(bound, column.type) if pa.types.is_floating(column.type) else bound


def _above(column: pa.Array, bound: float | int) -> pa.BooleanArray:
    return pc.greater(column, _bound(column, bound)).fill_null(False)


def _below(column: pa.Array, bound: float | int) -> pa.BooleanArray:
    return pc.less(column, _bound(column, bound)).fill_null(False)


def _image(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """A field of the image column, null where there is no image; None where no row can have one."""
    if "image" not in batch.schema.names or pa.types.is_null(batch.schema.field("image").type):
        return None
    return pc.struct_field(batch.column("image"), name)


def _side(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """`width` or `height` of each picture, px; of a picture that is not there the declared one."""
    measured, declared = _image(batch, name), f"declared_{name}"
    if declared not in batch.schema.names:
        return measured
    return batch.column(declared) if measured is None else pc.coalesce(measured, batch.column(declared))


def fails(
    batch: pa.RecordBatch, options: AltTextOptions, references: References | None = None
) -> dict[str, pa.BooleanArray]:
    """Which rows fail which rule.

    Args:
        batch: n rows as `annotate` returns them, with the columns of `counting` that `options.counts` names.
        options: The thresholds.
        references: What the options name files of.

    Returns:
        Rule name -> n booleans (True: the row fails), in the options' order, rules that are off left out. Image rules
        pass rows without an image; those of its size go by the declared one there.

    Raises:
        ValueError: A count or a reference that a rule needs is not there.
    """
    found = {**_text_fails(batch, options), **_image_fails(batch, options)}
    for rule, (name, option) in _COUNTED.items():
        if rule in options.order and (bound := getattr(options, option)) is not None:
            if name not in batch.schema.names:
                raise ValueError(f"rule {rule} needs the count {name!r} over all rows: see counting.with_counts")
            found[rule] = _above(batch.column(name), bound)
    found |= _reference_fails(batch, options, references or References())
    return {rule: found[rule] for rule in options.order if rule in found}


def _reference_fails(
    batch: pa.RecordBatch, options: AltTextOptions, references: References
) -> dict[str, pa.BooleanArray]:
    found: dict[str, pa.BooleanArray] = {}
    if options.frequent_words is not None and "rare_words" in options.order:
        if references.frequent_words is None:
            raise ValueError("rule rare_words needs its list of words")
        rare = tokens.rare(batch.column("text"), references.frequent_words)
        found["rare_words"] = pa.array(rare > options.max_rare_words)
    if options.decontaminate is not None:
        if references.evaluation is None:
            raise ValueError("decontaminating needs its evaluation sets")
        found["contaminated_text"] = pa.array(references.evaluation.holds_text(batch.column("text")))
        sha256, phash = _image(batch, "sha256"), _image(batch, "phash")
        if sha256 is not None and phash is not None:
            found["contaminated_image"] = pa.array(references.evaluation.holds_image(sha256, phash))
    return found


def _text_fails(batch: pa.RecordBatch, options: AltTextOptions) -> dict[str, pa.BooleanArray]:
    column = batch.column
    words = _WORDS_OF[options.word_counter]
    found: dict[str, pa.BooleanArray] = {"empty": pc.equal(column("n_chars"), 0)}
    too_long = [
        _above(column(name), bound)
        for name, bound in (("n_chars", options.max_chars), (words, options.max_words))
        if bound
    ]
    too_long.append(_above(column("n_chars"), MAX_CHARS))  # such a text was cut: it is not what its page says
    found["too_long"] = _any(too_long)
    too_short = [
        _below(column(name), bound)
        for name, bound in (
            ("weight", options.min_weight),
            ("n_chars", options.min_chars),
            (words, options.min_words),
        )
        if bound
    ]
    if too_short:
        found["too_short"] = _any(too_short)
    for rule in ("mojibake", "markup", "url", "email", "template", "file_name", "camera_title", "slug", "boilerplate"):
        if getattr(options, rule):
            found[rule] = column(f"is_{rule}")
    if options.min_letter_share is not None:
        found["few_letters"] = _below(column("letter_share"), options.min_letter_share)
    if options.max_digit_share is not None:
        share = column("digit_share")
        if options.digits_of == "all":
            share = pc.divide(column("n_digits").cast(pa.float64()), pc.max_element_wise(column("n_chars"), 1))
        found["many_digits"] = _above(share, options.max_digit_share)
    if options.max_repetition is not None:
        long_enough = pc.greater_equal(column("n_words"), options.repetition_min_words)
        found["repetition"] = pc.and_(long_enough, _above(column("repetition"), options.max_repetition))
    if options.max_run is not None:
        found["long_run"] = _above(column("longest_run"), options.max_run)
    keywords = []
    if options.max_hashtags is not None:
        keywords.append(_above(column("n_hashtags"), options.max_hashtags))
    if options.keywords_min_pieces is not None:
        pieces = pc.add(column("n_separators"), 1)
        short = pc.less_equal(
            column("n_words"), pc.multiply(pieces.cast(pa.float64()), options.keywords_max_piece_words)
        )
        keywords.append(pc.and_(pc.greater_equal(pieces, options.keywords_min_pieces), short))
    if keywords:
        found["keywords"] = _any(keywords)
    if options.max_script_switches is not None:
        found["mixed_script"] = _above(column("script_switches"), options.max_script_switches)
    if options.languages is not None:
        found["language"] = _wrong_language(batch, options, options.languages)
    return found


def _image_fails(batch: pa.RecordBatch, options: AltTextOptions) -> dict[str, pa.BooleanArray]:
    found: dict[str, pa.BooleanArray] = {}
    formats, width, height = _image(batch, "format"), _side(batch, "width"), _side(batch, "height")
    if formats is not None and options.image_formats is not None:
        listed = pc.is_in(formats, value_set=pa.array(options.image_formats, pa.string()))
        found["image_format"] = pc.and_(pc.is_valid(formats), pc.invert(listed))
    if width is not None and height is not None:
        # Of one declared side alone: that one.
        sides = pc.min_element_wise(width, height), pc.max_element_wise(width, height)
        if options.image_min_side is not None:
            found["image_too_small"] = _below(sides[0], options.image_min_side)
        if options.image_max_aspect is not None:
            ratio = pc.divide(sides[1].cast(pa.float64()), pc.max_element_wise(sides[0], 1).cast(pa.float64()))
            over = pc.greater_equal if options.image_aspect_below else pc.greater
            found["image_aspect"] = over(ratio, options.image_max_aspect).fill_null(False)
        if options.image_min_pixels is not None:
            pixels = pc.multiply(width.cast(pa.int64()), height.cast(pa.int64()))
            found["few_pixels"] = _below(pixels, options.image_min_pixels)
    length = _image(batch, "length")
    if length is not None and options.image_min_bytes is not None:
        found["few_bytes"] = _below(length, options.image_min_bytes)
    return found


def _any(masks: list[pa.BooleanArray]) -> pa.BooleanArray:
    result = masks[0]
    for other in masks[1:]:
        result = pc.or_(result, other)
    return result


def _wrong_language(batch: pa.RecordBatch, options: AltTextOptions, allowed: tuple[str, ...]) -> pa.BooleanArray:
    """Surely identified as none of the allowed languages, nor as one that is mistaken for them; a hint of the page
    decides first."""
    lang = batch.column("lang")
    listed = pa.array([False] * batch.num_rows)
    confused = () if options.language_exact else language.CONFUSABLE
    for code in allowed:
        same = language.same_language(lang, arrow.constant(code, batch.num_rows), confused)
        listed = pc.or_(listed, same.fill_null(False))
    sure = pc.and_(
        pc.greater_equal(batch.column("lang_prob"), options.language_min_prob),
        pc.greater_equal(batch.column("weight"), options.language_min_weight),
    )
    return pc.and_(pc.and_(sure, pc.is_valid(lang)), pc.invert(listed))


def select(batch: pa.RecordBatch, options: AltTextOptions, references: References | None = None) -> pa.StringArray:
    """The first rule that each row of an annotated batch fails; null = kept."""
    return reasons.first_failure(fails(batch, options, references), batch.num_rows)


RIGHT_LANG_MIN_PROB: Final = 0.8
RIGHT_LANG_MIN_WEIGHT: Final = 25
"""From which probability and weight on an identified language is written into a pair."""


def right_lang(batch: pa.RecordBatch) -> pa.StringArray:
    """The language of each text as BCP 47: the source's hint, else what was identified with confidence, else null."""
    sure = pc.and_(
        pc.greater_equal(batch.column("lang_prob"), RIGHT_LANG_MIN_PROB),
        pc.greater_equal(batch.column("weight"), RIGHT_LANG_MIN_WEIGHT),
    )
    identified = pc.if_else(sure, language.tags(batch.column("lang")), pa.scalar(None, pa.string()))
    if "lang_hint" not in batch.schema.names:
        return identified
    return pc.coalesce(language.tags(batch.column("lang_hint")), identified)


def scores(batch: pa.RecordBatch, names: tuple[str, ...] = _IN_SCORES) -> pa.StringArray:
    """The measured columns of each row as one JSON object, and what of `_SAID` the source has."""
    there = [name for name in _SAID if name in batch.schema.names]
    return arrow.json_objects({name: batch.column(name) for name in (*names, *there)})


def to_pairs(batch: pa.RecordBatch, *, source: str) -> pa.RecordBatch:
    """Pairs of an annotated, selected batch.

    Args:
        batch: n rows as `annotate` returns them, with `origin`, `url` and an `image` that is never null.
        source: The source's name in the recipe.

    Returns:
        n rows of `PAIR_SCHEMA`, kind image_alt. key = content key of (kind, image sha256, normalised text).

    Raises:
        ValueError: A row has no image.
    """
    n = batch.num_rows
    sha256 = _image(batch, "sha256")
    if n and (sha256 is None or sha256.null_count):
        raise ValueError("an image_alt pair needs an image: rows without one are kept as a table, see to_table")
    text = batch.column("text")
    kind = arrow.constant("image_alt", n)
    key = keys.content_keys(kind, arrow.nulls(0, pa.string()) if sha256 is None else sha256, text)
    columns: Mapping[str, pa.Array] = {
        "key": key,
        "kind": kind,
        "image": batch.column("image"),
        "left_text": arrow.nulls(n, pa.string()),
        "right_text": text,
        "left_lang": arrow.nulls(n, pa.string()),
        "right_lang": right_lang(batch),
        "source": arrow.constant(source, n),
        "origin": batch.column("origin"),
        "url": batch.column("url"),
        "scores": scores(batch),
    }
    return arrow.pair_batch(columns)


def to_table(batch: pa.RecordBatch, *, source: str) -> pa.RecordBatch:
    """What is kept of metadata without pictures: text, address, language and measures of the selected rows.

    Args:
        batch: n rows as `annotate` returns them.
        source: The source's name in the recipe.

    Returns:
        n rows: key (content key of ("metadata", url, text)), source, origin, url, text, lang (BCP 47 or null), scores
        (JSON).
    """
    n = batch.num_rows
    text, url = batch.column("text"), arrow.strings(batch.column("url"))
    return pa.RecordBatch.from_pydict(
        {
            "key": keys.content_keys(arrow.constant("metadata", n), url, text),
            "source": arrow.constant(source, n),
            "origin": arrow.strings(batch.column("origin")),
            "url": url,
            "text": text,
            "lang": right_lang(batch),
            "scores": scores(batch, (*_IN_SCORES, *(name for name in _DECLARED if name in batch.schema.names))),
        }
    )
