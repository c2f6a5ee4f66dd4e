"""Reads shards back: what was promised is there, byte for byte, and every picture is what its text renders to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from pipelines import storage
from pipelines.dataset import is_key
from pipelines.shards.renderers import renderer_of
from pipelines.shards.samples import PHOTO_EXTENSIONS, REST, RIGHT_PIXELS, RIGHT_TEXT
from pipelines.sources.tarstream import Damage, Member, read_tar
from rendering import Renderer

CODE = "1"
_MEMBER_BYTES = 1 << 30
_RENDER_BATCH = 256
_PROBLEMS = 20


class _Hashing:
    """A file object that hashes and counts what is read through it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.bytes = 0

    def read(self, count: int) -> bytes:
        data: bytes = self._file.read(count)
        self.digest.update(data)
        self.bytes += len(data)
        return data


def _samples(members: Iterator[Member | Damage], problems: list[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    key, found = "", dict[str, bytes]()
    for member in members:
        if isinstance(member, Damage):
            problems.append(f"{member.name or 'archive'}: {member.reason}: {member.detail}")
            continue
        name, _, extension = member.name.partition(".")
        if name != key and key:
            yield key, found
            found = {}
        key = name
        if extension in found:
            problems.append(f"{member.name}: twice")
        found[extension] = member.data or b""
    if key:
        yield key, found


def _check_sample(key: str, found: dict[str, bytes], kind: str) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with a sample's members, and its json."""
    problems = []
    photographs = [name for name in PHOTO_EXTENSIONS if name in found]
    others = sorted(set(found) - set(PHOTO_EXTENSIONS) - {RIGHT_PIXELS, RIGHT_TEXT, REST})
    missing = [name for name in (RIGHT_PIXELS, RIGHT_TEXT, REST) if name not in found]
    if not is_key(key):
        problems.append(f"{key!r} is not a key")
    if len(photographs) != 1:
        problems.append(f"{key}: {len(photographs)} left pictures")
    if missing or others:
        problems.append(f"{key}: lacks {missing}, has {others} beside")
    try:
        rest = orjson.loads(found.get(REST, b"{}"))
        found.get(RIGHT_TEXT, b"").decode("utf-8")
    except ValueError as error:
        return [*problems, f"{key}: {error}"], {}
    if not isinstance(rest, dict) or not isinstance(rest.get("left_text"), str | None):
        return [*problems, f"{key}: its json is not a sample's"], {}
    if rest.get("key") != key or rest.get("kind") != kind:
        problems.append(f"{key}: its json is of {rest.get('kind')} {rest.get('key')}")
    if kind == "image_alt" and photographs:
        digest = hashlib.sha256(found[photographs[0]]).hexdigest()
        image = rest.get("image")
        if not isinstance(image, dict) or digest != image.get("sha256"):
            problems.append(f"{key}: the photograph is not the one that was filtered")
    return problems, rest


def _check_pixels(held: list[tuple[str, dict[str, bytes], dict[str, Any]]], kind: str, renderer: Renderer) -> list[str]:
    """Renders the texts of some samples again and compares PNG bytes."""
    problems = []
    rights = renderer.render_png([found.get(RIGHT_TEXT, b"") for _, found, _ in held])
    lefts = renderer.render_png([rest.get("left_text") or "" for _, _, rest in held]) if kind != "image_alt" else rights
    for (key, found, _), right, left in zip(held, rights, lefts, strict=True):
        if found.get(RIGHT_PIXELS) != right:
            problems.append(f"{key}: {RIGHT_PIXELS} is not what its text renders to")
        if kind != "image_alt" and found.get("png") != left:
            problems.append(f"{key}: png is not what its left text renders to")
    return problems


def verify_shard(shared: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Reads one shard back.

    Args:
        shared: render (the spec's dict) and fonts (paths).
        shard: url, kind, bytes, sha256, samples, first_key, last_key.

    Returns:
        path, samples (as read), problems: at most 20 lines, empty where the shard is as promised.
    """
    problems: list[str] = []
    count, first, last = 0, "", ""
    renderer = renderer_of(shared["render"], shared["fonts"])
    if not storage.exists(shard["url"]):
        return {"path": shard["path"], "samples": 0, "problems": ["the file is gone"]}
    with storage.open_read(shard["url"]) as raw:
        file = _Hashing(raw)
        held: list[tuple[str, dict[str, bytes], dict[str, Any]]] = []
        for key, found in _samples(read_tar(file, max_member_bytes=_MEMBER_BYTES), problems):
            wrong, rest = _check_sample(key, found, shard["kind"])
            problems += wrong
            if count and key <= last:
                problems.append(f"{key}: out of order or twice")
            first, last, count = first or key, key, count + 1
            if not wrong:
                held.append((key, found, rest))
            if len(held) == _RENDER_BATCH:
                problems += _check_pixels(held, shard["kind"], renderer)
                held = []
            if len(problems) > _PROBLEMS:
                break
        if held:
            problems += _check_pixels(held, shard["kind"], renderer)
        while file.read(1 << 20):
            pass
    told = {"bytes": shard["bytes"], "sha256": shard["sha256"], "samples": shard["samples"]}
    read = {"bytes": file.bytes, "sha256": file.digest.hexdigest(), "samples": count}
    problems += [
        f"{name}: the manifest says {told[name]}, the file has {read[name]}"
        for name in told
        if told[name] != read[name]
    ]
    if count and (first, last) != (shard["first_key"], shard["last_key"]):
        problems.append(f"keys {first}…{last}, the manifest says {shard['first_key']}…{shard['last_key']}")
    return {"path": shard["path"], "samples": count, "problems": problems[:_PROBLEMS]}
