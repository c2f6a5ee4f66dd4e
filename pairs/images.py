"""What a photograph's bytes are, told without trusting them."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_PIXELS: Final = 100_000_000
"""Default bound, pixels: a 100-megapixel camera's picture, 300 MB decoded; Pillow itself refuses from 179 million
on."""


class ImageFacts(NamedTuple):
    """What the header says, after the whole file was seen to decode."""

    format: str  # jpg | png | webp
    width: int  # px
    height: int  # px
    frames: int  # 1 for a still picture
    phash: int | None = None  # 64-bit perceptual hash, None for a picture without structure


class ImageError(Exception):
    """A picture that cannot be used.

    Attributes:
        reason: One of empty, not_an_image, unsupported_format, too_many_pixels, animated, truncated, corrupt.
        detail: One line for a human.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


_OTHERS: Final = (
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"8BPS", "psd"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL ", "jxl"),
    (b"\x00\x00\x00\x0cjP  ", "jp2"),
    (b"%PDF", "pdf"),
    (b"%!PS", "ps"),
)


def _sniff(data: bytes) -> str:
    """jpg, png or webp by the first bytes; an ImageError that says what else it is."""
    if not data:
        raise ImageError("empty", "no bytes")
    if data[:3] == b"\xff\xd8\xff":
        return "jpg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    for magic, name in _OTHERS:
        if data.startswith(magic):
            raise ImageError("unsupported_format", name)
    if data[4:8] == b"ftyp":
        raise ImageError("unsupported_format", data[8:12].decode("ascii", "replace").strip() or "ISO media")
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml")) and b"<svg" in head:
        raise ImageError("unsupported_format", "svg")
    raise ImageError(
        "not_an_image", "a web page" if head.startswith((b"<!doctype", b"<html")) else "unknown first bytes"
    )


def _jpeg_size(data: bytes, max_pixels: int) -> tuple[int, int]:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ImageError("corrupt", f"no JPEG marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            raise ImageError("corrupt", "no JPEG frame header before the scan")
        length = struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if at + 9 > len(data):
                break
            height, width = struct.unpack_from(">HH", data, at + 5)
            # A Huffman code has a bit at least, and each block of 8 x 8 one code: fewer bits are another picture's, and libjpeg
            # would fill up with grey. (Arithmetic coding, from 0xC9 on, may need less.)
            blocks = -(-width // 8) * -(-height // 8)
            if marker < 0xC8 and (len(data) - at) * 8 < blocks and width * height <= max_pixels:
                raise ImageError("truncated", f"{len(data)} bytes cannot hold {width} x {height} pixels")
            return width, height
        at += 2 + max(2, length)
    raise ImageError("truncated", "the file ends before the JPEG frame header")


def _png_size(data: bytes) -> tuple[int, int, int]:
    """Width, height and frames: an APNG says in acTL, before the first IDAT, how many it has."""
    if len(data) < 33:
        raise ImageError("truncated", "the file ends inside the PNG header")
    if data[12:16] != b"IHDR":
        raise ImageError("corrupt", "the first PNG chunk is not IHDR")
    width, height = struct.unpack_from(">II", data, 16)
    frames, at = 1, 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"acTL" and length >= 4 and at + 12 <= len(data):
            frames = max(1, struct.unpack_from(">I", data, at + 8)[0])
        if name in (b"IDAT", b"IEND", b"acTL"):
            break
        at += 12 + length
    return width, height, frames


def _webp_size(data: bytes) -> tuple[int, int, int]:
    """Width, height and frames (2 stands for any animation) from the first chunk, as RFC 9649 lays it out."""
    if len(data) < 30:
        raise ImageError("truncated", "the file ends inside the WebP header")
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF, 1
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", body, 1)[0]
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1, 1
    if chunk == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        return width, height, 2 if body[0] & 0x02 else 1
    raise ImageError("corrupt", "the first WebP chunk is no picture")


def probe(data: bytes, *, max_pixels: int = MAX_PIXELS, max_frames: int = 1) -> ImageFacts:
    """Looks at a picture: the header first, bounds before anything is decoded, then the whole of its data.

    Args:
        data: The file's bytes.
        max_pixels: Most pixels of width x height that will be decoded, at most 178 million (Pillow's own limit).
        max_frames: Most frames; 1 refuses animations.

    Returns:
        Format, width and height in px, frames. JPEG's EXIF orientation is not applied.

    Raises:
        ImageError: The only exception; see its reasons.
    """
    data = bytes(data)
    kind = _sniff(data)
    try:
        if kind == "jpg":
            (width, height), frames = _jpeg_size(data, max_pixels), 1
        else:
            width, height, frames = _png_size(data) if kind == "png" else _webp_size(data)
    except struct.error as error:
        raise ImageError("truncated", str(error)) from None
    if width == 0 or height == 0:
        raise ImageError("corrupt", f"{width} x {height} pixels")
    if width * height > max_pixels:
        raise ImageError("too_many_pixels", f"{width} x {height} pixels, at most {max_pixels}")
    if frames > max_frames:
        raise ImageError("animated", f"{frames} frames, at most {max_frames}")
    return ImageFacts(kind, width, height, frames, _decode(data, kind, width, height))


_SIDE: Final = 32  # px, of the grey picture that the perceptual hash is taken from
_LOW: Final = 8  # frequencies a side that make it: 8 x 8 = 64 bits
_FLAT: Final = 1 << 33  # a median coefficient below is under an eighth of a grey level: noise would decide the bits


def _cosines() -> npt.NDArray[np.int64]:
    k, x = np.arange(_LOW)[:, None], np.arange(_SIDE)[None, :]
    waves: npt.NDArray[np.float64] = np.cos(np.pi * k * (2 * x + 1) / (2 * _SIDE))
    return np.asarray(np.rint(waves * (1 << 14)), np.int64)


_COSINES: Final = _cosines()


def perceptual_hash(image: Image.Image) -> int | None:
    """pHash: which of the 64 lowest frequencies of the cosine transform are above their median.

    In integers throughout, so that every machine gives the same bits. Transparent parts count as white.

    Args:
        image: A picture of any size and mode; small ones are cheap.

    Returns:
        64 bits, the row-major first frequency highest; None for a picture without structure, which would be like every
        other such one.
    """
    if image.mode in ("P", "PA", "LA", "RGBA", "La", "RGBa"):
        small = image.convert("RGBA").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        ground = Image.new("RGBA", small.size, "white")
        ground.alpha_composite(small)
        grey = ground.convert("L")
    elif image.mode.startswith("I;16"):
        grey = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    else:
        grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, np.int64)
    low = (_COSINES @ pixels @ _COSINES.T).reshape(-1)
    low[0] = 0  # the mean brightness tells nothing
    middle = np.sort(low[1:])[31]
    if np.sort(np.abs(low[1:]))[31] < _FLAT:
        return None
    return int.from_bytes(np.packbits(low > middle).tobytes(), "big")


def _decode(data: bytes, kind: str, width: int, height: int) -> int | None:
    """Decodes every byte of entropy-coded data; a JPEG at an eighth of its size, where the cosine transform is
    cheap. Gives the perceptual hash of what it saw."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
                if image.size != (width, height):
                    raise ImageError("corrupt", f"header says {width} x {height}, decoder {image.size}")
                if kind == "jpg":
                    # Not below what the hash looks at: small pictures are cheap to decode whole.
                    image.draft(image.mode, (max(2 * _SIDE, width // 8), max(2 * _SIDE, height // 8)))
                image.load()
                found = perceptual_hash(image)
            if kind == "png":
                with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                    image.verify()
            return found
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they like on hostile bytes
        detail = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        cut = "truncated" in detail.lower() or isinstance(error, EOFError)
        raise ImageError("truncated" if cut or _ends_early(data, kind) else "corrupt", detail) from None


def _ends_early(data: bytes, kind: str) -> bool:
    if kind == "webp":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return data.rstrip(b"\x00")[-2:] != b"\xff\xd9" if kind == "jpg" else b"IEND" not in data[-64:]
