"""Pictures are told by their header first and believed only once all of them decodes."""

from __future__ import annotations

import io
import pickle
import random
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from pairs.images import ImageError, ImageFacts, probe


def picture(kind: str, size: tuple[int, int] = (97, 61), mode: str = "RGB", **options: object) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(out, kind, **options)
    return out.getvalue()


def reason(data: bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        probe(data, **options)
    return caught.value.reason


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (picture("JPEG"), "jpg"),
        (picture("JPEG", progressive=True), "jpg"),
        (picture("JPEG", mode="CMYK"), "jpg"),
        (picture("JPEG", mode="L"), "jpg"),
        (picture("PNG"), "png"),
        (picture("PNG", mode="P"), "png"),
        (picture("PNG", mode="RGBA"), "png"),
        (picture("WEBP"), "webp"),
        (picture("WEBP", lossless=True), "webp"),
        (picture("WEBP", mode="RGBA", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"), "webp"),
    ],
)
def test_good_pictures(data: bytes, name: str) -> None:
    assert probe(data)._replace(phash=None) == ImageFacts(name, 97, 61, 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_cut_files_are_truncated_wherever_they_end(kind: str) -> None:
    data = picture(kind)
    for share in (0.1, 0.5, 0.9):
        assert reason(data[: int(len(data) * share)]) == "truncated", f"{kind} cut at {share}"


def test_a_progressive_jpeg_that_ends_in_its_last_scan_is_truncated() -> None:
    data = picture("JPEG", (200, 200), progressive=True)
    assert reason(data[: int(len(data) * 0.97)]) == "truncated"


def test_damage_inside_a_png_is_corrupt() -> None:
    data = bytearray(picture("PNG"))
    data[len(data) // 2] ^= 0xFF
    assert reason(bytes(data)) == "corrupt"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404 Not Found</html>", "not_an_image"),
        (b"hello", "not_an_image"),
        (picture("GIF", mode="P"), "unsupported_format"),
        (picture("BMP"), "unsupported_format"),
        (picture("TIFF"), "unsupported_format"),
        (b"\x00\x00\x00\x20ftypavif" + bytes(64), "unsupported_format"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported_format"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"RIFF\x00\x00\x00\x00WEBP", "truncated"),
    ],
)
def test_what_is_no_usable_picture_has_a_reason(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_a_header_of_2_5_thousand_million_pixels_is_refused_without_decoding_or_warning() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason(bomb) == "too_many_pixels"
        jpeg = bytearray(picture("JPEG"))
        frame = jpeg.index(b"\xff\xc0")
        jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 50_000, 50_000)
        assert reason(bytes(jpeg)) == "too_many_pixels"
        assert reason(picture("PNG", (30, 30)), max_pixels=899) == "too_many_pixels"
    assert probe(picture("PNG", (30, 30)), max_pixels=900).width == 30


def test_a_png_that_inflates_to_more_than_its_header_says_does_not_use_the_memory() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0))
    body = zlib.compress(bytes(50_000_000), 9)
    try:
        assert probe(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")).width == 10
    except ImageError as error:
        assert error.reason == "corrupt"  # noqa: PT017


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=50)
    assert reason(out.getvalue()) == "animated"


def test_random_damage_never_raises_anything_else() -> None:
    source = random.Random(3)  # noqa: S311
    for data in (picture("JPEG"), picture("PNG"), picture("WEBP"), picture("WEBP", lossless=True)):
        for _ in range(60):
            broken = bytearray(data)
            for _ in range(source.randrange(1, 12)):
                broken[source.randrange(len(broken))] = source.randrange(256)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    facts = probe(bytes(broken[: source.randrange(1, len(broken) + 1)]))
                except ImageError as error:
                    assert error.reason  # noqa: PT017
                    assert "\n" not in error.detail  # noqa: PT017
                else:
                    assert facts.format in ("jpg", "png", "webp")


def test_the_error_survives_a_trip_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("corrupt", "why")))  # noqa: S301  our own bytes
    assert (error.reason, error.detail) == ("corrupt", "why")


def photograph() -> Image.Image:
    """Smooth shapes, as photographs have: noise has no low frequencies to recognise."""
    y, x = np.mgrid[0:300, 0:400] / 100.0
    waves = np.sin(x * 2.1 + y) + np.cos(y * 3.3) * np.sin(x * y) + np.sin(y * 1.3 - x)
    grey = np.clip((waves + 3) * 42, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(grey), Image.fromarray(255 - grey), Image.fromarray(grey // 2)])


def phash(image: Image.Image, kind: str = "JPEG", **options: object) -> int:
    out = io.BytesIO()
    image.save(out, kind, **options)
    found = probe(out.getvalue()).phash
    assert found is not None
    return found


def test_a_picture_that_was_resized_or_recompressed_keeps_its_hash_but_for_some_bits() -> None:
    image = photograph()
    own = phash(image, quality=95)
    for other in (
        phash(image, quality=30),
        phash(image.resize((200, 150)), quality=90),
        phash(image.resize((1000, 750)), "WEBP"),
        phash(image, "PNG"),
        phash(image.convert("RGBA"), "PNG"),
    ):
        assert (own ^ other).bit_count() <= 4
    assert (own ^ phash(image.rotate(90, expand=True))).bit_count() > 16, "another view is another picture"


def test_a_picture_without_structure_has_no_hash() -> None:
    for kind, mode in (("PNG", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("JPEG", "RGB"), ("WEBP", "RGB")):
        out = io.BytesIO()
        Image.new(mode, (80, 60), 200 if mode == "L" else (10, 200, 30, 255)[: len(mode)]).save(out, kind)
        assert probe(out.getvalue()).phash is None, (kind, mode)


def test_every_mode_that_a_png_can_have_is_hashed_alike() -> None:
    image = photograph().convert("L")
    wide = Image.fromarray(np.asarray(image, np.uint16) * 257)
    assert phash(wide, "PNG") == phash(image, "PNG") == phash(image.convert("LA"), "PNG")
    assert (phash(image.convert("P"), "PNG") ^ phash(image, "PNG")).bit_count() <= 2
    phash(image.convert("1"), "PNG")
