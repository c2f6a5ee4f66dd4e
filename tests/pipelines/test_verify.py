"""Shards read back: whatever differs from what was promised is named, also where the hash was made to fit."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from pairs.schema import PAIR_SCHEMA
from pipelines import storage
from pipelines.shards.samples import write_shard
from pipelines.verify import verify_shard
from rendering import Renderer, RenderSpec, load_font

SHARED: dict[str, Any] = {"render": RenderSpec.preset("clippo").to_dict(), "fonts": []}
KEYS = [hashlib.sha256(bytes([n])).hexdigest()[:32] for n in range(6)]
KEYS.sort()
Members = list[tuple[str, bytes]]


def photograph(number: int) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((16 + number, 16)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(params=["image_alt", "sentences"])
def shard(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """A shard as a build writes it, and what the manifest says of it."""
    kind: str = request.param
    blob, rows = b"", []
    for number, key in enumerate(KEYS):
        image = None
        if kind == "image_alt":
            data = photograph(number)
            image = {
                "part": "root:blob", "offset": len(blob), "length": len(data), "format": "png", "width": 16 + number,
                "height": 16, "sha256": hashlib.sha256(data).hexdigest(),
            }  # fmt: skip
            blob += data
        rows.append(
            {
                "key": key, "kind": kind, "source": "src", "origin": f"src/a#{number}", "url": None, "image": image,
                "left_text": None if image else f"the left text {number}", "right_text": f"the right text {number}",
                "left_lang": None, "right_lang": "en", "scores": "{}",
            }
        )  # fmt: skip
    (tmp_path / "blob").write_bytes(blob)
    table = pa.Table.from_pylist(rows, schema=PAIR_SCHEMA)
    url = str(tmp_path / "x.tar")
    renderer = Renderer(RenderSpec.preset("clippo"), font=load_font())
    done = write_shard(table, url, renderer=renderer, root=str(tmp_path), bases={})
    assert done.samples == len(KEYS)
    return {
        "url": url, "path": "train/x-000000.tar", "kind": kind, "bytes": done.bytes, "sha256": done.sha256,
        "samples": done.samples, "first_key": done.first_key, "last_key": done.last_key,
    }  # fmt: skip


def problems(shard: dict[str, Any], **shared: Any) -> list[str]:
    found = verify_shard({**SHARED, **shared}, shard)
    assert found["path"] == shard["path"]
    return found["problems"]  # type: ignore[no-any-return]


def members_of(shard: dict[str, Any]) -> Members:
    with tarfile.open(shard["url"]) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def forge(shard: dict[str, Any], members: Members, **promised: Any) -> dict[str, Any]:
    """Writes the shard anew and makes the promised hash and size fit, as one would who hides a change."""
    with tarfile.open(shard["url"], "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    url = shard["url"]
    return {**shard, "bytes": storage.size(url), "sha256": storage.sha256_of(url), **promised}


def replaced(members: Members, name: str, change: Callable[[bytes], bytes]) -> Members:
    assert name in dict(members)
    return [(n, change(data) if n == name else data) for n, data in members]


def test_a_sound_shard_has_no_problem(shard: dict[str, Any]) -> None:
    assert problems(shard) == []
    assert verify_shard(SHARED, shard)["samples"] == len(KEYS)
    assert problems(forge(shard, members_of(shard))) == [], "the forger's archive alone is no fault"


def test_any_byte_that_changes_is_noticed(shard: dict[str, Any]) -> None:
    data = Path(shard["url"]).read_bytes()
    for at in range(0, len(data), 997):
        broken = bytearray(data)
        broken[at] ^= 1
        Path(shard["url"]).write_bytes(broken)
        assert any(problem.startswith("sha256: the manifest says") for problem in problems(shard)), at


@pytest.mark.parametrize("keep", [0, 100, 512, 3000, -1, -10240])
def test_a_cut_shard_is_noticed(shard: dict[str, Any], keep: int) -> None:
    data = Path(shard["url"]).read_bytes()
    Path(shard["url"]).write_bytes(data[:keep])
    found = problems(shard)
    assert any(problem.startswith("bytes: ") for problem in found)
    assert any(problem.startswith("sha256: ") for problem in found)


def test_a_shard_that_is_gone(shard: dict[str, Any]) -> None:
    Path(shard["url"]).unlink()
    assert problems(shard) == ["the file is gone"]


def test_bytes_after_the_end_are_noticed(shard: dict[str, Any]) -> None:
    with Path(shard["url"]).open("ab") as file:
        file.write(b"more")
    assert any(problem.startswith("bytes: ") for problem in problems(shard))


@pytest.mark.parametrize(
    ("promised", "says"),
    [
        ({"samples": 5}, "samples: the manifest says 5, the file has 6"),
        ({"first_key": "0" * 32}, f"keys {KEYS[0]}…{KEYS[-1]}, the manifest says {'0' * 32}"),
        ({"last_key": "f" * 32}, "the manifest says"),
        ({"bytes": 1}, "bytes: the manifest says 1"),
        ({"sha256": "0" * 64}, "sha256: the manifest says 0000"),
        ({"kind": "translations"}, "its json is of"),
    ],
)
def test_what_the_manifest_promises_wrongly_is_named(
    shard: dict[str, Any], promised: dict[str, Any], says: str
) -> None:
    assert any(says in problem for problem in problems({**shard, **promised}))


# --- with a hash that was made to fit ----------------------------------------------------------------------------------------


def test_samples_that_change_places_are_named(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    size = len(members) // len(KEYS)
    swapped = members[:size] + members[2 * size : 3 * size] + members[size : 2 * size] + members[3 * size :]
    assert problems(forge(shard, swapped)) == [f"{KEYS[1]}: out of order or twice"]


def test_a_sample_that_comes_twice_is_named(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    size = len(members) // len(KEYS)
    found = problems(forge(shard, members[:size] + members, samples=7))
    assert any("twice" in problem and KEYS[0] in problem for problem in found)


@pytest.mark.parametrize("number", range(4))
def test_a_member_that_is_gone_is_named(shard: dict[str, Any], number: int) -> None:
    members = members_of(shard)
    at = 2 * len(members) // len(KEYS) + number
    name = members[at][0]
    found = problems(forge(shard, members[:at] + members[at + 1 :]))
    assert found
    assert all(KEYS[2] in problem for problem in found), found
    extension = name.partition(".")[2]
    assert any(extension in problem or (extension == "png" and "0 left pictures" in problem) for problem in found)


def test_a_sample_that_is_gone_is_noticed_by_count_and_keys(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    size = len(members) // len(KEYS)
    found = problems(forge(shard, members[size:]))
    assert "samples: the manifest says 6, the file has 5" in found
    assert any(problem.startswith(f"keys {KEYS[1]}…") for problem in found)


def test_another_text_is_named(shard: dict[str, Any]) -> None:
    members = replaced(members_of(shard), f"{KEYS[3]}.txt", lambda _: b"another text")
    assert problems(forge(shard, members)) == [f"{KEYS[3]}: text.png is not what its text renders to"]


def test_a_picture_of_another_text_is_named(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    other = dict(members)[f"{KEYS[4]}.text.png"]
    members = replaced(members, f"{KEYS[3]}.text.png", lambda _: other)
    assert problems(forge(shard, members)) == [f"{KEYS[3]}: text.png is not what its text renders to"]


def test_another_left_side_is_named(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    other = dict(members)[f"{KEYS[4]}.png"]
    (found,) = problems(forge(shard, replaced(members, f"{KEYS[3]}.png", lambda _: other)))
    assert found.startswith(KEYS[3])
    assert ("not the one that was filtered" in found) == (shard["kind"] == "image_alt")
    assert ("not what its left text renders to" in found) == (shard["kind"] != "image_alt")


def test_a_member_beside_is_named(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    found = problems(forge(shard, [*members[:1], (f"{KEYS[0]}.exe", b"MZ"), *members[1:]]))
    assert any("has ['exe'] beside" in problem for problem in found)


def test_a_member_that_comes_twice_is_named(shard: dict[str, Any]) -> None:
    members = members_of(shard)
    assert any("twice" in problem for problem in problems(forge(shard, [members[0], *members])))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b"{}", b'{"key": 5}', b"[" * 5000])
def test_json_that_is_no_samples_is_named(shard: dict[str, Any], text: bytes) -> None:
    found = problems(forge(shard, replaced(members_of(shard), f"{KEYS[3]}.json", lambda _: text)))
    assert found
    assert all(problem.startswith(KEYS[3]) for problem in found)


@pytest.mark.parametrize(
    "change", [{"left_text": 5}, {"left_text": ["a"]}, {"image": None}, {"image": "x"}, {"key": "0" * 32}]
)
def test_json_with_odd_fields_is_named(shard: dict[str, Any], change: dict[str, Any]) -> None:
    if "image" in change and shard["kind"] != "image_alt":
        pytest.skip("that kind has no photographs")
    members = replaced(
        members_of(shard), f"{KEYS[3]}.json", lambda data: json.dumps({**json.loads(data), **change}).encode()
    )
    found = problems(forge(shard, members))
    assert found
    assert all(problem.startswith(KEYS[3]) for problem in found)


def test_a_text_that_is_not_utf8_is_named(shard: dict[str, Any]) -> None:
    found = problems(forge(shard, replaced(members_of(shard), f"{KEYS[3]}.txt", lambda _: b"Ger\xe4t")))
    assert found
    assert all(problem.startswith(KEYS[3]) for problem in found)


def test_keys_that_are_none_are_named(shard: dict[str, Any]) -> None:
    members = [("../" * (name.startswith(KEYS[0])) + name, data) for name, data in members_of(shard)]
    assert any("unsafe_name" in problem for problem in problems(forge(shard, members)))
    short = [(name.replace(KEYS[5], "Z"), data) for name, data in members_of(forge(shard, members))]
    assert any("'Z' is not a key" in problem for problem in problems(forge(shard, short)))


def test_a_link_in_a_shard_is_named(shard: dict[str, Any]) -> None:
    with tarfile.open(shard["url"], "a") as archive:
        link = tarfile.TarInfo("f" * 32 + ".png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    url = shard["url"]
    found = problems({**shard, "bytes": storage.size(url), "sha256": storage.sha256_of(url)})
    assert any("not_a_file" in problem for problem in found)


def test_very_many_problems_do_not_flood(shard: dict[str, Any]) -> None:
    members = [(f"{number:08x}.exe", b"") for number in range(1000)]
    assert 0 < len(problems(forge(shard, members))) <= 20


def test_another_rendering_is_named(shard: dict[str, Any], tmp_path: Path) -> None:
    """Each text is named as one that does not look as it should: with another font, other colours, another size."""
    font = tmp_path / "other.hex"
    font.write_text("".join(f"{ord(char):04X}:{'FF' * 16}\n" for char in "abcdefghijklmnopqrstuvwxyz"))
    for shared in (
        {"fonts": [str(font)]},
        {"render": {**SHARED["render"], "width": 208}},
        {"render": {**SHARED["render"], "lower": not SHARED["render"]["lower"], "text": 20}},
    ):
        found = problems(shard, **shared)
        for key in KEYS:
            assert any(problem.startswith(f"{key}: text.png is not what") for problem in found), shared
