"""A build over broken files: it ends, each fault is in errors.jsonl with its place and reason, and no row vanishes."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.e2e.conftest import Cli, champion, write_recipe

pytestmark = pytest.mark.engine

SENTENCES = [
    "The harbour was quiet in the early morning, and only gulls could be heard.",
    "A fisherman mended his nets beside the old lighthouse on the northern pier.",
    "By noon the first boats came back with full holds and tired crews aboard.",
    "Children ran down to the water to see what the sea had given that day.",
]


def _document(number: int) -> bytes:
    text = " ".join(f"{sentence[:-1]} in the year {1900 + number}." for sentence in SENTENCES)
    return json.dumps({"text": text, "url": f"https://example.org/{number}"}).encode() + b"\n"


def _picture(number: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").rotate(number * 7 % 360).resize((96 + number, 96)).convert("RGB").save(out, kind)
    return out.getvalue()


def _tar(path: Path, samples: int) -> list[int]:
    """Writes a WebDataset tar; gives the offset of each sample's first header."""
    offsets = []
    with tarfile.open(path, "w") as tar:
        for number in range(samples):
            offsets.append(tar.offset)
            texts = {
                "png": _picture(100 + number),
                "txt": f"A grey gradient that is turned, picture {number} of many".encode(),
            }
            for extension, data in texts.items():
                member = tarfile.TarInfo(f"{number:06d}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return offsets


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files of every type, and beside them one of each kind of broken file."""
    folder = tmp_path_factory.mktemp("broken")
    good = b"".join(_document(number) for number in range(40))
    (folder / "docs-good.jsonl").write_bytes(good)
    packed = gzip.compress(b"".join(_document(number) for number in range(100, 400)))
    (folder / "docs-truncated.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "docs-latin1.jsonl").write_bytes(
        _document(500) + '{"text": "Ein Gerät für jeden Tag."}\n'.encode("latin-1") + _document(501)
    )
    (folder / "docs-long.jsonl").write_bytes(
        _document(600) + json.dumps({"text": "long " * 2_000_000}).encode() + b"\n" + _document(601)
    )
    (folder / "docs-empty.jsonl").write_bytes(b"")
    pictures = [_picture(number, "JPEG" if number % 2 else "PNG") for number in range(12)]
    pictures[3] = pictures[3][: len(pictures[3]) // 2]
    pictures[5] = b"no picture at all"
    texts = [f"A gradient from black to white, turned by degrees, number {number}" for number in range(12)]
    pq.write_table(pa.table({"image": pictures, "caption": texts}), folder / "pictures.parquet")
    offsets = _tar(folder / "pictures-damaged.tar", 8)
    damaged = bytearray((folder / "pictures-damaged.tar").read_bytes())
    damaged[offsets[3] : offsets[3] + 512] = b"\xff" * 512
    (folder / "pictures-damaged.tar").write_bytes(damaged)
    _tar(folder / "pictures-cut.tar", 6)
    cut = (folder / "pictures-cut.tar").read_bytes()
    (folder / "pictures-cut.tar").write_bytes(cut[: len(cut) // 2])
    lines = [f"This is line {number} of a text that was translated with care." for number in range(30)]
    other = [f"Dies ist Zeile {number} eines Textes, der sorgfältig übersetzt wurde." for number in range(30)]
    (folder / "text.en").write_bytes("\n".join(lines).encode() + b"\n")
    sides = [line.encode("latin-1" if number == 7 else "utf-8") for number, line in enumerate(other)]
    (folder / "text.de").write_bytes(b"\n".join(sides) + b"\n")
    return folder


RECIPE: dict[str, Any] = {
    "name": "broken",
    "sources": {
        "documents": {"type": "documents", "path": "docs-*"},
        "pictures": {"type": "image_text", "path": "pictures.parquet"},
        "tars": {"type": "image_text", "path": "pictures-*.tar"},
        "bitext": {"type": "bitext", "left": "text.en", "right": "text.de", "languages": ["en", "de"]},
    },
    "pairs": {"image_alt": {}, "sentences": {}, "translations": {}, "word_drop": {}},
    "gate": {"max_error_rate": 0.5},
}


def test_every_fault_is_logged_and_no_row_vanishes(broken: Path, cli: Cli, tmp_path: Path) -> None:
    recipe = write_recipe(broken / "recipe.yaml", RECIPE)
    done = cli("build", recipe, "--root", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    version = champion(tmp_path)
    errors = [json.loads(line) for line in (version.folder / "errors.jsonl").read_text().splitlines()]
    logged = {(error["path"], error["position"], error["reason"]) for error in errors}
    expected = {
        ("docs-latin1.jsonl", "line 2", "invalid_utf8"),
        ("docs-long.jsonl", "line 2", "line_too_long"),
        ("docs-empty.jsonl", "file", "empty_file"),
        ("pictures.parquet", "row 3", "truncated"),
        ("pictures.parquet", "row 5", "not_an_image"),
        ("text.de" if ("text.de", "line 8", "invalid_utf8") in logged else "text.en", "line 8", "invalid_utf8"),
    }
    assert expected <= logged
    reasons = {(error["path"], error["reason"]) for error in errors}
    assert ("docs-truncated.jsonl.gz", "truncated") in reasons
    assert ("pictures-damaged.tar", "broken_member") in reasons
    assert ("pictures-cut.tar", "truncated") in reasons

    ledger = version.manifest["ledger"]
    read = {(step["source"]): step for steps in ledger.values() for step in steps if step["step"] == "read"}
    for step in (step for steps in ledger.values() for step in steps):
        accounted = step["kept"] + sum(step["dropped"].values()) + sum(step["errors"].values())
        assert step["rows_in"] == accounted, step
    assert sum(sum(step["errors"].values()) for step in read.values()) == sum(error["rows"] for error in errors)
    # What is sound beside the damage was read: 12 rows of parquet, of the damaged tar all samples but the one.
    assert read["pictures"]["rows_in"] == 12
    assert read["pictures"]["kept"] == 10
    assert read["bitext"]["rows_in"] == 30
    assert read["bitext"]["kept"] == 29
    assert read["tars"]["kept"] >= 7 + 2
    good_documents = 40 + 2 + 2
    assert read["documents"]["kept"] > good_documents, "lines before the truncation are kept"
    assert cli("verify", version.folder).returncode == 0


def test_unequal_bitext_stops_the_build_naming_both_files(broken: Path, cli: Cli, tmp_path: Path) -> None:
    (broken / "short.de").write_text("nur eine Zeile\n")
    bitext = {**RECIPE["sources"]["bitext"], "right": "short.de"}
    recipe = write_recipe(
        broken / "unequal.yaml", {"name": "unequal", "sources": {"bitext": bitext}, "pairs": {"translations": {}}}
    )
    done = cli("build", recipe, "--root", tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    for word in ("text.en", "30 lines", "short.de", "1"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("datasets/*"))
    assert not list(tmp_path.glob("stages/*")), "told before anything is written"


def test_a_wrong_name_stops_the_build_before_anything_is_read(broken: Path, cli: Cli, tmp_path: Path) -> None:
    sources = {"documents": {"type": "documents", "path": "docs-*", "columns": {"text": "txet"}}}
    recipe = write_recipe(
        broken / "name.yaml", {"name": "name", "sources": sources, "pairs": {"sentences": {}, "word_drop": {}}}
    )
    done = cli("build", recipe, "--root", tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "sources.documents" in done.stderr
    assert "no column 'txet' for text" in done.stderr
    assert "there are text, url; did you mean 'text'?" in done.stderr
    assert not list(tmp_path.glob("*")), "told before anything is written"
