"""Text and something else on one canvas: a question above a photograph, two sentences with a bar between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from .font import Font, load_font
from .renderer import Renderer, count_code_points
from .spec import RenderSpec
from .texts import Texts

Bytes = npt.NDArray[np.uint8]
FITS = ("stretch", "contain", "cover")


@dataclass(frozen=True)
class Composed:
    """pixels: uint8 (n, height, width) or (n, height, width, 3). fitted: int32 (n,) code points of all text that are whole on the
    canvas. truncated: bool (n,), some text is not."""

    pixels: Bytes
    fitted: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]


def question_above(
    images: Sequence[Bytes | Image.Image],
    questions: Texts,
    *,
    spec: RenderSpec | None = None,
    share: float = 0.25,
    fit: str = "stretch",
    font: Font | None = None,
) -> Composed:
    """CLIPPO's input for visual question answering: the question at the top of the canvas, the image below it.

    Args:
        images: n photographs, uint8 (h, w, 3) or (h, w), or Pillow images.
        questions: n texts, as Renderer.render takes them.
        spec: the whole canvas and how the question is drawn; default CLIPPO's.
        share: part of the canvas's height for the question, above 0 and below 1; rounded to whole lines, at least one.
        fit: "stretch" to the rest of the canvas as CLIPPO resizes its images; "contain" keeps the proportions and pads with the
            background; "cover" keeps them and cuts what stands over.
        font: default `load_font(*spec.font)`.

    Returns:
        pixels uint8 (n, height, width, 3).

    Raises:
        ValueError: counts differ, `share` or `fit` is not as above, or the canvas has no room for a line and an image.
    """
    spec = spec or RenderSpec()
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, not {share}")
    if fit not in FITS:
        raise ValueError(f"fit must be one of {', '.join(FITS)}, not {fit!r}")
    if len(images) != len(questions):
        raise ValueError(f"{len(images)} images for {len(questions)} questions")
    top = max(1, round(spec.height * share / spec.font_size)) * spec.font_size
    if top >= spec.height:
        raise ValueError(f"{spec.height} pixels have no room for a line of {spec.font_size} and an image")
    renderer = Renderer(replace(spec, height=top), font=font)
    pixels = np.empty((len(images), spec.height, spec.width, 3), np.uint8)
    pixels[:, :top] = renderer.render(questions)[..., None]
    for i, image in enumerate(images):
        pixels[i, top:] = _fit(image, spec.width, spec.height - top, fit, spec.background)
    fitted = renderer.fitted(questions)
    return Composed(pixels, fitted, fitted < count_code_points(questions))


def two_sentences(
    firsts: Texts, seconds: Texts, *, spec: RenderSpec | None = None, bar: int = 4, font: Font | None = None
) -> Composed:
    """Two texts on one canvas, the second below a bar over the whole width: GLUE's sentence pairs for a pixel-only model.

    Where both do not fit, the shorter one keeps up to half of the lines and the other takes what is left.

    Args:
        firsts, seconds: n texts each, as Renderer.render takes them.
        spec: the canvas; default CLIPPO's. bar: its height in pixels, of the text's grey level. font: default
        `load_font(*spec.font)`.

    Returns:
        pixels uint8 (n, height, width).

    Raises:
        ValueError: counts differ, or the canvas has no room for two lines and the bar.
    """
    spec = spec or RenderSpec()
    font = font or load_font(*spec.font)
    room = (spec.height - bar) // spec.font_size
    if bar < 1 or room < 2:
        raise ValueError(f"{spec.height} pixels have no room for two lines of {spec.font_size} and a bar of {bar}")
    if len(firsts) != len(seconds):
        raise ValueError(f"{len(firsts)} first texts for {len(seconds)} second ones")
    whole = Renderer(spec, font=font)
    a, b = whole.lines(firsts), whole.lines(seconds)
    half = room // 2
    # Lines of the first text; each of an overfull pair may claim half.
    upper = np.where(a + b <= room, np.maximum(a, 1), np.where(a <= half, np.maximum(a, 1), np.maximum(room - b, half)))
    upper = np.minimum(upper, room - 1)
    pixels = np.full((len(a), spec.height, spec.width), spec.background, np.uint8)
    fitted = np.zeros(len(a), np.int32)
    for lines in np.unique(upper).tolist():
        rows = np.flatnonzero(upper == lines)
        top = lines * spec.font_size
        below = top + bar + (spec.height - top - bar) // spec.font_size * spec.font_size  # whole lines only
        for texts, place in ((firsts, slice(0, top)), (seconds, slice(top + bar, below))):
            chosen = _take(texts, rows)
            part = Renderer(replace(spec, height=place.stop - place.start), font=font)
            pixels[rows, place] = part.render(chosen)
            fitted[rows] += part.fitted(chosen)
        pixels[rows, top : top + bar] = spec.text
    return Composed(pixels, fitted, fitted < count_code_points(firsts) + count_code_points(seconds))


def _take(texts: Texts, rows: npt.NDArray[np.int64]) -> Texts:
    if isinstance(texts, (pa.Array, pa.ChunkedArray)):
        return texts.take(pa.array(rows))
    return [texts[row] for row in rows.tolist()]


def _fit(image: Bytes | Image.Image, width: int, height: int, fit: str, background: int) -> Bytes:
    picture = (image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image, np.uint8))).convert("RGB")
    if fit == "stretch":
        return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    ratios = width / picture.width, height / picture.height
    ratio = min(ratios) if fit == "contain" else max(ratios)
    size = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    canvas = Image.new("RGB", (width, height), (background,) * 3)
    canvas.paste(picture.resize(size, Image.Resampling.BICUBIC), ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(canvas)
