"""Whether the fields that a source of documents names are in its first records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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

_THREADS = 16
_FEW = 20  # so few records without a text, beside files that have one, are bad records
_TAR_BYTES = 4 << 20  # of a tar that are unpacked to find records


@dataclass(slots=True)
class _File:
    """What the beginning of one file has.

    Attributes:
        url: Where it lies.
        names: Its fields, in the order of their coming.
        texts: Fields that hold a text in a record, or may hold one (null).
        kinds: Other fields -> what they are.
        records: Objects of json that were looked at; 0 for a table.
        strange: What is wrong with a file that has no object.
    """

    url: str
    names: dict[str, None] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    records: int = 0
    strange: SourceError | None = None

    def add(self, values: dict[str, Any]) -> None:
        self.records += 1
        self.names |= dict.fromkeys(values)
        for name, value in values.items():
            if isinstance(value, str):
                self.texts.add(name)
            elif value is not None:
                self.kinds.setdefault(name, kind_of(value))

    def holds(self, name: str) -> bool:
        """Whether a field is there and nothing tells that it holds no text."""
        return name in self.names and (name in self.texts or name not in self.kinds)


def fault(source: DocumentsSource, files: Sequence[str]) -> SourceError | None:
    """Holds the beginnings of files against the recipe.

    Args:
        source: The recipe's words.
        files: URLs.

    Returns:
        What is wrong: a file without any of the fields of the text, or in which they hold none; a field that is in none of the
        files; one that is no JSON lines.
    """
    # Names that say nothing of json come first: files that were taken along with the others.
    files = sorted(files, key=documents.says_json)
    with ThreadPoolExecutor(_THREADS) as pool:
        looked = list(pool.map(lambda url: _look(source, url), files))
    known = [file for file in looked if file.names]
    strange = [file for file in looked if file.strange is not None]
    for file in strange:
        if not known or not documents.says_json(file.url):
            return file.strange
    texts = source.columns.texts()
    good = [file for file in known if any(file.holds(name) for name in texts)]
    for file in known:
        if file not in good and (not good or not 0 < file.records < _FEW):
            return _missing(file, next((name for name in texts if name in file.names), texts[0]), "text", file.names)
    every = dict.fromkeys(name for file in known for name in file.names)
    wanted = dict.fromkeys(texts, "text")
    if source.columns.url not in (None, "url"):  # the usual name may be missing
        wanted.setdefault(str(source.columns.url), "url")
    for name, role in wanted.items():
        if known and name not in every:
            return _missing(known[0], name, role, every, len(known) - 1)
    return None


def _missing(file: _File, name: str, role: str, names: Iterable[str], more: int = 0) -> SourceError:
    """What is said of a column that a file, and so many others, have not, or not as text."""
    where = f" in its first {file.records} records" if file.records else ""
    if name in file.names:
        return SourceError(
            f"{file.url}: the column {name!r} for {role} is {file.kinds[name]}{where}; a string is wanted"
        )
    where += f", nor in {more} files beside it" if more else ""
    return SourceError(
        f"{file.url}: no column {name!r} for {role}{where}; there are {listed(names)}{meant(name, names)}"
    )


def _look(source: DocumentsSource, url: str) -> _File:
    found = _File(url)
    kind = documents.file_format(source, url)
    try:
        if kind == "parquet":
            _look_at_table(found)
        elif kind == "tar":
            _look_at_tar(found, source)
        elif kind == "jsonl":
            head = head_of(url, HEAD_BYTES)
            for values in objects(head, url):
                found.add(values)
            if not found.records and (what := no_lines(head, url)) is not None:
                found.strange = SourceError(what)
    except SourceError as error:
        found.strange = error
    return found


def _look_at_table(found: _File) -> None:
    try:
        with storage.open_read(found.url) as file:
            schema = pq.ParquetFile(file).schema_arrow
    except UNREADABLE:
        return  # reading will tell
    for name, kind in zip(schema.names, schema.types, strict=True):
        if name in found.names:
            found.kinds[name] = "there twice"
            found.texts.discard(name)
            continue
        found.names[name] = None
        if not holds_text(kind) and not pa.types.is_null(kind):
            found.kinds[name] = str(kind)


def _look_at_tar(found: _File, source: DocumentsSource) -> None:
    """The first objects of the first member of a tar that has any; what is wrong where none of its members is read."""
    url = found.url
    others: list[str] = []
    known = False
    with (
        storage.open_read(url) as raw,
        contextlib.suppress(EOFError, OSError, zstandard.ZstdError),
    ):  # reading will tell
        packed = unpacked(raw, f"{url}.gz" if url.lower().endswith(".tgz") else url)
        for item in read_tar(Bounded(packed, _TAR_BYTES), max_member_bytes=None):
            if isinstance(item, Damage) or item.file is None:
                continue
            if not documents.is_member(source, item.name):
                others.append(item.name)
                continue
            inside = f"{url}/{item.name}"
            if documents.file_format(source, item.name) != "jsonl":
                known = True
                continue
            try:
                for values in objects(head_of_stream(unpacked(item.file, item.name), HEAD_BYTES), inside):
                    found.add(values)
            except SourceError as error:
                found.strange = found.strange or error
                continue
            known = True
            if found.records:
                break
    if known:
        found.strange = None
    elif others and found.strange is None:
        found.strange = SourceError(f"{url}: no member of it is read as documents; there are {listed(others)}")
