"""What the readers of photographs and alt-texts share: an image's texts and facts out of one record's values, its bytes checked."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pairs.images import ImageError, probe
from pipelines.sources.image_columns import Columns
from pipelines.sources.reading import text_of
from pipelines.sources.spec import ImageTextSource

_LANGUAGE_KEYS = ("lang", "language", "locale")
_TEXT_KEYS = ("text", "caption", "value")
_MAX_DEPTH = 8  # of lists in lists
_PIXELS = re.compile(r"\s*(\d{1,9})(?:\.\d+)?\s*(?:px)?\s*", re.ASCII | re.IGNORECASE)
_MAX_SIDE = 2**31 - 1


class Text(NamedTuple):
    """One text of an image: its language where that is known, null or the text, and which column it is from."""

    language: str | None
    text: str | None
    role: str | None = None


def value_at(values: Any, path: Sequence[str]) -> Any:
    """The value at a path of names; through a list it is the list of its items' values. None where there is none."""
    if len(path) == 1 and type(values) is dict:
        return values.get(path[0])
    for at, name in enumerate(path):
        if isinstance(values, list):
            return [value_at(item, path[at:]) for item in values]
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


def several(value: Any, language: str | None = None, depth: int = 0) -> Iterator[tuple[str | None, str | None]]:
    """(language, text) of a string, a list of strings or of {lang, text}, texts by language, and lists of such.

    Raises:
        UnicodeDecodeError: Bytes that are not UTF-8.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, str):
        yield language, value
    elif isinstance(value, Mapping):
        named = next((value[key] for key in _TEXT_KEYS if key in value), None)
        if named is not None or any(key in value for key in _TEXT_KEYS):
            spoken = next((text_of(value[key]) for key in _LANGUAGE_KEYS if value.get(key) is not None), None)
            if depth < _MAX_DEPTH:
                yield from several(named, spoken or language, depth + 1)
        elif depth < _MAX_DEPTH:
            for code, part in value.items():
                yield from several(part, str(code), depth + 1)
    elif isinstance(value, tuple) and len(value) == 2:
        yield from several(value[1], text_of(value[0]) or language, depth + 1)
    elif isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        for item in value:
            yield from several(item, language, depth + 1)


def _joined(value: Any) -> str | None:
    """Tags as one text."""
    tags = [text.strip() for _, text in several(value) if text is not None and text.strip()]
    return ", ".join(tags) if tags else None


def texts_of(columns: Columns, values: Mapping[str, Any]) -> list[Text]:
    """The texts of one record, in the order of the columns.

    Raises:
        UnicodeDecodeError: Bytes that are not UTF-8.
    """
    spoken = text_of(value_at(values, columns.language)) if columns.language is not None else None
    found: list[Text] = []
    for column in columns.texts:
        value = value_at(values, column.path)
        if column.joined:
            value = _joined(value)
        if type(value) is str:
            found.append(Text(column.language, value, column.role))
            continue
        found += [Text(language, text, column.role) for language, text in several(value, column.language)]
    if len(found) < 2:
        return [Text(text.language or spoken, text.text, text.role) for text in found] if spoken else found
    known = {text.text: text.language for text in reversed(found) if text.language is not None}
    # A list beside a caption often holds the caption once more, with its language.
    return [Text(text.language or spoken or known.get(text.text), text.text, text.role) for text in found]


def facts_of(columns: Columns, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of its image beside texts: url, declared width and height, similarity."""
    found: dict[str, Any] = {"url": text_of(value_at(values, columns.url)) if columns.url is not None else None}
    if columns.width is not None:
        found["width"] = pixels(value_at(values, columns.width))
    if columns.height is not None:
        found["height"] = pixels(value_at(values, columns.height))
    if columns.similarity is not None:
        found["similarity"] = _number(value_at(values, columns.similarity))
    return found


def pixels(value: Any) -> int | None:
    """A declared side in px: a number, or as HTML writes it (`640`, `640px`); None for `100%`, `auto`, 0 and what is no number."""
    if isinstance(value, str):
        found = _PIXELS.fullmatch(value)
        value = int(found[1]) if found else None
    number = _number(value)
    return int(number) if number is not None and 1 <= number <= _MAX_SIDE else None


def _number(value: Any) -> float | None:
    try:
        number = (
            float(value) if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool) else None
        )
    except (ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def too_long(source: ImageTextSource, texts: Sequence[Text]) -> int | None:
    """Length in bytes of a text above the bound, None where all are within it."""
    for text in texts:
        if text.text is not None and len(text.text) > source.max_record_bytes // 4:
            length = len(text.text.encode("utf-8", "surrogatepass"))
            if length > source.max_record_bytes:
                return length
    return None


def checked_image(source: ImageTextSource, data: bytes | None, length: int, part: str, offset: int) -> dict[str, Any]:
    """The reference to a photograph whose bytes were checked.

    Raises:
        ImageError: The bytes are not a picture that can be published.
    """
    if data is None or length > source.max_image_bytes:
        raise ImageError("too_many_bytes", f"{length} bytes")
    facts = probe(data, max_pixels=source.max_image_pixels)
    return {
        "part": part,
        "offset": offset,
        "length": length,
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "sha256": hashlib.sha256(data).hexdigest(),
        "phash": facts.phash,
    }
