"""Which columns of a table hold photographs, texts and addresses: by the recipe, else by their usual names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from pipelines.sources.reading import SourceError, listed, meant
from pipelines.sources.spec import Column, ImageTextColumns, ImageTextSource

USUAL: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes"),
    "text": ("text", "alt", "alt_text", "caption", "txt", "title"),
    "texts": ("texts", "captions"),
    "url": ("url", "image_url"),
    "language": ("lang", "language"),
    "width": ("original_width", "width"),
    "height": ("original_height", "height"),
}
"""Role -> names, compared without case, the first that is there wins. `alt` stands before `caption`: where a crawl has both, the
caption is the rare one."""

_KNOWN = 1000  # kinds of json objects that are remembered

Path = tuple[str, ...]
"""A column, and the fields to go down to inside of it."""


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column that gives texts.

    Attributes:
        path: Where it is.
        role: What the texts are called in the report: the column's name, usual names in lower case.
        language: Of its texts, where the recipe says so.
        joined: Whether its values (tags) make one text together.
    """

    path: Path
    role: str
    language: str | None = None
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the roles of one file are; None for a role that it does not have."""

    texts: tuple[TextColumn, ...] = ()
    image: Path | None = None
    url: Path | None = None
    language: Path | None = None
    width: Path | None = None
    height: Path | None = None
    similarity: Path | None = None

    def paths(self) -> list[tuple[str, Path]]:
        """(role, path) of all that is there."""
        single = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "texts"]
        return [("text", text.path) for text in self.texts] + [
            (role, path) for role, path in single if path is not None
        ]

    @property
    def top(self) -> list[str]:
        """The columns to read, sorted."""
        return sorted({path[0] for _, path in self.paths()})


def named(columns: ImageTextColumns) -> Iterator[Column]:
    """Every column that the recipe names."""
    for role in type(columns).model_fields:
        value = getattr(columns, role)
        parts = list(value.values()) if isinstance(value, dict) else [value]
        for part in parts:
            for column in part if isinstance(part, list) else [part]:
                if column is not None:
                    yield column


def _listed(value: Any, language: str | None = None) -> Iterator[tuple[Column, str | None]]:
    """(column, language) of a role that takes one column, several, or one a language."""
    if isinstance(value, dict):
        for code, part in value.items():
            yield from _listed(part, code)
    else:
        for column in value if isinstance(value, list) else [value]:
            yield column, language


class _Finder:
    """Looks roles up among the names of one file."""

    def __init__(
        self, source: ImageTextSource, url: str, names: list[str], schema: pa.Schema | None, first: str | None = None
    ) -> None:
        self.first = first
        self.columns, self.url, self.names, self.schema = source.columns, url, names, schema
        self.lower = {name.lower(): name for name in reversed(names)}

    def there(self) -> str:
        return listed(self.names)

    def path(self, column: Column, role: str) -> Path:
        """Where a column that the recipe names is."""
        if isinstance(column, int):
            raise SourceError(f"{self.url}: columns.{role} = {column}: positions are for csv and tsv; give the name")
        if column in self.names:
            return (column,)
        parts = column.split(".")
        for length in range(len(parts) - 1, 0, -1):
            if (head := ".".join(parts[:length])) in self.names:
                path = (head, *parts[length:])
                if self.schema is None or _inside(_type(self.schema, head), path[1:]) is not None:
                    return path
        if self.schema is None:
            return tuple(parts)  # the next record may have it
        raise SourceError(
            f"{self.url}: no column {column!r} for {role}; there are {self.there()}{meant(column, self.names)}"
        )

    def usual(self, role: str) -> str | None:
        first = (self.first,) if self.first is not None and role == "text" else ()
        for candidate in (*first, *USUAL[role]):
            if candidate in self.lower:
                name = self.lower[candidate]
                if self.schema is None or role not in _SURE or _SURE[role](_type(self.schema, name)):
                    return name
        return None

    def one(self, role: str) -> Path | None:
        column = getattr(self.columns, role)
        if column is not None:
            return self.path(column, role)
        found = self.usual(role) if role in USUAL else None
        return (found,) if found is not None else None

    def texts(self) -> tuple[TextColumn, ...]:
        found: list[TextColumn] = []
        for role in ("text", "texts", "tags"):
            value = getattr(self.columns, role)
            if value is not None:
                for column, language in _listed(value):
                    path = self.path(column, role)
                    found.append(TextColumn(path, ".".join(path), language, role == "tags"))
            elif role != "tags" and (name := self.usual(role)) is not None:
                found.append(TextColumn((name,), name.lower()))
        return tuple(found)

    def columns_found(self) -> Columns:
        single = {role: self.one(role) for role in ("image", "url", "language", "similarity")}
        size = {role: self.one(role) for role in ("width", "height")}
        if self.columns.width is None and self.columns.height is None:
            # Both of the original, or both of the copy; a picture that is there says it better.
            whole = single["image"] is None and None not in size.values()
            both = all(f"original_{role}" in self.lower for role in size)
            names = {role: self.lower.get(f"original_{role}" if both else role) for role in size} if whole else {}
            size = {role: (name,) for role, name in names.items() if name is not None}
        return Columns(texts=self.texts(), **single, **size)


def columns_of(source: ImageTextSource, url: str, schema: pa.Schema) -> Columns:
    """The roles of a table.

    Raises:
        SourceError: A column that the recipe names is not there, none holds texts, or one has a type that its role cannot have.
    """
    finder = _Finder(source, url, schema.names, schema)
    found = finder.columns_found()
    if not found.texts:
        raise SourceError(f"{url}: no column of texts; there are {finder.there()}; name it in columns.text")
    for role, path in found.paths():
        if (count := schema.names.count(path[0])) > 1:
            raise SourceError(f"{url}: {count} columns are called {path[0]!r} (for {role}): leave one")
        kind = _inside(_type(schema, path[0]), path[1:])
        if role == "text":
            role = "texts" if path in _lists(finder) else "text" if source.columns.text is None else "named"
        fits, wanted = _FITS.get(role, (_anything, ""))
        if kind is not None and not fits(kind):
            shown = "text" if role == "named" else role
            raise SourceError(f"{url}: the column {'.'.join(path)!r} for {shown} is {kind}; {wanted}")
    return found


def _lists(finder: _Finder) -> set[Path]:
    """Columns of lists, or of tags: what is no text in them is passed over."""
    columns = finder.columns
    found = {
        finder.path(column, role)
        for role in ("texts", "tags")
        for column, _ in _listed(getattr(columns, role))
        if column is not None
    }
    return found | ({(name,)} if columns.texts is None and (name := finder.usual("texts")) is not None else set())


class RecordColumns:
    """The roles of json objects, worked out once for objects of the same keys.

    What the recipe names and an object does not have is looked for all the same, and is null.

    Args:
        source: The recipe's words.
        url: For errors.
        first: A name that stands before the other usual ones of the text.
    """

    def __init__(self, source: ImageTextSource, url: str, first: str | None = None) -> None:
        self._source, self._url, self._first = source, url, first
        self._known: dict[tuple[str, ...], Columns] = {}

    def __call__(self, names: Iterable[str]) -> Columns:
        """The roles of an object of these keys."""
        keys = tuple(names)
        found = self._known.get(keys)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = _Finder(self._source, self._url, list(keys), None, self._first).columns_found()
            self._known[keys] = found
        return found


def _type(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.types[schema.names.index(name)]


def _inside(kind: pa.DataType, path: Path) -> pa.DataType | None:
    """The type of a field inside of structs and lists of structs; None where there is no such field."""
    for name in path:
        while _is_list(kind):
            kind = kind.value_type
        if pa.types.is_map(kind):
            kind = kind.item_type
            continue
        if not pa.types.is_struct(kind) or (index := kind.get_field_index(name)) < 0:
            return None
        kind = kind.field(index).type
    return kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    if pa.types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks) or pa.types.is_null(kind)


def holds_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts, one a row."""
    if pa.types.is_dictionary(kind):
        return holds_text(kind.value_type)
    # Bytes: some writers do not mark their strings as UTF-8.
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks) or (_holds_bytes(kind) and not pa.types.is_struct(kind))


def holds_texts(kind: pa.DataType) -> bool:
    """Text, or lists, maps and structs of it."""
    if _is_list(kind):
        return holds_texts(kind.value_type)
    if pa.types.is_map(kind):
        return holds_texts(kind.item_type)
    if pa.types.is_struct(kind):
        return any(holds_texts(kind.field(index).type) for index in range(kind.num_fields))
    return holds_text(kind)


def _holds_number(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_number(kind.value_type)
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in (*checks, *strings))


def _anything(_: pa.DataType) -> bool:
    return True


_SURE: Mapping[str, Any] = {"image": _holds_bytes, "width": _holds_number, "height": _holds_number}
"""Roles whose usual names other things have too: a column counts only if it has the type."""

_FITS: Mapping[str, tuple[Any, str]] = {
    "image": (_holds_bytes, "bytes are wanted, or a struct with `bytes`"),
    "text": (holds_text, "a string is wanted; name a column of several in columns.texts"),
    "named": (holds_texts, "strings are wanted, lists of them, or texts by language"),
    "width": (_holds_number, "a number is wanted"),
    "height": (_holds_number, "a number is wanted"),
    "similarity": (_holds_number, "a number is wanted"),
}
