"""Which sentences go to another language and back, and over which route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, keys, language, reasons, translations
from pairs.back_translation import KIND, BackTranslationOptions
from pairs.schema import PAIR_SCHEMA

REASONS: Final = ("no_route", "not_drawn")
"""Why a pair gives no sentence to translate: neither side is in a language that a route begins with; `share` left it out."""


def choose(
    pairs: pa.RecordBatch, options: BackTranslationOptions, seed: int, routes: Sequence[str]
) -> tuple[pa.RecordBatch, pa.StringArray]:
    """The sentences of pairs that are to be translated.

    Args:
        pairs: n rows of `PAIR_SCHEMA` whose sides are texts.
        options: Those of `CHOSEN_BY` matter.
        seed: The recipe's seed.
        routes: The languages that routes begin with, BCP 47; a route from `en` takes `en-GB` too.

    Returns:
        m rows of `PAIR_SCHEMA` that stand for one sentence each: left_text and left_lang it, right_text empty, key = content key of
        (kind, language subtag, sentence), so that a sentence that several pairs have is translated once, scores.group that of
        its translations, where it has some; and n reasons, null for a pair that gives a sentence, else one of `REASONS`.
    """
    n = pairs.num_rows
    begins = {language.primary(route) for route in routes}
    open_: list[npt.NDArray[np.bool_]] = []
    for side in ("left", "right"):
        subtag = language.primaries(pairs.column(f"{side}_lang"))
        open_.append(arrow.mask(pc.is_in(subtag, value_set=pa.array(sorted(filter(None, begins)), pa.string()))))
    has_route = open_[0] | open_[1]
    if options.sides == "one":
        drawn = (keys.draw(pairs.column("key"), seed, f"{KIND}/side") & np.uint64(1)).astype(bool)
        left = open_[0] & (drawn | ~open_[1])
        open_ = [left, open_[1] & ~left]
    found, rows = [], []
    for side, wanted in zip(("left", "right"), open_, strict=True):
        made = _sentences(pairs.filter(pa.array(wanted)), side)
        inside = keys.uniform(made.column("key"), seed, f"{KIND}/share") < options.share
        found.append(made.filter(pa.array(inside)))
        rows.append(np.flatnonzero(wanted)[inside])
    gives = np.zeros(n, bool)
    gives[np.concatenate(rows)] = True
    why = reasons.first_failure({"no_route": pa.array(~has_route), "not_drawn": pa.array(~gives)}, n)
    return pa.concat_batches(found), why


def _sentences(pairs: pa.RecordBatch, side: str) -> pa.RecordBatch:
    n = pairs.num_rows
    text, lang = pairs.column(f"{side}_text"), pairs.column(f"{side}_lang")
    kind = arrow.constant(KIND, n)
    of_bitext = pc.equal(pairs.column("kind"), "translations")
    group = pc.if_else(of_bitext, translations.group_of(pairs), pa.scalar(None, pa.string()))
    columns = {
        "key": keys.content_keys(kind, language.primaries(lang), text),
        "kind": kind,
        "image": arrow.nulls(n, PAIR_SCHEMA.field("image").type),
        "left_text": text,
        "right_text": arrow.constant("", n),
        "left_lang": lang,
        "right_lang": arrow.nulls(n, pa.string()),
        "source": pairs.column("source"),
        "origin": pairs.column("origin"),
        "url": pairs.column("url"),
        "scores": arrow.json_objects({"group": group}),
    }
    return arrow.pair_batch(columns)


def route_of(sentences: pa.RecordBatch, routes: Mapping[str, str], seed: int) -> pa.StringArray:
    """The route that each sentence takes, of those that begin with its language.

    Each of them draws a number for the sentence and the highest wins (Thaler and Ravishankar 1998), so that a route that is added
    takes sentences from the others and moves none between them.

    Args:
        sentences: n rows as `choose` gives them.
        routes: Name -> the language that it begins with.
        seed: The recipe's seed.

    Returns:
        n names; null where no route begins with the language.
    """
    names = sorted(routes)
    subtag = language.primaries(sentences.column("left_lang"))
    best = np.zeros(sentences.num_rows, np.uint64)
    chosen = np.full(sentences.num_rows, -1, np.int64)
    for number, name in enumerate(names):
        draw = keys.draw(sentences.column("key"), seed, f"{KIND}/route/{name}") | np.uint64(1)
        wins = arrow.mask(pc.equal(subtag, language.primary(routes[name]))) & (draw > best)
        best[wins], chosen[wins] = draw[wins], number
    return pa.array(names, pa.string()).take(pa.array(chosen, mask=chosen < 0))
