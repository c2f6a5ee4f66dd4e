"""Makes the quickstart's raw input: pictures with captions, documents and bitext, in the formats that users have.

    python examples/quickstart/make_input.py OUT_DIR [--pictures 3000] [--scene-lines 1000] [--scene-documents 60] [--seed 7]

Nothing is downloaded. The pictures are drawn; the prose is what the Python installation carries. The same seed and
the same package versions give the same rows. README.md beside this file says what each file is.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from bitext import CATALOGUES, SCENE_LANGUAGES, catalogue_pairs, scene_pairs
from captions import LANGUAGES, caption
from documents import docstring_documents, scene_documents, topic_documents
from PIL import Image
from scenes import draw, make_scenes

PICTURES_SCHEMA: Final[pa.Schema] = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("caption", pa.string()),
        ("texts", pa.list_(pa.struct([("lang", pa.string()), ("text", pa.string())]))),
        ("url", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
    ]
)

NOISE: Final[dict[str, float]] = {
    "file_name_caption": 0.030,
    "empty_caption": 0.030,
    "boilerplate_caption": 0.025,
    "duplicate": 0.020,
    "tiny_icon": 0.015,
    "truncated_jpeg": 0.010,
    "not_an_image": 0.005,
}
"""Share of each kind of planted noise among the rows; the rest is clean."""

FORMATS: Final[tuple[tuple[str, str, float], ...]] = (("JPEG", "jpg", 0.6), ("PNG", "png", 0.2), ("WEBP", "webp", 0.2))
BOILERPLATE: Final[tuple[str, ...]] = ("image", "Logo", "loading...", "click to enlarge", "Avatar", "photo", "icon")
NOT_AN_IMAGE: Final[bytes] = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body></body></html>\n"


def noise_counts(pictures: int) -> dict[str, int]:
    """How many rows of each kind of noise a table of `pictures` rows gets: the share, rounded, at least one."""
    return {name: max(1, round(share * pictures)) for name, share in NOISE.items()}


def picture_rows(pictures: int, *, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of the picture table, clean and noisy ones mixed.

    Args:
        pictures: Rows in all, at least 20.
        seed: Same seed, same rows.
    """
    noise = noise_counts(pictures)
    labels = [name for name, count in noise.items() for _ in range(count)]
    labels += ["clean"] * (pictures - len(labels))
    order = random.Random(f"{seed}:order")  # noqa: S311 - reproducible, not secret
    order.shuffle(labels)
    first = labels.index("clean")  # a duplicate needs something before it
    labels[0], labels[first] = labels[first], labels[0]
    scenes = iter(make_scenes(pictures, seed=seed, stage="pictures"))
    clean: list[dict[str, Any]] = []
    for number, label in enumerate(labels):
        rng = random.Random(f"{seed}:picture:{number}")  # noqa: S311
        url = f"https://pictures.example/{number // 100:03d}/{rng.getrandbits(32):08x}"
        if label == "duplicate":
            row = rng.choice(clean)
            yield {**row, "url": f"{url}.{row['image']['path'].rpartition('.')[2]}"}
            continue
        scene = next(scenes)
        row = _row(scene, number, label, rng, url)
        if label == "clean":
            clean.append(row)
        yield row


def _row(scene: Any, number: int, label: str, rng: random.Random, url: str) -> dict[str, Any]:
    picture = draw(scene, rng)
    texts = [{"lang": "en", "text": caption(scene, "en", rng)}]
    for lang in LANGUAGES:
        if lang != "en" and rng.random() < 0.4:
            texts.append({"lang": lang, "text": caption(scene, lang, rng)})
    codec, extension, _ = rng.choices(FORMATS, [share for _, _, share in FORMATS])[0]
    if label == "truncated_jpeg":
        codec, extension = "JPEG", "jpg"
    if label == "tiny_icon":
        side = rng.choice((16, 24, 32))
        picture = picture.resize((side, side), Image.Resampling.BOX)
    data = _encode(picture, codec, rng)
    if label == "truncated_jpeg":
        data = data[: max(700, len(data) * 2 // 5)]
    elif label == "not_an_image":
        data = NOT_AN_IMAGE
    elif label == "file_name_caption":
        names = (f"IMG_{number:04d}.JPG", f"DSC{number * 7:05d}.jpg", f"screenshot-{number:04d}.png")
        texts = [{"lang": "en", "text": rng.choice(names)}]
    elif label == "boilerplate_caption":
        texts = [{"lang": "en", "text": rng.choice(BOILERPLATE)}]
    elif label == "empty_caption":
        texts = [{"lang": "en", "text": rng.choice(("", " ", "\n"))}]
    return {
        "image": {"bytes": data, "path": f"{number:06d}.{extension}"},
        "caption": texts[0]["text"],
        "texts": texts,
        "url": f"{url}.{extension}",
        "width": picture.width,
        "height": picture.height,
    }


def _encode(picture: Image.Image, codec: str, rng: random.Random) -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = {"JPEG": {"quality": rng.choice((80, 88, 95))}, "PNG": {}, "WEBP": {"quality": 90}}[codec]
    picture.save(out, codec, **options)
    return out.getvalue()


def write_pictures(path: Path, pictures: int, *, seed: int) -> dict[str, Any]:
    """Writes the picture table as Parquet (zstd, row groups of 200) and says what is in it."""
    table = pa.Table.from_pylist(list(picture_rows(pictures, seed=seed)), schema=PICTURES_SCHEMA)
    pq.write_table(table, path, compression="zstd", row_group_size=200)
    noise = noise_counts(pictures)
    return {"rows": pictures, "clean": pictures - sum(noise.values()), "noise": noise}


def write_documents(path: Path, documents: Iterable[dict[str, str]]) -> dict[str, int]:
    """Writes documents as gzipped JSON lines (text, timestamp, url) and counts them and their paragraphs."""
    rows = list(documents)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    return {"documents": len(rows), "paragraphs": sum(row["text"].count("\n") + 1 for row in rows)}


def write_bitext(stem: Path, target: str, pairs: Iterable[tuple[str, str]], *, compress: bool) -> dict[str, int]:
    """Writes `<stem>.en-<target>.en` and `.<target>`, line by line aligned, plain or `.gz`."""
    rows = list(pairs)
    for column, lang in enumerate(("en", target)):
        data = "".join(row[column] + "\n" for row in rows).encode()
        name = f"{stem.name}.en-{target}.{lang}"
        if compress:
            (stem.parent / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (stem.parent / name).write_bytes(data)
    return {"lines": len(rows)}


def make_input(
    out: Path, *, pictures: int = 3000, scene_lines: int = 1000, scene_documents_each: int = 60, seed: int = 7
) -> dict[str, Any]:
    """Writes all input files into `out` and, last, `expected.json`, which says what was planted.

    Args:
        out: A folder; made if absent. Files of the same names are overwritten.
        pictures: Rows of the picture table, 20 to 20,000.
        scene_lines: Lines of each scene bitext, 1 to 10,000.
        scene_documents_each: Documents in each language that describe scenes, 0 to 5,000.
        seed: Same seed, same rows.

    Returns:
        What `expected.json` holds: rows, clean rows and counts of each kind of noise; documents and paragraphs of each
        file; lines of each bitext.

    Raises:
        ValueError: `pictures`, `scene_lines` or `scene_documents_each` is out of bounds.
    """
    if not 20 <= pictures <= 20_000:
        raise ValueError(f"pictures must be 20 to 20000, not {pictures}")
    if not 1 <= scene_lines <= 10_000:
        raise ValueError(f"scene_lines must be 1 to 10000, not {scene_lines}")
    if not 0 <= scene_documents_each <= 5_000:
        raise ValueError(f"scene_documents must be 0 to 5000, not {scene_documents_each}")
    out.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Any] = {"seed": seed, "pictures": {}, "documents": {}, "bitext": {}}
    expected["pictures"]["pictures.parquet"] = write_pictures(out / "pictures.parquet", pictures, seed=seed)
    topics = list(topic_documents())
    half = len(topics) // 2
    painted = set(make_scenes(pictures, seed=seed, stage="pictures"))
    described = [
        document
        for lang in LANGUAGES
        for document in scene_documents(lang, scene_documents_each, seed=seed, painted=painted)
    ]
    parts = (topics[:half], topics[half:], list(docstring_documents()), described)
    for number, part in enumerate(parts):
        name = f"docs-{number:05d}.json.gz"
        expected["documents"][name] = write_documents(out / name, part)
    for target in CATALOGUES:
        pairs = catalogue_pairs(target)
        expected["bitext"][f"catalogue.en-{target}"] = write_bitext(out / "catalogue", target, pairs, compress=False)
    for target in SCENE_LANGUAGES:
        pairs = scene_pairs(target, scene_lines, seed=seed, painted=painted)
        expected["bitext"][f"scenes.en-{target}"] = write_bitext(out / "scenes", target, pairs, compress=True)
    (out / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
    return expected


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="folder for the input files; made if absent")
    parser.add_argument("--pictures", type=int, default=3000, help="rows of the picture table (default: %(default)s)")
    parser.add_argument(
        "--scene-lines", type=int, default=1000, help="lines of each scene bitext (default: %(default)s)"
    )
    parser.add_argument(
        "--scene-documents", type=int, default=60, help="described scenes in each language (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="same seed, same rows (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        expected = make_input(
            args.out, pictures=args.pictures, scene_lines=args.scene_lines,
            scene_documents_each=args.scene_documents, seed=args.seed,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        print(f"make_input: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    print(f"{args.pictures} pictures, {sum(d['documents'] for d in expected['documents'].values())} documents, "
          f"{sum(b['lines'] for b in expected['bitext'].values())} lines of bitext in {args.out}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
