"""Which columns of a table hold photographs, texts and addresses: by the recipe, else by their usual names."""

from __future__ import annotations

import pyarrow as pa

from pipelines.sources.reading import SourceError
from pipelines.sources.spec import ImageTextSource

USUAL = {
    "image": ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes"),
    "text": ("caption", "text", "alt", "alt_text", "txt", "title"),
    "texts": ("texts", "captions"),
    "url": ("url", "image_url"),
    "language": ("lang", "language"),
}
"""Role -> names, compared without case, the first that is there wins."""


def columns_of(source: ImageTextSource, url: str, schema: pa.Schema) -> dict[str, str]:
    """Role -> column name, for the roles that the file has."""
    lower = {name.lower(): name for name in reversed(schema.names)}
    found: dict[str, str] = {}
    for role, usual in USUAL.items():
        named = getattr(source.columns, role)
        if named is not None:
            if named not in schema.names:
                raise SourceError(f"{url}: no column {named!r} for {role}; there are {', '.join(schema.names)}")
            found[role] = named
            continue
        for candidate in usual:
            if candidate in lower and (role != "image" or _holds_bytes(_type(schema, lower[candidate]))):
                found[role] = lower[candidate]
                break
    if "text" not in found and "texts" not in found:
        raise SourceError(f"{url}: no column of texts; there are {', '.join(schema.names)}; name it in columns.text")
    for role, name in found.items():
        if schema.names.count(name) > 1:
            raise SourceError(f"{url}: {schema.names.count(name)} columns are called {name!r} (for {role}): leave one")
    if "image" in found and not _holds_bytes(kind := _type(schema, found["image"])):
        raise SourceError(
            f"{url}: the column {found['image']!r} for image is {kind}; bytes are wanted, or a struct with `bytes`"
        )
    if "text" in found and not _holds_text(kind := _type(schema, found["text"])):
        raise SourceError(
            f"{url}: the column {found['text']!r} for text is {kind}, a string is wanted; name a column of several in columns.texts"
        )
    return found


def _type(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.types[schema.names.index(name)]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    if pa.types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks) or pa.types.is_null(kind)


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    # Bytes: some writers do not mark their strings as UTF-8.
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks) or (_holds_bytes(kind) and not pa.types.is_struct(kind))
