"""Composition, variation and the preview."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rendering import Renderer, RenderSpec, count_code_points, load_font, preview
from rendering.compose import question_above, two_sentences
from rendering.variation import Variation, VaryingRenderer, choose

RED = np.zeros((30, 90, 3), np.uint8)
RED[..., 0] = 255


def test_question_takes_its_share_and_the_image_the_rest() -> None:
    found = question_above([RED, RED[..., 0]], ["What is this?", "?"], share=0.25)
    assert found.pixels.shape == (2, 224, 224, 3)
    top = Renderer(RenderSpec(height=64)).render(["What is this?"])[0]
    np.testing.assert_array_equal(found.pixels[0, :64], np.repeat(top[..., None], 3, axis=2))
    assert (found.pixels[0, 64:] == (255, 0, 0)).all()
    assert (found.pixels[1, 64:] == 255).all(), "a grey image has three equal channels"
    assert found.fitted.tolist() == [13, 1]
    assert not found.truncated.any()


@pytest.mark.parametrize(("fit", "red"), [("stretch", 160 * 224), ("contain", 75 * 224), ("cover", 160 * 224)])
def test_ways_to_fit_an_image(fit: str, red: int) -> None:
    found = question_above([RED], ["q"], share=64 / 224, fit=fit).pixels[0, 64:]
    assert int((found == (255, 0, 0)).all(axis=2).sum()) == pytest.approx(red, rel=0.02)


def test_a_question_too_long_is_flagged() -> None:
    found = question_above([RED], ["why " * 200], share=0.1)
    assert found.truncated.tolist() == [True]
    assert 20 < found.fitted[0] < 60


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1.0}, "share"),
        ({"fit": "squeeze"}, "fit"),
        ({"spec": RenderSpec(height=16)}, "no room"),
        ({"images": []}, "0 images for 1 questions"),
    ],
)
def test_bad_questions(arguments: dict[str, Any], says: str) -> None:
    images = arguments.pop("images", [RED])
    with pytest.raises(ValueError, match=says):
        question_above(images, ["q"], **arguments)


def test_two_sentences_stand_above_and_below_the_bar() -> None:
    firsts, seconds = ["A man plays.", "x" * 60], ["Someone makes music.", "y"]
    found = two_sentences(pa.array(firsts), pa.array(seconds), bar=4)
    renderer = Renderer()
    lines = renderer.lines(firsts).tolist()
    assert lines[0] == 1
    assert lines[1] > 1
    for row, count in enumerate(lines):
        top = 16 * count
        image = found.pixels[row]
        np.testing.assert_array_equal(image[:top], renderer.render([firsts[row]])[0, :top])
        assert (image[top : top + 4] == 0).all()
        np.testing.assert_array_equal(image[top + 4 : top + 36], renderer.render([seconds[row]])[0, :32])
    assert found.fitted.tolist() == [32, 61]
    assert not found.truncated.any()


@pytest.mark.parametrize("first", [1, 100, 2000])
@pytest.mark.parametrize("second", [1, 100, 2000])
def test_room_is_shared(first: int, second: int) -> None:
    """The shorter sentence keeps up to half; nobody is cut while lines are left, and no line is cropped."""
    a, b = "word " * (first // 5) + "w", "text " * (second // 5) + "t"
    found = two_sentences([a], [b])
    bar = int(np.flatnonzero((found.pixels[0] == 0).all(axis=1))[0])
    need = Renderer(RenderSpec(max_chars=768)).lines([a, b]).tolist()
    room = (224 - 4) // 16
    assert bar % 16 == 0
    assert 16 <= bar <= 16 * (room - 1)
    if sum(need) <= room:
        assert not found.truncated[0]
        assert bar == 16 * need[0]
    else:
        assert found.truncated[0]
        assert bar // 16 >= min(need[0], room // 2)
        assert room - bar // 16 >= min(need[1], room // 2)
    whole = bar + 4 + (220 - bar) // 16 * 16
    assert (found.pixels[0, whole:] == 127).all()


def test_two_sentences_need_two_lines() -> None:
    with pytest.raises(ValueError, match="no room for two lines"):
        two_sentences(["a"], ["b"], spec=RenderSpec(height=32))


def test_code_points_are_counted_as_decoded() -> None:
    assert count_code_points(["", "aß漢😀", b"\xff\xfe\xe2\x82", "\ud800"]).tolist() == [0, 4, 3, 1]


# ---------------------------------------------------------------------- variation

TEXTS = [f"Sample number {i}" for i in range(60)]
KEYS = [f"{i * 7919:08x}" for i in range(60)]
ALL = Variation(
    seed=3,
    font_sizes=(12, 16, 20),
    spacings=(1, 2),
    monospace=0.3,
    brightness=((127, 0), (255, 0), (0, 255)),
    offset=(8, 4),
)


def test_off_by_default() -> None:
    pixels, fitted = VaryingRenderer(RenderSpec(), Variation()).render(TEXTS, KEYS)
    np.testing.assert_array_equal(pixels, Renderer().render(TEXTS))
    assert fitted.tolist() == list(map(len, TEXTS))


def test_a_sample_depends_on_its_key_and_the_seed_alone() -> None:
    """Not on its batch, its place in it, or the process: any sharding gives the same pixels."""
    renderer = VaryingRenderer(RenderSpec(), ALL)
    whole, fitted = renderer.render(pa.array(TEXTS), KEYS)
    again = pickle.loads(pickle.dumps(renderer))  # noqa: S301 - our own object
    for row in (0, 7, 59):
        alone, count = again.render([TEXTS[row]], [KEYS[row]])
        np.testing.assert_array_equal(alone[0], whole[row])
        assert count[0] == fitted[row]
    other, _ = VaryingRenderer(RenderSpec(), replace(ALL, seed=4)).render(TEXTS, KEYS)
    assert sum((other[i] != whole[i]).any() for i in range(60)) > 40


def test_every_choice_is_drawn_and_one_leaves_the_others() -> None:
    drawn = [choose(ALL, RenderSpec(), key) for key in (f"{i}" for i in range(400))]
    assert {c.spec.font_size for c in drawn} == {12, 16, 20}
    assert {(c.spec.background, c.spec.text) for c in drawn} == {(127, 0), (255, 0), (0, 255)}
    assert {c.x for c in drawn} == set(range(9))
    assert {c.y for c in drawn} == set(range(5))
    assert 0.2 < np.mean([c.spec.monospace for c in drawn]) < 0.4
    fewer = [choose(replace(ALL, font_sizes=()), RenderSpec(), f"{i}") for i in range(400)]
    assert [replace(c.spec, font_size=16) for c in drawn] == [c.spec for c in fewer]


def test_an_offset_moves_the_ink_and_loses_none() -> None:
    variation = Variation(offset=(8, 4))
    pixels, _ = VaryingRenderer(RenderSpec(), variation).render(TEXTS, KEYS)
    inner = Renderer(RenderSpec(width=216, height=220)).render(TEXTS)
    assert [int((p == 0).sum()) for p in pixels] == [int((p == 0).sum()) for p in inner]
    for image, key, small in zip(pixels, KEYS, inner, strict=True):
        choice = choose(variation, RenderSpec(), key)
        np.testing.assert_array_equal(image[choice.y : choice.y + 220, choice.x : choice.x + 216], small)


def test_fonts_vary(tmp_path: Path) -> None:
    path = tmp_path / "box.hex"
    path.write_text("0061:" + "FF" * 16 + "\n")
    fonts = (load_font(), load_font(path))
    pixels, _ = VaryingRenderer(RenderSpec(), Variation(fonts=2), fonts=fonts).render(["a"] * 40, KEYS[:40])
    assert len({image.tobytes() for image in pixels}) == 2
    with pytest.raises(ValueError, match="chooses from 2 fonts, there are 1"):
        VaryingRenderer(RenderSpec(), Variation(fonts=2))


@pytest.mark.parametrize("arguments", [{"monospace": 2.0}, {"offset": (-1, 0)}, {"fonts": -1}])
def test_variation_bounds(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Variation"):
        Variation(**arguments)


# ---------------------------------------------------------------------- preview


@pytest.mark.parametrize("layout", ["clippo", "question", "pair"])
def test_preview_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str) -> None:
    path = tmp_path / "out.png"
    assert preview.main(["first text", "second " * 300, "-o", str(path), "--layout", layout]) == 0
    with Image.open(path) as image:
        assert image.width == 224
    assert "truncated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size", "0"], "width must be from 1"),
        (["--size", "100000"], "width must be from 1"),
        (["--size", "8"], "texts[0] has a glyph"),
        (["--hex", "/no/such/file.hex"], "no such font file"),
        (["--layout", "pair"], "even number"),
        (["--layout", "question", "--image", "/no/such.png"], "No such file"),
    ],
)
def test_preview_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert preview.main(["MMM", "-o", str(tmp_path / "x.png"), *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
