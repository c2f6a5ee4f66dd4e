"""Where sentences end: one compiled pass over a whole column's code points.

A mark that may end a sentence is a boundary or not by what stands before it (an abbreviation, an initial, an ordinal number), by
the quotes and brackets that close behind it, and by how the next word begins. Scripts differ by their characters, languages by
`pairs.abbreviations`; a language without a list is split by the shapes alone. The pieces of a text, laid end to end, are the text.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow, spans
from pairs.boundaries import kernel, tables
from pairs.spans import Spans

Ints = npt.NDArray[np.int64]


def split(texts: pa.StringArray, langs: pa.StringArray) -> tuple[pa.StringArray, Ints]:
    """Sentences of paragraphs.

    Args:
        texts: n paragraphs, one line each; null counts as empty.
        langs: n language tags; null or unknown: by the shapes alone.

    Returns:
        The sentences with the white space that follows them, end to end the texts; and int64 (n,), how many each paragraph has
        (one for an empty paragraph).
    """
    found, counts = cut(spans.decode(texts), langs)
    return found.texts(), counts


def cut(texts: Spans, langs: pa.StringArray) -> tuple[Spans, Ints]:
    """`split` of texts that are decoded, which stay where they are."""
    encoded = arrow.strings(langs).fill_null("").dictionary_encode()
    known = [tables.language(tag) for tag in encoded.dictionary.to_pylist()]
    which = encoded.indices.to_numpy().astype(np.int64)
    lang = np.array([number for number, _ in known], np.int64)[which]
    does = np.array([what for _, what in known], np.int64)[which]
    _, keys, kinds = tables.words()
    ends = np.empty(int(texts.chars.sum()) + len(texts), np.int64)
    counts = np.zeros(len(texts), np.int64)
    total = kernel.cut(
        texts.code,
        texts.begin,
        texts.end,
        lang,
        does,
        tables.look(),
        tables.flags(),
        tables.lower(),
        keys,
        kinds,
        ends,
        counts,
    )
    ends = ends[:total].copy()
    begin = np.empty(total, np.int64)
    begin[1:] = ends[:-1]
    begin[np.cumsum(counts) - counts] = texts.begin
    return Spans(texts.code, begin, ends), counts
