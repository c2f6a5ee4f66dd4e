"""What is measured of a pair of translations: once, before any threshold is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, characters, flags, language, mnemonics, moses, normalise, numbers, writing

MAX_CHARS: Final = 20_000
"""Characters of a side that are looked at; a longer one is cut here and too_long."""

SIDES: Final = ("left", "right")

_MYRIADS: Final = r"\p{Nd}\s?[多余餘]?[万萬亿億兆千百만억천조]"
_HAN_NUMERALS: Final = r"[十百千万萬亿億兆]|[〇零一二三四五六七八九]{2}"
_ADDRESS: Final = (
    r"(?i)^[^\pL\pN]*(?:(?:https?|ftp)\s?:\s?//|www\.)\S+[^\pL\pN]*$"
    r"|\bdoi\s?:\s?10\.|\b10\.[0-9]{4,9}/\S|\bISBN(?:-1[03])?\b|\bISSN\b"
)
_ADDRESS_MARKS: Final = (
    "://",
    ": //",
    "www.",
    "WWW.",
    "Www.",
    "doi",
    "DOI",
    "Doi",
    "10.",
    "ISBN",
    "Isbn",
    "isbn",
    "ISSN",
    "issn",
    "@",
)
_LOOSE_STOP: Final = r"([\pL\pN)\]\"'%»”]) \.$"
_FOLDED_AWAY: Final = r"[\pP\pZ\pC\p{Sk}\s]+"
_CLOSES_NOTHING: Final = r"^[^(\[（［]*[\pL\pM\"'.][^(\[（［]*[\])）］]\s*[-–—,.;:]"
"""A bracket that nothing opened, before a mark: Russians and Ukrainians smile with one at the end of a clause."""
_OPENS_NOTHING: Final = r"[(\[（［][^)\]）］]*\pL[^)\]）］]*$"
_ENUMERATED: Final = r"^\W*(?:\pL|\pN{1,3}|[ivxIVX]{1,5})[)）]"
_HANGS: Final = r"(?:\pL-|[\pL\pN][(\[])\s*$"
"""A comma is no such end: verses and items of lists end in one on one side and in a full stop on the other, and say the same."""


def folded(texts: pa.StringArray) -> pa.StringArray:
    """Texts without case, spaces and punctuation: what tells two wordings apart. Symbols stay, C# is not C++."""
    return pc.replace_substring_regex(pc.utf8_lower(texts), _FOLDED_AWAY, "")


def _per_language(
    texts: pa.StringArray, langs: pa.StringArray, function: Callable[[pa.StringArray, str], pa.StringArray]
) -> pa.StringArray:
    """A function of (texts, language subtag), each row by its own language."""
    names = language.primaries(langs).fill_null("en")
    for name in pc.unique(names).to_pylist():
        rows = pc.equal(names, name)
        part = function(texts.filter(rows), name)
        texts = part if len(part) == len(texts) else pc.replace_with_mask(texts, rows, part)
    return texts


def clean(
    texts: pa.StringArray, langs: pa.StringArray, *, normalise_punctuation: bool, tokenised: bool
) -> pa.StringArray:
    """The text that a reader would see: escapes, tags, damage and tokens undone, punctuation as Moses writes it."""
    text = normalise.undo_csv_quotes(pc.utf8_trim_whitespace(normalise.cut(texts, MAX_CHARS)))
    text = normalise.strip_markup(normalise.unescape(text))
    text = arrow.sub(normalise.tidy(normalise.repair_mojibake(text)), _LOOSE_STOP, r"\1.")
    if tokenised:
        text = _per_language(text, langs, moses.detokenise)
    return normalise.tidy(_per_language(text, langs, moses.normalise)) if normalise_punctuation else text


def _where(
    texts: pa.StringArray, rows: npt.NDArray[np.bool_], test: Callable[[pa.StringArray], pa.Array]
) -> pa.BooleanArray:
    """A test that only the marked rows can pass."""
    found = rows.copy()
    if rows.any():
        found[rows] = arrow.mask(test(texts.filter(pa.array(rows))))
    return pa.array(found)


def _holds(texts: pa.StringArray, *marks: str) -> npt.NDArray[np.bool_]:
    """Which texts hold one of the marks; a mark that none holds costs next to nothing."""
    data = arrow.bytes_and_offsets(texts)[0].tobytes()
    found = np.zeros(len(texts), bool)
    for mark in marks:
        if mark.encode() in data:
            found |= arrow.mask(pc.match_substring(texts, mark))
    return found


def _is_url(texts: pa.StringArray) -> pa.BooleanArray:
    """An address and nothing else, or an e-mail address, DOI or ISBN anywhere."""
    one_word = _holds(texts, ".") & ~arrow.mask(pc.match_substring(texts, " "))
    address = _where(texts, _holds(texts, *_ADDRESS_MARKS), lambda part: flags.found(part, _ADDRESS))
    email = _where(texts, _holds(texts, "@"), flags.email)
    return pc.or_(pc.or_(address, email), _where(texts, one_word, lambda part: flags.found(part, flags.DOMAIN)))


def _is_template(texts: pa.StringArray) -> pa.BooleanArray:
    """A place holder that a program fills."""
    return _where(texts, _holds(texts, "%", "{", "$", "@", "&"), flags.place_holder)


def _numbered(left: pa.StringArray, right: pa.StringArray) -> pa.BooleanArray:
    """Qt's numbered place holders on both sides."""
    return _where(left, _holds(left, "%") & _numbered_side(right), lambda part: flags.found(part, flags.NUMBERED))


def _numbered_side(texts: pa.StringArray) -> npt.NDArray[np.bool_]:
    return arrow.mask(_where(texts, _holds(texts, "%"), lambda part: flags.found(part, flags.NUMBERED)))


def _hanging(texts: pa.StringArray) -> tuple[pa.BooleanArray, pa.BooleanArray]:
    """Where a text closes or opens a bracket that is not there, or breaks off: at its beginning, at its end."""
    closes, opens = _holds(texts, *")]）］"), _holds(texts, *"([（［")
    ends = arrow.mask(pc.ends_with(texts, "-"))
    begins = arrow.mask(_where(texts, closes, lambda part: flags.found(part, _CLOSES_NOTHING)))
    begins &= ~arrow.mask(_where(texts, begins, lambda part: flags.found(part, _ENUMERATED)))
    breaks = _where(
        texts, opens | ends, lambda part: pc.or_(flags.found(part, _OPENS_NOTHING), flags.found(part, _HANGS))
    )
    return pa.array(begins), breaks


def annotate(
    batch: pa.RecordBatch,
    *,
    lid: language.LanguageIdentifier,
    normalise_punctuation: bool,
    tokenised: tuple[bool, bool],
) -> pa.RecordBatch:
    """See `translations.annotate`."""
    columns: dict[str, pa.Array] = {name: batch.column(name) for name in batch.schema.names}
    measures: dict[str, characters.Measures] = {}
    tongues = [language.tags(batch.column(f"{side}_lang")) for side in SIDES]
    raw = [arrow.strings(batch.column(f"{side}_text")).fill_null("") for side in SIDES]
    cleaned = mnemonics.undo(
        *(
            clean(given, langs, normalise_punctuation=normalise_punctuation, tokenised=apart)
            for given, langs, apart in zip(raw, tongues, tokenised, strict=True)
        )
    )
    for side, langs, given, text in zip(SIDES, tongues, raw, cleaned, strict=True):
        length = pc.utf8_length(given).to_numpy().astype(np.int64)
        encoded = langs.fill_null("").dictionary_encode()
        tags = encoded.dictionary.to_pylist()
        which = encoded.indices.to_numpy().astype(np.int64)
        measured = characters.measure(text, expected=[writing.scripts_of(tag) for tag in tags], which=which)
        measures[side] = measured
        chars = np.where(length > MAX_CHARS, length, measured.chars)
        found, prob = lid.identify(text)
        density = np.array([writing.density_of(tag) for tag in tags] or [1.0])[which] if len(which) else np.zeros(0)
        columns[f"{side}_text"], columns[f"{side}_lang"] = text, langs
        columns |= {
            f"{side}_chars": pa.array(chars),
            f"{side}_words": pa.array(measured.words),
            f"{side}_weight": pa.array(measured.weight),
            f"{side}_letters": pa.array(measured.letters),
            f"{side}_dense": pa.array(measured.dense),
            f"{side}_letter_share": pa.array(measured.share(measured.letters)),
            f"{side}_script": characters.script_codes(measured.script),
            f"{side}_found_lang": found,
            f"{side}_found_prob": pa.array(prob),
            f"{side}_is_url": _is_url(text),
            f"{side}_is_markup": flags.markup(text),
            f"{side}_is_mojibake": flags.mojibake(text),
            f"{side}_is_template": _is_template(text),
            f"{side}_script_share": pa.array(measured.expected_share),
            f"{side}_repetition": pa.array(measured.repetition),
            f"{side}_longest_run": pa.array(measured.longest_run),
            f"{side}_as_english": pa.array((measured.chars / density).astype(np.float32)),
            f"{side}_numbers": numbers.lists(text),
            f"{side}_no_kana": _no_kana(text, langs),
        }
        columns[f"{side}_begins_inside"], columns[f"{side}_breaks_off"] = _hanging(text)
    left, right = columns["left_text"], columns["right_text"]
    columns["identical"] = _identical(left, right, measures["left"], measures["right"])
    columns["numbered"] = _numbered(left, right)
    columns["han_numerals"] = pc.or_(flags.found(left, _HAN_NUMERALS), flags.found(right, _HAN_NUMERALS))
    columns["myriads"] = pc.or_(flags.found(left, _MYRIADS), flags.found(right, _MYRIADS))
    return pa.RecordBatch.from_pydict(columns)


def _no_kana(texts: pa.StringArray, langs: pa.StringArray) -> pa.BooleanArray:
    """Declared Japanese, with no kana in it."""
    japanese = arrow.mask(pc.equal(language.primaries(langs), "ja"))
    if japanese.any():
        japanese[japanese] = ~arrow.mask(arrow.matches(texts.filter(pa.array(japanese)), language.KANA))
    return pa.array(japanese)


def _identical(
    left: pa.StringArray, right: pa.StringArray, a: characters.Measures, b: characters.Measures
) -> pa.BooleanArray:
    """Whether the sides are equal when folded; only those are folded that have as many letters and digits."""
    alike: npt.NDArray[np.bool_] = (a.letters == b.letters) & (a.digits == b.digits)
    rows = pa.array(alike)
    alike[alike] = arrow.mask(pc.equal(folded(left.filter(rows)), folded(right.filter(rows))))
    return pa.array(alike)
