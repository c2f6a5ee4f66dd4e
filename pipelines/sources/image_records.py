"""What the readers of photographs and alt-texts share: several texts of one image, and the check of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pairs.images import ImageError, probe
from pipelines.sources.reading import text_of
from pipelines.sources.spec import ImageTextSource

Texts = Sequence[tuple[str | None, str | None]]
"""(language, text) of each text of an image; null where it is not known or not there."""


def several(value: Any) -> list[tuple[str | None, str | None]]:
    """(language, text) of a list of strings, a list of {lang, text}, a mapping, or one string."""
    if isinstance(value, str):
        return [(None, value)]
    if isinstance(value, Mapping):
        return [(str(lang), text_of(text)) for lang, text in value.items()]
    found: list[tuple[str | None, str | None]] = []
    for item in value if isinstance(value, list | tuple) else []:
        if isinstance(item, Mapping):
            found.append((text_of(item.get("lang")), text_of(item.get("text"))))
        elif isinstance(item, tuple) and len(item) == 2:
            found.append((text_of(item[0]), text_of(item[1])))
        else:
            found.append((None, text_of(item)))
    return found


def too_long(source: ImageTextSource, texts: Sequence[tuple[str | None, str | None]]) -> int | None:
    """Length in bytes of a text above the bound, None where all are within it."""
    for _, text in texts:
        if text is not None and len(text) > source.max_record_bytes // 4:
            length = len(text.encode("utf-8", "surrogatepass"))
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


def with_languages(
    single: list[tuple[str | None, str | None]], several: list[tuple[str | None, str | None]]
) -> list[tuple[str | None, str | None]]:
    """The single caption first, with the language that the list of texts gives for the same words."""
    known = {text: lang for lang, text in several if text is not None}
    return [(lang or known.get(text or ""), text) for lang, text in single] + several
