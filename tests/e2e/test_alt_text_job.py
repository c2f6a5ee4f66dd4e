"""The alt-text jobs as a whole: counts over all rows, duplicates, evaluation sets; the same bytes however they are run."""

from __future__ import annotations

import io
import json
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from flows.recipe import Loaded, parse
from flows.stages import Build
from pipelines.beam_jobs import annotate, counting, pairs_job, table_job
from pipelines.jobs import outcome_of
from pipelines.ledger import check, check_chain, merge
from pipelines.manifest import StageManifest
from pipelines.sources import image_parquet, image_text
from pipelines.tables import read_batches

pytestmark = pytest.mark.engine


def photograph(number: int, size: tuple[int, int] = (120, 90), quality: int = 90) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 255, (9, 12, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=quality)
    return out.getvalue()


WORDS = ("red", "blue", "old", "new", "small", "great", "wooden", "stone", "river", "harbour", "garden", "tower", "winter",
         "summer", "night", "morning")  # fmt: skip


def text_of(number: int) -> str:
    return f"A {WORDS[number % 16]} {WORDS[number // 16 % 16]} house beside the {WORDS[(number * 7 + 3) % 16]} {number} water"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files; 12 pictures with one text, one picture with 8 texts, texts twice, pictures twice and nearly twice."""
    folder = tmp_path_factory.mktemp("alt")
    rows = [(photograph(at), text_of(at)) for at in range(60)]
    rows += [(photograph(100 + at), "A text that stands under very many pictures") for at in range(12)]
    rows += [(photograph(200), f"{text_of(at)} once more") for at in range(300, 308)]
    rows += [(photograph(300 + at), text_of(at)) for at in range(5)]  # one text, another picture
    rows += [(photograph(at), text_of(400 + at)) for at in range(10, 14)]  # the same picture, another text
    rows += [(photograph(at, (200, 150), 60), text_of(500 + at)) for at in range(20, 26)]  # nearly the same picture
    rows += [(photograph(3), text_of(3)), (b"<html>", "no picture"), (photograph(9)[:300], "half a picture")]
    order = np.random.default_rng(1).permutation(len(rows))
    for number, part in enumerate(np.array_split(order, 3)):
        chosen = [rows[at] for at in part]
        table = pa.table({"image": [data for data, _ in chosen], "caption": [text for _, text in chosen]})
        pq.write_table(table, folder / f"{number}.parquet")
    held = folder / "held"
    held.mkdir()
    (held / "a.jpg").write_bytes(photograph(40, (240, 180), 70))
    (held / "texts.txt").write_text(f"{text_of(41)}\n{'0' * 64}\n")
    return folder


def build(inputs: Path, root: Path, files: list[str], workers: int = 1, **options: Any) -> Build:
    recipe = {
        "name": "alt",
        "seed": 7,
        "sources": {"web": {"type": "image_text", "path": [str(inputs / file) for file in files]}},
        "pairs": {"image_alt": options},
        "runtime": {"workers": workers, "beam": {"bytes_per_process": 1}},
    }
    return Build(Loaded(parse(yaml.safe_dump(recipe)), str(inputs)), str(root))


FILES = ["0.parquet", "1.parquet", "2.parquet"]
ALL: dict[str, Any] = {
    "max_images_per_text": 10,
    "max_texts_per_image": 7,
    "duplicates": {"text": True, "image": "near", "distance": 6},
    "decontaminate": {"sets": ["held"], "image_distance": 6},
}


def run(made: Build) -> tuple[StageManifest, StageManifest]:
    annotated, _ = made.annotate("web")
    return annotated, made.make_pairs("image_alt", {"web": annotated})[0]


def rows_of(made: Build, manifest: StageManifest) -> pa.Table:
    return pa.concat_tables(pq.read_table(Path(made.root, manifest.folder, part.path)) for part in manifest.tables())


@pytest.fixture(scope="module")
def done(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, StageManifest, StageManifest]:
    made = build(inputs, tmp_path_factory.mktemp("root"), FILES, **ALL)
    return made, *run(made)


def test_every_row_has_its_reason(done: tuple[Build, StageManifest, StageManifest]) -> None:
    made, annotated, pairs = done
    steps = {step.step: step for step in check_chain([annotated.ledger, pairs.ledger])}
    assert list(steps) == ["read", "filter", "unique", "unique texts", "unique pictures"]
    assert steps["read"].errors == {"not_an_image": 1, "truncated": 1}
    assert steps["filter"].dropped == {
        "text_on_many_images": 12,
        "image_with_many_texts": 8,
        "contaminated_image": 1,
        "contaminated_text": 1,
    }
    assert steps["filter"].alone["text_on_many_images"] == 12
    assert steps["unique"].dropped == {"duplicate_pair": 1}
    assert steps["unique texts"].dropped == {"duplicate_text": 5}
    near = steps["unique pictures"].dropped["duplicate_image"]
    assert 9 <= near <= 10, "the copies, exact and near, whose like was not dropped as a text"
    table = rows_of(made, pairs)
    assert len(set(table.column("right_text").to_pylist())) == table.num_rows
    keys = table.column("key").to_pylist()
    assert keys == sorted(keys)
    assert table.num_rows == steps["unique pictures"].rows_out


def test_four_workers_and_shuffled_files_give_the_same_bytes(
    done: tuple[Build, StageManifest, StageManifest], inputs: Path, tmp_path: Path
) -> None:
    _, annotated, pairs = done
    again = run(build(inputs, tmp_path, FILES[::-1], workers=4, **ALL))
    assert [part.sha256 for part in again[0].parts] == [part.sha256 for part in annotated.parts]
    assert [part.sha256 for part in again[1].parts] == [part.sha256 for part in pairs.parts]
    assert again[1].digest == pairs.digest, "the books and the examples too"


def test_other_batches_and_more_buckets_give_the_same_pairs(
    done: tuple[Build, StageManifest, StageManifest], inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 7 rows to the byte; with five buckets the same rows in five parts."""
    made, annotated, pairs = done
    monkeypatch.setattr(image_text, "BATCH_ROWS", 7)
    monkeypatch.setattr(image_parquet, "_PARQUET_BATCH", 5)
    units = made.inputs("web").units()
    folder = tmp_path / "stages" / "annotate"
    folder.mkdir(parents=True)
    spec = made._spec("annotate", str(folder), len(units), 1) | {"progress": None, "workers": 1, "language_model": None}
    spec |= {"relative_folder": annotated.folder, "source_name": "web", "units": units, "options": {}}
    annotate.run(spec | {"source": made.recipe.sources["web"].model_dump(mode="json")})
    found = outcome_of(json.loads((folder / "records.json").read_bytes()))
    assert [part.sha256 for part in found.parts] == [part.sha256 for part in annotated.parts]
    for module in (pairs_job, counting):
        monkeypatch.setattr(module, "read_batches", lambda url, columns=None: read_batches(url, 7, columns))
    for buckets in (1, 5):
        out = tmp_path / f"pairs-{buckets}"
        out.mkdir()
        parts = [{"url": str(folder / part.path), "source": "web"} for part in annotated.tables()]
        pairs_job.run(
            made._spec("pairs", str(out), 3, 1)
            | {
                "progress": None, "workers": 1, "kind": "image_alt", "step": "filter", "unit": "pairs",
                "options": made.select_options("image_alt"), "references": made.references("image_alt"),
                "parts": parts, "buckets": buckets,
            }
        )  # fmt: skip
        outcome = outcome_of(json.loads((out / "records.json").read_bytes()))
        check(merge(outcome.steps))
        assert [step.model_dump() for step in merge(outcome.steps)] == [step.model_dump() for step in pairs.ledger]
        if buckets == 1:
            assert [part.sha256 for part in outcome.parts] == [part.sha256 for part in pairs.parts]
        assert pa.concat_tables(pq.read_table(out / part.path) for part in outcome.parts).equals(rows_of(made, pairs))


def test_a_preset_of_ones_own_and_what_is_compared_are_in_the_key(inputs: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\t9\nred\t3\n")
    (inputs / "mine.yaml").write_text("order: [rare_words, too_short]\nmin_words: 4\nword_counter: whitespace\n")
    recipe = "name: a\nsources: {web: {type: image_text, path: '[0-2].parquet'}}\npairs:\n  image_alt: "
    parsed = parse(recipe + "{preset: mine.yaml, min_words: 5}", folder=str(inputs))
    assert parsed.pairs.image_alt is not None
    assert (parsed.pairs.image_alt.min_words, parsed.pairs.image_alt.order) == (5, ("rare_words", "too_short"))
    parsed = parse(recipe + f"{{preset: mine.yaml, frequent_words: {words}}}", folder=str(inputs))
    made = Build(Loaded(parsed, str(inputs)), str(tmp_path / "root"))
    before = StageManifest(stage="x", key="0" * 16, config={}, inputs={}, code="1", parts=[], ledger=[])
    key = made.pairs_stage("image_alt", {"web": before}).key
    words.write_text("a\t9\nblue\t3\n")
    assert made.pairs_stage("image_alt", {"web": before}).key != key, "the list's content counts"


def test_tables_without_photographs_count_over_all_their_rows(tmp_path: Path) -> None:
    texts = ["One text on many pages", *[text_of(at) for at in range(30)]] * 2 + ["One text on many pages"] * 3
    for number in range(3):
        chosen = texts[number::3]
        urls = [f"https://e/{number}/{at}.jpg" for at in range(len(chosen))]
        pq.write_table(pa.table({"url": urls, "caption": chosen}), tmp_path / f"{number}.parquet")
    made = build(tmp_path, tmp_path / "root", FILES, max_rows_per_text=4)
    annotated, _ = made.annotate("web")
    table, _ = made.filter_table("web", annotated)
    assert table.ledger[0].dropped == {"text_too_frequent": 5}
    assert table_job.run is not None


def _claims(width: int, height: int, kind: str) -> bytes:
    """A small picture whose header says that it is of another size."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, kind)
    data = bytearray(out.getvalue())
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_hostile_rows_are_errors_with_a_reason_and_memory_stays_bounded(tmp_path: Path) -> None:
    good = photograph(1)
    rows: list[tuple[bytes | None, str | None]] = [
        (good, "A good picture of nothing at all"),
        (_claims(50_000, 50_000, "PNG"), "A picture of 2.5 gigapixels, as it says"),
        (_claims(50_000, 50_000, "JPEG"), "A photograph of 2.5 gigapixels, as it says"),
        (_claims(4000, 3000, "PNG"), "A small picture that says it is large"),
        (_claims(3000, 2000, "JPEG"), "A small photograph that says it is large"),
        (None, "No picture"),
        (good, None),
        (good, "long " * 20_000_000),
        (b"", "An empty picture"),
    ]
    pq.write_table(
        pa.table({"image": pa.array([data for data, _ in rows], pa.binary()), "caption": [text for _, text in rows]}),
        tmp_path / "0.parquet",
    )
    (tmp_path / "1.parquet").write_bytes((tmp_path / "0.parquet").read_bytes()[:-100])
    nothing = pa.table({"image": pa.nulls(5), "caption": pa.nulls(5), "url": pa.nulls(5)})
    pq.write_table(nothing, tmp_path / "2.parquet")
    made = build(tmp_path, tmp_path / "root", FILES, max_images_per_text=10, duplicates={"image": "near"})
    annotated, pairs = run(made)
    (read,) = annotated.ledger
    assert (read.rows_in, read.kept) == (15, 2)
    errors = dict(read.errors)
    # A decoder calls a file whose data ends before the size that it claims truncated, or corrupt.
    assert errors.pop("truncated", 0) + errors.pop("corrupt", 0) == 3, "two that lie, and the file cut short"
    assert errors == {"too_many_pixels": 2, "no_image": 6, "text_too_long": 1, "empty": 1}
    logged = [
        json.loads(line)
        for part in annotated.parts
        if part.role == "errors"
        for line in Path(made.root, annotated.folder, part.path).read_text().splitlines()
    ]
    assert sum(entry["rows"] for entry in logged) == 13
    assert all(entry["reason"] and entry["position"] for entry in logged)
    filtered = next(step for step in pairs.ledger if step.step == "filter")
    assert (filtered.rows_in, filtered.kept, filtered.dropped) == (2, 1, {"empty": 1})
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert peak < 2000, f"{peak:.0f} MB"
