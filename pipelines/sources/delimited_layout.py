"""How a csv or tsv file is written: whether its first line names the columns, and whether its fields are quoted."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.sources.image_columns import USUAL, Columns, columns_of, named
from pipelines.sources.reading import BOM, SourceError, head_of
from pipelines.sources.spec import ImageTextSource

_HEAD_BYTES = 1 << 20
_URL = re.compile(r"\s*(?:[a-z][a-z0-9+.-]{1,9}:)?//[^\s/]+\S*\s*", re.IGNORECASE)
_WHOLE = re.compile(r'"(?:[^"]|"")*"(?!")')
_REST = re.compile(r'(?:[^"]|"")*"(?!")')
_NUMBER = re.compile(r"[-+0-9.eE]*\r?")  # or nothing
_FIELD_LINES = 100
_USUAL = frozenset(name for names in USUAL.values() for name in names)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written.

    Attributes:
        quoted: Whether fields may be quoted (RFC 4180).
        header: Whether the first row names the columns.
        names: The columns' names: the header's, the recipe's, or `text`, `url`, `column_2` … where nobody gives any.
        columns: The roles among them.
    """

    quoted: bool
    header: bool
    names: list[str]
    columns: Columns


def is_quoted(source: ImageTextSource, url: str, delimiter: str) -> bool:
    """Whether quotes around a field belong to the format. `auto`: always in csv; in tsv as `looks_quoted` finds its first MB."""
    if source.quoting != "auto":
        return source.quoting == "csv"
    if delimiter == ",":
        return True
    head = head_of(url, _HEAD_BYTES)
    lines = head.removeprefix(BOM).decode("utf-8", "replace").split("\n")
    return looks_quoted(lines, delimiter, cut=len(head) > _HEAD_BYTES // 2)


def looks_quoted(lines: Sequence[str], delimiter: str, cut: bool = False) -> bool:
    """Tells a file whose writer quotes fields from one in which quotes are text.

    A writer of RFC 4180 quotes every field that holds a quote, and doubles that; most (pandas) quote no field that needs none, some
    all that are no numbers. So either every field is quoted, or some need it and none is quoted in vain. Whatever else is quoted is
    text that has quotes.

    Args:
        lines: The first lines of the file, without their ends.
        delimiter: Between fields.
        cut: Whether the file goes on.
    """
    needed = needless = plain = 0
    opened: int | None = None  # the line at which a field began that goes over several
    for number, line in enumerate(lines):
        rest = line
        if opened is not None:
            end = _REST.match(line)
            if end is None:
                continue
            opened, rest = None, line[end.end() :]
            if not _ends(rest, delimiter):
                return False
            rest = rest.removeprefix(delimiter)
        while rest:
            if not rest.startswith('"'):
                field, _, rest = rest.partition(delimiter)
                if '"' in field:
                    return False
                plain += _NUMBER.fullmatch(field) is None
                continue
            whole = _WHOLE.match(rest)
            if whole is None:
                opened, needed = number, needed + 1
                break
            body, rest = whole[0][1:-1], rest[whole.end() :]
            if not _ends(rest, delimiter):
                return False
            rest = rest.removeprefix(delimiter)
            if '"' in body or delimiter in body or "\r" in body:
                needed += 1
            else:
                needless += 1
    if opened is not None and not (cut and len(lines) - opened < _FIELD_LINES):
        return False
    return (needless + needed > 0 and plain == 0) or (needed > 0 and needless == 0)


def _ends(rest: str, delimiter: str) -> bool:
    return not rest.removesuffix("\r") or rest.startswith(delimiter)


def first_row(url: str, delimiter: str, quoted: bool) -> list[str] | None:
    """The first row that is not empty; None where the file's head holds none that can be read."""
    head = head_of(url, _HEAD_BYTES).removeprefix(BOM)
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8")
        text = text[: text.rfind("\n") + 1]
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    if not quoted:
        return next((line.split(delimiter) for line in lines if line), None)
    try:
        return next(
            (row for row in csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True) if row), None
        )
    except csv.Error:
        return None


def layout_of(source: ImageTextSource, url: str, row: list[str], quoted: bool) -> Layout:
    """How the file is written, from its first row.

    Raises:
        SourceError: A named column is not there, or nothing tells which column is the text.
    """
    if _is_header(source, row):
        names = source.names or [name.strip() for name in row]
        if len(names) != len(row):
            raise SourceError(
                f"{url}: the recipe gives {len(names)} names, the file has {len(row)} columns: {_shown(row)}"
            )
        hint = "" if source.header is True else "; if its first line is a row, say header: false"
        if len(row) == 1 and (other := next((char for char in ";\t|," if char in row[0]), None)) is not None:
            hint = f"; {other!r} parts no fields here: csv is parted by commas, tsv by tabs (say `format`)"
        return Layout(quoted, True, names, _columns(source, url, names, hint))
    if source.names is not None:
        if len(source.names) != len(row):
            raise SourceError(
                f"{url}: the recipe gives {len(source.names)} names, the first line has {len(row)} columns: {_shown(row)}"
            )
        return Layout(quoted, False, list(source.names), _columns(source, url, source.names))
    names = _invented(source, url, row)
    hint = f" (taken for a table without a header: its first line is {_shown(row)}); give their names in the recipe (names: […])"
    return Layout(quoted, False, names, _columns(source, url, names, hint))


def _is_header(source: ImageTextSource, row: list[str]) -> bool:
    if source.header != "auto":
        return source.header
    if any(_URL.fullmatch(field) for field in row):
        return False
    known = (
        _USUAL | {name.lower() for name in source.names or ()} | {str(name).lower() for name in named(source.columns)}
    )
    if any(field.strip().lower() in known for field in row):
        return True
    # Nothing tells: with names or positions in the recipe it is a row, else what it names will be shown as no column of texts.
    return source.names is None and not any(isinstance(column, int) for column in named(source.columns))


def _invented(source: ImageTextSource, url: str, row: list[str]) -> list[str]:
    """Names for the columns of a file without any: those of the roles whose positions the recipe gives; where it gives none, of
    the first two columns the one with a URL is the address and the other the text, as in CC3M and CC12M."""
    names = [f"column_{number}" for number in range(len(row))]
    given = list(named(source.columns))
    if given:
        for role in ("text", "url", "language"):
            if isinstance(column := getattr(source.columns, role), int) and column < len(row):
                names[column] = role
        return names
    addresses = [_URL.fullmatch(field) is not None for field in row[:2]]
    if addresses not in ([True, False], [False, True]):
        raise SourceError(
            f"{url}: has no header, and its first line does not tell which column is the text: {_shown(row)}; say so in the recipe "
            "(columns: {text: 0, url: 1}, or names: [caption, url])"
        )
    names[addresses.index(True)], names[addresses.index(False)] = "url", "text"
    return names


def _columns(source: ImageTextSource, url: str, names: list[str], hint: str = "") -> Columns:
    """The roles, positions taken for the names that stand there."""

    def by_name(value: object) -> object:
        if isinstance(value, dict):
            return {code: by_name(part) for code, part in value.items()}
        if isinstance(value, list):
            return [by_name(part) for part in value]
        if isinstance(value, int):
            if value >= len(names):
                raise SourceError(f"{url}: no column {value}: there are {len(names)}, counted from 0: {_shown(names)}")
            return names[value]
        return value

    changed = {role: by_name(getattr(source.columns, role)) for role in type(source.columns).model_fields}
    of_names = source.model_copy(update={"columns": source.columns.model_copy(update=changed)})
    try:
        found = columns_of(of_names, url, pa.schema([(name, pa.string()) for name in names]))
    except SourceError as error:
        raise SourceError(f"{error}{hint}") from error
    return found


def _shown(row: Sequence[str]) -> str:
    return " | ".join(field[:60] for field in row[:8])


def delimited_layout(source: ImageTextSource, url: str, delimiter: str) -> Layout | None:
    """How a file is written; None for one without a row at its beginning that can be read, of which reading will tell.

    Raises:
        SourceError: See `layout_of`.
    """
    quoted = is_quoted(source, url, delimiter)
    row = first_row(url, delimiter, quoted)
    return layout_of(source, url, row, quoted) if row is not None else None
