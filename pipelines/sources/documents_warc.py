"""Reads WARC archives: FastWARC takes the records apart, resiliparse makes text of the pages.

Documents are `response` records with HTML; those with another content or another status than 200 are dropped by name, and what is
no response (requests, metadata) is no record of ours.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import zstandard

from pipelines.sources.documents_rows import Rows
from pipelines.sources.reading import Reading, SourceError
from pipelines.sources.spec import DocumentsSource

_HTML = ("text/html", "application/xhtml+xml")
_MAX_DEPTH = 400
"""Elements inside each other; the time that extraction takes grows with the square of it."""
_LEAST_HEADER = 100  # bytes
_TAG = re.compile(rb"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_UNCOUNTED = frozenset(  # elements without an end, and those whose end may be left out
    b"area base br col embed hr img input link meta param source track wbr "
    b"p li td th tr dt dd option optgroup thead tbody tfoot".split()
)


class _Pieces:
    """A file as FastWARC reads it: remembers what a damaged stream raised."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read = getattr(file, "read1", file.read)
        self.fault: tuple[str, Exception] | None = None
        self._at = 0
        self._tail = b""
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        if self.fault is not None:
            return b""
        try:
            piece: bytes = self._read(size if 0 < size < 1 << 16 else 1 << 16)
        except EOFError as error:
            self.fault = ("truncated", error)
        except (OSError, zlib.error, zstandard.ZstdError) as error:
            self.fault = ("corrupt", error)
        else:
            self._at += len(piece)
            self._tail = (self._tail + piece)[-4:]
            self._ended = not piece
            return piece
        return b""

    def cuts(self, record: Any) -> bool:
        """Whether the file, not packed, ends inside this record, of which FastWARC says nothing."""
        if not self._ended or self._tail.endswith((b"\n\n", b"\r\n\r\n")):
            return False
        length = record.headers.get("Content-Length") or ""
        return not length.isdigit() or record.stream_pos + _LEAST_HEADER + int(length) > self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()


def read(source: DocumentsSource, file: BinaryIO, path: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Reads one file; see `documents.read`. A document's origin names its record, from 1.

    Raises:
        SourceError: FastWARC or resiliparse is not installed.
    """
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ImportError as error:
        raise SourceError(
            f"{path}: reading WARC needs the extra `web`: pip install 'pixelpairs[web]' ({error})"
        ) from error
    rows = Rows()
    number, before = 0, reading.records
    pieces = _Pieces(file)
    # Its stub asks for seek, of which reading in order makes no use.
    records = ArchiveIterator(pieces, parse_http=True, auto_decode="all", strict_mode=False)  # type: ignore[arg-type]
    while True:
        try:
            record = next(records, None)
        except Exception as error:  # what a hostile header makes a native reader raise is its own affair
            if pieces.fault is None:
                pieces.fault = ("malformed_warc", error)
            break
        if record is None:
            break
        number += 1
        if record.record_type != WarcRecordType.response:
            continue
        at = f"record {number}"
        if pieces.fault is None and pieces.cuts(record):
            pieces.fault = ("truncated", EOFError("the file ends inside the record after this one"))
        if pieces.fault is not None and record.http_headers is None:
            number -= 1
            break
        if record.http_headers is None or record.http_headers.status_code != 200:
            reading.drop("not_answered")
            continue
        if (record.http_content_type or "").lower() not in _HTML:
            reading.drop("not_html")
            continue
        try:
            body = _body(record, source.max_record_bytes)
        except Exception as error:
            reading.error(path, at, "malformed_warc", error)
            continue
        if pieces.fault is None and pieces.cuts(record):
            pieces.fault = ("truncated", EOFError("the file ends inside the record after this one"))
        if pieces.fault is not None:
            number -= 1
            break  # the record is cut; said below
        if body is None:
            reading.error(path, at, "document_too_long", f"more than {source.max_record_bytes} bytes")
            continue
        text = _page(body, record, path, at, reading)
        if text is None:
            continue
        reading.records += 1
        full = rows.add(f"{reading.source}/{path}#{number}", record.headers.get("WARC-Target-URI"), text)
        if full is not None:
            yield full
    if pieces.fault is not None:
        reading.error(path, f"after record {number}", *pieces.fault)
    elif number == 0:
        reading.error(path, "file", "empty_file" if pieces.tell() == 0 else "malformed_warc", "no WARC record")
    elif reading.records == before:
        reading.error(
            path, "file", "no_documents", f"{number} records, and no answer of a server (response) among them"
        )
    if len(rows):
        yield rows.batch()


def _body(record: Any, limit: int) -> bytes | None:
    """A page's bytes, decoded; None where they are more than `limit`."""
    gathered, size = [], 0
    while piece := record.reader.read(1 << 16):
        size += len(piece)
        if size > limit:
            return None
        gathered.append(piece)
    return b"".join(gathered)


def _page(body: bytes, record: Any, path: str, at: str, reading: Reading) -> str | None:
    """The main text of a page, a block a line."""
    try:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.encoding import bytes_to_str, detect_encoding
    except ImportError as error:
        raise SourceError(
            f"{path}: reading WARC needs the extra `web`: pip install 'pixelpairs[web]' ({error})"
        ) from error
    if _depth(body) > _MAX_DEPTH:
        reading.error(path, at, "html_too_deep", f"more than {_MAX_DEPTH} elements inside each other")
        return None
    try:
        declared = record.http_charset
        html = bytes_to_str(body, declared or detect_encoding(body) or "utf-8")
        return str(extract_plain_text(html, main_content=True, alt_texts=False, noscript=False, comments=False))
    except Exception as error:
        reading.error(path, at, "malformed_html", error)
        return None


def _depth(body: bytes) -> int:
    """How many elements lie inside each other at most, about."""
    depth = most = 0
    for close, name in _TAG.findall(body):
        if name.lower() in _UNCOUNTED:
            continue
        depth = max(0, depth - 1) if close else depth + 1
        most = max(most, depth)
    return most
