"""What is published opens with the tools that users have, sample by sample."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from PIL import Image

from pipelines.publish.card import features
from rendering import Renderer, RenderSpec, load_font
from tests.e2e.conftest import Undisturbed

pytestmark = pytest.mark.engine
PHOTOGRAPHS = ("jpg", "png", "webp")
SPLITS = ("train", "validation")


def _shards(undisturbed: Undisturbed) -> dict[str, list[dict[str, Any]]]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for shard in undisturbed.version.manifest["shards"]:
        kinds.setdefault(shard["kind"], []).append(shard)
    return kinds


def _samples(undisturbed: Undisturbed, kind: str) -> Iterator[dict[str, Any]]:
    """Every sample of a kind, by webdataset's own reader, undecoded."""
    urls = [str(undisturbed.version.folder / shard["path"]) for shard in _shards(undisturbed)[kind]]
    return iter(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))


@pytest.fixture(scope="module")
def renderer(undisturbed: Undisturbed) -> Renderer:
    return Renderer(RenderSpec.from_dict(undisturbed.version.manifest["render"]["spec"]), font=load_font())


@pytest.mark.parametrize("kind", ["image_alt", "sentences", "translations", "word_drop"])
def test_webdataset_and_pillow_open_every_sample(undisturbed: Undisturbed, renderer: Renderer, kind: str) -> None:
    """The pictures are pictures, and rendered text is what the renderer draws of the text beside it, in exactly two levels."""
    spec = renderer.spec
    keys = []
    for sample in _samples(undisturbed, kind):
        keys.append(sample["__key__"])
        rest = json.loads(sample["json"])
        text = sample["txt"].decode("utf-8")
        picture = Image.open(io.BytesIO(sample["text.png"]))
        grey = np.asarray(picture.convert("L"))
        assert set(np.unique(grey)) <= {spec.text, spec.background}
        assert np.array_equal(grey, renderer.render([text])[0]), sample["__key__"]
        assert np.asarray(picture.convert("RGB")).shape == (spec.height, spec.width, 3)
        (extension,) = (name for name in PHOTOGRAPHS if name in sample)
        left = Image.open(io.BytesIO(sample[extension]))
        left.load()
        if kind == "image_alt":
            assert left.size == (rest["image"]["width"], rest["image"]["height"])
        else:
            assert np.array_equal(np.asarray(left.convert("L")), renderer.render([rest["left_text"]])[0])
        assert rest["key"] == sample["__key__"]
        assert rest["kind"] == kind
    train, held_out = (
        sum(shard["samples"] for shard in _shards(undisturbed)[kind] if shard["split"] == split) for split in SPLITS
    )
    assert held_out, "nothing is held out"
    assert len(keys) == len(set(keys)) == train + held_out, "keys are unique, over both splits"
    assert keys == sorted(keys[:train]) + sorted(keys[train:]), "keys are in order in each split"


@pytest.mark.parametrize("kind", ["image_alt", "sentences", "translations", "word_drop"])
def test_hugging_face_datasets_opens_every_sample(
    undisturbed: Undisturbed, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    files = [str(undisturbed.version.folder / shard["path"]) for shard in _shards(undisturbed)[kind]]
    # Photographs of several formats in one data set: the reader must be told, it looks at the first five samples alone.
    columns = datasets.Features._from_yaml_list(features(kind)) if kind == "image_alt" else None
    rows = datasets.load_dataset(
        "webdataset", data_files={"train": files}, split="train", features=columns, cache_dir=str(tmp_path)
    )
    assert len(rows) == sum(shard["samples"] for shard in _shards(undisturbed)[kind])
    for row in rows:
        assert row["text.png"].size == (224, 224)
        assert row["txt"]
        assert any(row.get(name) is not None for name in PHOTOGRAPHS)


def test_the_folder_opens_by_its_card(
    undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    for kind, shards in _shards(undisturbed).items():
        for split in SPLITS:
            rows = datasets.load_dataset(str(undisturbed.version.folder), kind, split=split, cache_dir=str(tmp_path))
            assert len(rows) == sum(shard["samples"] for shard in shards if shard["split"] == split)


def test_croissant_is_valid(undisturbed: Undisturbed) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    description = mlcroissant.Dataset(jsonld=json.loads((undisturbed.version.folder / "croissant.json").read_text()))
    assert not description.metadata.ctx.issues.errors
