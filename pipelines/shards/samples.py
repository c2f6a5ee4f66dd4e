"""Rows of pairs -> one WebDataset shard: fetch photographs, render texts, write the tar.

One layout for every kind of pair: `<key>.jpg|png|webp` the left pixels, `<key>.text.png` the right text as pixels, `<key>.txt` the
right text, `<key>.json` the rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.shards.tar import write_tar
from rendering import Renderer

PHOTO_EXTENSIONS = ("jpg", "png", "webp")
RIGHT_PIXELS = "text.png"
RIGHT_TEXT = "txt"
REST = "json"


@dataclass(slots=True)
class Shard:
    """What writing one shard did."""

    bytes: int = 0
    sha256: str = ""
    samples: int = 0
    first_key: str = ""
    last_key: str = ""
    cut_left: int = 0
    cut_right: int = 0
    sources: dict[str, int] = field(default_factory=dict)


def resolve(part: str, source: str, root: str, bases: dict[str, str]) -> str:
    """The URL of a file that holds photographs' bytes.

    Args:
        part: `root:<path>` for a blob of ours, `source:<path>` for a raw tar.
        source: Name of the row's source.
        root: Where stages live.
        bases: Source name -> the folder that its paths are relative to.
    """
    scheme, _, path = part.partition(":")
    return storage.join(root if scheme == "root" else bases[source], path)


def fetch_photographs(pairs: pa.Table, root: str, bases: dict[str, str]) -> list[bytes]:
    """Reads the photographs of the rows, each file opened once, and holds each against its sha256.

    Raises:
        StorageError: A file is gone or no longer what was read. Going on without it would make a shard that the same input does
            not give again; the next build reads the source as it then is.
    """
    refs = pairs.column("image").to_pylist()
    sources = pairs.column("source").to_pylist()
    by_file: dict[str, list[int]] = {}
    for index, (ref, source) in enumerate(zip(refs, sources, strict=True)):
        by_file.setdefault(resolve(ref["part"], source, root, bases), []).append(index)
    found: list[bytes] = [b""] * len(refs)
    for url, indices in sorted(by_file.items()):
        indices.sort(key=lambda i: refs[i]["offset"])
        places = [refs[i]["offset"] for i in indices], [refs[i]["length"] for i in indices]
        try:
            pieces = storage.read_ranges(url, *places)
        except OSError as error:
            raise storage.StorageError(
                f"{url} cannot be read any more ({error.strerror or error}): build again"
            ) from error
        for index, data in zip(indices, pieces, strict=True):
            if hashlib.sha256(data).hexdigest() != refs[index]["sha256"]:
                raise storage.StorageError(f"{url} has changed since its photographs were read: build again")
            found[index] = data
    return found


def _columns_of_photographs(pairs: pa.Table, photographs: list[bytes]) -> list[tuple[str, pa.Array]]:
    formats = pc.struct_field(pairs.column("image"), "format").to_pylist()
    columns = []
    for extension in PHOTO_EXTENSIONS:
        values = [data if fmt == extension else None for data, fmt in zip(photographs, formats, strict=True)]
        if any(value is not None for value in values):
            columns.append((extension, pa.array(values, pa.large_binary())))
    return columns


def _cut(texts: pa.Array, renderer: Renderer) -> np.ndarray:
    """Which texts do not fit whole, bool (N,)."""
    return renderer.fitted(texts) < pc.utf8_length(texts).to_numpy(zero_copy_only=False)


def _rest(pairs: pa.Table, cut_left: np.ndarray | None, cut_right: np.ndarray) -> pa.Array:
    """The json member of each row: the same fields with the same types in every sample of a kind, and no null.

    Readers guess columns from the first few samples; a null there makes them refuse the text that comes later. An unknown
    language is `und`, as BCP 47 says it; an unknown address is empty.
    """
    absent = {"url": "", "right_lang": "und"}
    if cut_left is not None:
        absent |= {"left_text": "", "left_lang": "und"}
    names = ["key", "kind", "source", "origin", *absent]
    columns = {name: pc.fill_null(pairs.column(name), absent.get(name, "")).to_pylist() for name in names}
    scores = pairs.column("scores").to_pylist()
    images = pairs.column("image").to_pylist()
    values = []
    for index in range(pairs.num_rows):
        rest: dict[str, Any] = {name: columns[name][index] for name in names}
        rest["scores"] = orjson.Fragment(scores[index])
        rest["right_cut"] = bool(cut_right[index])
        if cut_left is not None:
            rest["left_cut"] = bool(cut_left[index])
        if (image := images[index]) is not None:
            rest["image"] = {name: image[name] for name in ("format", "width", "height", "sha256")}
        values.append(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS))
    return pa.array(values, pa.large_binary())


def write_shard(pairs: pa.Table, url: str, *, renderer: Renderer, root: str, bases: dict[str, str]) -> Shard:
    """Writes one shard.

    Args:
        pairs: Rows of `PAIR_SCHEMA` of one kind, sorted by key.
        url: Where the tar goes; it appears whole or not at all.
        renderer: Draws the texts.
        root: Where stages live.
        bases: Source name -> folder of its raw files.

    Returns:
        What was written.

    Raises:
        StorageError: The disk is full, the place cannot be written, or a photograph is no longer what was read.
    """
    result = Shard()
    pairs = pairs.combine_chunks()
    members: list[tuple[str, pa.Array]] = []
    cut_left = None
    if pairs.num_rows and pairs.column("kind")[0].as_py() == "image_alt":
        photographs = fetch_photographs(pairs, root, bases)
        members += _columns_of_photographs(pairs, photographs)
    else:
        left = pairs.column("left_text").combine_chunks()
        members.append(("png", renderer.render_png_array(left)))
        cut_left = _cut(left, renderer)
    right = pairs.column("right_text").combine_chunks()
    cut_right = _cut(right, renderer)
    members += [
        (RIGHT_PIXELS, renderer.render_png_array(right)),
        (RIGHT_TEXT, right),
        (REST, _rest(pairs, cut_left, cut_right)),
    ]
    key = pairs.column("key").combine_chunks()
    with storage.AtomicFile(url) as file:
        write_tar(file, key, members, digest=False)  # the file hashes what is written
    result.bytes, result.sha256, result.samples = file.bytes, file.sha256, pairs.num_rows
    if pairs.num_rows:
        result.first_key, result.last_key = key[0].as_py(), key[-1].as_py()
    result.cut_left = int(cut_left.sum()) if cut_left is not None else 0
    result.cut_right = int(cut_right.sum())
    counts = pc.value_counts(pairs.column("source")).to_pylist()
    result.sources = {item["values"]: item["counts"] for item in sorted(counts, key=lambda item: item["values"])}
    return result
