"""A sentence beside itself with some words missing: EDA's random deletion (Wei and Zou 2019), which CLIPPO's authors
name for text pairs."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, characters, keys
from pairs.characters import DIGIT, LETTER, MARK, NUMBER, PUNCT, SPACE, SYMBOL
from pairs.schema import PAIR_SCHEMA

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class WordDropOptions(BaseModel):
    """How words are dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(0.1, gt=0, lt=1, description="probability that a word is dropped; EDA's own default")
    min_words: int = Field(
        3,
        ge=2,
        le=1000,
        description="too_few_words: fewest droppable words (characters in scripts without spaces) of a sentence",
    )


def _units(column: characters.Column) -> tuple[Ints, Bools, Ints]:
    """Cuts texts into the units that can be dropped.

    A unit is a run of characters between spaces, and inside it, in scripts without spaces, a grapheme cluster: a base
    character with the marks after it. Punctuation beside such a cluster belongs to no unit.

    Returns:
        int64 (total,): each code point's unit, counted through the column; bool (units,): whether the unit can be
        dropped (it holds a letter or a digit, and is no space); int64 (units,): each unit's row.
    """
    table = characters.tables()
    code = column.code
    kind, script = table.kind[code], table.script[code]
    first = column.is_start()
    space = kind == SPACE
    base = characters.script_set(*characters.UNSPACED)[script]
    follows = table.extend[code] & ~first
    follows[1:] |= (code[:-1] == 0x200D) & ~first[1:]
    follows &= ~space
    # A mark belongs to what it stands on, so it takes its base's nature.
    anchor = np.maximum.accumulate(np.where(follows, 0, np.arange(len(code))))
    unspaced = base[anchor]
    space = space[anchor]
    starts = first | ~follows & unspaced
    before_space = np.zeros(len(code), bool)
    before_space[1:] = space[:-1]
    before_unspaced = np.zeros(len(code), bool)
    before_unspaced[1:] = unspaced[:-1]
    punct = ((kind == PUNCT) | (kind == SYMBOL))[anchor]
    # The punctuation of an unspaced text stands alone: it neither goes with a character nor joins two of them.
    wide = (punct & (code >= 0x3000)) & ~space
    before_wide = np.zeros(len(code), bool)
    before_wide[1:] = wide[:-1]
    starts |= ~follows & (space != before_space) | ~follows & (before_unspaced | before_wide | wide)
    unit = np.cumsum(starts) - 1
    n_units = int(unit[-1]) + 1 if len(unit) else 0
    content = np.zeros(n_units, bool)
    content[unit[(kind == LETTER) | (kind == DIGIT) | (kind == NUMBER) | (kind == MARK)]] = True
    content[unit[space]] = False
    return unit, content, column.row[starts]


_FINAL: Final = "(?P<final>[.!?。！？…।॥؟۔።։؛:;]+[\"'”’»）)」』\\]]*)$"


def drop(texts: pa.StringArray, draws: keys.UInt64, options: WordDropOptions) -> pa.StringArray:
    """Texts with some of their words missing.

    What ends a sentence stays, though the word before it goes; a comma that would come to stand before it, or at the
    beginning, goes too. So each result is the text with characters left out, in their order.

    Args:
        texts: n strings, tidied (single spaces).
        draws: uint64 (n,), each row's own draw.
        options: Rate and least number of words.

    Returns:
        n strings; null where a text has fewer than `options.min_words` droppable words.
    """
    n = len(texts)
    final = pc.struct_field(pc.extract_regex(texts, _FINAL), "final").fill_null("")
    stem = pc.utf8_rtrim_whitespace(pc.replace_substring_regex(texts, _FINAL, ""))
    column = characters.decode(stem)
    if len(column.code) == 0:
        return pa.nulls(n, pa.string())
    unit, content, unit_row = _units(column)
    words = np.flatnonzero(content)
    row = unit_row[words]
    count = np.bincount(row, minlength=n)
    begin = np.cumsum(count) - count
    number = np.arange(len(words)) - begin[row]
    chance = keys.unit(keys.child_draw(draws[row], number))
    gone = chance < options.rate
    enough = count >= options.min_words
    lost = np.bincount(row, weights=gone, minlength=n).astype(np.int64)
    order = np.lexsort((chance, row))
    lowest, highest = order[begin[enough & (lost == 0)]], order[(begin + count - 1)[enough & (lost == count)]]
    gone[lowest] = True
    gone[highest] = False
    gone &= enough[row]
    keep_unit = np.ones(len(content), bool)
    keep_unit[words[gone]] = False
    kept = keep_unit[unit]
    rest = characters.encode(column.code[kept], column.row[kept], n)
    rest = pc.replace_substring_regex(rest, " {2,}", " ")
    rest = pc.replace_substring_regex(rest, r"^[\s,;:!?.。，、；：！？·)\]）」』”’»…-]+", "")
    rest = pc.replace_substring_regex(rest, r"([，、；：])[，、；：]+", r"\1")
    ended = pc.not_equal(final, "")
    rest = pc.if_else(
        ended, pc.replace_substring_regex(rest, r"[\s,;:，、；：–—-]+$", ""), pc.utf8_rtrim_whitespace(rest)
    )
    result = pc.binary_join_element_wise(rest, final, "")
    usable = pc.and_(pa.array(enough), pc.and_(pc.not_equal(result, texts), pc.not_equal(rest, "")))
    return pc.if_else(usable, result, pa.scalar(None, pa.string()))


def word_drop(pairs: pa.RecordBatch, options: WordDropOptions, seed: int) -> tuple[pa.RecordBatch, pa.StringArray]:
    """One word-drop pair from each sentence pair: one of its two sentences, drawn by hash, beside itself with words
    missing.

    Args:
        pairs: n rows of `PAIR_SCHEMA`, kind sentences.
        options: How words are dropped.
        seed: The recipe's seed.

    Returns:
        At most n rows of `PAIR_SCHEMA`, kind word_drop, left the sentence, right the sentence with words missing, key
        = content key of (kind, left, right); and n reasons, null where a pair was made: `too_few_words`.
    """
    n = pairs.num_rows
    key = arrow.strings(pairs.column("key"))
    side = (keys.draw(key, seed, "word_drop/side") & np.uint64(1)).astype(bool)
    left = arrow.strings(pc.if_else(pa.array(side), pairs.column("left_text"), pairs.column("right_text")))
    lang = arrow.strings(pc.if_else(pa.array(side), pairs.column("left_lang"), pairs.column("right_lang")))
    right = drop(left, keys.draw(key, seed, "word_drop/words"), options)
    made = pc.is_valid(right)
    reasons = pc.if_else(made, pa.scalar(None, pa.string()), pa.scalar("too_few_words"))
    kind = arrow.constant("word_drop", n)
    words_left = pa.array(characters.measure(left).words)
    words_right = pa.array(characters.measure(right).words)
    columns = {
        "key": keys.content_keys(kind, left, right),
        "kind": kind,
        "image": arrow.nulls(n, PAIR_SCHEMA.field("image").type),
        "left_text": left,
        "right_text": right.fill_null(""),
        "left_lang": lang,
        "right_lang": lang,
        "source": pairs.column("source"),
        "origin": pairs.column("origin"),
        "url": pairs.column("url"),
        "scores": arrow.json_objects({"left_words": words_left, "right_words": words_right}),
    }
    batch = arrow.pair_batch(columns)
    return batch.filter(made), arrow.strings(reasons)
