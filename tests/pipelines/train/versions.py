"""Makes small versions to train on, as `publish` lays them out."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WORDS = ["red", "green", "blue", "black", "white", "gold"]
TINTS = {"red": (220, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 230), "black": (0, 0, 0), "white": (255, 255, 255),
         "gold": (255, 215, 0)}  # fmt: skip
SIDE = 64


def text_png(text: str, side: int = SIDE) -> bytes:
    """A text as the renderer's PNGs have it: one bit, a palette of 127 and 0."""
    bits = Image.new("1", (side, side))
    for line, word in enumerate(text.split()):
        ImageDraw.Draw(bits).text((1, 16 * line + 1), word, fill=1)
    picture = Image.fromarray(np.asarray(bits).astype(np.uint8), "P")
    picture.putpalette([127, 127, 127, 0, 0, 0])
    out = io.BytesIO()
    picture.save(out, "PNG", bits=1)
    return out.getvalue()


def photograph(words: list[str], noise: int) -> bytes:
    """Four bands of colour, named by the words from top to bottom, with noise that makes each file its own."""
    pixels = np.repeat(np.array([TINTS[w] for w in words], dtype=np.int16), 12, axis=0)[:, None].repeat(48, 1)
    pixels = pixels + np.random.default_rng(noise).integers(-12, 13, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def write_version(folder: Path, kinds: dict[str, list[tuple[str, bytes, str]]], *, per_shard: int = 200) -> Path:
    """Writes a version as `publish` lays it out: kind -> (left extension, left bytes, right text)."""
    (folder / "train").mkdir(parents=True)
    shards = []
    for kind, pairs in kinds.items():
        keyed = sorted((hashlib.sha256(f"{kind}{n}{text}".encode()).hexdigest()[:32], e, left, text)
                       for n, (e, left, text) in enumerate(pairs))  # fmt: skip
        for number, start in enumerate(range(0, len(keyed), per_shard)):
            part = keyed[start : start + per_shard]
            path = folder / "train" / f"{kind}-{number:06d}.tar"
            with tarfile.open(path, "w") as tar:
                for key, extension, left, text in part:
                    meta = json.dumps({"kind": kind}).encode()
                    members = ((extension, left), ("text.png", text_png(text)), ("txt", text.encode()), ("json", meta))
                    for name, data in members:
                        info = tarfile.TarInfo(f"{key}.{name}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            shards.append({"path": f"train/{path.name}", "kind": kind, "bytes": len(data), "samples": len(part),
                           "sha256": digest, "first_key": part[0][0], "last_key": part[-1][0]})  # fmt: skip
    spec = {"width": SIDE, "height": SIDE, "background": 127, "text": 0}
    manifest = {"shards": shards, "render": {"spec": spec, "font": {"name": "x", "sha256": "0" * 64}},
                "mix": {kind: 1 / len(kinds) for kind in kinds}}  # fmt: skip
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


def bands() -> list[tuple[str, bytes, str]]:
    combos = list(itertools.product(WORDS, repeat=4))[::3]
    return [("png", photograph(list(words), n), " ".join(words)) for n, words in enumerate(combos)]


def real_version(folder: Path) -> Path:
    """A version of three kinds with JPEG photographs and texts in many scripts, drawn by `rendering`."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "publish"))
    from made_version import make_version

    from pipelines.dataset import encode

    manifest = make_version(folder, kinds={"image_alt": [23, 17], "sentences": [24], "translations": [16, 16]})
    (folder / "MANIFEST.json").write_bytes(encode(manifest))
    return folder
