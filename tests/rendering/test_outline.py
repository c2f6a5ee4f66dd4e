"""Outline fonts: order, shaping, fallback, wrapping and the strip. Skipped where the Noto fonts are not installed."""

from __future__ import annotations

import ctypes
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont, features

from rendering import FontError, bidi, contact_sheet
from rendering.layouts import SquareRenderer, SquareSpec, StripRenderer, StripSpec, digest
from rendering.outline import FontStack, clusters

FONTS = contact_sheet.noto_fonts()
needs_fonts = pytest.mark.skipif(
    len(FONTS) < len(contact_sheet.NAMES) or not features.check("raqm"),
    reason="needs Debian's fonts-noto-core, fonts-noto-cjk, fonts-noto-color-emoji and libfribidi0",
)


@pytest.fixture(scope="module")
def stack() -> FontStack:
    return FontStack(FONTS)


# ---------------------------------------------------------------------- order, without any font


def shown(text: str, base: int | None = None) -> str:
    """The characters in the order they are drawn, right-to-left runs reversed, as UAX #9's examples are written."""
    level = bidi.paragraph_level(text) if base is None else base
    found = bidi.levels(text, level)
    out = list(range(len(text)))
    order = bidi.visual_order(found)
    return "".join(text[i] for i in (out[j] for j in order))


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("abc", "abc"),
        ("car is אבג in", "car is גבא in"),
        ("אבג is car", "is car גבא"),
        ("אבג 123 דהו", "והד 123 גבא"),
        ("abc אבג, דהו xyz", "abc והד ,גבא xyz"),
        ("אב 1,234.5 ג", "ג 1,234.5 בא"),
        ("price ابج 45% x", "price 45 جبا% x"),
        ("שלום.", ".םולש"),
        ("אב 12% גד", "דג 12% בא"),
    ],
)
def test_mixed_directions(text: str, drawn: str) -> None:
    assert shown(text) == drawn


@given(st.text(st.sampled_from("ab אבجد 12 ،,.+-%()\u0300\u0651"), max_size=30), st.sampled_from([0, 1]))
def test_order_is_a_permutation_and_parity_is_direction(text: str, base: int) -> None:
    found = bidi.levels(text, base)
    assert sorted(bidi.visual_order(found)) == list(range(len(text)))
    for character, level in zip(text, found, strict=True):
        if unicodedata.bidirectional(character) in ("R", "AL"):
            assert level % 2 == 1
        if unicodedata.bidirectional(character) == "L":
            assert level % 2 == 0


@pytest.fixture(scope="module")
def fribidi() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libfribidi.so.0")
    except OSError:
        pytest.skip("needs libfribidi0")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.sampled_from('abz אבת جدي 12۳٤ ,.:;+-/%$€#"!&?\u0300\u0651\t'), max_size=24),
    base=st.sampled_from([0, 1]),
)
def test_levels_are_those_of_fribidi(fribidi: ctypes.CDLL, text: str, base: int) -> None:
    """An independent implementation, as the judge of W1 to W7, N1, N2 and the levels; trailing spaces are L1's."""
    points = (ctypes.c_uint32 * max(len(text), 1))(*map(ord, text))
    kinds = (ctypes.c_uint32 * max(len(text), 1))()
    found = (ctypes.c_int8 * max(len(text), 1))()
    fribidi.fribidi_get_bidi_types(points, len(text), kinds)
    direction = ctypes.c_uint32(0x111 if base else 0x110)  # FRIBIDI_PAR_RTL, FRIBIDI_PAR_LTR
    fribidi.fribidi_get_par_embedding_levels_ex(kinds, None, len(text), ctypes.byref(direction), found)
    shown = text.rstrip(" \t")
    ours = bidi.levels(text, base)[: len(shown)]
    theirs = list(found)[: len(shown)]
    # FriBiDi applies L1 to a tab itself, and so do we only at the line's end.
    assert [a for a, c in zip(ours, text, strict=False) if c not in " \t"] == [
        b for b, c in zip(theirs, shown, strict=True) if c not in " \t"
    ]


@given(st.text(max_size=30))
def test_clusters_join_to_the_text(text: str) -> None:
    assert "".join(clusters(text)) == text
    assert all(clusters(text))


def test_clusters_hold_together_what_belongs_together() -> None:
    assert list(clusters("é👨‍👩‍👧🇩🇪🇫🇷👍🏽क्ष❤️")) == ["é", "👨‍👩‍👧", "🇩🇪", "🇫🇷", "👍🏽", "क्ष", "❤️"]
    assert list(clusters("เกีย")) == ["เกี", "ย"], "a Thai vowel before its consonant begins no line's end"


# ---------------------------------------------------------------------- fonts


@needs_fonts
@pytest.mark.parametrize(("name", "text"), [row for row in contact_sheet.SAMPLES if "Emoji" not in row[0]])
def test_every_sample_has_all_its_glyphs(stack: FontStack, name: str, text: str) -> None:
    for run in stack.runs(text):
        covers = stack.faces[run.face].covers
        assert all(covers[ord(c)] for c in run.text if c not in "\u200d\u200c\ufe0f"), (name, run)


@needs_fonts
@pytest.mark.parametrize("name", ["Arabic", "Hebrew", "Devanagari", "Thai", "Latin"])
def test_a_line_equals_raqm_alone(stack: FontStack, name: str) -> None:
    """Within one font our runs and order must give the pixels that raqm gives for the whole line."""
    text = dict(contact_sheet.SAMPLES)[name][:25].strip().rstrip(".")
    (face,) = {run.face for run in stack.runs(text)}
    want = Image.new("L", (700, 40), 255)
    font = ImageFont.truetype(str(stack.faces[face].path), 20, layout_engine=ImageFont.Layout.RAQM)
    direction = "rtl" if bidi.paragraph_level(text) else "ltr"
    ImageDraw.Draw(want).text((2, 28), text, font=font, fill=0, anchor="ls", direction=direction)
    spec = SquareSpec(width=700, height=40, font_size=20, background=255, margin=2, line_height=40)
    found = SquareRenderer(spec, stack).render([text]).pixels[0]
    ours, theirs = (np.asarray(a) < 255 for a in (found, want))
    crop = [a[np.ix_(a.any(1), a.any(0))] for a in (ours, theirs)]
    assert abs(crop[0].shape[1] - crop[1].shape[1]) <= 1
    if direction == "ltr":  # a right-aligned line may begin between two pixels
        np.testing.assert_array_equal(crop[0], crop[1])


@needs_fonts
def test_shaping_joins_arabic_and_conjuncts(stack: FontStack) -> None:
    """Without shaping the letters of a word stand alone and are wider."""
    for word in ("متساوين", "स्वतन्त्रता"):
        assert stack.width(word, 40) < 0.9 * sum(stack.width(c, 40) for c in word if unicodedata.category(c)[0] == "L")


@needs_fonts
def test_right_to_left_begins_at_the_right(stack: FontStack) -> None:
    spec = SquareSpec(width=200, height=30)
    drawn = SquareRenderer(spec, stack).render(["שלום", "hello"])
    ink = (drawn.pixels != spec.background).any(axis=1)
    assert not ink[0, :100].any()
    assert ink[0, 190:].any()
    assert ink[1, :10].any()
    assert not ink[1, 100:].any()


@needs_fonts
def test_emoji_sequences_are_one_picture(stack: FontStack) -> None:
    one, family = stack.width("👨", 32), stack.width("👨‍👩‍👧", 32)
    assert family == pytest.approx(one)
    assert stack.width("🇩🇪", 32) == pytest.approx(one, rel=0.2)
    drawn = SquareRenderer(SquareSpec(width=64, height=64, font_size=32), stack).render(["👍🏽"]).pixels[0]
    assert len(np.unique(drawn)) > 10, "a picture, in greys"
    assert stack.faces[stack.runs("❤\ufe0f")[0].face].colour, "the variation selector asks for the picture"


@needs_fonts
@pytest.mark.parametrize(("_name", "text"), contact_sheet.SAMPLES)
@pytest.mark.parametrize("width", [60, 224])
def test_nothing_is_lost_in_wrapping(stack: FontStack, _name: str, text: str, width: int) -> None:
    renderer = SquareRenderer(SquareSpec(width=width, height=1500), stack)
    assert "".join(line for line, _ in renderer._lines(text)) == text
    drawn = renderer.render([text])
    assert drawn.fitted[0] == len(text)
    assert not drawn.truncated[0]


@needs_fonts
def test_lines_break_at_words_and_only_longer_words_inside(stack: FontStack) -> None:
    renderer = SquareRenderer(SquareSpec(width=120, height=500), stack)
    lines = [line for line, _ in renderer._lines("some words of a usual length and incomprehensibilities\nnew")]
    assert all(line.endswith((" ", "\n")) for line in lines[:3])
    assert lines[-1] == "new"
    joined = [line for line, _ in renderer._lines("W" * 40)]
    assert len(joined) > 3
    assert all(renderer._width(line, 0) <= 118 for line in joined)


@needs_fonts
def test_what_does_not_fit_is_flagged(stack: FontStack) -> None:
    drawn = SquareRenderer(SquareSpec(width=100, height=48), stack).render(["short", "long " * 100, "", "漢" * 5000])
    assert drawn.truncated.tolist() == [False, True, False, True]
    assert drawn.fitted[0] == 5
    assert 10 <= drawn.fitted[1] < 60
    assert drawn.pixels[2].min() == 127, "an empty text is a blank canvas"


@needs_fonts
def test_strip_of_one_text(stack: FontStack) -> None:
    spec = StripSpec()
    drawn = StripRenderer(spec, stack).render(["Hello, world", ""])
    assert drawn.pixels.shape == (2, 16, 8464)
    patches = drawn.pixels.reshape(2, 16, 529, 16).transpose(0, 2, 1, 3)
    black = (patches == 0).all(axis=(2, 3))
    assert black.sum(axis=1).tolist() == [1, 1]
    assert np.argmax(black, axis=1).tolist() == drawn.num_patches.tolist()
    assert drawn.num_patches[0] == np.ceil((stack.width("Hello, world", 12) + 2) / 16)
    for row in range(2):
        assert (patches[row, drawn.num_patches[row] + 1 :] == 255).all(), "blank after the separator"
    assert not drawn.truncated.any()


@needs_fonts
def test_strip_of_a_pair(stack: FontStack) -> None:
    drawn = StripRenderer(StripSpec(), stack).render([("One sentence", "and another"), "One sentence"])
    black = (drawn.pixels.reshape(2, 16, 529, 16) == 0).all(axis=(1, 3))
    first, second = np.flatnonzero(black[0])
    assert first == np.flatnonzero(black[1])[0]
    assert second == drawn.num_patches[0]
    np.testing.assert_array_equal(drawn.pixels[0, :, : 16 * first], drawn.pixels[1, :, : 16 * first])


@needs_fonts
@pytest.mark.parametrize(
    "text",
    ["W" * 5000, "漢" * 3000, "word " * 3000, ("a " * 4000, "b"), ("a", "b " * 4000), ("a " * 4000, "b " * 4000)],
)
def test_a_text_too_long_for_a_strip_is_cut_not_lost(stack: FontStack, text: str | tuple[str, str]) -> None:
    """PIXEL gives an empty image for a first line that is too wide; here as much as fits is drawn, and the cut is flagged."""
    drawn = StripRenderer(StripSpec(), stack).render([text])
    black = (drawn.pixels[0].reshape(16, 529, 16) == 0).all(axis=(0, 2))
    assert drawn.truncated[0]
    assert 400 < drawn.num_patches[0] <= 528
    assert black.sum() == (1 if isinstance(text, str) else 2)
    assert (drawn.pixels[0, :, : 16 * 400] < 128).any(axis=0).mean() > 0.3, "the strip is full of text"


@needs_fonts
def test_high_and_low_marks_stay_in_the_strip(stack: FontStack) -> None:
    texts = ["ที่สุดปู่ญี่ปุ่น", "हिन्दूँ कृत्रिम", "أحراراً", "Ậ̣̂gjpq", "l" * 3]
    drawn = StripRenderer(StripSpec(font_size=14), stack).render(texts)
    assert not drawn.truncated.any()


@needs_fonts
def test_digest_names_fonts_and_layout(stack: FontStack) -> None:
    other = FontStack(FONTS[::-1])
    digests = {
        digest(spec, fonts) for spec in (SquareSpec(), SquareSpec(margin=3), StripSpec()) for fonts in (stack, other)
    }
    assert len(digests) == 6


# ---------------------------------------------------------------------- bad input


@needs_fonts
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "no such font file"),
        (lambda p: p.write_bytes(b""), "truncated or damaged|does not begin"),
        (lambda p: p.write_bytes(b"\x89PNG" + bytes(2000)), "does not begin like"),
        (lambda p: p.write_bytes(FONTS[0].read_bytes()[:5000]), "truncated"),
        (lambda p: p.write_bytes(FONTS[0].read_bytes()[:-100]), "truncated"),
        (lambda p: p.mkdir(), "cannot be read"),
    ],
)
def test_a_file_that_is_no_outline_font(tmp_path: Path, make, says: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "font.ttf"
    make(path)
    with pytest.raises(FontError, match=says) as error:
        FontStack([path])
    assert str(path) in str(error.value)


@needs_fonts
def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "font.ttf"
    shutil.copy(FONTS[0], path)
    before = FontStack([path]).sha256
    shutil.copy(FONTS[2], path)
    assert FontStack([path]).sha256 != before


def test_no_files() -> None:
    with pytest.raises((FontError, RuntimeError)):
        FontStack([])


@pytest.mark.parametrize("arguments", [{"width": 0}, {"height": 100_000}, {"font_size": 0}, {"width": 16, "margin": 8}])
def test_square_bounds(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(reversed(arguments))):
        SquareSpec(**arguments)


@needs_fonts
@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Co", "Cn"]), max_size=40))
def test_any_text_is_drawn(text: str) -> None:
    """No text may raise, hang or lose characters without the flag."""
    stack = FontStack(FONTS)
    square = SquareRenderer(SquareSpec(), stack).render([text])
    strip = StripRenderer(StripSpec(), stack).render([text])
    assert square.truncated[0] or square.fitted[0] == len(text)
    assert strip.truncated[0] or strip.fitted[0] == len(text)


@needs_fonts
def test_the_contact_sheet_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["contact_sheet", "-o", str(tmp_path / "sheet.png")])
    assert contact_sheet.main() == 0
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 1000
