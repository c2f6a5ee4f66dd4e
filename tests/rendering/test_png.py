"""The PNG encoder: what decoders give back, how large it is, and every path of the DEFLATE it writes."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from rendering import Renderer, RenderSpec, _deflate, _png, _png_table, png


def chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a file, each CRC checked with zlib's."""
    assert data[:8] == png.SIGNATURE
    found, at = {}, 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + size]
        assert zlib.crc32(body) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big"), body[:4]
        found[body[:4]] = body[4:]
        at += 12 + size
    return found


@settings(max_examples=120, deadline=None)
@given(
    texts=st.lists(st.one_of(st.text(max_size=60), st.text("abc xyz", max_size=800)), max_size=3),
    size=st.tuples(st.integers(17, 500), st.integers(1, 300)),
    levels=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
@example(texts=["", " ", "\ufffd" * 300], size=(17, 1), levels=(0, 255))
@example(texts=["x" * 3000], size=(4096, 40), levels=(255, 0))
def test_decoders_give_back_the_image(texts: list[str], size: tuple[int, int], levels: tuple[int, int]) -> None:
    """Pillow's `convert("L")` must give {background, text} in every pixel, and `convert("RGB")` three equal channels."""
    spec = RenderSpec(width=size[0], height=size[1], background=levels[0], text=levels[1], max_chars=0)
    renderer = Renderer(spec)
    images = renderer.render(texts)
    for data, image in zip(renderer.render_png(texts), images, strict=True):
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.mode in ("P", "1")
            np.testing.assert_array_equal(np.asarray(opened.convert("L")), image)
            np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), np.repeat(image[:, :, None], 3, axis=2))
        parts = chunks(data)
        rows = np.zeros((size[1], 1 + (size[0] + 7) // 8), np.uint8)
        if levels[0] != levels[1]:
            rows[:, 1:] = np.packbits(image == levels[1], axis=1)
            assert zlib.decompress(parts[b"IDAT"]) == rows.tobytes(), "Adler-32 and every row, by zlib"


def test_bytes_stay_within_a_fifth_of_zlib_9() -> None:
    renderer = Renderer()
    words = ["a", "red", "dog", "ran"] * 9
    texts = [f"{word} photograph number {i} of a {word} by the sea, size {i * 37}" for i, word in enumerate(words)]
    ours = [chunks(data)[b"IDAT"] for data in renderer.render_png(texts)]
    best = [zlib.compress(zlib.decompress(data), 9) for data in ours]
    assert sum(map(len, ours)) <= 1.2 * sum(map(len, best))


def test_array_is_the_list() -> None:
    renderer = Renderer(RenderSpec(width=64, height=32))
    texts = [f"text {i}" for i in range(50)]
    array = renderer.render_png_array(pa.chunked_array([texts[:20], texts[20:]]))
    array.validate(full=True)
    assert array.type == pa.large_binary()
    assert array.to_pylist() == renderer.render_png(texts) == [renderer.render_png([text])[0] for text in texts]


def test_output_larger_than_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder stops when its buffer is full and goes on in the next; no text may be lost or doubled there."""
    texts = [f"number {i} " * (i % 40) for i in range(300)]
    renderer = Renderer()
    whole = renderer.render_png(texts)
    monkeypatch.setattr("rendering.renderer._PNG_BUFFER", 1)
    assert renderer.render_png(texts) == whole


def test_greys_are_an_8_bit_png() -> None:
    renderer = Renderer(RenderSpec(font_size=24))
    (data,) = renderer.render_png(["Grey"])
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "L"
        np.testing.assert_array_equal(np.asarray(opened), renderer.render(["Grey"])[0])
    with pytest.raises(ValueError, match="font_size 16"):
        renderer.render_bits(["Grey"])


def test_the_table_is_a_full_prefix_code() -> None:
    """zlib's inflate refuses an incomplete code; every byte and every length needs one."""
    lengths = _png_table.LENGTHS
    assert len(lengths) == 286
    assert min(lengths) >= 1
    assert sum(2.0**-n for n in lengths) == 1
    assert _deflate.parse_lengths(_deflate.format_lengths(lengths)) == lengths


@pytest.mark.parametrize("distance", [2, 3, 5, 29, 49, 129, 1025, 2049])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_bytes_survive(distance: int, data: st.DataObject) -> None:
    """Not only rendered text: random bytes, runs and repeats at any row length come back through zlib."""
    piece = st.one_of(
        st.binary(min_size=1, max_size=40),
        st.tuples(st.integers(0, 255), st.integers(1, 700)).map(lambda p: bytes([p[0]]) * p[1]),
    )
    raw = b"".join(data.draw(st.lists(piece, max_size=12)))
    if data.draw(st.booleans()):
        raw += raw[-distance:] * 3
    zeros = data.draw(st.sampled_from([0, 1, 2, 3, 257, 258, 259, 260, 261, 262, 516, 517, 518, 5000]))
    table = _deflate.Table(_png_table.LENGTHS, distance)
    padded = np.frombuffer(raw + bytes(8), np.uint8)
    out = np.zeros(2 * (len(raw) + zeros) + 4096, np.uint8)
    nothing = np.empty(0, np.uint8)
    end = _png.encode(
        padded, len(raw), len(raw) + zeros, distance, table.head, table.head_value, table.head_bits, table.literal,
        table.literal_bits, table.match, table.match_bits, nothing, nothing, png.crc_table(), out, 0,
    )  # fmt: skip
    body = out[:end].tobytes()
    assert zlib.decompress(body[8:-4]) == raw + bytes(zeros)
    assert int.from_bytes(body[-4:], "big") == zlib.crc32(body[4:-4])
    assert int.from_bytes(body[:4], "big") == len(body) - 12


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=60).filter(lambda c: sum(n > 0 for n in c) > 1))
def test_package_merge_is_a_full_code_within_its_limit(counts: list[int]) -> None:
    lengths = _deflate.huffman_lengths(counts, 9)
    assert sum(2.0**-n for n in lengths if n) == 1
    assert max(lengths) <= 9
    assert [n > 0 for n in lengths] == [n > 0 for n in counts]
