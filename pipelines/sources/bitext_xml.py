"""Translation memories (TMX), WMT's XML and WMT's older SGM."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from pipelines.sources import xml_records
from pipelines.sources.bitext_rows import Row, best, identified, likeness, versions
from pipelines.sources.reading import BrokenStreamError, Reading, SourceError, open_decompressed, pieces
from pipelines.sources.spec import BitextSource

_CODES: Final = frozenset({"bpt", "ept", "ph", "it", "ut", "sub"})
"""TMX elements that hold the codes of the program that a text came from; `hi` and its like hold text."""
_DOCUMENT_TIMES: Final = 16  # a document with all its references and systems, against one line of text
_SGM_BYTES: Final = 512 << 20


class _Unit:
    """Gathers one `tu`: its versions with their languages."""

    def __init__(self) -> None:
        self.ident: str | None = None
        self.texts: list[tuple[str | None, str]] = []
        self._lang: str | None = None
        self._parts: list[str] | None = None
        self._codes = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.lower()
        if name == "tu":
            self.ident = attributes.get("tuid")
        elif name == "tuv":
            self._lang = attributes.get("xml:lang") or attributes.get("lang")
        elif name == "seg":
            self._parts = []
        elif name in _CODES:
            self._codes += 1

    def end(self, name: str) -> None:
        name = name.lower()
        if name == "seg" and self._parts is not None:
            self.texts.append((self._lang, "".join(self._parts)))
            self._parts = None
        elif name in _CODES:
            self._codes -= 1

    def text(self, data: str) -> None:
        if self._parts is not None and not self._codes:
            self._parts.append(data)


def read_tmx(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads a translation memory: of each unit the versions in the two languages, whatever their region."""

    def rows(record: bytes, number: int, at: str) -> Iterator[Row]:
        unit = _Unit()
        xml_records.parse(record, unit.start, unit.end, unit.text)
        place = identified(str(number), unit.ident)
        yield from versions(unit.texts, source.languages, reading, path, at, place)

    for number, record in _records(url, "tu", source.max_record_bytes, path, reading):
        at = f"unit {number}"
        try:
            yield from rows(record, number, at)
        except BrokenStreamError as error:
            reading.error(path, at, error.reason, error)


def _records(url: str, tag: str, limit: int, path: str, reading: Reading) -> Iterator[tuple[int, bytes]]:
    """The sound records of a file with their numbers, from 1; logs the others."""
    number = 0
    try:
        with open_decompressed(url) as file:
            for record in xml_records.records(file, tag, limit):
                number += 1
                if isinstance(record, str):
                    reading.error(path, f"<{tag}> {number}", record, f"at most {limit} bytes, ended by </{tag}>")
                else:
                    yield number, record
    except BrokenStreamError as error:
        reading.error(path, f"after <{tag}> {number}" if number else "file", error.reason, error)
    else:
        if number == 0:
            reading.error(path, "file", "empty_file", f"no <{tag}>")


# --- WMT's XML -------------------------------------------------------------------------------------------------------------------


class _Document:
    """Gathers one `doc`: the segments of its source and of each reference; `hyp` is what systems made."""

    def __init__(self) -> None:
        self.ident = ""
        self.versions: list[tuple[str, str | None, str, dict[str, str]]] = []  # what, language, translator, id -> text
        self._segments: dict[str, str] | None = None
        self._id = ""
        self._parts: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "doc":
            self.ident = attributes.get("id") or attributes.get("docid") or ""
        elif name in ("src", "ref", "hyp"):
            self._segments = {}
            who = attributes.get("translator") or attributes.get("system") or ""
            self.versions.append((name, attributes.get("lang"), who, self._segments))
        elif name == "seg" and self._segments is not None:
            self._id, self._parts = attributes.get("id") or str(len(self._segments) + 1), []

    def end(self, name: str) -> None:
        if name == "seg" and self._segments is not None and self._parts is not None:
            self._segments[self._id] = "".join(self._parts)
            self._parts = None
        elif name in ("src", "ref", "hyp"):
            self._segments = None

    def text(self, data: str) -> None:
        if self._parts is not None:
            self._parts.append(data)


def read_wmt_xml(source: BitextSource, url: str, path: str, reading: Reading) -> Iterator[Row]:
    """Reads WMT's XML: each segment of a source with each of its references. Hypotheses are machine output and no pairs."""
    limit = source.max_record_bytes * _DOCUMENT_TIMES
    for number, record in _records(url, "doc", limit, path, reading):
        document = _Document()
        at = f"document {number}"
        try:
            xml_records.parse(record, document.start, document.end, document.text)
        except BrokenStreamError as error:
            reading.error(path, at, error.reason, error)
            continue
        yield from _document_rows(source, document, document.ident or str(number), path, reading)


def _document_rows(source: BitextSource, document: _Document, ident: str, path: str, reading: Reading) -> Iterator[Row]:
    at = f"document {ident}"
    sources = [version for version in document.versions if version[0] == "src"]
    references = [version for version in document.versions if version[0] == "ref"]
    if len(sources) != 1 or not references:
        reading.error(path, at, "one_sided", f"{len(sources)} sources, {len(references)} references")
        return
    _, tag, _, texts = sources[0]
    wanted = source.languages
    side = max((0, 1), key=lambda number: likeness(wanted[number], tag))  # the source may be the recipe's right side
    answers = [version for version in references if likeness(wanted[1 - side], version[1])]
    if not likeness(wanted[side], tag) or not answers:
        tags = ", ".join(sorted({str(version[1]) for version in references}))
        reading.error(path, at, "other_language", f"{tag} to {tags}; wanted {' and '.join(wanted)}")
        return
    for _, _, translator, reference in answers:
        for segment, text in texts.items():
            if segment not in reference:
                reading.error(path, f"{at} segment {segment}", "one_sided", f"not in reference {translator}")
                continue
            reading.records += 1
            pair = (text, reference[segment]) if side == 0 else (reference[segment], text)
            yield identified(ident, segment, translator), *pair
        for segment in reference:
            if segment not in texts:
                reading.error(path, f"{at} segment {segment}", "one_sided", "not in the source")


# --- WMT's SGM -------------------------------------------------------------------------------------------------------------------

_SGM: Final = re.compile(
    r"<(?P<set>srcset|refset|tstset)\b(?P<of_set>[^>]*)>|<doc\b(?P<of_doc>[^>]*)>"
    r"|<seg\b(?P<of_seg>[^>]*)>(?P<text>.*?)(?:</seg\s*>|(?=<seg\b|</?doc\b|</(?:src|ref)set\b))",
    re.I | re.S,
)
_ATTRIBUTE: Final = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): a or b or c for name, a, b, c in _ATTRIBUTE.findall(text)}


def _sgm(url: str, path: str, reading: Reading) -> dict[tuple[str, str], list[str]]:
    """(document, segment) -> its texts: several where several people translated it.

    Raises:
        SourceError: The file is too large for a test set, or holds what systems made.
    """
    data = bytearray()
    name = url.rsplit("/", 1)[-1]
    try:
        with open_decompressed(url) as file:
            for piece in pieces(file):
                data += piece
                if len(data) > _SGM_BYTES:
                    raise SourceError(f"{url}: more than {_SGM_BYTES >> 20} MiB; SGM is for test sets")
    except BrokenStreamError as error:
        reading.error(path, "file", error.reason, f"{name}: {error}")
    try:
        whole = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reading.error(path, "file", "invalid_utf8", f"{name}: {error}")
        whole = data.decode("utf-8", "replace")  # what is destroyed is seen by the rule mojibake
    found: dict[tuple[str, str], list[str]] = {}
    document, number = "", 0
    for match in _SGM.finditer(whole):
        if match["set"]:
            if match["set"].lower() == "tstset":
                raise SourceError(f"{url}: holds what systems made (tstset), not references")
            continue
        if match["of_doc"] is not None:
            document, number = _attributes(match["of_doc"]).get("docid", ""), 0
            continue
        number += 1
        segment = _attributes(match["of_seg"]).get("id") or str(number)
        text = html.unescape(_TAG.sub("", match["text"]))
        found.setdefault((document, segment), []).append(" ".join(text.split()))
    if not found:
        reading.error(path, "file", "empty_file", f"{name}: no <seg>")
    return found


def read_sgm(
    source: BitextSource, left_url: str, right_url: str, path: str, reading: Reading, mark: str = ""
) -> Iterator[Row]:
    """Reads a source and its references, matched by document and segment. SGM is no XML: `&` and `<` may stand for themselves.

    Raises:
        SourceError: A file is too large for a test set, or holds what systems made.
    """
    left, right = _sgm(left_url, path, reading), _sgm(right_url, path, reading)
    tags = source.languages
    for key in [*left, *(key for key in right if key not in left)]:
        texts = [(tags[0], text) for text in left.get(key, [])] + [(tags[1], text) for text in right.get(key, [])]
        place = identified(key[0], key[1]) + mark
        if (
            best(tags[0], texts)
            and best(tags[1], texts)
            and max(map(len, (t for _, t in texts))) > source.max_record_bytes
        ):
            reading.error(path, f"document {key[0]} segment {key[1]}", "text_too_long", "")
            continue
        yield from versions(texts, tags, reading, path, f"document {key[0]} segment {key[1]}", place)
