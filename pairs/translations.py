"""Translations: what is measured of a pair, and which rules it must pass."""

from __future__ import annotations

import functools
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, characters, flags, keys, language, moses, normalise, reasons
from pairs.schema import PAIR_SCHEMA

MAX_CHARS: Final = 20_000
"""Characters of a side that are looked at; a longer one is cut here and too_long."""

Rule = Literal[
    "too_long", "empty", "mojibake", "markup", "url", "no_letters", "identical", "wrong_script", "wrong_language",
    "too_short",    "length_ratio", "numbers_differ",
]  # fmt: skip
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""All rules, in the default order."""

# Characters of a language for one of English: medians over the pairs of LASER's Tatoeba test sets with 20 characters of
# English or more (WMT22's references give the same for zh and ja). Languages not listed lie between 0.85 and 1.35.
_DENSITY: Final = {
    "zh": 0.31, "yue": 0.32, "wuu": 0.31, "ja": 0.45, "ko": 0.5, "am": 0.59, "arz": 0.73, "he": 0.74, "ar": 0.82, "th": 0.84,
}  # fmt: skip

_SCRIPTS: Final = {
    "Latn": "af ast az bs ca ceb cs cy da de en eo es et eu fi fil fr fy ga gd gl ha haw hr ht hu id ig is it jv ku la lb lt lv "
    "mg mi ms mt nb nl nn no nds oc pl pt rm ro rw sk sl sm sn so sq st su sv sw tl tn tr ts vi wo xh yo zu uz tk",
    "Cyrl": "be bg kk ky mk mn ru sr tg tt uk uz ba cv az",
    "Arab": "ar fa ps ur ug sd ckb ku arz az",
    "Grek": "el",
    "Hebr": "he yi",
    "Deva": "hi mr ne sa mai bh",
    "Beng": "bn as",
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Laoo": "lo",
    "Mymr": "my",
    "Khmr": "km",
    "Tibt": "bo dz",
    "Geor": "ka",
    "Armn": "hy",
    "Ethi": "am ti",
    "Hang": "ko",
    "Hani": "zh yue wuu lzh ja",
    "Hira": "ja",
    "Kana": "ja",
    "Mong": "mn",
}
"""Which scripts a language is written in (CLDR's likely scripts); a language that is not here is in any."""


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
        description="numbers_differ: drop pairs whose sides both hold numbers of numbers_min_digits and share none",
    )
    numbers_min_digits: int = Field(
        3, ge=1, le=18, description="numbers_differ: shorter numbers are often words on the other side"
    )
    order: tuple[Rule, ...] = Field(
        RULES,
        description="the rules in the order in which a dropped row's reason is looked for; a rule left out is off",
    )


_SCRIPTS_OF_TAG: Final = {
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}


@functools.lru_cache(1024)
def _scripts_of(tag: str) -> frozenset[str]:
    """The scripts that a language tag names, or its language is written in; empty where it is not known."""
    for subtag in tag.split("-")[1:]:
        if subtag in _SCRIPTS_OF_TAG:
            return frozenset(_SCRIPTS_OF_TAG[subtag])
        if subtag in characters.NUMBER_OF:
            return frozenset([subtag])
    lang = tag.split("-")[0]
    return frozenset(script for script, langs in _SCRIPTS.items() if lang in langs.split())


def _by_language(texts: pa.StringArray, langs: pa.StringArray) -> pa.StringArray:
    """Moses' punctuation normalising, each row by its own language."""
    names = language.primaries(langs).fill_null("en")
    for name in pc.unique(names).to_pylist():
        rows = pc.equal(names, name)
        part = moses.normalise(texts.filter(rows), name)
        texts = part if len(part) == len(texts) else pc.replace_with_mask(texts, rows, part)
    return texts


def _clean(texts: pa.StringArray, langs: pa.StringArray, options: TranslationOptions) -> pa.StringArray:
    text = normalise.strip_markup(normalise.unescape(normalise.cut(texts, MAX_CHARS)))
    text = normalise.tidy(normalise.repair_mojibake(text))
    return normalise.tidy(_by_language(text, langs)) if options.normalise_punctuation else text


def _numbers(texts: pa.StringArray, min_digits: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """The numbers of each text: int64 (m,) rows and uint64 (m,) values, signs, leading zeros and thousands'
    separators aside."""
    joined = arrow.sub(texts, r"(\p{Nd})[.,' \x{a0}\x{202f}’](\p{Nd}{3})", r"\1\2")
    joined = arrow.sub(joined, r"(\p{Nd})[.,' \x{a0}\x{202f}’](\p{Nd}{3})", r"\1\2")
    column = characters.decode(joined)
    digit = characters.tables().kind[column.code] == characters.DIGIT
    if not digit.any():
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    where = np.flatnonzero(digit)
    starts = np.ones(len(where), bool)
    starts[1:] = (np.diff(where) != 1) | (column.row[where[1:]] != column.row[where[:-1]])
    begin = np.flatnonzero(starts)
    size = np.diff(np.append(begin, len(where)))
    value = _digit_values()[column.code[where]].astype(np.uint64)
    power = np.minimum(np.repeat(begin + size, size) - np.arange(len(where)) - 1, 18).astype(np.uint64)
    total = np.add.reduceat(value * np.uint64(10) ** power, begin)
    enough = size >= min_digits
    return column.row[where[begin]][enough], total[enough]


@functools.cache
def _digit_values() -> npt.NDArray[np.uint8]:
    import unicodedata

    kind = characters.tables().kind
    values = np.zeros(len(kind), np.uint8)
    for code in np.flatnonzero(kind == characters.DIGIT).tolist():
        values[code] = unicodedata.decimal(chr(code), 0)
    return values


def _numbers_shared(left: pa.StringArray, right: pa.StringArray, min_digits: int) -> pa.BooleanArray:
    """Whether the sides share a number; null where either has none, or counts in myriads, which no other side does."""
    n = len(left)
    (left_row, left_value), (right_row, right_value) = _numbers(left, min_digits), _numbers(right, min_digits)
    values = np.unique(np.concatenate([left_value, right_value]))
    size = max(1, len(values))
    left_code = left_row * size + np.searchsorted(values, left_value)
    right_code = right_row * size + np.searchsorted(values, right_value)
    shared = np.zeros(n, bool)
    shared[np.intersect1d(left_code, right_code) // size] = True
    both = np.zeros(n, np.int8)
    both[np.unique(left_row)] += 1
    both[np.unique(right_row)] += 1
    myriads = arrow.mask(pc.or_(flags.found(left, _MYRIADS), flags.found(right, _MYRIADS)))
    return pa.array(shared, mask=(both < 2) | myriads)


def _expected(langs: pa.StringArray) -> tuple[list[frozenset[str]], npt.NDArray[np.int64]]:
    """The scripts that each row's language is written in: the sets, and each row's."""
    encoded = langs.fill_null("").dictionary_encode()
    return [_scripts_of(tag) for tag in encoded.dictionary.to_pylist()], encoded.indices.to_numpy().astype(np.int64)


def _folded(texts: pa.StringArray) -> pa.StringArray:
    return pc.replace_substring_regex(pc.utf8_lower(texts), r"[^\pL\pM\pN]+", "")


_MYRIADS: Final = r"\p{Nd}\s?[多余餘]?[万萬亿億兆千百만억천조]"
_ADDRESS: Final = (
    r"(?i)^[^\pL\pN]*(?:(?:https?|ftp)\s?:\s?//|www\.)\S+[^\pL\pN]*$"
    r"|\bdoi\s?:\s?10\.|\b10\.[0-9]{4,9}/\S|\bISBN(?:-1[03])?\b|\bISSN\b"
)


def annotate(batch: pa.RecordBatch, *, options: TranslationOptions, lid: language.LanguageIdentifier) -> pa.RecordBatch:
    """Normalises both sides and measures the pair.

    Args:
        batch: n rows with origin, url, left_text, right_text (null allowed), left_lang, right_lang (the source's
            declared tags).
        options: Only `normalise_punctuation`, and the `numbers_min_digits` of what is measured, matter here.
        lid: Identifies the languages.

    Returns:
        The same rows, texts normalised (never null), language tags as BCP 47, and for each side: chars, weight,
        letters, letter_share, script, found_lang, found_prob, script_share (of letters, in the language's scripts),
        is_url, is_markup, is_mojibake; for the
        pair: length_ratio, identical, numbers_shared (null: one side has no number).
    """
    columns: dict[str, pa.Array] = {name: batch.column(name) for name in batch.schema.names}
    weighted: dict[str, npt.NDArray[np.float64]] = {}
    for side in ("left", "right"):
        langs = language.tags(batch.column(f"{side}_lang"))
        given = arrow.strings(batch.column(f"{side}_text")).fill_null("")
        length = pc.utf8_length(given).to_numpy().astype(np.int64)
        text = _clean(given, langs, options)
        expected, which = _expected(langs)
        measured = characters.measure(text, expected=expected, which=which)
        chars = np.where(length > MAX_CHARS, length, measured.chars)
        found, prob = lid.identify(text)
        script = characters.script_codes(measured.script)
        columns[f"{side}_text"], columns[f"{side}_lang"] = text, langs
        columns[f"{side}_chars"] = pa.array(chars)
        columns[f"{side}_words"] = pa.array(measured.words)
        columns[f"{side}_weight"] = pa.array(measured.weight)
        columns[f"{side}_letters"] = pa.array(measured.letters)
        columns[f"{side}_letter_share"] = pa.array(measured.share(measured.letters))
        columns[f"{side}_script"] = script
        columns[f"{side}_found_lang"] = found
        columns[f"{side}_found_prob"] = pa.array(prob)
        columns[f"{side}_is_url"] = pc.or_(
            flags.found(text, _ADDRESS), pc.or_(flags.email(text), flags.found(text, flags.DOMAIN))
        )
        columns[f"{side}_is_markup"] = flags.markup(text)
        columns[f"{side}_is_mojibake"] = flags.mojibake(text)
        columns[f"{side}_script_share"] = pa.array(measured.expected_share)
        density = arrow.per_value(
            langs.fill_null(""), lambda tag: str(_DENSITY.get(language.primary(tag) or "", 1.0))
        ).cast(pa.float64())
        weighted[side] = measured.chars / density.to_numpy()
    columns["length_ratio"] = _ratio(weighted["left"], weighted["right"], options.length_ratio_slack)
    left, right = columns["left_text"], columns["right_text"]
    columns["identical"] = pc.equal(_folded(left), _folded(right))
    columns["numbers_shared"] = _numbers_shared(left, right, options.numbers_min_digits)
    return pa.RecordBatch.from_pydict(columns)


def _ratio(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], slack: int) -> pa.FloatArray:
    longer, shorter = np.maximum(left, right) + slack, np.minimum(left, right) + slack
    return pa.array((longer / np.maximum(shorter, 1)).astype(np.float32))


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
        found["length_ratio"] = above("length_ratio", options.max_length_ratio)
    if options.identical:
        found["identical"] = batch.column("identical")
    if options.min_letter_share is not None:
        share = options.min_letter_share
        found["no_letters"] = either(lambda side: below(f"{side}_letter_share", share))
    for rule in ("url", "markup", "mojibake"):
        if getattr(options, rule):
            found[rule] = either(lambda side, rule=rule: batch.column(f"{side}_is_{rule}"))
    if options.wrong_script:
        found["wrong_script"] = either(
            lambda side: pc.and_(
                pc.greater_equal(batch.column(f"{side}_letters"), options.script_min_letters),
                below(f"{side}_script_share", options.script_min_share),
            )
        )
    if options.wrong_language:
        found["wrong_language"] = either(
            lambda side: pc.and_(
                pc.and_(
                    pc.greater_equal(batch.column(f"{side}_found_prob"), options.language_min_prob),
                    pc.greater_equal(batch.column(f"{side}_weight"), options.language_min_weight),
                ),
                pc.invert(
                    language.same_language(batch.column(f"{side}_found_lang"), batch.column(f"{side}_lang")).fill_null(
                        True
                    )
                ),
            )
        )
    if options.numbers_differ:
        found["numbers_differ"] = pc.invert(batch.column("numbers_shared").fill_null(True))
    return {rule: found[rule] for rule in options.order if rule in found}


def select(batch: pa.RecordBatch, options: TranslationOptions) -> pa.StringArray:
    """The first rule that each row of an annotated batch fails; null = kept."""
    return reasons.first_failure(fails(batch, options), batch.num_rows)


def to_pairs(batch: pa.RecordBatch, *, source: str, seed: int) -> pa.RecordBatch:
    """Pairs of an annotated, selected batch.

    Args:
        batch: n rows as `annotate` returns them.
        source: The source's name in the recipe.
        seed: The recipe's seed.

    Returns:
        n rows of `PAIR_SCHEMA`, kind translations. key = content key of (kind, lesser text, greater text), so it does
        not depend on which side the source gave first; which side is left is drawn from it.
    """
    n = batch.num_rows
    left, right = batch.column("left_text"), batch.column("right_text")
    ordered = pc.less_equal(left, right)
    lesser, greater = pc.if_else(ordered, left, right), pc.if_else(ordered, right, left)
    kind = arrow.constant("translations", n)
    key = keys.content_keys(kind, lesser, greater)
    lesser_first = pa.array((keys.draw(key, seed, "translations/left") & np.uint64(1)).astype(bool))
    as_given = pc.equal(lesser_first, ordered)

    def side(name: str, other: str) -> pa.Array:
        return pc.if_else(as_given, batch.column(name), batch.column(other))

    measured = {"length_ratio": batch.column("length_ratio")}
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
