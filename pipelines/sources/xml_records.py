"""Records of large XML files, one at a time: the text is cut at the records' tags, and each is parsed by itself.

So a record that is broken costs itself alone, memory is bounded by one record whatever the file holds, and no entity that a file
declares is ever defined: a file that declares any is refused, since nothing that we read needs them and bombs are made of them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from html.entities import html5
from typing import BinaryIO, Final
from xml.parsers import expat

from pipelines.sources.reading import BrokenStreamError, pieces

_XML_ENTITIES: Final = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_REFERENCE: Final = re.compile(rb"&(?:#([0-9]{1,8}|[xX][0-9a-fA-F]{1,7})|([A-Za-z][A-Za-z0-9]{0,31}));|&")
_CONTROLS: Final = bytes.maketrans(bytes(range(9)) + b"\x0b\x0c" + bytes(range(14, 32)), b" " * 29)
_HEAD_BYTES: Final = 1 << 10
_TAIL_BYTES: Final = 64  # longer than any tag or mark that a piece's end may cut
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def _encoding(head: bytes) -> str:
    """The encoding that a file's first bytes declare.

    Raises:
        BrokenStreamError: Python does not know it.
    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if head[:4] in (b"<\x00?\x00", b"\x00<\x00?"):
        return "utf-16-le" if head[0] == 60 else "utf-16-be"
    declared = re.match(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']", head)
    name = declared.group(1).decode("ascii").lower() if declared else "utf-8"
    if name.startswith(("utf-16", "utf16", "utf-32", "utf32", "ucs")):
        return "utf-8"  # what could be read so far is one byte a character, so somebody has transcoded the file
    try:
        info = codecs.lookup(name)
        "".encode(info.name)  # refuses what is no encoding of text
    except (LookupError, ValueError) as error:
        raise BrokenStreamError("unknown_encoding", name) from error
    return info.name


def _utf8(file: BinaryIO) -> Iterator[bytes]:
    """The pieces of a file as UTF-8; what is UTF-8 passes as it is, so that a wrong byte is found with its record."""
    found = pieces(file)
    head = b""
    for piece in found:
        head += piece
        if len(head) >= _HEAD_BYTES:
            break
    encoding = _encoding(head)
    if encoding == "utf-8":
        yield head
        yield from found
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(head).encode("utf-8", "replace")
    for piece in found:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def records(file: BinaryIO, tag: str, limit: int) -> Iterator[bytes | str]:
    """The records of an XML file, from `<tag` to `</tag>`.

    Args:
        file: The file's bytes, decompressed.
        tag: Name of the element that is a record; records do not nest.
        limit: Most bytes of a record.

    Yields:
        The bytes of a record, UTF-8, or the reason (text) for which it is none: `record_too_long`, `malformed_xml` (it never
        ends).

    Raises:
        BrokenStreamError: The file is damaged, ends inside a record (`truncated`), declares an entity
            (`entity_declaration`) or is in an encoding that is not known.
    """
    name = re.escape(tag.encode())
    begin = re.compile(rb"<!--|<!ENTITY|<" + name + rb"(?=[\s>/])", re.I)
    again = re.compile(rb"<" + name + rb"(?=[\s>])", re.I)
    end = re.compile(rb"</" + name + rb"\s*>", re.I)
    held = bytearray()
    state, too_long = "outside", False
    searched = 0  # bytes of `held` in which the end was looked for already
    for piece in _utf8(file):
        held += piece
        while True:
            if state == "outside":
                found = begin.search(held)
                if found is None or found.end() == len(
                    held
                ):  # what follows the name decides, and may be in the next piece
                    del held[: found.start() if found else max(0, len(held) - _TAIL_BYTES)]
                    break
                if found.group()[:8].upper() == b"<!ENTITY":
                    raise BrokenStreamError("entity_declaration", "the file declares entities; such files are refused")
                state = "comment" if found.group() == b"<!--" else "record"
                del held[: found.start()]
                searched = 0
            elif state == "comment":
                at = held.find(b"-->", 4)
                if at < 0:
                    del held[4 : max(4, len(held) - 2)]
                    break
                del held[: at + 3]
                state = "outside"
            else:
                last = end.search(held, max(0, searched - _TAIL_BYTES))
                if last is None:
                    searched = len(held)
                    if too_long or len(held) > limit:
                        too_long = True
                        del held[: max(0, len(held) - _TAIL_BYTES)]
                        searched = 0
                    break
                record = bytes(held[: last.end()])
                del held[: last.end()]
                state = "outside"
                if too_long or len(record) > limit:
                    too_long = False
                    yield "record_too_long"
                    continue
                starts = [match.start() for match in again.finditer(record)] or [0]
                for _ in starts[1:]:
                    yield "malformed_xml"
                yield record[starts[-1] :]
    if state == "record":
        raise BrokenStreamError("truncated", f"the file ends inside <{tag}>")


def _reference(found: re.Match[bytes]) -> bytes:
    number, name = found.groups()
    if number is not None:
        code = int(number[1:], 16) if number[:1] in b"xX" else int(number)
        legal = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
        return found.group() if legal else b" "
    if name is None:
        return b"&amp;"
    if name in _XML_ENTITIES:
        return found.group()
    known = html5.get(f"{name.decode('ascii')};")
    return known.encode() if known is not None and known not in "<&" else b"&amp;" + name + b";"


def parse(
    record: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:
    """Parses one record. Control characters count as spaces; HTML's named characters are known, other names stay as they are.

    Raises:
        BrokenStreamError: The record is no XML, or not UTF-8.
    """
    record = record.translate(_CONTROLS)
    if b"&" in record:
        record = _REFERENCE.sub(_reference, record)
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(record, True)
    except expat.ExpatError as error:
        try:
            record.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise BrokenStreamError("invalid_utf8", str(fault)) from error
        raise BrokenStreamError("malformed_xml", str(error)) from error
