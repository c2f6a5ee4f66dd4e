"""The whole build on real web data: every raw format, with the noise that it brings."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from string import Template

import pyarrow.parquet as pq
import pytest
import webdataset

from tests.e2e.conftest import Cli, Version, champion

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def built(shared: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("real")
    recipe = root / "recipe.yaml"
    recipe.write_text(Template((Path(__file__).parent / "real_data.yaml").read_text()).substitute(shared=shared))
    done = cli("build", recipe, "--root", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return champion(root)


def _lines(path: Path) -> int:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return sum(1 for _ in file)


def test_every_record_is_read_and_accounted_for(built: Version, shared: Path) -> None:
    data = shared / "data"
    expected = {
        "captioned": pq.ParquetFile(data / "images/captioned_open.parquet").metadata.num_rows,
        "laion": pq.ParquetFile(data / "alttext/img2dataset_laion_test_10000.parquet").metadata.num_rows,
        "html": pq.ParquetFile(data / "alttext/html_img_alt.parquet").metadata.num_rows,
        "tars": sum(1 for _ in webdataset.WebDataset(sorted(map(str, data.glob("images/*.tar"))), shardshuffle=False)),
        "c4": sum(_lines(path) for path in data.glob("c4/*_c4style.json.gz")),
        "c4_text": _lines(data / "c4/c4_sample.first120.jsonl"),
        "c4_news": _lines(data / "c4/pf-decoding_c4_prefix_gold.first700.jsonl.gz"),
        "wmt_de_en": _lines(data / "wmt/wmt22/generaltest2022.de-en.src.de"),
        "wmt_zh_en": _lines(data / "wmt/wmt22/generaltest2022.zh-en.src.zh"),
        "wmt_ja_en": _lines(data / "wmt/wmt22/generaltest2022.ja-en.src.ja"),
        "bible": _lines(data / "wmt/bible/bible-uedin-v1.de-en.first12000.de.gz"),
    }
    steps = [step for kind in built.manifest["ledger"].values() for step in kind]
    read = {step["source"]: step["rows_in"] for step in steps if step["step"] == "read"}
    assert read == expected
    for step in steps:
        assert step["rows_in"] == step["kept"] + sum(step["dropped"].values()) + sum(step["errors"].values()), step


def test_good_pairs_are_kept_and_junk_is_not(built: Version) -> None:
    """Shares, not counts: human translations and captions nearly all stay, of raw HTML's alt-texts a good part goes."""
    filters = {
        # Many of the captioned pictures are icons; that says nothing of the captions.
        step["source"]: step["kept"] / (step["rows_in"] - step["dropped"].get("image_too_small", 0))
        for kind in ("image_alt", "sentences", "translations", "tables")
        for step in built.manifest["ledger"][kind]
        if step["step"] == "filter"
    }
    for source in ("wmt_de_en", "wmt_zh_en", "wmt_ja_en", "bible"):
        assert filters[source] > 0.95, source
    assert filters["captioned"] > 0.95
    assert 0.3 < filters["html"] < 0.8
    assert 0.85 < filters["laion"] < 0.99


def test_duplicates_meet_across_sources(built: Version) -> None:
    """The captioned pictures come once as parquet and once as tars: each pair is published once."""
    unique = [step for step in built.manifest["ledger"]["image_alt"] if step["step"] == "unique"]
    assert sum(step["dropped"].get("duplicate_pair", 0) for step in unique) > 0.4 * sum(
        step["rows_in"] for step in unique
    )
    keys = [
        sample["__key__"]
        for shard in built.manifest["shards"]
        for sample in webdataset.WebDataset(str(built.folder / shard["path"]), shardshuffle=False)
    ]
    assert len(keys) == len(set(keys)) == sum(shard["samples"] for shard in built.manifest["shards"])


def test_tables_without_photographs_are_published(built: Version) -> None:
    tables = {table["source"]: table["rows"] for table in built.manifest["tables"]}
    assert set(tables) == {"laion", "html"}
    for table in built.manifest["tables"]:
        rows = pq.read_table(built.folder / table["path"])
        assert rows.num_rows == table["rows"]
        assert {"url", "text", "scores"} <= set(rows.schema.names)
        assert all(json.loads(scores) for scores in rows.column("scores").to_pylist()[:100])
