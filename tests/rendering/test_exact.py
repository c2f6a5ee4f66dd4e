"""Bit for bit CLIPPO's pixels: the recorded cases, and any text, size and argument against the plain Python loop."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import reference
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rendering import Font, Renderer, RenderSpec, WidthError, load_font

VARIANTS = (
    "base224", "base384", "mono224", "nolower224", "mc64_224", "mc0_224", "sp0_224", "sp1mw8_224", "base100", "base512",
    "font8_224", "font24_224",
)  # fmt: skip


@pytest.fixture(scope="module")
def oracle(shared: Path, unifont_9: list[Path]) -> dict[str, Any]:
    folder = shared / "render_oracle"
    lines = (folder / "cases.jsonl").read_text().splitlines()
    return {
        "cases": {case["id"]: base64.b64decode(case["b64"]) for case in map(json.loads, lines)},
        "variants": json.loads((folder / "variants.json").read_text()),
        "expected": np.load(folder / "expected.npz", allow_pickle=False),
        "font": load_font(*unifont_9),
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_oracle(oracle: dict[str, Any], variant: str) -> None:
    """Every image that CLIPPO's op gave, in every bit."""
    if variant.startswith("font"):
        arguments: dict[str, Any] = {"image_size": 224, "font_size": int(variant[4:].split("_")[0])}
    else:
        arguments = dict(oracle["variants"][variant])
    size = arguments.pop("image_size")
    texts = [oracle["cases"][i] for i in oracle["expected"][f"{variant}__idx"].tolist()]
    assert texts, "the oracle has cases of this variant"
    renderer = Renderer(RenderSpec(width=size, height=size, **arguments), font=oracle["font"])
    images = renderer.render(texts)
    if variant.startswith("font"):
        np.testing.assert_array_equal(images, oracle["expected"][f"{variant}__grey"])
        return
    bits = renderer.render_bits(texts)
    np.testing.assert_array_equal(bits, oracle["expected"][f"{variant}__bits"])
    np.testing.assert_array_equal(np.packbits((images == 0).reshape(len(texts), -1), axis=1), bits)
    assert set(np.unique(images)) <= {0, 127}


def test_the_oracle_has_no_other_variant(oracle: dict[str, Any]) -> None:
    assert {name.split("__")[0] for name in oracle["expected"].files} == set(VARIANTS)


# ---------------------------------------------------------------------- properties

ANY_TEXT = st.text(st.characters(), max_size=120)  # st.characters() draws lone surrogates too
LATIN = st.text("the quick BROWN fox.,Äß", max_size=900)
WILD_BYTES = st.lists(
    st.sampled_from([b"a", b"Z", b"\xc3\xa4", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf0\x9f\x98",
                     b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xf0\x80", b"\xc0\xaf", b"\xff", b"\x80", b"\xed", b"\x00", b"\n"]),
    max_size=60,
).map(b"".join)  # fmt: skip
TEXT = st.one_of(ANY_TEXT, LATIN, WILD_BYTES, st.binary(max_size=120))
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(1, 400),
        "height": st.integers(1, 300),
        "max_chars": st.sampled_from([0, 1, 2, 7, 64, 768]),
        "background": st.integers(0, 255),
        "text": st.integers(0, 255),
        "lower": st.booleans(),
        "monospace": st.booleans(),
        "spacing": st.integers(0, 20),
        "min_width": st.integers(0, 20),
    },
)


def bundled_glyphs() -> dict[int, list[int]]:
    font = load_font()
    return {int(p): font.rows[i + 1].tolist() for i, p in enumerate(font.codepoints)}


GLYPHS = bundled_glyphs()


def expected(
    text: str | bytes, arguments: dict[str, Any], glyphs: dict[int, list[int]]
) -> tuple[np.ndarray, int] | None:
    arguments = dict(arguments)
    if "text" in arguments:
        arguments["text_level"] = arguments.pop("text")
    return reference.render(text, glyphs, **arguments)


def check(texts: list[str | bytes], arguments: dict[str, Any], glyphs: dict[int, list[int]], font: Font | None) -> None:
    renderer = Renderer(RenderSpec(**arguments), font=font)
    want = [expected(text, arguments, glyphs) for text in texts]
    bad = [row for row, found in enumerate(want) if found is None]
    if bad:
        for call in (renderer.render, renderer.fitted):
            with pytest.raises(WidthError, match=rf"texts\[{bad[0]}\] "):
                call(texts)
        texts = [text for row, text in enumerate(texts) if row not in bad]
        want = [found for found in want if found is not None]
    images = renderer.render(texts)
    np.testing.assert_array_equal(images, [found[0] for found in want] if want else np.empty_like(images))
    assert renderer.fitted(texts).tolist() == [found[1] for found in want]
    if renderer.spec.font_size == 16 and want and renderer.spec.text != renderer.spec.background:
        ink = np.stack([found[0] for found in want]) == renderer.spec.text
        np.testing.assert_array_equal(renderer.render_bits(texts), np.packbits(ink.reshape(len(want), -1), axis=1))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(TEXT, max_size=4), arguments=SPEC)
@example(texts=[""], arguments={})
@example(texts=["\ud800 \udfff", b"\xed\xa0\x80"], arguments={})
@example(texts=["\U0001f600" * 40, "i" * 900], arguments={"width": 17, "height": 33})
@example(texts=["W" * 30], arguments={"width": 12, "monospace": False})
@example(texts=["i i"], arguments={"spacing": 0, "min_width": 0, "width": 9})
def test_any_text_and_argument(texts: list[str | bytes], arguments: dict[str, Any]) -> None:
    check(texts, arguments, GLYPHS, None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.one_of(st.text(st.characters(), max_size=8), st.text("aMi.ß漢", max_size=12)),
    size=st.one_of(st.integers(1, 40), st.sampled_from([3, 7, 11, 13, 15, 17, 22, 29, 31, 48])),
    arguments=SPEC,
)
def test_any_font_size(text: str, size: int, arguments: dict[str, Any]) -> None:
    check([text], arguments | {"font_size": size}, GLYPHS, None)


@pytest.mark.parametrize("size", range(1, 49))
def test_every_font_size_up_to_48(size: int) -> None:
    """Single grey levels hang on the order of float32 operations, and widths on whether a sliver of weight is ink."""
    check(["aW.漢 j"], {"font_size": size, "width": 300, "height": 60, "background": 255, "text": 3}, GLYPHS, None)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t,
        tuple,
        lambda t: [x.encode() for x in t],
        lambda t: [x.encode() if i % 2 else x for i, x in enumerate(t)],
        lambda t: pa.array(t, pa.string()),
        lambda t: pa.array(t, pa.large_string()),
        lambda t: pa.array([x.encode() for x in t], pa.binary()),
        lambda t: pa.array(t, pa.string_view()),
        lambda t: pa.array(t).dictionary_encode(),
        lambda t: pa.array(["before", *t, "after"])[1:-1],
        lambda t: pa.chunked_array([t[:1], [], t[1:]], pa.string()),
        lambda t: np.array(t, dtype=object),
    ],
)
def test_every_way_to_pass_texts(make: Any) -> None:
    texts = ["Hello", "", "Grüße 漢字", "x" * 300]
    renderer = Renderer()
    np.testing.assert_array_equal(renderer.render(make(texts)), renderer.render(texts))
    assert renderer.render_png(make(texts)) == renderer.render_png(texts)


def test_no_texts() -> None:
    renderer = Renderer()
    for none in ([], pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        assert renderer.render(none).shape == (0, 224, 224)
        assert renderer.render_bits(none).shape == (0, 6272)
        assert renderer.render_png(none) == []
        assert renderer.fitted(none).shape == (0,)


def test_out_is_drawn_into_wholly() -> None:
    renderer = Renderer(RenderSpec(width=100, height=50))
    out = np.full((2, 50, 100), 77, np.uint8)
    assert renderer.render(["a", ""], out) is out
    np.testing.assert_array_equal(out, renderer.render(["a", ""]))
    assert not (out == 77).any()


def test_batches_are_the_whole() -> None:
    texts = [f"number {i}" for i in range(23)]
    renderer = Renderer(RenderSpec(width=64, height=32))
    whole = renderer.render(texts)
    found = [(at, images.copy()) for at, images in renderer.batches(pa.array(texts), rows=5)]
    assert [at for at, _ in found] == [0, 5, 10, 15, 20]
    np.testing.assert_array_equal(np.concatenate([images for _, images in found]), whole)


def test_what_was_cut_is_counted() -> None:
    renderer = Renderer(RenderSpec(width=224, height=16))
    texts = ["short", "x" * 500]
    assert renderer.fitted(texts)[0] == 5
    # An x is 8 wide with its pad: 27 of them stay below the 216 columns that a line has.
    assert 20 <= renderer.fitted(texts)[1] < 40
    assert Renderer(RenderSpec(max_chars=3)).fitted(["short"]).tolist() == [3]
    assert Renderer(RenderSpec(height=15)).fitted(["short"]).tolist() == [0], (
        "a cropped line does not show its text whole"
    )
