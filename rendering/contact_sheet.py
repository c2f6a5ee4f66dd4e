"""A picture to look at: one sentence in many scripts, drawn with Unifont and with outline fonts side by side.

    python -m rendering.contact_sheet -o docs/images/rendering-scripts.png [--fonts FILE ...]

Without --fonts it takes the Noto fonts of Debian's packages fonts-noto-core, fonts-noto-cjk and fonts-noto-color-emoji.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from .layouts import SquareRenderer, SquareSpec
from .outline import FontStack
from .renderer import Renderer
from .spec import RenderSpec

NOTO = Path("/usr/share/fonts")
NAMES = (
    "NotoSans-Regular.ttf", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansDevanagari-Regular.ttf",
    "NotoSansBengali-Regular.ttf", "NotoSansTamil-Regular.ttf", "NotoSansThai-Regular.ttf", "NotoSansGeorgian-Regular.ttf",
    "NotoSansEthiopic-Regular.ttf", "NotoSansCJK-Regular.ttc", "NotoColorEmoji.ttf",
)  # fmt: skip
# Article 1 of the Universal Declaration of Human Rights, its first sentence.
SAMPLES = (
    ("Latin", "All human beings are born free and equal in dignity and rights."),
    ("Cyrillic", "Все люди рождаются свободными и равными в своем достоинстве и правах."),
    ("Greek", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα."),
    ("Arabic", "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق."),
    ("Hebrew", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם."),
    ("Devanagari", "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।"),
    ("Bengali", "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।"),
    ("Tamil", "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்."),
    ("Thai", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"),
    ("Georgian", "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით."),
    ("Ethiopic", "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።"),
    ("Han", "人人生而自由,在尊严和权利上一律平等。"),
    ("Kana", "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
    ("Hangul", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
    ("Emoji, both directions", "Family 👨‍👩‍👧, thumbs 👍🏽, flag 🇩🇪, heart ❤️; שלום (world) 123, السعر 45.50 ريال."),
)


def noto_fonts(folder: Path = NOTO) -> list[Path]:
    """The fonts of NAMES that lie anywhere under `folder`, in that order."""
    found = {path.name: path for path in sorted(folder.rglob("Noto*")) if path.name in NAMES}
    return [found[name] for name in NAMES if name in found]


def sheet(fonts: FontStack, *, columns: int = 2, cell: tuple[int, int] = (336, 112), scale: int = 1) -> Image.Image:
    """Three pictures a sample: its name, Unifont's and the outline fonts'; `columns` samples a row."""
    width, height = cell
    label = Renderer(RenderSpec(width=width * 2 + 8, height=16, background=255, lower=False))
    bitmap = Renderer(RenderSpec(width=width, height=height, background=235, lower=False))
    outline = SquareRenderer(SquareSpec(width=width, height=height, background=235, font_size=18, margin=2), fonts)
    rows = -(-len(SAMPLES) // columns)
    page = np.full((rows * (height + 28), columns * (2 * width + 24), 1), 255, np.uint8)[:, :, 0]
    for i, (name, text) in enumerate(SAMPLES):
        y, x = (i // columns) * (height + 28) + 4, (i % columns) * (2 * width + 24) + 8
        drawn = outline.render([text])
        note = " (cut)" if drawn.truncated[0] else ""
        page[y : y + 16, x : x + 2 * width + 8] = label.render([name + note])[0]
        page[y + 18 : y + 18 + height, x : x + width] = bitmap.render([text])[0]
        page[y + 18 : y + 18 + height, x + width + 8 : x + 2 * width + 8] = drawn.pixels[0]
    image = Image.fromarray(page)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST) if scale > 1 else image


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, nargs="+", help="outline fonts in order of preference")
    parser.add_argument("--scale", type=int, default=1, help="enlarge by a whole number")
    args = parser.parse_args()
    paths = args.fonts or noto_fonts()
    if not paths:
        print(
            "no fonts: give --fonts, or install fonts-noto-core, fonts-noto-cjk and fonts-noto-color-emoji",
            file=sys.stderr,
        )
        return 2
    sheet(FontStack(paths), scale=args.scale).save(args.output, optimize=True)
    print(f"{args.output}: {len(SAMPLES)} samples with {', '.join(path.name for path in paths)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
