"""Samples to look at: read out of shards, drawn side by side.

Shards are read as hostile: members are bounded, and a picture is decoded only after its header was found to be within
bounds. What cannot be shown becomes a grey card that says why, never an exception.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import json
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from pipelines import storage
from pipelines.sources.tarstream import Damage, read_tar
from rendering import Renderer, RenderSpec, WidthError

MAX_MEMBER_BYTES = 64 << 20
MAX_PIXELS = 100_000_000
_LEFT = ("jpg", "png", "webp")
_FORMATS = ("JPEG", "PNG", "WEBP")
_LINE = 16
_GAP = 8
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_PAPER = 255
_SHADE = 232


@dataclass(frozen=True)
class Sample:
    """One pair as it lies in a shard.

    Attributes:
        kind: image_alt, sentences, …
        key: Hex digits.
        left: Bytes of the left picture (JPEG, PNG or WebP); empty where the shard has none.
        right: Bytes of the right text's PNG; empty where the shard has none.
        text: The right text.
        rest: What the json member holds: left_text, left_lang, right_lang, source, origin, url, scores, …; empty if
            unreadable.
    """

    kind: str
    key: str
    left: bytes
    right: bytes
    text: str
    rest: dict[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------------- reading


def _rank(key: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0samples\0{key}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _groups(file: Any, max_member_bytes: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Consecutive members of one key; damage and oversized members are left out."""
    key, found = "", dict[str, bytes]()
    for member in read_tar(file, max_member_bytes=max_member_bytes):
        if isinstance(member, Damage):
            continue
        name, _, extension = member.name.partition(".")
        if name != key:
            if found:
                yield key, found
            key, found = name, {}
        if member.data is not None:
            found[extension] = member.data
    if found:
        yield key, found


def _sample(key: str, found: dict[str, bytes], kind: str) -> Sample:
    try:
        rest = json.loads(found.get("json", b"{}"))
    except (ValueError, RecursionError):
        rest = {}
    if not isinstance(rest, dict):
        rest = {}
    left = next((found[name] for name in _LEFT if name in found), b"")
    text = found.get("txt", b"").decode("utf-8", "replace")
    kind = kind or str(rest.get("kind") or "")
    return Sample(kind=kind, key=key, left=left, right=found.get("text.png", b""), text=text, rest=rest)


def sample_shard(url: str, count: int, seed: int, *, max_member_bytes: int = MAX_MEMBER_BYTES) -> list[Sample]:
    """The samples of a shard whose keys hash least, so that the same are shown on every run.

    Args:
        url: A shard, `<kind>-<number>.tar`; the kind is read off the name, else off the samples.
        count: Most samples; 0 or less gives none.
        seed: Other seeds pick other samples.
        max_member_bytes: Larger members are passed over; their sample shows without them. Default 64 MiB.

    Returns:
        At most `count` samples, least hash first. A damaged shard gives what could be read of it.

    Raises:
        OSError: The file cannot be opened.
    """
    if count <= 0:
        return []
    kind = PurePosixPath(url).name.removesuffix(".tar").rpartition("-")[0]
    # A heap of the `count` least: the greatest of them first, as integers negated.
    best: list[tuple[int, str, dict[str, bytes]]] = []
    with storage.open_read(url) as file:
        for key, found in _groups(file, max_member_bytes):
            rank = -int.from_bytes(_rank(key, seed), "big")
            if any(rank == other and key == known for other, known, _ in best):
                continue
            if len(best) < count:
                heapq.heappush(best, (rank, key, found))
            elif rank > best[0][0]:
                heapq.heapreplace(best, (rank, key, found))
    return [_sample(key, found, kind) for _, key, found in sorted(best, key=lambda item: (-item[0], item[1]))]


# ---------------------------------------------------------------------- pictures


def open_picture(data: bytes, *, width: int, height: int, max_pixels: int = MAX_PIXELS) -> Image.Image | str:
    """Decodes a picture within bounds and shrinks it to fit a box; a smaller one keeps its size.

    Args:
        data: JPEG, PNG or WebP; of an animation the first frame.
        width: Box, pixels.
        height: Box, pixels.
        max_pixels: Larger pictures are refused by their header, before decoding. Default 100 million.

    Returns:
        The picture as RGB (transparency over white), or why there is none in a few words.
    """
    if not data:
        return "no picture in the shard"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                wide, high = image.size
                if wide * high > max_pixels:
                    return f"refused: {wide:,} x {high:,} pixels"
                image.draft("RGB", (width, height))
                image.load()
                return _fitted(image, width, height)
    except Image.DecompressionBombError:
        return "refused: too many pixels"
    except MemoryError:
        return "refused: not enough memory"
    except Exception as error:  # decoders raise whatever they like on hostile bytes
        return f"cannot be decoded: {type(error).__name__}"


def _fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        flat = Image.new("RGB", image.size, (255, 255, 255))
        flat.paste(layer, mask=layer.getchannel("A"))
        image = flat
    elif image.mode.startswith("I"):  # 16 bits: keep the high byte, where convert would clip
        image = image.point(lambda value: value / 256).convert("L").convert("RGB")
    else:
        image = image.convert("RGB")
    if image.width > width or image.height > height:
        image.thumbnail((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


# ---------------------------------------------------------------------- labels


@lru_cache(maxsize=16)
def _pen(width: int, lines: int, paper: int) -> Renderer:
    spec = RenderSpec(width=width, height=_LINE * lines, background=paper, text=0, lower=False, max_chars=4 * width)
    return Renderer(spec)


def one_line(text: object, limit: int) -> str:
    """A text for a label: control characters and runs of white space become one space, the end is cut."""
    head = str(text)[: 4 * limit + 64]
    shown = "".join(
        " " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _BIDI else char for char in head
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit and len(str(text)) == len(head) else shown[: max(0, limit - 1)].rstrip() + "…"


def _label(text: str, width: int, lines: int, paper: int = _PAPER) -> Image.Image:
    """Black on `paper`, in every script that Unifont has; what does not fit is cut."""
    try:
        return Image.fromarray(_pen(width, lines, paper).render([text])[0])
    except WidthError:
        return Image.new("L", (width, _LINE * lines), paper)


def caption(sample: Sample) -> str:
    """Kind, languages and source of a sample in one line."""
    rest = sample.rest
    languages = [str(rest[name]) for name in ("left_lang", "right_lang") if rest.get(name)]
    parts = [sample.kind, " - ".join(languages), str(rest.get("source") or "")]
    return one_line(" | ".join(part for part in parts if part), 120)


def contact_sheet(samples: Sequence[Sample], *, columns: int = 2, cell: int = 224) -> bytes:
    """Draws samples as cards: the left picture, the right text as pixels beside it, and beneath what they are.

    Args:
        samples: In the order in which they are shown.
        columns: Cards in a row, at least 1; default 2.
        cell: Side in pixels, 32 to 2048, of the square for each picture; default 224, the renderer's own size.

    Returns:
        A grey or colour PNG, the same bytes for the same samples. No samples give one card that says so.

    Raises:
        ValueError: `columns` or `cell` is out of its bounds.
    """
    if columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}")
    if not 32 <= cell <= 2048:
        raise ValueError(f"cell must be from 32 to 2048, not {cell}")
    cards = [_card(sample, cell) for sample in samples] or [_note("no samples", 2 * cell + _GAP, cell)]
    columns = min(columns, len(cards))
    rows = -(-len(cards) // columns)
    wide, high = max(card.width for card in cards), max(card.height for card in cards)
    step, margin = (wide + 2 * _GAP, high + 2 * _GAP), 2 * _GAP
    sheet = Image.new("RGB", (columns * step[0] + margin, rows * step[1] + margin), (_PAPER,) * 3)
    for index, card in enumerate(cards):
        row, column = divmod(index, columns)
        sheet.paste(card, (margin + column * step[0], margin + row * step[1]))
    out = io.BytesIO()
    sheet.save(out, format="PNG", compress_level=6)
    return out.getvalue()


def _note(text: str, width: int, height: int) -> Image.Image:
    """A shaded box with a few words."""
    box = Image.new("L", (width, height), _SHADE)
    words = _label(text, max(32, width - 2 * _GAP), 3, _SHADE)
    box.paste(words, (_GAP, _GAP))
    return box


def _boxed(data: bytes, cell: int) -> Image.Image:
    picture = open_picture(data, width=cell, height=cell)
    if isinstance(picture, str):
        return _note(picture, cell, cell)
    box = Image.new("RGB", (cell, cell), (_SHADE,) * 3)
    box.paste(picture, ((cell - picture.width) // 2, (cell - picture.height) // 2))
    return box


def _card(sample: Sample, cell: int) -> Image.Image:
    wide = 2 * cell + _GAP
    lines = [caption(sample), *(one_line(text, 160) for text in (sample.rest.get("left_text"), sample.text) if text)]
    card = Image.new("RGB", (wide, cell + _GAP // 2 + 4 * _LINE), (_PAPER,) * 3)
    card.paste(_boxed(sample.left, cell), (0, 0))
    card.paste(_boxed(sample.right, cell), (cell + _GAP, 0))
    top = cell + _GAP // 2
    for number, line in enumerate(lines):
        space = 1 if number == 0 or len(lines) == 3 else 2
        card.paste(_label(line, wide, space), (0, top))
        top += space * _LINE
    return card


__all__ = ["Sample", "caption", "contact_sheet", "one_line", "open_picture", "sample_shard"]
