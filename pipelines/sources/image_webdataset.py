"""Records of WebDataset tars: photographs with texts, as img2dataset and others write them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pairs.images import ImageError
from pipelines import storage
from pipelines.sources.image_columns import Columns, RecordColumns
from pipelines.sources.image_records import Text, checked_image, facts_of, texts_of, too_long
from pipelines.sources.json_heads import is_there
from pipelines.sources.reading import BOM, Bounded, Reading, SourceError, json_value, listed, meant, open_decompressed
from pipelines.sources.spec import ImageTextSource
from pipelines.sources.tarstream import Damage, Member, read_tar
from pipelines.sources.unpacking import ENDINGS

_IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "jxl", "ppm", "ico")
NOT_AT_RANDOM = "a compressed tar cannot be read at random; unpack it, or name plain .tar files"
"""What is said of a source that is one."""

_LOOK_SAMPLES = 20
_LOOK_BYTES = 32 << 20


def read_webdataset(source: ImageTextSource, url: str, path: str, reading: Reading) -> Iterator[dict[str, Any]]:
    """Samples of a tar: neighbouring members with one name up to the first dot, as webdataset groups them."""
    limit = max(source.max_image_bytes, source.max_record_bytes)
    columns_of = RecordColumns(source, url, first="txt")
    seekable = not url.lower().endswith((*ENDINGS, ".tgz"))
    sample: dict[str, Member] = {}
    current = ""
    broken: str | None = None
    seen: set[str] = set()
    with open_decompressed(url) as file:
        if not seekable:
            raise SourceError(f"{url}: {NOT_AT_RANDOM}")
        for item in read_tar(file, max_member_bytes=limit):
            if isinstance(item, Damage):
                key = _split(item.name)[0] if item.name else ""
                if key and key == current:
                    broken = item.reason  # the sample loses a member: one record in error, logged when the sample ends
                else:
                    reading.error(path, f"member {item.name or '?'} at byte {item.offset}", item.reason, item.detail)
                continue
            key, extension = _split(item.name)
            if not extension or key.endswith("/") or not key:
                continue  # no member of a sample: without an extension, or hidden
            if key != current:
                yield from _sample(source, columns_of, path, current, sample, broken, seen, reading)
                current, sample, broken = key, {}, None
            if extension in sample:
                broken = "duplicate_member"
            # Only what is used is kept, so that a sample of very many members does not fill the memory.
            used = extension in ("txt", "json") or (extension in _IMAGE_EXTENSIONS and not _pictures(sample))
            sample[extension] = item if used else replace(item, data=None)
        yield from _sample(source, columns_of, path, current, sample, broken, seen, reading)


def fault(source: ImageTextSource, files: Sequence[str]) -> SourceError | None:
    """Looks at the first samples of tar after tar until each column that the recipe names, or else any text, has been seen.

    Args:
        source: The recipe's words.
        files: URLs of the tars.

    Returns:
        What is wrong: a column that no sample has, or no text in any.
    """
    names: dict[str, None] = {}
    members: set[str] = set()
    seen: set[str] = set()
    texts = False
    samples = 0
    first: str | None = None
    missing: list[tuple[str, str]] = []
    for url in files:
        columns_of = RecordColumns(source, url, first="txt")
        for sample in _first_samples(source, url):
            first = first or url
            samples += 1
            fields = _told(sample)
            names |= dict.fromkeys(fields)
            members |= set(sample)
            there = {(role, ".".join(path)) for role, path in columns_of(fields).paths() if is_there(fields, path)}
            seen |= {column for _, column in there}
            texts = texts or any(role == "text" for role, _ in there)
        wanted = [(role, ".".join(path)) for role, path in columns_of(names).paths() if role != "image"]
        missing = [(role, column) for role, column in wanted if column not in seen]
        if texts and not missing and any(name in _IMAGE_EXTENSIONS for name in members):
            return None
    if first is None:
        return None
    has = f"there are members {listed(sorted(members))} and json fields {listed(names)}"
    if not any(name in _IMAGE_EXTENSIONS for name in members):
        return SourceError(f"{first}: no picture in its first {samples} samples; {has}")
    for role, column in missing:
        return SourceError(
            f"{first}: no column {column!r} for {role} in its first {samples} samples; {has}; a column is the txt member (txt) or "
            f"a json field{meant(column, [*names, 'txt'] if 'txt' in members else names)}"
        )
    return SourceError(f"{first}: no text in its first {samples} samples; {has}; name a field in columns.text")


def _first_samples(source: ImageTextSource, url: str) -> Iterator[dict[str, Member]]:
    """The first whole samples of a tar, as far as they can be read: pictures without their bytes."""
    sample: dict[str, Member] = {}
    current, count = "", 0
    with storage.open_read(url) as file, contextlib.suppress(EOFError, OSError):
        for item in read_tar(Bounded(file, _LOOK_BYTES), max_member_bytes=source.max_record_bytes):
            if isinstance(item, Damage):
                continue
            key, extension = _split(item.name)
            if not extension or key.endswith("/") or not key:
                continue
            if key != current and sample:
                yield sample
                count += 1
                if count == _LOOK_SAMPLES:
                    return
                sample = {}
            current = key
            sample[extension] = item if extension in ("txt", "json") else replace(item, data=None)
    if sample:
        yield sample


def _told(sample: Mapping[str, Member]) -> dict[str, Any]:
    """The json's fields, and `txt` where the member is there; none where they cannot be read."""
    try:
        fields = _json_fields(sample.get("json"))
    except ValueError:
        fields = {}
    return {"txt": "", **fields} if "txt" in sample else fields


def _split(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def _pictures(sample: Mapping[str, Member]) -> list[str]:
    return [name for name in sample if name in _IMAGE_EXTENSIONS]


def _sample(
    source: ImageTextSource,
    columns_of: RecordColumns,
    path: str,
    key: str,
    sample: Mapping[str, Member],
    broken: str | None,
    seen: set[str],
    reading: Reading,
) -> Iterator[dict[str, Any]]:
    if not sample:
        return
    begin = next(iter(sample.values())).offset
    # A name may come again in joined archives: told apart by place (a name has no dot after its last slash, so this is none).
    origin = f"{path}#{key}" + (f".b{begin}" if key in seen else "")
    seen.add(key)
    at = f"sample {key}"
    if broken is not None:
        detail = "two members have one name" if broken == "duplicate_member" else "a member of this sample is damaged"
        reading.error(path, at, broken, detail)
        return
    pictures = _pictures(sample)
    if not pictures:
        reading.error(path, at, "no_image", f"members: {', '.join(sorted(sample))}")
        return
    member = sample[pictures[0]]
    try:
        fields = _json_fields(sample.get("json"))
        columns, texts = _member_texts(columns_of, sample, fields)
    except ValueError as error:
        reading.error(path, at, "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "malformed_text", error)
        return
    if (length := too_long(source, texts)) is not None:
        reading.error(path, at, "text_too_long", f"{length} bytes")
        return
    try:
        image = checked_image(source, member.data, member.length, f"source:{path}", member.offset)
    except ImageError as error:
        reading.error(path, at, error.reason, error)
        return
    reading.records += 1
    yield {"at": origin, "texts": texts, "image": image, **facts_of(columns, fields)}


def _json_fields(member: Member | None) -> dict[str, Any]:
    if member is None:
        return {}
    if member.data is None:
        raise ValueError(f"json of {member.length} bytes")
    fields = json_value(member.data)
    return fields if isinstance(fields, dict) else {}


def _member_texts(
    columns_of: RecordColumns, sample: Mapping[str, Member], fields: dict[str, Any]
) -> tuple[Columns, list[Text]]:
    """Where the json's roles are, and the sample's texts: what the recipe names, else the txt member before the json's caption."""
    member = sample.get("txt")
    if member is not None and "txt" not in fields:
        if member.data is None:
            raise ValueError(f"text of {member.length} bytes")
        fields["txt"] = member.data.removeprefix(BOM).decode("utf-8")
    columns = columns_of(fields)
    return columns, texts_of(columns, fields)
