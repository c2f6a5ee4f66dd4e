"""Word drop: a sentence beside itself with some of its words missing, as EDA's random deletion does (Wei and Zou 2019).

CLIPPO names neither rate nor rules: ours are the options below. What a word is depends on the script: a run between spaces for
most; a cluster of characters, or the word that a segmenter finds, for scripts without spaces. See `drop_items` for punctuation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pairs import arrow, characters, drop_items, keys, language, segmenters
from pairs.drop_items import CORE
from pairs.schema import PAIR_SCHEMA
from pairs.segmenters import Name as Segmenter

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

REASONS: Final = ("too_few_words", "identical")
"""Why a sentence gives no pair: it has fewer words than `min_words`; with words missing on both sides, these came out alike."""


class WordDropOptions(BaseModel):
    """How words are dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(0.1, gt=0, lt=1, description="probability that a word is dropped; EDA's own default")
    min_words: int = Field(
        3,
        ge=2,
        le=1000,
        description="too_few_words: fewest droppable words (clusters of characters in scripts without spaces) of a sentence",
    )
    sentences: Literal["one", "both"] = Field(
        "one", description="one: each pair of sentences gives one of its two, drawn by hash; both: each gives a pair"
    )
    sides: Literal["right", "left", "one", "both"] = Field(
        "right",
        description="on which side words are missing; the other has the whole sentence. one: a side drawn by hash; both: on each "
        "other words",
    )
    segmenters: dict[str, Segmenter] = Field(
        default_factory=dict,
        description="language without spaces -> the library that tells its words (extra `words`): jieba for zh, pythainlp for th, "
        "budoux for zh, ja, th; none: a cluster of characters is a word. The library's release is part of the stage's key",
    )

    @field_validator("segmenters")
    @classmethod
    def _able(cls, value: dict[str, Segmenter]) -> dict[str, Segmenter]:
        for lang, name in value.items():
            if lang not in segmenters.LANGUAGES[name]:
                able = ", ".join(segmenters.LANGUAGES[name])
                raise ValueError(f"{name} knows the words of {able}; {lang} is none of them")
        return value


def drop(
    texts: pa.StringArray, draws: keys.UInt64, options: WordDropOptions, langs: pa.StringArray | None = None
) -> pa.StringArray:
    """Texts with some of their words missing.

    Each result is the text with characters left out, in their order; at least one word is missing and one is left. What ends a
    sentence stays; punctuation that is left alone goes (`drop_items.rebuild`).

    Args:
        texts: n strings, tidied (single spaces), none null.
        draws: uint64 (n,), each row's own draw.
        options: Rate, least number of words and segmenters.
        langs: n language tags, for the segmenters; None: none is asked.

    Returns:
        n strings; null where a text has fewer than `options.min_words` droppable words.
    """
    n = len(texts)
    column = characters.decode(texts)
    items = drop_items.parse(column, _joined(texts, column, options.segmenters, langs))
    words = np.flatnonzero(items.kind == CORE)
    row = np.repeat(np.arange(n), np.diff(items.start))[words]
    count = np.bincount(row, minlength=n)
    begin = np.cumsum(count) - count
    chance = keys.unit(keys.child_draw(draws[row], np.arange(len(words)) - begin[row]))
    gone = chance < options.rate
    enough = count >= options.min_words
    lost = np.bincount(row, weights=gone, minlength=n).astype(np.int64)
    order = np.lexsort((chance, row))
    lowest, highest = order[begin[enough & (lost == 0)]], order[(begin + count - 1)[enough & (lost == count)]]
    gone[lowest] = True
    gone[highest] = False
    missing = np.zeros(len(items.kind), bool)
    missing[words[gone & enough[row]]] = True
    code, size = drop_items.rebuild(column, items, missing)
    rest = characters.encode(code, np.repeat(np.arange(n), size), n)
    return pc.if_else(pa.array(enough), rest, pa.scalar(None, pa.string()))


def _joined(
    texts: pa.StringArray,
    column: characters.Column,
    chosen: Mapping[str, Segmenter],
    langs: pa.StringArray | None,
) -> Bools:
    """bool (total,): characters that a segmenter put into one word with the one before them."""
    joined = np.zeros(len(column.code), bool)
    if not chosen or langs is None:
        return joined
    subtags = language.primaries(langs)
    for lang, name in sorted(chosen.items()):
        rows = np.flatnonzero(arrow.mask(pc.equal(subtags, lang)))
        starts = segmenters.starts(texts.take(pa.array(rows)).to_pylist(), name, lang)
        for row, begins in zip(rows.tolist(), starts, strict=True):
            first, last = int(column.start[row]), int(column.start[row + 1])
            joined[first:last] = True
            joined[[first + at for at in begins if first + at < last]] = False
    return joined


def word_drop(pairs: pa.RecordBatch, options: WordDropOptions, seed: int) -> tuple[pa.RecordBatch, pa.StringArray]:
    """Word-drop pairs from sentence pairs.

    Args:
        pairs: n rows of `PAIR_SCHEMA`, kind sentences.
        options: How words are dropped.
        seed: The recipe's seed.

    Returns:
        At most n rows of `PAIR_SCHEMA`, 2 n for `sentences` both, kind word_drop: a sentence beside itself, on one side or on both
        with words missing; key = content key of (kind, left, right). And n reasons, null where a pair was made, else one of
        `REASONS`: that of the sentence drawn, or of the last.
    """
    n = pairs.num_rows
    first = (keys.draw(pairs.column("key"), seed, "word_drop/side") & np.uint64(1)).astype(bool)
    turns = [first] if options.sentences == "one" else [np.ones(n, bool), np.zeros(n, bool)]
    made, why = [], pa.nulls(n, pa.string())
    for number, left in enumerate(turns):
        batch, reason = _beside_itself(pairs, pa.array(left), options, seed)
        made.append(batch)
        # Of two sentences one is enough: the pair gave something.
        why = reason if number == 0 else pc.if_else(pc.is_null(why), why, reason)
    return pa.concat_batches(made), arrow.strings(why)


def _beside_itself(
    pairs: pa.RecordBatch, left: pa.BooleanArray, options: WordDropOptions, seed: int
) -> tuple[pa.RecordBatch, pa.StringArray]:
    """The pairs of one sentence each, the left one where told; and the reasons of those that are none."""
    text = arrow.strings(pc.if_else(left, pairs.column("left_text"), pairs.column("right_text")))
    lang = arrow.strings(pc.if_else(left, pairs.column("left_lang"), pairs.column("right_lang")))
    key = arrow.strings(pairs.column("key"))
    if options.sentences == "both":  # its other sentence draws for itself
        key = pc.binary_join_element_wise(key, pc.if_else(left, pa.scalar("left"), pa.scalar("right")), "/")
    less = drop(text, keys.draw(key, seed, "word_drop/words"), options, lang)
    sides = {"left": less, "right": less}
    if options.sides == "both":
        sides["left"] = drop(text, keys.draw(key, seed, "word_drop/words of the left"), options, lang)
    elif options.sides == "one":
        on_left = pa.array((keys.draw(key, seed, "word_drop/which") & np.uint64(1)).astype(bool))
        sides = {"left": pc.if_else(on_left, less, text), "right": pc.if_else(on_left, text, less)}
    else:
        sides["left" if options.sides == "right" else "right"] = text
    alike = pc.fill_null(pc.equal(sides["left"], sides["right"]), False)
    few, same = (pa.scalar(reason) for reason in REASONS)
    why = pc.if_else(pc.is_null(less), few, pc.if_else(alike, same, pa.scalar(None, pa.string())))
    kept = pc.is_null(why)
    pairs, lang = pairs.filter(kept), lang.filter(kept)
    shown = {side: arrow.strings(column).filter(kept) for side, column in sides.items()}
    kind = arrow.constant("word_drop", pairs.num_rows)
    columns = {
        "key": keys.content_keys(kind, shown["left"], shown["right"]),
        "kind": kind,
        "image": arrow.nulls(pairs.num_rows, PAIR_SCHEMA.field("image").type),
        "left_text": shown["left"],
        "right_text": shown["right"],
        "left_lang": lang,
        "right_lang": lang,
        "source": pairs.column("source"),
        "origin": pairs.column("origin"),
        "url": pairs.column("url"),
        "scores": arrow.json_objects(
            {f"{side}_words": pa.array(characters.measure(column).words) for side, column in shown.items()}
        ),
    }
    return arrow.pair_batch(columns), arrow.strings(why)
