"""Reads documents: json lines (C4, mC4, OSCAR, RedPajama and the like), parquet, plain text, WET, WARC, and tars of such files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import orjson
import pyarrow as pa

from pipelines import storage
from pipelines.sources import documents_parquet, documents_text, documents_warc, documents_wet
from pipelines.sources.documents_rows import BATCH_ROWS, ROWS, Rows
from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    bounded_lines,
    json_fault,
    json_value,
    text_of,
)
from pipelines.sources.spec import DocumentsSource
from pipelines.sources.tarstream import Damage, read_tar
from pipelines.sources.unpacking import ENDINGS, unpacked

__all__ = ["BATCH_ROWS", "ROWS", "file_format", "read"]

_COMPRESSED = re.compile("|".join(re.escape(ending) + "$" for ending in ENDINGS))


_TAR = (".tar", ".tgz")
_JSON = (".json", ".jsonl", ".jsonlines", ".ndjson")


def _bare(name: str) -> str:
    """A file's name in small letters, without its folder and without the ending that compression gives it."""
    return _COMPRESSED.sub("", name.lower().rsplit("/", 1)[-1])


def file_format(source: DocumentsSource, name: str) -> str:
    """How a file is read: `tar` by its name; else as the recipe says, or by its name (`.parquet`, `.wet`, `.warc`, `.txt`); else
    json lines."""
    bare = _bare(name)
    if bare.endswith(_TAR):
        return "tar"
    if source.format != "auto":
        return source.format
    if bare.endswith(".parquet"):
        return "parquet"
    if bare.endswith((".wet", ".wet.txt")):
        return "wet"
    if bare.endswith(".warc"):
        return "warc"
    return "text" if bare.endswith(".txt") else "jsonl"


def says_json(name: str) -> bool:
    """Whether a file's name says that it is JSON lines, or says nothing."""
    bare = _bare(name)
    return bare.endswith(_JSON) or "." not in bare


def is_member(source: DocumentsSource, name: str) -> bool:
    """Whether a member of a tar is read: its name says what it holds, or the recipe does, and it is not hidden."""
    bare = _bare(name)
    known = bare.endswith((*_JSON, ".txt", ".wet", ".warc", ".parquet"))
    return (known or source.format != "auto") and not bare.startswith((".", "_"))


def read(source: DocumentsSource, url: str, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file.

    Args:
        source: The recipe's words on the source.
        url: Where the file lies.
        path: Its name relative to the source, for origins and errors.
        reading: Counts and logs.

    Yields:
        Batches of `ROWS`, at most `BATCH_ROWS` rows.
    """
    kind = file_format(source, path)
    if kind == "parquet":
        yield from documents_parquet.read(source, url, path, reading)
        return
    with storage.open_read(url) as raw:
        if kind == "tar":
            packed = f"{url}.gz" if url.lower().endswith(".tgz") else url
            yield from _members(source, unpacked(raw, packed), path, reading)
        else:
            yield from _stream(kind, source, unpacked(raw, url), path, reading)


def _stream(
    kind: str, source: DocumentsSource, file: BinaryIO, path: str, reading: Reading
) -> Iterator[pa.RecordBatch]:
    """Reads a file that need not be seekable."""
    readers = {"text": documents_text.read, "wet": documents_wet.read, "warc": documents_warc.read}
    return readers.get(kind, _json_lines)(source, file, path, reading)


def _members(source: DocumentsSource, file: BinaryIO, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads the files of a tar: those whose names say what they hold, or all, where the recipe says it.

    A member that is none of these, or is hidden, is dropped as `not_documents`. Parquet, which is read from its end, is an error.
    """
    try:
        for item in read_tar(file, max_member_bytes=None):
            if isinstance(item, Damage):
                reading.error(path, f"member {item.name or '?'} at byte {item.offset}", item.reason, item.detail)
                continue
            assert item.file is not None
            if not is_member(source, item.name):
                reading.drop("not_documents")
                continue
            kind = file_format(source, item.name)
            inside = f"{path}/{item.name}"
            if kind in ("tar", "parquet"):
                reading.error(inside, "file", "unreadable_member", f"a {kind} file inside a tar is not read; unpack it")
                continue
            yield from _stream(kind, source, unpacked(item.file, item.name), inside, reading)
    except EOFError as error:
        reading.error(path, "file", "truncated", error)
    except OSError as error:
        reading.error(path, "file", "corrupt", error)


def _json_lines(source: DocumentsSource, file: BinaryIO, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    names = source.columns.texts()
    field = source.columns.url
    prefix = f"{reading.source}/{path}#"
    rows = Rows()
    number = 0
    try:
        for line in bounded_lines(file, source.max_record_bytes):
            number += 1
            if line is None:
                reading.error(path, f"line {number}", "line_too_long", f"more than {source.max_record_bytes} bytes")
                continue
            if number == 1:
                line = line.removeprefix(BOM)
            if not line or line.isspace():
                continue  # an empty line between records is no record
            try:
                record = json_value(line)
            except orjson.JSONDecodeError as error:
                reading.error(path, f"line {number}", json_fault(line), error)
                continue
            found = (
                [record[name] for name in names if isinstance(record.get(name), str)]
                if isinstance(record, dict)
                else []
            )
            if not found:
                reading.error(path, f"line {number}", "no_text", f"no string in field {' or '.join(names)}")
                continue
            reading.records += 1
            full = rows.add(f"{prefix}{number}", text_of(record.get(field)) if field else None, "".join(found))
            if full is not None:
                yield full
    except BrokenStreamError as error:
        reading.error(path, f"after line {number}", error.reason, error)
    else:
        if number == 0:
            reading.error(path, "file", "empty_file", "no lines")
    if len(rows):
        yield rows.batch()
