"""What the readers of bitext share: a row, how rows become batches, which of a file's languages is the one that is wanted."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa

from pairs.language import bcp47
from pipelines.sources.reading import Reading, SourceError

ROWS = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("left_text", pa.string()),
        pa.field("right_text", pa.string()),
        pa.field("left_lang", pa.string()),
        pa.field("right_lang", pa.string()),
    ]
)
BATCH_ROWS = 2048
_BATCH_CHARACTERS: Final = 16 << 20
_MAX_VERSIONS: Final = 64
_ID_CHARACTERS: Final = 200

Row = tuple[str, str, str]
"""The record's place in its file, which ends the pair's origin; the left text; the right text."""


def batches(rows: Iterable[Row], languages: tuple[str, str], prefix: str) -> Iterator[pa.RecordBatch]:
    """Rows as batches of `ROWS`: at most `BATCH_ROWS` rows and some 16 million characters, so that long lines take no
    more memory than short ones.

    Args:
        rows: What a reader gives.
        languages: The tags of left and right.
        prefix: What origins begin with: `<source>/<file>#`.
    """
    held: list[Row] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row[1]) + len(row[2])
        if len(held) == BATCH_ROWS or size > _BATCH_CHARACTERS:
            yield _batch(held, languages, prefix)
            held, size = [], 0
    if held:
        yield _batch(held, languages, prefix)


def _batch(rows: list[Row], languages: tuple[str, str], prefix: str) -> pa.RecordBatch:
    count = len(rows)
    places, lefts, rights = zip(*rows, strict=True)
    origins = [prefix + place for place in places]
    tags = [pa.repeat(pa.scalar(code, pa.string()), count) for code in languages]
    columns = [pa.array(column, pa.string()) for column in (origins, lefts, rights)]
    return pa.RecordBatch.from_arrays([columns[0], pa.nulls(count, pa.string()), *columns[1:], *tags], schema=ROWS)


def misaligned(left: str, left_lines: int, right: str, right_lines: int) -> SourceError:
    """The two sides do not have the same number of lines."""
    return SourceError(f"bitext is not aligned: {left} has {left_lines} lines, {right} has {right_lines}")


def decode(data: bytes, name: str, reading: Reading, path: str, at: str) -> str | None:
    """The text of a line; None, and an error that names the side, where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        reading.error(path, at, "invalid_utf8", f"{name}: {error}")
        return None


def identified(place: str, *ids: object) -> str:
    """A place with the ids that the file itself gives: `17:doc-3:2`."""
    found = [" ".join(str(value).split())[:_ID_CHARACTERS] for value in ids if value not in (None, "")]
    return ":".join([place, *found])


_SCRIPT_OF_REGION: Final = {"zh-CN": "Hans", "zh-SG": "Hans", "zh-TW": "Hant", "zh-HK": "Hant", "zh-MO": "Hant"}


@functools.lru_cache(4096)
def likeness(wanted: str, found: str | None) -> int:
    """How well a file's language tag answers the recipe's: 3 the same, 2 one says more than the other (en, en-US), 1 the
    same language and script in another region (pt-BR, pt-PT), 0 not at all."""
    want, have = bcp47(wanted), bcp47(found)
    if want is None or have is None:
        return 0
    if want == have:
        return 3
    a, b = want.split("-"), have.split("-")
    if a[0] != b[0]:
        return 0
    scripts = {_script(want), _script(have)} - {None}
    if len(scripts) > 1:
        return 0
    regions = {part for tag in (a, b) for part in tag[1:] if len(part) != 4}
    return 2 if len(a) == 1 or len(b) == 1 or len(regions) < 2 else 1


def _script(tag: str) -> str | None:
    for part in tag.split("-")[1:]:
        if len(part) == 4 and part.isalpha():
            return part
    return _SCRIPT_OF_REGION.get("-".join(tag.split("-")[:2]))


def best(wanted: str, texts: Sequence[tuple[str | None, str]]) -> list[str]:
    """Of texts with their tags those that answer the wanted language best, in order; none: the language is not there."""
    marks = [likeness(wanted, tag) for tag, _ in texts]
    top = max(marks, default=0)
    return [text for mark, (_, text) in zip(marks, texts, strict=True) if mark == top] if top else []


def versions(
    texts: Sequence[tuple[str | None, str]],
    languages: tuple[str, str],
    reading: Reading,
    path: str,
    at: str,
    place: str,
) -> list[Row]:
    """The pairs of one record that gives texts by language: each left text with each right one.

    Logs a record that lacks a side (`one_sided`), or has more versions than anyone translates (`too_many_versions`).
    """
    lefts, rights = best(languages[0], texts), best(languages[1], texts)
    if not lefts or not rights:
        there = sorted({str(tag) for tag, _ in texts})[:8]
        reading.error(
            path, at, "one_sided", f"languages {', '.join(there) or 'none'}; wanted {' and '.join(languages)}"
        )
        return []
    if len(lefts) * len(rights) > _MAX_VERSIONS:
        reading.error(path, at, "too_many_versions", f"{len(lefts)} of {languages[0]}, {len(rights)} of {languages[1]}")
        return []
    several = len(lefts) * len(rights) > 1
    made = [(left, right) for left in lefts for right in rights]
    reading.records += len(made)
    return [
        (identified(place, number if several else None), left, right) for number, (left, right) in enumerate(made, 1)
    ]
