"""What alt-text rules compare with beside numbers: lists of words, evaluation sets; read once, boiled down to hashes.

An evaluation set is read like any other input: pictures are probed, broken ones are counted and left out, texts are bounded and
normalised as alt-texts are.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairs import normalise, tokens
from pairs.alt_text import MAX_CHARS, AltTextOptions, References
from pairs.decontaminate import DecontaminateOptions, EvaluationSets
from pairs.images import ImageError, probe
from pipelines import storage
from pipelines.sources import image_text
from pipelines.sources.reading import BrokenStreamError, Reading, SourceError, bounded_lines, open_decompressed
from pipelines.sources.spec import ImageTextSource
from pipelines.tables import TableWriter

CODE = "1"
TABLE = "evaluation.parquet"
SCHEMA = pa.schema([("kind", pa.string()), ("sha256", pa.string()), ("hash", pa.uint64())])
_LINE_BYTES = 1 << 20
_IMAGE_BYTES = 64 << 20
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_TABLES = (".parquet", ".tar", ".csv", ".tsv")
_LISTS = (".txt", ".txt.gz")
_HASH = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}")


def files_of(places: tuple[str, ...]) -> list[str]:
    """The files of evaluation sets: files, globs, and everything that can be read in folders.

    Raises:
        SourceError: A place holds nothing that can be read.
    """
    found: list[str] = []
    for place in places:
        local = storage.is_local(place) and storage.local_path(place).is_dir()
        try:
            files = storage.expand(storage.join(place, "**/*") if local else place)
        except storage.StorageError as error:
            raise SourceError(f"decontaminate.sets: {error}") from error
        usable = [file for file in files if file.lower().endswith((*_PICTURES, *_TABLES, *_LISTS))]
        if not usable:
            raise SourceError(
                f"decontaminate.sets: nothing to read at {place!r}: pictures, parquet, tar, csv, tsv or txt are"
            )
        found += usable
    return sorted(set(found))


class _NoBlob:
    """Takes the bytes of photographs that nobody will ask for."""

    def tell(self) -> int:
        return 0

    def write(self, data: bytes) -> int:
        return len(data)


def _read(url: str, reading: Reading) -> Iterator[tuple[list[str], list[int], list[str]]]:
    """(sha256, perceptual hashes, texts) of a file, piece by piece."""
    name = url.lower()
    if name.endswith(_PICTURES):
        try:
            if storage.size(url) > _IMAGE_BYTES:
                raise ImageError("too_many_bytes", f"{storage.size(url)} bytes")
            data = storage.read_bytes(url)
            facts = probe(data)
            yield [hashlib.sha256(data).hexdigest()], [] if facts.phash is None else [facts.phash], []
        except ImageError as error:
            reading.error(url, "file", error.reason, error)
    elif name.endswith(_LISTS):
        yield from _lines(url, reading)
    else:
        source = ImageTextSource(type="image_text", path=url)
        for cut in image_text.plan(source, url):
            for batch in image_text.read(source, url, url, cut, reading, _NoBlob(), ""):  # type: ignore[arg-type]
                images = [image for image in batch.column("image").to_pylist() if image is not None]
                texts = [text for text in batch.column("text").to_pylist() if text]
                yield (
                    [image["sha256"] for image in images],
                    [image["phash"] for image in images if image["phash"] is not None],
                    texts,
                )


def _lines(url: str, reading: Reading) -> Iterator[tuple[list[str], list[int], list[str]]]:
    """A list: hashes, and what is none is a text."""
    try:
        with open_decompressed(url) as file:
            for line in bounded_lines(file, _LINE_BYTES):
                if line is None:
                    reading.error(url, "line", "line_too_long")
                    continue
                text = line.decode("utf-8", "replace").strip()
                bare = text.lower()
                if not _HASH.fullmatch(bare):
                    yield [], [], [text]
                elif len(bare) == 16:
                    yield [], [int(bare, 16)], []
                else:
                    yield [bare], [], []
    except BrokenStreamError as error:
        reading.error(url, "file", error.reason, error)


def boil_down(options: DecontaminateOptions, files: list[str], folder: str) -> tuple[TableWriter, dict[str, Any]]:
    """Writes the hashes of evaluation sets as one table.

    Args:
        options: Its `text_words` cuts the texts.
        files: As `files_of` gives them.
        folder: Where the table goes.

    Returns:
        The finished writer, and what was read: pictures, texts, errors by reason.
    """
    digests: set[str] = set()
    hashes: set[int] = set()
    grams: list[np.ndarray] = []
    counts: Counter[str] = Counter()
    reading = Reading("evaluation")
    held: list[str] = []

    def cut() -> None:
        texts = normalise.clean(normalise.cut(pa.array(held, pa.string()), MAX_CHARS))
        if options.text_words is not None:
            grams.append(np.unique(tokens.ngrams(texts, options.text_words)[0]))
        held.clear()

    for url in files:
        for sha256, phash, texts in _read(url, reading):
            digests.update(sha256)
            hashes.update(phash)
            held += texts
            counts.update(pictures=max(len(sha256), len(phash)), texts=len(texts))
            if len(held) >= 10_000:
                cut()
    cut()
    ngrams = np.unique(np.concatenate([np.zeros(0, np.uint64), *grams]))
    columns = [
        ("sha256", pa.array(sorted(digests), pa.string()), None),
        ("phash", None, pa.array(np.array(sorted(hashes), np.uint64))),
        ("ngram", None, pa.array(ngrams)),
    ]
    with TableWriter(folder, TABLE, SCHEMA) as table:
        for kind, text, number in columns:
            n = len(text if number is None else number)
            arrays = [
                pa.repeat(pa.scalar(kind), n),
                pa.nulls(n, pa.string()) if text is None else text,
                pa.nulls(n, pa.uint64()) if number is None else number,
            ]
            table.write(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
    return table, {**counts, "errors": dict(sorted(reading.errors.items()))}


def _words(url: str) -> Iterator[str]:
    with open_decompressed(url) as file:
        for line in bounded_lines(file, _LINE_BYTES):
            if line is not None and (words := line.decode("utf-8", "replace").split(maxsplit=1)):
                yield words[0]


def load(options: AltTextOptions, places: Mapping[str, str]) -> References:
    """What the rules compare with, ready for look-ups.

    Args:
        options: The rules.
        places: `frequent_words`: URL of the list; `evaluation`: URL of the table that `boil_down` wrote.

    Raises:
        SourceError: The list cannot be read.
    """
    words = evaluation = None
    if options.frequent_words is not None and "frequent_words" in places:
        try:
            words = tokens.vocabulary(_words(places["frequent_words"]))
        except (OSError, BrokenStreamError, gzip.BadGzipFile) as error:
            raise SourceError(f"frequent_words: {error}") from error
    if options.decontaminate is not None and "evaluation" in places:
        with storage.open_read(places["evaluation"]) as file:
            table = pq.read_table(file)
        of = {kind: table.filter(pa.compute.equal(table.column("kind"), kind)) for kind in ("sha256", "phash", "ngram")}
        evaluation = EvaluationSets.of(
            options.decontaminate,
            sha256=of["sha256"].column("sha256").to_pylist(),
            phash=of["phash"].column("hash").to_numpy(),
            ngrams=of["ngram"].column("hash").to_numpy(),
        )
    return References(frequent_words=words, evaluation=evaluation)
