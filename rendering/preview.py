"""Texts as a picture file: what `pixelpairs preview` shows.

python -m rendering.preview "a text" "another" -o preview.png
python -m rendering.preview --layout strip --fonts NotoSans-Regular.ttf "one text" -o strip.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from .compose import question_above, two_sentences
from .contact_sheet import noto_fonts
from .font import load_font
from .layouts import SquareRenderer, SquareSpec, StripRenderer, StripSpec
from .outline import FontStack
from .renderer import Renderer, count_code_points
from .spec import RenderSpec

LAYOUTS = ("clippo", "square", "strip", "question", "pair")


def draw(
    texts: Sequence[str],
    *,
    layout: str = "clippo",
    spec: RenderSpec | None = None,
    fonts: Sequence[Path] = (),
    image: Path | None = None,
    share: float = 0.25,
) -> tuple[list[npt.NDArray[np.uint8]], list[str]]:
    """Draws texts in one layout.

    Args:
        texts: for "pair", two and two belong together.
        layout: "clippo", the bitmap font; "square" and "strip", outline fonts; "question", above `image`; "pair", two
            on one canvas.
        spec: canvas and grey levels; default CLIPPO's. fonts: for outlines, default the installed Noto fonts.
        image: a picture file for "question"; default a plain grey one. share: of the canvas for the question.

    Returns:
        (images, uint8 (height, width) or (height, width, 3); a line about each: what fitted).

    Raises:
        ValueError: an unknown layout, an odd number of texts for "pair", or fonts that cannot be read.
    """
    spec = spec or RenderSpec()
    if layout == "clippo":
        renderer = Renderer(spec)
        pixels, fitted, totals = renderer.render(texts), renderer.fitted(texts), count_code_points(texts)
        return list(pixels), [_note(f, t, f < t) for f, t in zip(fitted.tolist(), totals.tolist(), strict=True)]
    if layout in ("square", "strip"):
        stack = FontStack(list(fonts) or noto_fonts())
        if layout == "square":
            square = SquareSpec(width=spec.width, height=spec.height, font_size=spec.font_size, background=spec.background,
                                text=spec.text)  # fmt: skip
            drawn = SquareRenderer(square, stack).render(texts)
        else:
            drawn = StripRenderer(StripSpec(), stack).render(texts)
        rows = zip(drawn.fitted.tolist(), texts, drawn.truncated.tolist(), strict=True)
        return list(drawn.pixels), [_note(f, len(t), cut) for f, t, cut in rows]
    if layout == "question":
        if image:
            with Image.open(image) as opened:
                picture = opened.convert("RGB")
        else:
            picture = Image.new("RGB", (64, 64), (90, 90, 90))
        found = question_above([picture] * len(texts), list(texts), spec=spec, share=share)
        lengths = list(map(len, texts))
    elif layout == "pair":
        if len(texts) % 2:
            raise ValueError("the layout 'pair' wants an even number of texts")
        found = two_sentences(list(texts[::2]), list(texts[1::2]), spec=spec)
        lengths = [len(a) + len(b) for a, b in zip(texts[::2], texts[1::2], strict=True)]
    else:
        raise ValueError(f"no layout {layout!r}; there is {', '.join(LAYOUTS)}")
    notes = zip(found.fitted.tolist(), lengths, found.truncated.tolist(), strict=True)
    return list(found.pixels), [_note(f, n, cut) for f, n, cut in notes]


def _note(fitted: int, total: int, cut: bool) -> str:
    return f"{fitted} of {total} code points" + (", truncated" if cut else "")


def stack_images(images: Sequence[npt.NDArray[np.uint8]], gap: int = 8) -> Image.Image:
    """One page with the images below each other, on white."""
    page = Image.new(
        "RGB", (max(i.shape[1] for i in images), sum(i.shape[0] + gap for i in images) - gap), (255, 255, 255)
    )
    y = 0
    for image in images:
        page.paste(Image.fromarray(image).convert("RGB"), (0, y))
        y += image.shape[0] + gap
    return page


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Returns 0, or 2 with one line on stderr for what cannot be drawn."""
    parser = argparse.ArgumentParser(prog="preview", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("texts", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--layout", choices=LAYOUTS, default="clippo")
    parser.add_argument("--size", type=int, default=224, help="pixels of a square canvas")
    parser.add_argument("--font-size", type=int, default=16)
    parser.add_argument("--background", type=int, default=127)
    parser.add_argument("--text", type=int, default=0)
    parser.add_argument("--monospace", action="store_true")
    parser.add_argument("--no-lower", action="store_true")
    parser.add_argument(
        "--hex", type=Path, nargs="+", default=[], help="Unifont .hex files in place of the bundled font"
    )
    parser.add_argument("--fonts", type=Path, nargs="+", default=[], help="outline fonts in order of preference")
    parser.add_argument("--image", type=Path, help="the picture below the question")
    parser.add_argument("--share", type=float, default=0.25)
    args = parser.parse_args(argv)
    try:
        spec = RenderSpec(
            width=args.size, height=args.size, font_size=args.font_size, background=args.background, text=args.text,
            monospace=args.monospace, lower=not args.no_lower, font=tuple(map(str, args.hex)),
        )  # fmt: skip
        images, notes = draw(
            args.texts, layout=args.layout, spec=spec, fonts=args.fonts, image=args.image, share=args.share
        )
        stack_images(images).save(args.output)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"preview: {error}", file=sys.stderr)
        return 2
    if args.layout in ("clippo", "question", "pair"):
        print(f"font {load_font(*args.hex).name}, spec {spec.digest(load_font(*args.hex))[:16]}")
    for number, note in enumerate(notes):
        print(f"{number}: {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
