"""The card: its front matter drives `datasets`, its snippets run, and nothing in it is markup that came from data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from made_version import make_version

from pipelines.dataset import DatasetManifest
from pipelines.publish.card import card, features, plain, size_category

Version = tuple[Path, DatasetManifest]


@pytest.fixture
def carded(version: Version, tmp_path: Path) -> Path:
    """A version's folder with its card."""
    folder, manifest = version
    (tmp_path / "train").symlink_to(folder / "train")
    (tmp_path / "README.md").write_bytes(card(manifest))
    return tmp_path


def _front(data: bytes) -> dict[str, Any]:
    return yaml.safe_load(data.decode().split("---\n")[1])


def test_front_matter_tells_what_is_in_the_version(version: Version) -> None:
    front = _front(card(version[1]))
    assert [config["config_name"] for config in front["configs"]] == ["image_alt", "sentences", "translations"]
    assert front["configs"][0]["data_files"] == [{"split": "train", "path": "train/image_alt-*.tar"}]
    assert front["language"] == ["ar", "de", "en", "ja", "zh"]
    assert front["language_bcp47"] == ["zh-Hant"]
    assert front["size_categories"] == ["n<1K"]
    assert front["license"] == "cc0-1.0"
    assert "translation" in front["task_categories"]


@pytest.mark.parametrize("told", [None, "other", "unknown"])
def test_a_licence_that_nobody_stated_is_called_unknown(version: Version, told: str | None) -> None:
    manifest = version[1].model_copy(update={"recipe": {"card": {"license": told}}})
    page = card(manifest)
    assert _front(page)["license"] == "unknown"
    assert b"names no licence" in page


def test_a_licence_in_words_is_other_with_a_name(version: Version) -> None:
    manifest = version[1].model_copy(update={"recipe": {"card": {"license": "Our Own Terms"}}})
    assert _front(card(manifest))["license"] == "other"
    assert _front(card(manifest))["license_name"] == "Our Own Terms"


@pytest.mark.parametrize("kind", ["image_alt", "sentences", "translations"])
@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_reads_every_sample_of_every_kind(
    version: Version, carded: Path, tmp_path: Path, kind: str, streaming: bool
) -> None:
    """Would catch columns guessed from five samples: formats alternate, and `url` is null in the first six."""
    read = datasets.load_dataset(
        str(carded), kind, split="train", streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    samples = list(read)
    assert len(samples) == version[1].samples()[kind]
    for sample in samples:
        left = [sample[name] for name in ("jpg", "png", "webp") if sample.get(name) is not None]
        assert len(left) == 1
        assert left[0].size[0] > 100
        assert sample["text.png"].size == (224, 224)
        assert sample["json"]["key"] == sample["__key__"]
        assert sample["txt"]
    assert any(sample["json"]["url"] for sample in samples) == (len(samples) > 6)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_snippets_run_as_they_stand(carded: Path, tmp_path: Path, number: int) -> None:
    snippets = re.findall(r"```python\n(.*?)```", (carded / "README.md").read_text(), flags=re.S)
    assert len(snippets) == 3
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", snippets[number]],
        cwd=carded,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"[0-9a-f]{32}.*\(224, 224\)", done.stdout)


def test_features_are_what_datasets_understands() -> None:
    for kind in ("image_alt", "sentences"):
        understood = datasets.Features._from_yaml_list(features(kind))
        assert isinstance(understood["text.png"], datasets.Image)


@pytest.mark.parametrize(
    ("hostile", "never"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ("[click](javascript:alert(1))", "[click]("),
        ("![x](http://evil.example/p.png)", "![x]("),
        ("a | b\n\n# heading", "\n# heading"),
        ("see https://evil.example @someone", "https://"),
        ("---\nlicense: mit\n---", "\n---\nlicense: mit"),
        ("\u202eevil", "\u202e"),
        ("`code` **bold** ~~gone~~ $x$", "**bold**"),
        ("# heading", "# heading\n"),
    ],
)
def test_text_from_a_recipe_or_a_ledger_is_never_markup(tmp_path: Path, hostile: str, never: str) -> None:
    manifest = make_version(tmp_path, kinds={"sentences": [1]})
    manifest.recipe["card"] = {"title": hostile, "description": hostile, "license": hostile}
    manifest.ledger["sentences"][0].errors = {hostile: 10}
    manifest.languages["sentences"]["left"][hostile] = 3
    manifest.render["font"] = {"name": hostile, "sha256": hostile}
    page = card(manifest).decode()
    body = page.split("\n---\n", 1)[1]
    assert never not in body
    assert _front(card(manifest))["pretty_name"] == " ".join(hostile.split())


def test_plain_keeps_what_is_harmless() -> None:
    assert plain("Grüße aus 東京, 3 pictures (of 4).") == "Grüße aus 東京, 3 pictures (of 4)."
    assert plain("too_few_words") == "too_few_words"
    assert plain("x" * 400) == "x" * 300 + "…"
    assert plain("1. one") == "&#49;. one"


@pytest.mark.parametrize(
    ("samples", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**7, "10M<n<100M"), (5 * 10**12, "n>1T")],
)
def test_size_category(samples: int, name: str) -> None:
    assert size_category(samples) == name


def test_a_version_without_shards_still_has_a_card(tmp_path: Path) -> None:
    page = card(make_version(tmp_path, failed=True))
    assert "configs" not in _front(page)
    assert b"## What was kept and dropped" in page


def test_the_same_manifest_gives_the_same_bytes(version: Version) -> None:
    again = DatasetManifest.model_validate_json(version[1].model_dump_json())
    assert card(again) == card(version[1])
