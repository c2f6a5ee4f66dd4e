"""Makes a small version as a build leaves it: real tars, drawn pictures, texts in many scripts, and its manifest."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from pipelines.dataset import DatasetManifest, ShardEntry, TableEntry
from pipelines.gate import GateBounds, evaluate, report
from pipelines.ledger import Step
from rendering import Renderer

RENDERER = Renderer()
TEXTS = [
    ("en", "A red circle to the left of a blue square"),
    ("de", "Ein roter Kreis links von einem blauen Quadrat, schön gezeichnet"),
    ("ja", "赤い丸は青い四角の左にあります"),
    ("zh-Hant", "藍色方塊左邊有一個紅色圓圈"),
    ("ar", "دائرة حمراء إلى يسار مربع أزرق"),
    ("hi", "नीले वर्ग के बाईं ओर एक लाल वृत्त"),
    ("ru", "Красный круг слева от синего квадрата"),
    ("ko", "파란 사각형 왼쪽에 빨간 원"),
    ("he", "עיגול אדום משמאל לריבוע כחול"),
    ("el", "Ένας κόκκινος κύκλος αριστερά από ένα μπλε τετράγωνο"),
]
FORMATS = ("jpg", "png", "webp")


def drawn_text(text: str) -> bytes:
    """A 1-bit palette PNG of the rendered text."""
    image = Image.fromarray(RENDERER.render([text])[0]).point(lambda level: 0 if level else 1).convert("P")
    image.putpalette([127, 127, 127, 0, 0, 0])
    out = io.BytesIO()
    image.save(out, format="PNG", bits=1)
    return out.getvalue()


def photograph(number: int, fmt: str = "jpg") -> bytes:
    """A coloured scene, 320 x 200 or 200 x 320."""
    size = (320, 200) if number % 2 else (200, 320)
    image = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", [image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("L", size, 150)])
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 30, 110, 120), fill=(200, 40 + 15 * (number % 10), 40))
    draw.rectangle((size[0] - 90, size[1] - 90, size[0] - 20, size[1] - 20), fill=(30, 60, 60 + 19 * (number % 10)))
    out = io.BytesIO()
    image.save(out, format={"jpg": "JPEG"}.get(fmt, fmt.upper()))
    return out.getvalue()


def key_of(kind: str, number: int) -> str:
    """32 hex digits."""
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[:32]


def members_of(kind: str, number: int) -> dict[str, bytes]:
    """Members of one sample, extension -> bytes."""
    lang, text = TEXTS[number % len(TEXTS)]
    left_lang, left_text = TEXTS[(number + 3) % len(TEXTS)]
    key = key_of(kind, number)
    rest: dict[str, Any] = {
        "key": key,
        "kind": kind,
        "source": "web",
        "origin": f"part-0.parquet#{number}",
        # null in the first samples only: what trips readers that guess types from those
        "url": None if number < 6 else f"https://example.org/{number}.jpg",
        "left_text": None,
        "left_lang": None,
        "right_lang": lang,
        "scores": {"words": number, "ratio": 0.5} if number % 2 else {},
        "right_cut": False,
    }
    if kind == "image_alt":
        fmt = FORMATS[number % 3]
        left = photograph(number, fmt)
        digest = hashlib.sha256(left).hexdigest()
        with Image.open(io.BytesIO(left)) as image:
            rest["image"] = {"format": fmt, "width": image.width, "height": image.height, "sha256": digest}
    else:
        fmt, left = "png", drawn_text(left_text)
        rest.update(left_text=left_text, left_lang=left_lang, left_cut=number % 4 == 0)
    members = {fmt: left, "text.png": drawn_text(text), "txt": text.encode()}
    return members | {"json": json.dumps(rest, sort_keys=True).encode()}


def write_tar(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    """A tar without times or owners."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key in sorted(samples):
            for extension, data in samples[key].items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_shards(folder: Path, kinds: dict[str, list[int]]) -> list[ShardEntry]:
    """Writes shards of so many samples each and tells what was written."""
    entries = []
    for kind, counts in kinds.items():
        number = 0
        for index, count in enumerate(counts):
            samples = {key_of(kind, n): members_of(kind, n) for n in range(number, number + count)}
            number += count
            path = folder / "train" / f"{kind}-{index:06d}.tar"
            write_tar(path, samples)
            data = path.read_bytes()
            entries.append(
                ShardEntry(
                    path=f"train/{path.name}",
                    kind=kind,
                    bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    samples=count,
                    first_key=min(samples, default=""),
                    last_key=max(samples, default=""),
                )
            )
    return entries


def _ledger() -> dict[str, list[Step]]:
    """Figures of a middling build; every step balances."""
    alt = [
        Step(
            source="shop", step="read", unit="records", rows_in=3000, kept=2995, rows_out=2995, errors={"no_image": 5}
        ),
        Step(
            source="shop",
            step="filter",
            unit="pairs",
            rows_in=2995,
            kept=2100,
            rows_out=2100,
            dropped={"too_few_words": 600, "boilerplate": 200, "is_url": 95},
            alone={"too_few_words": 640, "boilerplate": 280, "is_url": 120, "wrong_language": 4},
        ),
        Step(
            source="web",
            step="read",
            unit="records",
            rows_in=120_450,
            kept=119_970,
            rows_out=119_970,
            errors={"corrupt": 311, "truncated": 120, "too_many_pixels": 49},
        ),
        Step(
            source="web",
            step="filter",
            unit="pairs",
            rows_in=119_970,
            kept=61_200,
            rows_out=61_200,
            dropped={
                "too_few_words": 31_000,
                "boilerplate": 12_400,
                "is_file_name": 7_700,
                "wrong_language": 4_100,
                "small_picture": 2_000,
                "is_url": 1_100,
                "repeated_text": 300,
                "aspect": 120,
                "digits": 45,
                "unsafe_words": 5,
            },
            alone={
                "too_few_words": 36_200,
                "boilerplate": 14_900,
                "is_file_name": 21_700,
                "wrong_language": 9_800,
                "small_picture": 2_900,
                "is_url": 1_400,
                "repeated_text": 800,
                "aspect": 310,
                "digits": 900,
                "unsafe_words": 12,
            },
        ),
        Step(
            source="web",
            step="unique",
            unit="pairs",
            rows_in=61_200,
            kept=58_012,
            rows_out=58_012,
            dropped={"duplicate": 3_188},
        ),
        Step(
            source="web",
            step="render",
            unit="pairs",
            rows_in=58_012,
            kept=58_010,
            rows_out=58_010,
            errors={"photograph_lost": 2},
        ),
    ]
    documents = [
        Step(
            source="c4",
            step="read",
            unit="documents",
            rows_in=9_000,
            kept=8_990,
            rows_out=8_990,
            errors={"bad_json": 10},
        ),
        Step(
            source="c4",
            step="mine",
            unit="documents",
            rows_in=8_990,
            kept=7_000,
            rows_out=44_000,
            dropped={"no_pair": 1_990},
        ),
    ]
    sentences = [
        *documents,
        Step(
            source="c4",
            step="filter",
            unit="pairs",
            rows_in=44_000,
            kept=30_500,
            rows_out=30_500,
            dropped={"too_short": 9_500, "language_differs": 4_000},
        ),
        Step(
            source="c4",
            step="unique",
            unit="pairs",
            rows_in=30_500,
            kept=30_000,
            rows_out=30_000,
            dropped={"duplicate": 500},
        ),
        Step(source="c4", step="render", unit="pairs", rows_in=30_000, kept=30_000, rows_out=30_000),
    ]
    translations = [
        Step(source="wmt", step="read", unit="lines", rows_in=2_037, kept=2_037, rows_out=2_037),
        Step(
            source="wmt",
            step="filter",
            unit="pairs",
            rows_in=2_037,
            kept=1_900,
            rows_out=1_900,
            dropped={"length_ratio": 100, "same_text": 37},
        ),
        Step(source="wmt", step="unique", unit="pairs", rows_in=1_900, kept=1_900, rows_out=1_900),
    ]
    return {"image_alt": alt, "sentences": sentences, "translations": translations}


def make_version(folder: Path, *, kinds: dict[str, list[int]] | None = None, failed: bool = False) -> DatasetManifest:
    """Writes the shards and gives the manifest; the other files of a version are the tests' to write.

    Args:
        folder: The version's folder.
        kinds: Kind -> samples of each of its shards; default three kinds.
        failed: Makes the gate refuse the build; it then names no shards.
    """
    kinds = kinds or {"image_alt": [7, 5], "sentences": [9], "translations": [6]}
    shards = [] if failed else write_shards(folder, kinds)
    samples = {kind: sum(counts) for kind, counts in kinds.items()}
    languages = {
        kind: {
            side: {"en": 5200, "de": 2100, "ja": 800, "zh-Hant": 310, "und": 44, "ar": 3} for side in ("left", "right")
        }
        for kind in kinds
    }
    languages.get("image_alt", {}).pop("left", None)
    cut = {kind: {"right": 2} for kind in kinds}
    ledger = {kind: steps for kind, steps in _ledger().items() if kind in kinds}
    bounds = GateBounds(min_samples={"image_alt": 1_000_000} if failed else {})
    return DatasetManifest(
        name="shapes",
        version="0123456789ab",
        recipe={
            "name": "shapes",
            "sources": {"web": {"type": "image_text"}, "c4": {"type": "documents"}, "wmt": {"type": "bitext"}},
            "card": {
                "title": "Shapes in ten scripts",
                "description": "Drawn scenes.\n\nA second paragraph.",
                "license": "cc0-1.0",
            },
        },
        lineage={
            "annotate-web": {"key": "a1" * 8, "code": "1", "inputs": {"part-0.parquet": "sha256:" + "0f" * 32}},
            "select-image_alt": {"key": "b2" * 8, "code": "3", "inputs": {"annotate-web": "1e" * 32}},
            "render-image_alt": {"key": "c3" * 8, "code": "1", "inputs": {"select-image_alt": "2d" * 32}},
        },
        render={
            "spec": RENDERER.spec.to_dict(),
            "font": {"name": "Unifont 15.0.01", "sha256": RENDERER.font.sha256},
            "digest": RENDERER.digest,
        },
        models={"lid.176.ftz": "ab" * 32},
        mix={kind: round(1 / len(kinds), 4) for kind in kinds},
        shards=shards,
        tables=[TableEntry(path="tables/meta-000000.parquet", source="meta", bytes=1234, sha256="cd" * 32, rows=17)],
        ledger=ledger,
        languages=languages,
        cut=cut,
        errors={"corrupt": 311, "truncated": 120, "too_many_pixels": 49, "bad_json": 10},
        gate=report(evaluate(bounds, samples, ledger, cut, languages, 0)),
    )
