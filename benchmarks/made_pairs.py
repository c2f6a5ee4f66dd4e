"""A version to measure the trainer's parts on: photographs of a usual size, and sentences, written by the project's own writers."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from pipelines.shards.tar import write_tar
from rendering import Renderer

MODULES = """
    argparse ast asyncio.tasks collections csv datetime decimal difflib doctest email.message fractions functools heapq inspect
    itertools json logging multiprocessing.pool os pathlib pickle random re shutil smtplib socket statistics string subprocess
    tarfile tempfile textwrap threading turtle typing unittest.case unittest.mock uuid xml.dom.minidom zipfile
"""


def sentences() -> list[str]:
    """Sentences of 20 to 300 characters of the standard library's own documentation."""
    found: dict[str, None] = {}
    for name in MODULES.split():
        module = importlib.import_module(name)
        things: list[Any] = [module, *(v for v in vars(module).values() if callable(v))]
        things += [v for t in things if inspect.isclass(t) for v in vars(t).values() if callable(v)]
        for thing in things:
            text = " ".join(re.sub(r"\s+", " ", thing.__doc__ or "").split()) if isinstance(thing.__doc__, str) else ""
            found |= dict.fromkeys(s for s in re.split(r"(?<=[.!?]) (?=[A-Z])", text) if 20 <= len(s) <= 300)
    return list(found)


def photograph(number: int, width: int = 640, height: int = 480) -> bytes:
    """A JPEG with edges, smooth parts and grain: some 60 kB at 640 x 480, like a web photograph."""
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(coarse, np.int16) + random.normal(0, 6, (height, width, 3)).astype(np.int16)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.SMOOTH).save(out, "JPEG", quality=88)
    return out.getvalue()


def write_version(folder: Path, *, photographs: int, texts: int, shard: int = 2000) -> Path:
    """Writes a version of `image_alt` and `sentences`.

    Args:
        folder: Where; made.
        photographs: Samples of `image_alt`.
        texts: Samples of `sentences`.
        shard: Samples a shard.
    """
    renderer, pool = Renderer(), sentences()
    pictures = [photograph(n) for n in range(min(photographs, 64))]
    entries = []
    (folder / "train").mkdir(parents=True, exist_ok=True)
    for kind, count in (("image_alt", photographs), ("sentences", texts)):
        keys = sorted(hashlib.sha256(f"{kind}{n}".encode()).hexdigest()[:32] for n in range(count))
        for at in range(0, count, shard):
            part = range(at, min(at + shard, count))
            right = pa.array([pool[(7 * n + 1) % len(pool)] for n in part])
            left = [pool[7 * n % len(pool)] for n in part]
            rest = [json.dumps({"kind": kind, "left_text": text}).encode() for text in left]
            members: list[tuple[str, Any]] = [("png", renderer.render_png_array(pa.array(left)))]
            if kind == "image_alt":
                members = [("jpg", pa.array([pictures[n % len(pictures)] for n in part], pa.large_binary()))]
            members += [
                ("text.png", renderer.render_png_array(right)),
                ("txt", right),
                ("json", pa.array(rest, pa.large_binary())),
            ]
            path = folder / "train" / f"{kind}-{at // shard:06d}.tar"
            length, digest = write_tar(path, pa.array([keys[n] for n in part]), members)
            entries.append(
                {"path": f"train/{path.name}", "kind": kind, "bytes": length, "sha256": digest, "samples": len(part)}
            )
    render = {"spec": renderer.spec.to_dict(), "digest": renderer.digest}
    mix = {kind: 0.5 for kind, count in (("image_alt", photographs), ("sentences", texts)) if count}
    (folder / "MANIFEST.json").write_text(json.dumps({"shards": entries, "render": render, "mix": mix}))
    return folder
