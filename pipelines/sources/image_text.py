"""Reads photographs with alt-texts: parquet, WebDataset tars, and CSV/TSV or parquet tables without photographs.

A record is an image with its texts (or a row of a table); what is handed on is a row per text, columns `ROWS`. Photographs' bytes
are checked here once, and go to a blob file beside the table (tars: they stay where they are and are pointed at).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pairs.images import ImageError, probe
from pairs.schema import IMAGE_REF
from pipelines import storage
from pipelines.sources.reading import BrokenStreamError, Reading, SourceError, bounded_lines, open_decompressed, text_of
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
BATCH_ROWS = 1024
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
    except (pa.ArrowException, OSError):
        return [{}]  # the unit itself logs what is wrong with the file
    units: list[dict[str, Any]] = []
    first, rows = 0, 0
    for index, count in enumerate(groups):
        rows += count
        if rows >= UNIT_ROWS or index == len(groups) - 1:
            units.append({"groups": [first, index + 1]})
            first, rows = index + 1, 0
    return units or [{}]


def has_images(source: ImageTextSource, url: str) -> bool:
    """Tells whether a file brings photographs; one that cannot be opened counts as one that should have."""
    kind = file_format(source, url)
    if kind != "parquet":
        return kind == "webdataset"
    try:
        with storage.open_read(url) as file:
            return "image" in _parquet_columns(source, url, pq.ParquetFile(file).schema_arrow)
    except (pa.ArrowException, OSError):
        return True


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
    for record in records:
        rows.extend(_rows_of(source, reading.source, record))
        if len(rows) >= BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=ROWS)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=ROWS)


def _rows_of(source: ImageTextSource, name: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per distinct text; a record without any gives one row with null, for the rules to count."""
    texts: dict[str, str | None] = {}
    for lang, text in record["texts"]:
        if text is not None:
            texts.setdefault(text, lang)
            if source.texts == "first":
                break
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
            if candidate in lower:
                found[role] = lower[candidate]
                break
    if "text" not in found and "texts" not in found:
        raise SourceError(f"{url}: no column of texts; there are {', '.join(schema.names)}; name it in columns.text")
    return found


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
    except (pa.ArrowException, OSError) as error:
        reading.error(path, "file", "corrupt", error)
        return
    columns = _parquet_columns(source, url, file.schema_arrow)
    first, last = unit.get("groups", [0, file.num_row_groups])
    row = sum(file.metadata.row_group(group).num_rows for group in range(first))
    for group in range(first, last):
        rows_before = row
        rows_there = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(_PARQUET_BATCH, row_groups=[group], columns=sorted(set(columns.values()))):
                for values in _parquet_rows(batch, columns, path, row, reading):
                    if values is not None:
                        record = _parquet_record(source, columns, values, path, row, reading, blob, blob_ref)
                        if record is not None:
                            yield record
                    row += 1
        except (pa.ArrowException, OSError) as error:
            lost = rows_before + rows_there - row
            reading.error(path, f"rows {row}-{row + lost - 1}", "corrupt", error, rows=lost)
            row = rows_before + rows_there


def _parquet_rows(
    batch: pa.RecordBatch, columns: Mapping[str, str], path: str, row: int, reading: Reading
) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch as Python values, None (and an error) for one whose strings are not UTF-8."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="lossy")
        return
    except UnicodeDecodeError:
        pass
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist(maps_as_pydicts="lossy")[0]
        except UnicodeDecodeError as error:
            reading.error(path, f"row {row + index}", "invalid_utf8", error)
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
        texts.append((language, text_of(values[columns["text"]])))
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
            reading.error(path, f"row {row}", "no_image", "the image column holds no bytes")
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
    """Rows of a delimited table with a header. A quoted field may span lines; the line number is that of the record's end."""
    with open_decompressed(url) as raw:
        lines = _decoded_lines(raw, path, reading, source.max_record_bytes)
        rows = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE)
        csv.field_size_limit(source.max_record_bytes)
        header: list[str] | None = None
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                reading.error(path, f"line {rows.line_num}", "malformed_row", error)
                continue
            if header is None:
                header = row
                columns = _parquet_columns(
                    source, url, pa.schema([(name, pa.string()) for name in dict.fromkeys(header)])
                )
                continue
            if len(row) != len(header):
                reading.error(
                    path, f"line {rows.line_num}", "malformed_row", f"{len(row)} fields, the header has {len(header)}"
                )
                continue
            values = dict(zip(header, row, strict=True))
            language = values[columns["language"]] if "language" in columns else None
            names = [columns[role] for role in ("text", "texts") if role in columns]
            reading.records += 1
            yield {
                "at": f"{path}#{rows.line_num}",
                "url": values[columns["url"]] if "url" in columns else None,
                "texts": [(language, values[name]) for name in names],
                "image": None,
            }


def _decoded_lines(raw: Any, path: str, reading: Reading, limit: int) -> Iterator[str]:
    number = 0
    try:
        for line in bounded_lines(raw, limit):
            number += 1
            if line is None:
                reading.error(path, f"line {number}", "line_too_long", f"more than {limit} bytes")
                continue
            try:
                yield line.decode("utf-8") + "\n"
            except UnicodeDecodeError as error:
                reading.error(path, f"line {number}", "invalid_utf8", error)
    except BrokenStreamError as error:
        reading.error(path, f"after line {number}", error.reason, error)


# --- webdataset --------------------------------------------------------------------------------------------------------------


def _webdataset(source: ImageTextSource, url: str, path: str, reading: Reading) -> Iterator[dict[str, Any]]:
    """Samples of a tar: neighbouring members with one name up to the first dot, as webdataset groups them."""
    limit = max(source.max_image_bytes, source.max_record_bytes)
    seekable = not url.endswith((".gz", ".zst"))
    sample: dict[str, Member] = {}
    current = ""
    broken: str | None = None
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
            if not extension:
                continue
            if key != current:
                yield from _sample(source, url, path, current, sample, broken, reading)
                current, sample, broken = key, {}, None
            sample[extension] = item
        yield from _sample(source, url, path, current, sample, broken, reading)


def _split(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def _sample(
    source: ImageTextSource,
    url: str,
    path: str,
    key: str,
    sample: Mapping[str, Member],
    broken: str | None,
    reading: Reading,
) -> Iterator[dict[str, Any]]:
    if not sample:
        return
    at = f"sample {key}"
    if broken is not None:
        reading.error(path, at, broken, "a member of this sample is damaged")
        return
    pictures = [name for name in sample if name in _IMAGE_EXTENSIONS]
    if not pictures:
        reading.error(path, at, "no_image", f"members: {', '.join(sorted(sample))}")
        return
    member = sample[pictures[0]]
    try:
        fields = _json_fields(sample.get("json"))
        texts = _member_texts(source, sample, fields)
    except ValueError as error:
        reading.error(path, at, "malformed_text", error)
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
    yield {"at": f"{path}#{key}", "url": text_of(fields.get(named)), "texts": texts, "image": image}


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
