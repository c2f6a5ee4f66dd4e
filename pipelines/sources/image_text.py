"""Reads photographs with alt-texts: parquet, WebDataset tars, and CSV/TSV or parquet tables without photographs.

A record is an image with its texts (or a row of a table); what is handed on is a row per text, columns `ROWS`. Photographs' bytes
are checked here once, and go to a blob file beside the table (tars: they stay where they are and are pointed at).
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pairs.images import ImageError, probe
from pairs.keys import content_key
from pairs.schema import IMAGE_REF
from pipelines import storage
from pipelines.sources.reading import (
    BOM,
    BrokenStreamError,
    Reading,
    SourceError,
    bounded_lines,
    open_decompressed,
    text_of,
)
from pipelines.sources.spec import ImageTextSource
from pipelines.sources.tarstream import Damage, Member, read_tar

ROWS = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("lang_hint", pa.string()),
        pa.field("image", IMAGE_REF),
    ]
)
BATCH_ROWS = 16_384  # the rules' patterns are compiled once a batch: with fewer rows that is half of the work
_PHOTOGRAPH_ROWS = 1024  # where photographs are decoded that is no part of it, and progress shows more often
_BATCH_CHARACTERS = 16 << 20  # or so many characters of text: bounds the memory
UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError)
"""What opening and reading a hostile parquet file raises."""
_PARQUET_BATCH = 256  # records at once: bounds the photographs in memory
UNIT_ROWS = 50_000  # records of parquet per unit of work
_USUAL = {
    "image": ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes"),
    "text": ("caption", "text", "alt", "alt_text", "txt", "title"),
    "texts": ("texts", "captions"),
    "url": ("url", "image_url"),
    "language": ("lang", "language"),
}
_IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "jxl", "ppm", "ico")


def plan(source: ImageTextSource, url: str) -> list[dict[str, Any]]:
    """Cuts one file into units of work: row-group ranges of a parquet file, whole files otherwise.

    Raises:
        SourceError: A column that the recipe names is not in a parquet file's schema.
    """
    if file_format(source, url) != "parquet":
        return [{}]
    try:
        with storage.open_read(url) as file:
            parquet = pq.ParquetFile(file)
            _parquet_columns(source, url, parquet.schema_arrow)
            groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
    except UNREADABLE:
        return [{}]  # the unit itself logs what is wrong with the file
    units: list[dict[str, Any]] = []
    first, rows = 0, 0
    for index, count in enumerate(groups):
        rows += count
        if rows >= UNIT_ROWS or index == len(groups) - 1:
            units.append({"groups": [first, index + 1]})
            first, rows = index + 1, 0
    return units or [{}]


def has_images(source: ImageTextSource, url: str) -> bool | None:
    """Tells whether a file brings photographs; None for one that cannot be opened."""
    kind = file_format(source, url)
    if kind != "parquet":
        return kind == "webdataset"
    try:
        with storage.open_read(url) as file:
            return "image" in _parquet_columns(source, url, pq.ParquetFile(file).schema_arrow)
    except UNREADABLE:
        return None


def file_format(source: ImageTextSource, url: str) -> str:
    """The format of one file: as the recipe says, else by its name.

    Raises:
        SourceError: The name tells nothing.
    """
    if source.format != "auto":
        return source.format
    name = PurePosixPath(url).name.lower().removesuffix(".gz").removesuffix(".zst")
    formats = ((".parquet", "parquet"), (".tar", "webdataset"), (".csv", "csv"), (".tsv", "tsv"))
    for ending, result in formats:
        if name.endswith(ending):
            return result
    raise SourceError(f"{url}: format unknown; name it in the recipe (format: parquet | webdataset | csv | tsv)")


def read(
    source: ImageTextSource,
    url: str,
    path: str,
    unit: Mapping[str, Any],
    reading: Reading,
    blob: storage.AtomicFile,
    blob_ref: str,
    seed: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Reads one unit of work.

    Args:
        source: The recipe's words on the source.
        url: Where the file lies.
        path: Its name relative to the source, for origins and errors.
        unit: One of `plan`'s.
        reading: Counts and logs.
        blob: Takes the bytes of photographs that do not lie in a tar.
        blob_ref: What an image's `part` says for bytes in `blob`.
        seed: The recipe's, for sources that draw one of an image's texts.

    Yields:
        Batches of `ROWS`, at most `BATCH_ROWS` rows and a few more.
    """
    kind = file_format(source, url)
    if kind == "webdataset":
        records = _webdataset(source, url, path, reading)
    elif kind == "parquet":
        records = _parquet(source, url, path, unit, reading, blob, blob_ref)
    else:
        records = _delimited(source, url, path, reading, "," if kind == "csv" else "\t")
    rows: list[dict[str, Any]] = []
    characters = 0
    for record in records:
        more = _rows_of(source, reading.source, record, seed)
        rows.extend(more)
        characters += sum(len(row["text"] or "") for row in more)
        most = BATCH_ROWS if record["image"] is None else min(BATCH_ROWS, _PHOTOGRAPH_ROWS)
        if len(rows) >= most or characters >= _BATCH_CHARACTERS:
            yield pa.RecordBatch.from_pylist(rows, schema=ROWS)
            rows, characters = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=ROWS)


def _rows_of(source: ImageTextSource, name: str, record: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """One row per distinct text, or of the one that is asked for.

    A record without any gives one row with null, for the rules to count.
    """
    texts: dict[str, str | None] = {}
    for lang, text in record["texts"]:
        if text is not None:
            texts.setdefault(text, lang)
            if source.texts == "first":
                break
    if source.texts == "one" and len(texts) > 1:
        # By what the picture is, so that its copies in other files get the same text.
        image = record["image"]["sha256"] if record["image"] is not None else record["url"] or record["at"]
        drawn = min(texts, key=lambda text: content_key(str(seed), "texts", image, text))
        texts = {drawn: texts[drawn]}
    chosen: Sequence[tuple[str | None, str | None]] = list(texts.items()) or [(None, None)]
    return [
        {
            "origin": f"{name}/{record['at']}" + (f".{number}" if number else ""),
            "url": record["url"],
            "text": text,
            "lang_hint": lang,
            "image": record["image"],
        }
        for number, (text, lang) in enumerate(chosen)
    ]


def _several(value: Any) -> list[tuple[str | None, str | None]]:
    """(language, text) of a list of strings, a list of {lang, text}, a mapping, or one string."""
    if isinstance(value, str):
        return [(None, value)]
    if isinstance(value, Mapping):
        return [(str(lang), text_of(text)) for lang, text in value.items()]
    found: list[tuple[str | None, str | None]] = []
    for item in value if isinstance(value, list | tuple) else []:
        if isinstance(item, Mapping):
            found.append((text_of(item.get("lang")), text_of(item.get("text"))))
        elif isinstance(item, tuple) and len(item) == 2:
            found.append((text_of(item[0]), text_of(item[1])))
        else:
            found.append((None, text_of(item)))
    return found


def _too_long(source: ImageTextSource, texts: Sequence[tuple[str | None, str | None]]) -> int | None:
    """Length in bytes of a text above the bound, None where all are within it."""
    for _, text in texts:
        if text is not None and len(text) > source.max_record_bytes // 4:
            length = len(text.encode("utf-8", "surrogatepass"))
            if length > source.max_record_bytes:
                return length
    return None


def _image(source: ImageTextSource, data: bytes | None, length: int, part: str, offset: int) -> dict[str, Any]:
    """The reference to a photograph whose bytes were checked.

    Raises:
        ImageError: The bytes are not a picture that can be published.
    """
    if data is None or length > source.max_image_bytes:
        raise ImageError("too_many_bytes", f"{length} bytes")
    facts = probe(data, max_pixels=source.max_image_pixels)
    return {
        "part": part,
        "offset": offset,
        "length": length,
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "sha256": hashlib.sha256(data).hexdigest(),
        "phash": facts.phash,
    }


# --- parquet -----------------------------------------------------------------------------------------------------------------


def _parquet_columns(source: ImageTextSource, url: str, schema: pa.Schema) -> dict[str, str]:
    """Role -> column name, for the roles that the file has."""
    lower = {name.lower(): name for name in reversed(schema.names)}
    found: dict[str, str] = {}
    for role, usual in _USUAL.items():
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


def _parquet(
    source: ImageTextSource,
    url: str,
    path: str,
    unit: Mapping[str, Any],
    reading: Reading,
    blob: storage.AtomicFile,
    blob_ref: str,
) -> Iterator[dict[str, Any]]:
    try:
        file = pq.ParquetFile(storage.open_read(url))
        schema = file.schema_arrow
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if min(counts, default=0) < 0 or sum(counts) != file.metadata.num_rows:
            raise ValueError(f"the footer says {file.metadata.num_rows} rows, its row groups {counts}")
    except UNREADABLE as error:
        reading.error(path, "file", "corrupt", error)
        return
    columns = _parquet_columns(source, url, schema)
    first, last = unit.get("groups", [0, len(counts)])
    for group in range(first, last):
        row = sum(counts[:group])
        end = row + counts[group]
        batches = file.iter_batches(_PARQUET_BATCH, row_groups=[group], columns=sorted(set(columns.values())))
        fault: object = "the row group holds fewer rows than the footer says"
        while row < end:
            try:
                batch = next(batches)
            except StopIteration:
                break
            except UNREADABLE as error:
                fault = error
                break
            for values in _parquet_rows(batch.slice(0, end - row), columns, path, row, reading):
                if values is not None:
                    record = _parquet_record(source, columns, values, path, row, reading, blob, blob_ref)
                    if record is not None:
                        yield record
                row += 1
        if row < end:
            reading.error(path, f"rows {row}-{end - 1}", "corrupt", fault, rows=end - row)


def _parquet_rows(
    batch: pa.RecordBatch, columns: Mapping[str, str], path: str, row: int, reading: Reading
) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch as Python values, None (and an error) for one that has none, such as a string that is not UTF-8."""
    whole: list[dict[str, Any]] = []
    with contextlib.suppress(*UNREADABLE):
        whole = batch.to_pylist(maps_as_pydicts="lossy")
    if whole:
        yield from whole
        return
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist(maps_as_pydicts="lossy")[0]
        except UNREADABLE as error:
            reason = "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "malformed_row"
            reading.error(path, f"row {row + index}", reason, error)
            yield None


def _parquet_record(
    source: ImageTextSource,
    columns: Mapping[str, str],
    values: Mapping[str, Any],
    path: str,
    row: int,
    reading: Reading,
    blob: storage.AtomicFile,
    blob_ref: str,
) -> dict[str, Any] | None:
    texts: list[tuple[str | None, str | None]] = []
    if "text" in columns:
        language = text_of(values[columns["language"]]) if "language" in columns else None
        text = values[columns["text"]]
        try:
            texts.append((language, text.decode("utf-8") if isinstance(text, bytes) else text_of(text)))
        except UnicodeDecodeError as error:
            reading.error(path, f"row {row}", "invalid_utf8", error)
            return None
    if "texts" in columns:
        texts = _with_languages(texts, _several(values[columns["texts"]]))
    if (length := _too_long(source, texts)) is not None:
        reading.error(path, f"row {row}", "text_too_long", f"{length} bytes")
        return None
    image = None
    if "image" in columns:
        value = values[columns["image"]]
        data = value.get("bytes") if isinstance(value, Mapping) else value
        if not isinstance(data, bytes):
            reading.error(path, f"row {row}", "no_image", "the image column is null here")
            return None
        try:
            image = _image(source, data, len(data), blob_ref, blob.tell())
        except ImageError as error:
            reading.error(path, f"row {row}", error.reason, error)
            return None
        blob.write(data)
    reading.records += 1
    url = text_of(values[columns["url"]]) if "url" in columns else None
    return {"at": f"{path}#{row}", "url": url, "texts": texts, "image": image}


def _with_languages(
    single: list[tuple[str | None, str | None]], several: list[tuple[str | None, str | None]]
) -> list[tuple[str | None, str | None]]:
    """The single caption first, with the language that the list of texts gives for the same words."""
    known = {text: lang for lang, text in several if text is not None}
    return [(lang or known.get(text or ""), text) for lang, text in single] + several


# --- csv, tsv ----------------------------------------------------------------------------------------------------------------


def _delimited(
    source: ImageTextSource, url: str, path: str, reading: Reading, delimiter: str
) -> Iterator[dict[str, Any]]:
    """Rows of a delimited table with a header. A quoted field of a CSV may span lines; a row's number is that of its first line."""
    with open_decompressed(url) as raw:
        lines = _decoded_lines(raw, path, reading, source.max_record_bytes)
        rows = _csv_rows(lines, path, reading, source.max_record_bytes) if delimiter == "," else _tsv_rows(lines)
        first = next(rows, None)
        if first is None:
            if not reading.records:
                reading.error(path, "file", "empty_file", "no header")
            return
        at, header = first
        if reading.records:
            raise SourceError(f"{url}: its first line, which must name the columns, cannot be read")
        columns = _parquet_columns(source, url, pa.schema([(name, pa.string()) for name in header]))
        for at, row in rows:
            if len(row) != len(header):
                reading.error(path, f"line {at}", "malformed_row", f"{len(row)} fields, the header has {len(header)}")
                continue
            values = dict(zip(header, row, strict=True))
            language = values[columns["language"]] if "language" in columns else None
            names = [columns[role] for role in ("text", "texts") if role in columns]
            reading.records += 1
            yield {
                "at": f"{path}#{at}",
                "url": values[columns["url"]] if "url" in columns else None,
                "texts": [(language, values[name]) for name in names],
                "image": None,
            }


def _decoded_lines(raw: Any, path: str, reading: Reading, limit: int) -> Iterator[tuple[int, str | None]]:
    """Number and text of each line; None for one that is in error, which is logged here."""
    number = 0
    try:
        for line in bounded_lines(raw, limit):
            number += 1
            if line is None:
                reading.error(path, f"line {number}", "line_too_long", f"more than {limit} bytes")
                yield number, None
                continue
            try:
                text = (line.removeprefix(BOM) if number == 1 else line).decode("utf-8")
            except UnicodeDecodeError as error:
                reading.error(path, f"line {number}", "invalid_utf8", error)
                yield number, None
                continue
            yield number, text
    except BrokenStreamError as error:
        reading.error(path, f"after line {number}", error.reason, error)


def _tsv_rows(lines: Iterator[tuple[int, str | None]]) -> Iterator[tuple[int, list[str]]]:
    """A line is a row; quotes are text. Empty lines are none."""
    for number, text in lines:
        if text:
            yield number, text.split("\t")


def _csv_rows(
    lines: Iterator[tuple[int, str | None]], path: str, reading: Reading, limit: int
) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their first line.

    A quote that is never closed must cost the row that it stands in, not all that follow: after a row that cannot be, reading goes
    on with the row's second line.
    """
    csv.field_size_limit(limit)
    ahead: deque[tuple[int, str | None]] = deque()
    taken: list[tuple[int, str | None]] = []

    def feed() -> Iterator[str]:
        size = 0
        while (item := ahead.popleft() if ahead else next(lines, None)) is not None:
            if item[1] is None and not taken:
                continue  # already logged
            taken.append(item)
            if item[1] is None:
                raise csv.Error("a line inside a quoted field cannot be read")
            size += len(item[1])
            if size > limit:
                raise csv.Error(f"a quoted field of more than {limit} characters")
            yield item[1] + "\n"

    while True:
        taken.clear()
        try:
            row = next(csv.reader(feed(), strict=True), None)
        except csv.Error as error:
            number, text = taken[0]
            assert text is not None
            ahead.extendleft(reversed(taken[1:]))
            # A lone line whose quotes pair up can be read, if not by the letter: `"a" b,c`.
            lenient = [] if text.count('"') % 2 else _leniently(text)
            if not lenient:
                reading.error(path, f"line {number}", "malformed_row", error)
                continue
            row = lenient
        if row is None:
            return
        if row:  # an empty line is none
            yield taken[0][0], row


def _leniently(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


# --- webdataset --------------------------------------------------------------------------------------------------------------


def _webdataset(source: ImageTextSource, url: str, path: str, reading: Reading) -> Iterator[dict[str, Any]]:
    """Samples of a tar: neighbouring members with one name up to the first dot, as webdataset groups them."""
    limit = max(source.max_image_bytes, source.max_record_bytes)
    seekable = not url.endswith((".gz", ".zst"))
    sample: dict[str, Member] = {}
    current = ""
    broken: str | None = None
    seen: set[str] = set()
    with open_decompressed(url) as file:
        if not seekable:
            raise SourceError(f"{url}: a compressed tar cannot be read at random; unpack it, or name plain .tar files")
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
                yield from _sample(source, path, current, sample, broken, seen, reading)
                current, sample, broken = key, {}, None
            if extension in sample:
                broken = "duplicate_member"
            # Only what is used is kept, so that a sample of very many members does not fill the memory.
            used = extension in ("txt", "json") or (extension in _IMAGE_EXTENSIONS and not _pictures(sample))
            sample[extension] = item if used else replace(item, data=None)
        yield from _sample(source, path, current, sample, broken, seen, reading)


def _split(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def _pictures(sample: Mapping[str, Member]) -> list[str]:
    return [name for name in sample if name in _IMAGE_EXTENSIONS]


def _sample(
    source: ImageTextSource,
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
        texts = _member_texts(source, sample, fields)
    except ValueError as error:
        reading.error(path, at, "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "malformed_text", error)
        return
    if (length := _too_long(source, texts)) is not None:
        reading.error(path, at, "text_too_long", f"{length} bytes")
        return
    try:
        image = _image(source, member.data, member.length, f"source:{path}", member.offset)
    except ImageError as error:
        reading.error(path, at, error.reason, error)
        return
    reading.records += 1
    named = source.columns.url or "url"
    yield {"at": origin, "url": text_of(fields.get(named)), "texts": texts, "image": image}


def _json_fields(member: Member | None) -> dict[str, Any]:
    if member is None:
        return {}
    if member.data is None:
        raise ValueError(f"json of {member.length} bytes")
    fields = orjson.loads(member.data)
    return fields if isinstance(fields, dict) else {}


def _member_texts(
    source: ImageTextSource, sample: Mapping[str, Member], fields: Mapping[str, Any]
) -> list[tuple[str | None, str | None]]:
    language = text_of(fields.get(source.columns.language or "lang"))
    single: list[tuple[str | None, str | None]] = []
    if (member := sample.get("txt")) is not None:
        if member.data is None:
            raise ValueError(f"text of {member.length} bytes")
        single.append((language, member.data.decode("utf-8")))
    elif (text := text_of(fields.get(source.columns.text or "caption"))) is not None:
        single.append((language, text))
    return _with_languages(single, _several(fields.get(source.columns.texts or "texts")))
