"""Whether the fields that a source of documents names are in its first records."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipelines import storage
from pipelines.sources import documents
from pipelines.sources.documents_parquet import UNREADABLE
from pipelines.sources.image_columns import holds_text
from pipelines.sources.json_heads import HEAD_BYTES, kind_of, no_lines, objects
from pipelines.sources.reading import Bounded, SourceError, head_of, head_of_stream, listed, meant
from pipelines.sources.spec import DocumentsSource
from pipelines.sources.tarstream import Damage, read_tar
from pipelines.sources.unpacking import unpacked

_TAR_BYTES = 32 << 20  # of a tar that are unpacked to find records


class _Seen:
    """What the files that were looked at have.

    Attributes:
        wanted: Field -> its role, of those of which nothing has been seen.
        names: All fields, in the order of their coming.
        kinds: Text field -> what it is where it is no text.
        records: Objects of json that were looked at, in all files.
        tables: Whether a table was among the files.
        first: The first file with a record.
    """

    def __init__(self, source: DocumentsSource) -> None:
        texts = source.columns.texts()
        self.wanted = dict.fromkeys(texts, "text")
        if source.columns.url not in (None, "url"):  # the usual name may be missing
            self.wanted.setdefault(str(source.columns.url), "url")
        self.texts = set(texts)
        self.names: dict[str, None] = {}
        self.kinds: dict[str, str] = {}
        self.records = 0
        self.tables = False
        self.first: str | None = None

    def add(self, url: str, values: dict[str, Any]) -> None:
        self.first = self.first or url
        self.records += 1
        self.names |= dict.fromkeys(values)
        for name in list(self.wanted):
            if name in values:
                value = values[name]
                if name not in self.texts or isinstance(value, str):
                    del self.wanted[name]
                elif value is not None:
                    self.kinds.setdefault(name, kind_of(value))

    def add_table(self, url: str, schema: pa.Schema) -> None:
        self.first = self.first or url
        self.tables = True
        self.names |= dict.fromkeys(schema.names)
        for name in list(self.wanted):
            if name in schema.names:
                kind = schema.types[schema.names.index(name)]
                if name not in self.texts or holds_text(kind) or pa.types.is_null(kind):
                    del self.wanted[name]
                else:
                    self.kinds.setdefault(name, str(kind))

    def fault(self) -> SourceError | None:
        """The first field that no record has, or that is no text in any."""
        where = f" in its first {self.records} records" if self.records else ""
        for name, role in self.wanted.items():
            if name in self.kinds:
                return SourceError(
                    f"{self.first}: the column {name!r} for text is {self.kinds[name]}{where}; a string is wanted"
                )
            if name not in self.names:
                return SourceError(
                    f"{self.first}: no column {name!r} for {role}{where}; there are {listed(self.names)}{meant(name, self.names)}"
                )
        return None


def fault(source: DocumentsSource, files: Sequence[str]) -> SourceError | None:
    """Looks at file after file until each field that the recipe names has been seen in one; mostly that is the first file.

    Args:
        source: The recipe's words.
        files: URLs.

    Returns:
        What is wrong: a field that is in none of them, one that holds no text, or a file that is no JSON lines.
    """
    seen = _Seen(source)
    strange: str | None = None
    # Names that do not say json come first: files that were taken along with the others.
    files = sorted(files, key=lambda url: documents.says_json(url))
    try:
        for url in files:
            kind = documents.file_format(source, url)
            if kind == "parquet":
                _look_at_table(seen, source, url)
            elif kind == "tar":
                found, others = _members(source, url)
                for values in found:
                    seen.add(url, values)
                if others and strange is None:
                    strange = f"{url}: no member of it is read as documents; there are {listed(others)}"
            elif kind == "jsonl":
                head = head_of(url, HEAD_BYTES)
                found = list(objects(head, url))
                for values in found:
                    seen.add(url, values)
                if not found and (what := no_lines(head, url)) is not None:
                    if not documents.says_json(url):
                        return SourceError(what)
                    strange = strange or what
            if seen.first is not None and not seen.wanted:
                return None
    except SourceError as error:
        return error
    if seen.first is not None:
        return seen.fault()
    return SourceError(strange) if strange is not None else None


def _look_at_table(seen: _Seen, source: DocumentsSource, url: str) -> None:
    try:
        with storage.open_read(url) as file:
            seen.add_table(url, pq.ParquetFile(file).schema_arrow)
    except UNREADABLE:
        return  # reading will tell


def _members(source: DocumentsSource, url: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The first objects of the first member of a tar that has any; and its members' names where none of them is read."""
    others: list[str] = []
    known = False
    with storage.open_read(url) as raw:
        packed = unpacked(raw, f"{url}.gz" if url.endswith(".tgz") else url)
        with contextlib.suppress(EOFError, OSError, zstandard.ZstdError):  # reading will tell
            for item in read_tar(Bounded(packed, _TAR_BYTES), max_member_bytes=None):  # type: ignore[arg-type]
                if isinstance(item, Damage) or item.file is None:
                    continue
                if not documents.is_member(source, item.name):
                    others.append(item.name)
                    continue
                known = True
                if documents.file_format(source, item.name) != "jsonl":
                    continue
                found = list(objects(head_of_stream(unpacked(item.file, item.name), HEAD_BYTES), f"{url}/{item.name}"))
                if found:
                    return found, []
    return [], [] if known else others
