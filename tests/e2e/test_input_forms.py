"""A build over the forms in which alt-text is published: CC3M's table without a header, quoted tables, JSON lines, img2dataset's
folders; the books, what normalising changed, and what stops a build before it writes anything."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.e2e.conftest import Cli, Version, champion, write_recipe

pytestmark = pytest.mark.engine

WORDS = ("red", "blue", "old", "new", "small", "great", "wooden", "stone")


def _text(number: int) -> str:
    return f"There is a {WORDS[number % 8]} house beside the {WORDS[number // 8 % 8]} bridge over the river, number {number}"


def _picture(number: int) -> bytes:
    out = io.BytesIO()
    coarse = np.random.default_rng(number).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    rows = [f"{_text(number)}\thttps://e.org/{number}.jpg" for number in range(40)]
    rows[3] = f"<b>{_text(3)}</b> &amp;  more\thttps://e.org/3.jpg"
    rows[5] = "no address here"
    (folder / "Train_GCC-training.tsv").write_text("\n".join(rows) + "\n")
    labelled = [f"{_text(100 + n)}\thttps://e.org/{n}.jpg\ttree,grass\t/m/1,/m/2\t0.9,0.8" for n in range(20)]
    (folder / "Train_GCC_Labels.tsv.gz").write_bytes(gzip.compress(("\n".join(labelled) + "\n").encode()))
    quoted = [
        "url\ttext",
        'https://e.org/1.jpg\t"A sign that says ""open"" in the window"',
        'https://e.org/2.jpg\t"Two\nlines of a text"',
    ]
    (folder / "clip.tsv").write_text("\n".join([*quoted, "https://e.org/3.jpg\tA plain line of text"]) + "\n")
    lines: list[Any] = [
        {
            "meta": {"url": f"https://e.org/{n}.jpg"},
            "alt": _text(200 + n),
            "title": f"The title of picture {n} of many",
            "caption": {"de": f"Ein altes Haus am Fluss, Bild Nummer {n}"},
            "tags": ["house", f"bridge {n}"],
            "width": 640 if n else 20,
            "height": "480px",
            "clip": 0.25 + n / 100,
        }
        for n in range(10)
    ]
    broken = [b"{", b'{"alt": 5}', b'{"alt": "Ger\xe4t"}', b"[1]", b'{"meta": {}, "alt": null}']
    (folder / "rows.jsonl").write_bytes(b"\n".join([*(json.dumps(line).encode() for line in lines), *broken]) + b"\n")
    out = folder / "downloaded"
    out.mkdir()
    metas = [
        {
            "url": f"https://e.org/{n}.jpg",
            "caption": _text(300 + n),
            "key": f"{n:09d}",
            "status": "success",
            "width": 160,
        }
        for n in range(12)
    ]
    with tarfile.open(out / "00000.tar", "w") as tar:
        for n, meta in enumerate(metas):
            members = {"jpg": _picture(n), "json": json.dumps(meta, indent=4).encode(), "txt": meta["caption"].encode()}
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{meta['key']}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    pq.write_table(pa.Table.from_pylist(metas), out / "00000.parquet")
    (out / "00000_stats.json").write_text(json.dumps({"count": 12}, indent=4))
    packed = folder / "packed"
    packed.mkdir()
    rows_of = [
        {**meta, "jpg": _picture(50 + n) if n % 3 else None, "status": "success" if n % 3 else "failed_to_download"}
        for n, meta in enumerate(metas)
    ]
    pq.write_table(pa.Table.from_pylist(rows_of), packed / "00000.parquet")
    (packed / "00000_stats.json").write_text(json.dumps({"count": 12}, indent=4))
    return folder


RECIPE: dict[str, Any] = {
    "name": "forms",
    "seed": 3,
    "sources": {
        "cc3m": {"type": "image_text", "path": "Train_GCC-training.tsv"},
        "labelled": {"type": "image_text", "path": "Train_GCC_Labels*", "columns": {"text": 0, "url": 1, "tags": 2}},
        "clip": {"type": "image_text", "path": "clip.tsv"},
        "lines": {
            "type": "image_text",
            "path": "rows.jsonl",
            "columns": {
                "text": ["alt", "title", "caption"],
                "tags": "tags",
                "url": "meta.url",
                "similarity": "clip",
            },
        },
        "tars": {"type": "image_text", "path": "downloaded/*"},
        "parquet": {"type": "image_text", "path": "packed/*"},
    },
    "pairs": {"image_alt": {}},
    "gate": {"max_error_rate": 0.1, "min_samples": {"image_alt": 10}},
}


@pytest.fixture(scope="module")
def built(forms: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("root")
    done = cli("build", write_recipe(forms / "recipe.yaml", RECIPE), "--root", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return champion(root)


def _steps(built: Version) -> dict[tuple[str, str], dict[str, Any]]:
    return {(s["source"], s["step"]): s for steps in built.manifest["ledger"].values() for s in steps}


def test_every_record_is_accounted_for(built: Version) -> None:
    steps = _steps(built)
    read = {source: step for (source, name), step in steps.items() if name == "read"}
    assert {name: step["rows_in"] for name, step in read.items()} == {
        "cc3m": 40, "labelled": 20, "clip": 3, "lines": 15, "tars": 12, "parquet": 12,
    }  # fmt: skip
    assert read["cc3m"]["errors"] == {"malformed_row": 1}
    assert read["lines"]["errors"] == {"malformed_json": 1, "wrong_type": 2, "invalid_utf8": 1}
    assert read["parquet"]["dropped"] == {"not_downloaded": 4}
    assert (read["labelled"]["rows_out"], read["lines"]["rows_out"]) == (40, 41)
    for step in steps.values():
        assert step["rows_in"] == step["kept"] + sum(step["dropped"].values()) + sum(step["errors"].values()), step
    assert steps["lines", "filter"]["dropped"]["image_too_small"] == 4, "the picture that is declared 20 px wide"


def test_texts_are_counted_by_their_column_and_repairs_by_their_kind(built: Version) -> None:
    manifest = built.manifest
    assert manifest["text_roles"]["lines"] == {"alt": 10, "title": 10, "caption": 10, "tags": 10}
    assert manifest["text_roles"]["labelled"] == {"text": 20, "column_2": 20}
    assert manifest["text_roles"]["tars"] == {"txt": 12}
    assert manifest["repairs"]["cc3m"] == {"markup": 1, "escapes": 1, "white_space": 1}
    assert manifest["repairs"]["clip"] == {"white_space": 1}
    assert "tars" not in manifest["repairs"] or not manifest["repairs"]["tars"]
    report = (built.folder / "report.html").read_text()
    for words in ("changed by normalising", "white space", "column_2"):
        assert words in report


def test_the_tables_hold_what_the_files_said(built: Version) -> None:
    tables = {
        table["source"]: pq.read_table(built.folder / table["path"]).to_pylist() for table in built.manifest["tables"]
    }
    assert {row["text"] for row in tables["clip"]} == {
        'A sign that says "open" in the window', "Two lines of a text", "A plain line of text",
    }  # fmt: skip
    third = next(row for row in tables["cc3m"] if row["origin"].endswith("#4"))
    assert (third["text"], third["url"]) == (f"{_text(3)} & more", "https://e.org/3.jpg")
    last = [row for row in tables["lines"] if row["url"] == "https://e.org/9.jpg"]
    scores = [json.loads(row["scores"]) for row in last]
    assert {row["text"]: score["text_role"] for row, score in zip(last, scores, strict=True)} == {
        _text(209): "alt", "The title of picture 9 of many": "title", "Ein altes Haus am Fluss, Bild Nummer 9": "caption",
        "house, bridge 9": "tags",
    }  # fmt: skip
    assert {row["lang"] for row in last if "Haus" in row["text"]} == {"de"}
    assert {(s["declared_width"], s["declared_height"], s["similarity"]) for s in scores} == {(640, 480, 0.34)}


def test_img2dataset_folders_become_pairs(built: Version) -> None:
    assert sum(shard["samples"] for shard in built.manifest["shards"]) == 12 + 8


@pytest.mark.parametrize(
    ("files", "fields", "says"),
    [
        (
            {"a.csv": "url,alt\nu,x\n", "b.csv": "url,caption\nu,x\n"},
            {"columns": {"text": "alt"}},
            ("a.csv", "b.csv", "no column 'alt'"),
        ),
        (
            {"a.jsonl": '{"text": "x"}\n', "b.jsonl": '{"words": "x"}\n'},
            {},
            ("a.jsonl", "b.jsonl", "no column of texts; there are words"),
        ),
        ({"a.tsv": "a dog\t5\n"}, {}, ("a.tsv", "header: false")),
    ],
)
def test_files_that_do_not_agree_stop_a_build_before_it_writes(
    cli: Cli, tmp_path: Path, files: dict[str, str], fields: dict[str, Any], says: tuple[str, ...]
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_text(data)
    source = {"type": "image_text", "path": [*files], **fields}
    recipe = write_recipe(
        tmp_path / "recipe.yaml", {"name": "x", "sources": {"web": source}, "pairs": {"image_alt": {}}}
    )
    for words in (["--plan"], []):
        done = cli("build", recipe, "--root", tmp_path / "root", *words)
        assert done.returncode == 2, done.stdout + done.stderr
        for part in ("sources.web", *says):
            assert part in done.stderr
        assert "Traceback" not in done.stderr
        assert not list((tmp_path / "root").glob("stages/*"))
