"""Samples out of shards, hostile ones too, and the sheet that shows them."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from made_version import drawn_text, key_of, members_of, photograph, write_tar
from PIL import Image

from pipelines.dataset import DatasetManifest
from pipelines.publish.sheet import Sample, caption, contact_sheet, one_line, open_picture, sample_shard

Version = tuple[Path, DatasetManifest]


def _shard(version: Version, number: int = 0) -> str:
    return str(version[0] / version[1].shards[number].path)


def test_the_samples_are_those_of_the_least_hash_whatever_the_count(version: Version) -> None:
    few, all_of_them = sample_shard(_shard(version), 3, 0), sample_shard(_shard(version), 100, 0)
    assert len(all_of_them) == 7
    assert few == all_of_them[:3]
    assert sample_shard(_shard(version), 3, 0) == few
    assert [sample.key for sample in sample_shard(_shard(version), 7, 1)] != [sample.key for sample in all_of_them]
    assert sample_shard(_shard(version), 0, 0) == []


def test_a_sample_holds_what_lies_in_the_shard(version: Version) -> None:
    for sample in sample_shard(_shard(version), 7, 0):
        number = next(n for n in range(7) if key_of("image_alt", n) == sample.key)
        members = members_of("image_alt", number)
        assert sample.kind == "image_alt"
        assert sample.left in members.values()
        assert sample.right == members["text.png"]
        assert sample.text == members["txt"].decode()
        assert sample.rest["right_lang"]


def test_a_member_above_the_bound_is_passed_over(tmp_path: Path) -> None:
    members = members_of("sentences", 0)
    write_tar(tmp_path / "sentences-000000.tar", {"ab" * 16: members | {"png": b"x" * 70_000}})
    (sample,) = sample_shard(str(tmp_path / "sentences-000000.tar"), 5, 0, max_member_bytes=60_000)
    assert sample.left == b""
    assert sample.right == members["text.png"]


def test_a_hostile_tar_gives_what_is_sound(tmp_path: Path) -> None:
    """Links, climbing names, broken json, invalid UTF-8 and a cut end: no exception, and the sound members are there."""
    path = tmp_path / "sentences-000000.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in [
            ("../evil.png", b"x"),
            ("/abs.png", b"x"),
            ("aa.json", b"[" * 100_000),
            ("aa.txt", b"\xff\xfe bad"),
            ("bb.json", b'"a string"'),
            ("bb.txt", b"fine"),
            ("cc.txt", b"cut" * 1000),
        ]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("dd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"cut") + 100])
    samples = {sample.key: sample for sample in sample_shard(str(path), 10, 0)}
    assert samples["bb"].text == "fine"
    assert samples["bb"].rest == {}
    assert samples["aa"].text == "\ufffd\ufffd bad"
    assert set(samples) <= {"aa", "bb", "cc"}
    contact_sheet(list(samples.values()))


def _png_header(width: int, height: int) -> bytes:
    """A PNG whose header promises any size, with next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no picture in the shard"),
        (b"<svg/>", "cannot be decoded"),
        (photograph(1)[:500], "cannot be decoded"),
        (_png_header(60_000, 60_000), "refused"),
        (_png_header(12_000, 12_000), "refused: 12,000 x 12,000 pixels"),
        (b"GIF89a" + bytes(100), "cannot be decoded"),
    ],
)
def test_what_is_no_picture_gives_the_reason(data: bytes, reason: str) -> None:
    found = open_picture(data, width=100, height=100)
    assert isinstance(found, str)
    assert found.startswith(reason)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "PA"])
def test_every_mode_becomes_rgb_within_the_box(mode: str) -> None:
    out = io.BytesIO()
    image = Image.new("LA" if mode == "PA" else mode, (300, 150))
    image.save(out, format="JPEG" if mode == "CMYK" else "PNG")
    found = open_picture(out.getvalue(), width=100, height=100)
    assert isinstance(found, Image.Image)
    assert (found.mode, found.size) == ("RGB", (100, 50))


def test_a_small_picture_keeps_its_size() -> None:
    found = open_picture(drawn_text("a"), width=500, height=500)
    assert isinstance(found, Image.Image)
    assert found.size == (224, 224)


def test_the_sheet_shows_both_sides_of_every_sample(version: Version) -> None:
    samples = sample_shard(_shard(version), 5, 0)
    with Image.open(io.BytesIO(contact_sheet(samples, columns=2))) as sheet:
        assert sheet.size[0] > 2 * 2 * 224
        assert sheet.size[1] > 3 * 224
        right = sheet.crop((16 + 224 + 8, 16, 16 + 224 + 8 + 224, 16 + 224)).convert("L")
    with Image.open(io.BytesIO(samples[0].right)) as drawn:
        assert right.tobytes() == drawn.convert("L").tobytes(), "the drawn text is shown pixel for pixel"


def test_the_same_samples_give_the_same_sheet(version: Version) -> None:
    samples = sample_shard(_shard(version, 2), 4, 0)
    assert contact_sheet(samples) == contact_sheet(samples)


def test_hostile_samples_are_drawn_as_cards_that_say_why() -> None:
    samples = [
        Sample("image_alt", "k", b"", b"", "", {}),
        Sample(
            "x" * 5000, "k", b"\xff\xd8\xff", _png_header(60_000, 60_000), "a\0b\u202e\ud800" * 50_000, {"left_text": 7}
        ),
        Sample("image_alt", "k", photograph(0), drawn_text("x"), "y", {"right_lang": ["list"], "source": {"a": 1}}),
    ]
    with Image.open(io.BytesIO(contact_sheet(samples, columns=3, cell=32))) as sheet:
        sheet.load()
    with Image.open(io.BytesIO(contact_sheet([]))) as sheet:
        assert sheet.size[0] > 224


@pytest.mark.parametrize(("columns", "cell"), [(0, 224), (1, 16), (1, 5000)])
def test_impossible_sheets_are_refused(columns: int, cell: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        contact_sheet([], columns=columns, cell=cell)


def test_labels_are_one_line() -> None:
    assert one_line("a\n\tb\0\u202ec", 80) == "a b c"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"
    told = caption(Sample("sentences", "k", b"", b"", "", {"left_lang": "en", "right_lang": "de", "source": "c4"}))
    assert told == "sentences | en - de | c4"
