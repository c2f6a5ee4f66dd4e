"""What img2dataset leaves in its output folder, as its writers write it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.sources.inputs import Inputs, find
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import ImageTextSource

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("url", "caption", "key", "status", "error_message")),
        *((name, pa.int32()) for name in ("width", "height", "original_width", "original_height")),
        ("exif", pa.string()),
        ("sha256", pa.string()),
    ]
)


def picture(number: int) -> bytes:
    out = io.BytesIO()
    coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(coarse).resize((128, 96)).save(out, "JPEG")
    return out.getvalue()


def metas(shard: int, count: int = 10) -> list[dict[str, Any]]:
    rows = []
    for number in range(count):
        failed = number % 4 == 3
        rows.append(
            {
                "url": f"https://e.org/{shard}/{number}.jpg",
                "caption": None if number == 1 else f"Picture {number} of shard {shard}",
                "key": f"{shard:05d}{number:04d}",
                "status": "failed_to_download" if failed else "success",
                "error_message": "HTTP Error 404: Not Found" if failed else None,
                "width": None if failed else 128,
                "height": None if failed else 96,
                "original_width": None if failed else 1280,
                "original_height": None if failed else 960,
                "exif": None if failed else "{}",
                "sha256": None if failed else "0" * 64,
            }
        )
    return rows


def stats(folder: Path, shard: int) -> None:
    (folder / f"{shard:05d}_stats.json").write_text(
        json.dumps({"count": 10, "successes": 8, "status_dict": {}}, indent=4)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def webdataset(folder: Path, shard: int) -> None:
    rows = metas(shard)
    with tarfile.open(folder / f"{shard:05d}.tar", "w") as tar:
        for row in rows:
            if row["status"] == "success":
                members = {"jpg": picture(int(row["key"])), "json": json.dumps(row, indent=4).encode()}
                members["txt"] = str(row["caption"]).encode() if row["caption"] is not None else b""
                for extension, data in members.items():
                    info = tarfile.TarInfo(f"{row['key']}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / f"{shard:05d}.parquet")
    stats(folder, shard)


def parquet(folder: Path, shard: int, extension: str = "jpg") -> None:
    rows = [
        {**row, extension: picture(int(row["key"])) if row["status"] == "success" else None} for row in metas(shard)
    ]
    schema = SCHEMA.append(pa.field(extension, pa.binary()))
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{shard:05d}.parquet")
    stats(folder, shard)


def look(folder: Path, pattern: str = "*", **fields: Any) -> Inputs:
    source = ImageTextSource.model_validate({"type": "image_text", "path": pattern, **fields})
    return find("web", source, lambda p: f"{folder}/{p}", str(folder.parent / "root"))


def test_a_glob_over_the_folder_takes_the_tars_alone(folder: Path) -> None:
    for shard in range(3):
        webdataset(folder, shard)
    for pattern in ("*", "0*", "**/*", "*.*"):
        found = look(folder, pattern)
        assert [path for path, _ in found.files] == ["00000.tar", "00001.tar", "00002.tar"]
        assert found.photographs
    assert not look(folder, "*.parquet").photographs, "by its name the table can be had"
    assert [path for path, _ in look(folder, "*.parquet").files] == [f"0000{n}.parquet" for n in range(3)]
    with pytest.raises(SourceError, match=r"00000_stats\.json: holds one object over several lines"):
        look(folder, "00000_stats.json")


def test_samples_of_its_tars(folder: Path, read_rows: Callable[..., Any]) -> None:
    webdataset(folder, 0)
    took = read_rows("00000.tar", (folder / "00000.tar").read_bytes())
    sound = [row for row in metas(0) if row["status"] == "success"]
    assert [row["url"] for row in took.rows] == [row["url"] for row in sound]
    assert [row["text"] for row in took.rows] == [row["caption"] or "" for row in sound]
    assert {row["text_role"] for row in took.rows} == {"txt"}
    assert {row["declared_width"] for row in took.rows} == {None}, "the picture itself says how large it is"
    named = read_rows("00000.tar", (folder / "00000.tar").read_bytes(), columns={"text": "caption"})
    assert [row["text"] for row in named.rows] == [row["caption"] for row in sound]
    both = read_rows("00000.tar", (folder / "00000.tar").read_bytes(), columns={"text": ["txt", "caption", "status"]})
    assert [row["text"] for row in both.rows][:3] == ["Picture 0 of shard 0", "success", "success"]


@pytest.mark.parametrize("extension", ["jpg", "webp"])
def test_its_parquet_counts_what_was_not_downloaded_as_dropped(
    folder: Path, read_rows: Callable[..., Any], extension: str
) -> None:
    """A third of a crawl's addresses are dead: that is no fault of the file, and must not close the gate."""
    parquet(folder, 0, extension)
    found = look(folder)
    assert [path for path, _ in found.files] == ["00000.parquet"]
    assert found.photographs
    took = read_rows("00000.parquet", (folder / "00000.parquet").read_bytes())
    assert took.reading.records == 10
    assert dict(took.reading.dropped) == {"not_downloaded": 2}
    assert not took.errors
    assert [row["text"] for row in took.rows] == [row["caption"] for row in metas(0) if row["status"] == "success"]


def test_a_null_picture_without_that_word_is_an_error(read_rows: Callable[..., Any]) -> None:
    out = io.BytesIO()
    pq.write_table(
        pa.table({"jpg": pa.array([None, None], pa.binary()), "status": ["success", None], "text": ["a", "b"]}), out
    )
    assert read_rows("a.parquet", out.getvalue()).faults() == [("row 0", "no_image"), ("row 1", "no_image")]


def test_its_table_of_addresses_declares_the_original_size(folder: Path, read_rows: Callable[..., Any]) -> None:
    webdataset(folder, 0)
    took = read_rows("00000.parquet", (folder / "00000.parquet").read_bytes())
    assert [row["declared_width"] for row in took.rows] == [row["original_width"] for row in metas(0)]
    assert [row["declared_height"] for row in took.rows] == [row["original_height"] for row in metas(0)]


def test_the_real_tar(shared: Path, read_rows: Callable[..., Any]) -> None:
    took = read_rows("cc12m.tar", (shared / "data/images/cc12m-train-0000.tar").read_bytes())
    assert len(took.rows) == 32
    assert all(row["url"].startswith("http") and row["text"] and row["text_role"] == "txt" for row in took.rows)
