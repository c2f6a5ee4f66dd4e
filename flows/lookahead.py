"""What a source will give, for `--plan`: records, texts and bytes, from footers and the beginnings of its files."""

from __future__ import annotations

import gzip
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.manifest import StageManifest
from pipelines.sources import agreement, bitext, documents
from pipelines.sources.image_parquet import UNREADABLE, read_parquet
from pipelines.sources.image_text import file_format
from pipelines.sources.image_webdataset import read_webdataset
from pipelines.sources.inputs import Inputs
from pipelines.sources.reading import BrokenStreamError, Reading, bounded_lines, open_decompressed
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource
from pipelines.sources.tarstream import Member, read_tar

_PROBE_BYTES = 2 << 20
_MEMBERS_A_SAMPLE = 3
_ZIP_BYTES_A_PAIR = 100
_GROUP_BYTES = 256 << 20  # a row group is read whole: of greater ones nothing is looked at
_FILES_SAMPLED, _RECORDS_SAMPLED = 8, 400  # in all of them


def rows_in(inputs: Inputs) -> tuple[int, bool]:
    """Records of a source, and whether that is a count (parquet footers) or an estimate from each file's beginning."""
    files = inputs.files
    if isinstance(inputs.source, BitextSource) and inputs.source.left is not None:
        files = files[:1] * len(inputs.source.rights)
    found = [_records_of(inputs, url) for _, url in files]
    return sum(count for count, _ in found), all(exact for _, exact in found)


def _records_of(inputs: Inputs, url: str) -> tuple[int, bool]:
    """Records of one file, and whether that is a count."""
    source, kind = inputs.source, "lines"
    if isinstance(source, ImageTextSource):
        kind = file_format(source, url)
    elif isinstance(source, DocumentsSource):
        kind = documents.file_format(source, url)
    elif source.left is None:
        kind = bitext.file_format(source, url)
    if kind == "parquet":
        try:
            with storage.open_read(url) as file:
                return pq.ParquetFile(file).metadata.num_rows, True
        except UNREADABLE:
            return 0, False
    if kind == "moses_zip":
        return storage.size(url) // _ZIP_BYTES_A_PAIR, False
    return (_tar_samples(url) if kind == "webdataset" else _lines(url)), False


def _tar_samples(url: str) -> int:
    members, last = 0, 0
    with storage.open_read(url) as file:
        for item in read_tar(file, max_member_bytes=0):
            if isinstance(item, Member):
                members, last = members + 1, item.offset + item.length
            if item.offset > _PROBE_BYTES:
                break
    return round(storage.size(url) / max(1, last) * members / _MEMBERS_A_SAMPLE) if members else 0


def _lines(url: str) -> int:
    """Lines of a text file, from how many its first 2 MB hold."""
    lines = read = 0
    try:
        with open_decompressed(url) as file:
            for line in bounded_lines(file, _PROBE_BYTES):
                lines, read = lines + 1, read + len(line or b"") + 1
                if read >= _PROBE_BYTES:
                    break
            else:
                return lines
    except (BrokenStreamError, OSError, gzip.BadGzipFile):
        return lines
    ratio = 3.0 if url.endswith((".gz", ".zst")) else 1.0
    return round(storage.size(url) * ratio / max(1, read) * lines)


@dataclass(frozen=True, slots=True)
class Photographs:
    """What was seen of photographs with texts.

    Attributes:
        rows_a_record: Texts of a photograph, each of which makes a row; 1.0 where nothing could be read.
        bytes_a_row: Mean size of a row's photograph; None where nothing could be read.
    """

    rows_a_record: float = 1.0
    bytes_a_row: float | None = None


def photographs(inputs: Inputs) -> Photographs:
    """Reads the first records of some files, spread over the source; a file counts as many times as it has records."""
    assert isinstance(inputs.source, ImageTextSource)
    records = rows = size = 0.0
    files = agreement.spread(inputs.files, _FILES_SAMPLED)
    for path, url in files:
        found = _first(inputs, url, path, _RECORDS_SAMPLED // len(files))
        seen = [(_texts(inputs.source, record), record["image"]["length"]) for record in found]
        if not seen:
            continue
        weight = _records_of(inputs, url)[0] / len(seen)
        records += weight * len(seen)
        rows += weight * sum(texts for texts, _ in seen)
        size += weight * sum(texts * length for texts, length in seen)
    return Photographs(rows / records, size / rows) if rows else Photographs()


def _first(inputs: Inputs, url: str, path: str, most: int) -> Iterator[dict[str, Any]]:
    """The first sound records of one file that have a photograph."""
    source, reading = inputs.source, Reading(inputs.name)
    assert isinstance(source, ImageTextSource)
    if file_format(source, url) == "parquet" and not _small_groups(url):
        return
    with tempfile.TemporaryDirectory() as folder, storage.AtomicFile(f"{folder}/blob", keep_empty=False) as blob:
        if file_format(source, url) == "webdataset":
            records = read_webdataset(source, url, path, reading)
        else:
            records = read_parquet(source, url, path, {}, reading, blob, "blob")
        for record in itertools.islice(records, most):
            if record["image"] is not None:
                yield record
            if reading.records > 2 * most:
                break


def _small_groups(url: str) -> bool:
    """Whether a parquet file's first rows can be had without reading much."""
    try:
        with storage.open_read(url) as file:
            metadata = pq.ParquetFile(file).metadata
            return metadata.num_row_groups > 0 and metadata.row_group(0).total_byte_size <= _GROUP_BYTES
    except UNREADABLE:
        return False


def _texts(source: ImageTextSource, record: dict[str, Any]) -> int:
    """Rows that a record will give."""
    several = {text.text for text in record["texts"] if text.text is not None and text.text.strip()}
    return max(1, len(several)) if source.texts == "all" else 1


def stored(root: str, manifest: StageManifest) -> float | None:
    """Mean bytes of a row's photograph by the beginning of a finished stage's table; None where it has none."""
    for part in manifest.tables():
        try:
            with storage.open_read(storage.join(root, manifest.folder, part.path)) as file:
                image = pq.ParquetFile(file).read_row_group(0, columns=["image.length"]).column("image")
            mean = pc.mean(pc.struct_field(image, "length")).as_py()
        except UNREADABLE:
            return None
        if mean is not None:
            return float(mean)
    return None
