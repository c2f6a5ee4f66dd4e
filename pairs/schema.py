"""The one schema of a pair, and the kinds of pairs there are.

Every miner and filter in this package ends in a batch of `PAIR_SCHEMA`; the renderer starts from one. Photographs do not
travel in it: `image` says where their bytes lie, so that sorting and deduplicating a billion pairs moves text alone.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import pyarrow as pa

Kind = Literal["image_alt", "sentences", "translations", "back_translation", "word_drop"]
"""The kinds of pairs a data set can hold; each is published as shards of its own."""

KINDS: Final[tuple[str, ...]] = get_args(Kind)

IMAGE_REF: Final[pa.DataType] = pa.struct(
    [  # nullable throughout: the fields of a null struct are null themselves
        pa.field("part", pa.string()),  # URL of the file that holds the bytes
        pa.field("offset", pa.int64()),  # bytes from the start of that file
        pa.field("length", pa.int64()),  # bytes
        pa.field("format", pa.string()),  # jpg | png | webp: the extension in the shard
        pa.field("width", pa.int32()),  # px, from the header
        pa.field("height", pa.int32()),  # px, from the header
        pa.field("sha256", pa.string()),  # hex digest of the bytes
        pa.field("phash", pa.uint64()),  # perceptual hash, null for a picture without structure
    ]
)
"""Where a photograph's own bytes lie, and what its header says."""

PAIR_SCHEMA: Final[pa.Schema] = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),  # 32 hex digits, see pairs.keys.content_keys
        pa.field("kind", pa.string(), nullable=False),
        pa.field("image", IMAGE_REF),  # the left picture, null where the left side is text
        pa.field("left_text", pa.string()),  # null where the left side is a photograph
        pa.field("right_text", pa.string(), nullable=False),
        pa.field("left_lang", pa.string()),  # BCP 47, null where unknown or not text
        pa.field("right_lang", pa.string()),  # BCP 47, null where unknown
        pa.field("source", pa.string(), nullable=False),  # the source's name in the recipe
        pa.field(
            "origin", pa.string(), nullable=False
        ),  # "<file, relative to the source>#<record>": where it came from
        pa.field("url", pa.string()),
        pa.field("scores", pa.string(), nullable=False),  # a JSON object, keys sorted: what the rules measured
    ]
)
"""One row is one pair: a left side (photograph or text) and a right side (text)."""
