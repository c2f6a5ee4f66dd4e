"""Bad input gives a clear error: fonts, specs, texts and buffers; and what identifies the pixels."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import reference

from rendering import FontError, Renderer, RenderSpec, WidthError, load_font

A = "0041:0000000018242442427E424242420000\n"


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("none.hex", None, "no such font file"),
        ("empty.hex", "", "empty"),
        ("blank.hex", "\n\n", "empty"),
        ("cut.hex", A + "0042:0000", "line 2: b'0042:0000' is no glyph"),
        ("odd.hex", A + "0042:00000000182424_2427E424242420000\n", "line 2"),
        ("high.hex", "110000:0000000018242442427E424242420000\n", "line 1"),
        ("text.hex", "This is not a font at all.\n", "line 1"),
        ("otf.hex", b"OTTO\x00\x0b\x00\x80" + bytes(range(256)) * 20, "line 1"),
        ("png.hex", b"\x89PNG\r\n\x1a\n" + bytes(500), "is no glyph"),
        ("cut.hex.gz", gzip.compress(A.encode() * 400)[:-20], "truncated"),
        ("junk.hex.gz", b"\x1f\x8b" + bytes(100), "cannot be read"),
    ],
)
def test_a_file_that_is_no_font(tmp_path: Path, name: str, data: Any, says: str) -> None:
    path = tmp_path / name
    if data is not None:
        write(path, data)
    with pytest.raises(FontError, match=says) as error:
        load_font(path)
    assert str(path) in str(error.value), "the message names the file"


def test_a_folder_is_no_font(tmp_path: Path) -> None:
    with pytest.raises(FontError, match="cannot be read"):
        load_font(tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendering.font.MAX_HEX_BYTES", 10_000)
    with pytest.raises(FontError, match="more than"):
        load_font(write(tmp_path / "bomb.hex.gz", gzip.compress(b"0" * 1_000_000)))


def test_later_files_add_and_win(tmp_path: Path) -> None:
    one = write(tmp_path / "one.hex", A + "0042:" + "FF" * 16 + "\n")
    two = write(tmp_path / "two.hex.gz", gzip.compress(b"0042:" + b"0f" * 32 + b"\r\n1F600:" + b"80" * 16))
    font = load_font(one, two)
    assert font.name == "one.hex+two.hex.gz"
    assert font.codepoints.tolist() == [0x41, 0x42, 0x1F600]
    assert font.rows[2].tolist() == [0x0F0F] * 16
    assert font.rows[3].tolist() == [0x8000] * 16
    assert load_font(two, one).rows[2].tolist() == [0xFF00] * 16


def test_files_read_as_the_reference_reads_them(unifont_9: list[Path]) -> None:
    font, glyphs = load_font(*unifont_9), reference.read_hex(*unifont_9)
    assert font.codepoints.tolist() == sorted(glyphs)
    assert font.rows[1:].tolist() == [glyphs[point] for point in sorted(glyphs)]


def test_the_bundled_font_is_unifont_15(shared: Path) -> None:
    """The BMP glyph for glyph; above it, all but the few that the next release draws otherwise."""
    font = load_font()
    bmp = reference.read_hex(shared / "data/unifont/unifont-15.0.01.hex.gz")
    later = reference.read_hex(shared / "data/unifont/unifont_all-15.1.01.hex.gz")
    rows = {int(point): font.rows[i + 1].tolist() for i, point in enumerate(font.codepoints)}
    assert {point: glyph for point, glyph in rows.items() if point < 0x10000} == bmp
    upper = [point for point in rows if point >= 0x10000]
    assert len(upper) == 13_547
    assert sum(rows[point] == later[point] for point in upper) >= 13_517


def test_a_font_has_one_hash_whatever_its_file(tmp_path: Path) -> None:
    plain = load_font(write(tmp_path / "a.hex", A))
    packed = load_font(write(tmp_path / "b.hex.gz", gzip.compress(A.lower().encode())))
    assert plain.sha256 == packed.sha256 != load_font().sha256
    assert load_font().sha256 == "97323cc099074ac2ae1ca1857cf7ee84895c587312cec59714307f8a84fec4f1"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"width": 0}, "width must be from 1 to 16384, not 0"),
        ({"height": 100_000}, "height must be from 1 to 16384, not 100000"),
        ({"width": 16384, "height": 16384}, "more than"),
        ({"font_size": 0}, "font_size"),
        ({"background": 256}, "background"),
        ({"text": -1}, "text"),
        ({"max_chars": -1}, "max_chars"),
        ({"spacing": -1}, "spacing"),
        ({"min_width": 1000}, "min_width"),
    ],
)
def test_values_out_of_bounds(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RenderSpec(**arguments)


@pytest.mark.parametrize("arguments", [{"width": "224"}, {"width": 2.0}, {"width": True}, {"lower": 1}, {"font": (1,)}])
def test_values_of_another_type(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="RenderSpec"):
        RenderSpec(**arguments)


def test_spec_round_trip_and_presets() -> None:
    spec = RenderSpec(width=100, font=("a.hex",))
    assert RenderSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert RenderSpec.preset("clippo") == RenderSpec()
    assert RenderSpec.preset("clippo", width=384).width == 384
    with pytest.raises(ValueError, match="no preset 'clipo'; there is clippo"):
        RenderSpec.preset("clipo")
    with pytest.raises(ValueError, match="no field 'heigth'"):
        RenderSpec.from_dict({"heigth": 3})


def test_the_digest_names_the_pixels(tmp_path: Path) -> None:
    """Every field and the glyphs change it; the font's path does not."""
    font, other = load_font(), load_font(write(tmp_path / "a.hex", A))
    base = RenderSpec().digest(font)
    assert RenderSpec(font=("elsewhere.hex",)).digest(font) == base
    changes: list[dict[str, Any]] = [
        {"width": 1}, {"height": 1}, {"font_size": 8}, {"max_chars": 1}, {"background": 1}, {"text": 1}, {"lower": False},
        {"monospace": True}, {"spacing": 0}, {"min_width": 1},
    ]  # fmt: skip
    digests = {base, RenderSpec().digest(other), *(RenderSpec(**change).digest(font) for change in changes)}
    assert len(digests) == 2 + len(changes)


def test_a_canvas_not_wider_than_a_glyph_is_named() -> None:
    renderer = Renderer(RenderSpec(width=16, monospace=True))
    with pytest.raises(WidthError, match=r"texts\[2\] has a glyph 16 pixels wide, and the canvas is 16"):
        renderer.render(pa.chunked_array([["", ""], ["漢字"]]))
    renderer = Renderer(RenderSpec(width=15))
    for call in (renderer.render_bits, renderer.render_png, renderer.fitted):
        with pytest.raises(WidthError, match=r"texts\[1\]"):
            call(["a", "漢"])


@pytest.mark.parametrize(
    ("texts", "error", "says"),
    [
        ("a single text", TypeError, "single text"),
        (b"bytes", TypeError, "single text"),
        ([1, 2], TypeError, "must be str or bytes"),
        (["a", None], ValueError, r"texts\[1\] is null"),
        (pa.array([1]), TypeError, "not int64"),
        (pa.array(["a", None]), ValueError, "null"),
    ],
)
def test_texts_that_are_none(texts: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Renderer().render(texts)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((1, 224, 224), np.float32),
        np.empty((2, 224, 224), np.uint8),
        np.empty((224, 224, 1), np.uint8),
        np.empty((1, 224, 448), np.uint8)[:, :, ::2],
    ],
)
def test_out_must_fit(out: Any) -> None:
    with pytest.raises(ValueError, match="out must be"):
        Renderer().render(["a"], out)


def test_out_must_be_writeable() -> None:
    out = np.empty((1, 224, 224), np.uint8)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        Renderer().render(["a"], out)
