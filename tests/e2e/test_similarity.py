"""A small build with an image-text model by the command line: scored once, the rule in the funnels, a bound changed."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.e2e.conftest import Cli, champion, write_recipe
from tests.pipelines.similarity import models

pytestmark = pytest.mark.engine
for name in ("onnx", "onnxruntime", "tokenizers"):
    pytest.importorskip(name)

TEXTS = ("a red house beside the blue water", "ein rotes haus und ein baum am wasser", "дом и вода дом и вода у реки")


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """24 photographs with texts, four texts without photographs, and a model."""
    models.export(tmp_path / "clip")
    images = []
    for number in range(24):
        coarse = np.random.default_rng(number).integers(0, 255, (9, 12, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC).save(out, "JPEG")
        images.append(out.getvalue())
    table = {"image": images, "caption": [f"{TEXTS[at % 3]} {at}" for at in range(24)], "lang": ["en", "de", "ru"] * 8}
    pq.write_table(pa.table(table), tmp_path / "web.parquet")
    bare = {"url": [f"https://e/{at}.jpg" for at in range(4)], "caption": [f"{TEXTS[0]} {at} again" for at in range(4)]}
    pq.write_table(pa.table(bare), tmp_path / "bare.parquet")
    sources = {name: {"type": "image_text", "path": f"{name}.parquet"} for name in ("web", "bare")}
    model = {"model": "clip", "context_length": models.LENGTH, "batch_size": 8}
    return {
        "name": "scored",
        "sources": sources,
        "pairs": {"image_alt": {"preset": "coyo", "image_min_side": 64, "image_min_bytes": None, "similarity": model}},
        "gate": {"max_error_rate": 1.0},
    }


def _filtered(manifest: dict[str, Any]) -> dict[str, Any]:
    (step,) = [step for step in manifest["ledger"]["image_alt"] if step["step"] == "filter"]
    return dict(step)


def test_a_build_scores_once_and_its_funnels_show_the_rule(recipe: dict[str, Any], tmp_path: Path, cli: Cli) -> None:
    options = recipe["pairs"]["image_alt"]
    path, root = tmp_path / "recipe.yaml", tmp_path / "root"
    plan = cli("build", write_recipe(path, recipe), "--root", root, "--plan")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "score-web" in plan.stdout
    assert "score-bare" not in plan.stdout
    built = cli("build", path, "--root", root, "--workers", 2)
    assert built.returncode == 0, built.stdout + built.stderr
    first = champion(root)
    assert [step["step"] for step in first.manifest["ledger"]["image_alt"]][:3] == ["read", "score", "filter"]
    assert _filtered(first.manifest)["dropped"] == {}
    assert {"similarity.image_encoder", "similarity.text_encoder"} <= set(first.manifest["models"])
    page = (first.folder / "report.html").read_text()
    assert "Similarity of images and texts" in page
    (facts,) = [json.loads(p.read_text())["facts"] for p in root.glob("stages/score-web-*/MANIFEST.json")]
    told = facts["similarity"]["web"]
    assert told["scored"] == 24
    assert f"{told['quantiles']['0.5']:.3f}" in page

    options["min_similarity"] = {"default": -1, "en": told["languages"]["en"]["quantiles"]["0.5"] + 0.001}
    again = cli("build", write_recipe(path, recipe), "--root", root, "--workers", 1)
    assert again.returncode == 0, again.stdout + again.stderr
    second = champion(root)
    dropped = _filtered(second.manifest)["dropped"]["low_similarity"]
    assert 3 <= dropped <= 5, "about half of the eight English ones"
    keys = {stage: told["key"] for stage, told in first.manifest["lineage"].items()}
    changed = {stage for stage, told in second.manifest["lineage"].items() if keys[stage] != told["key"]}
    assert changed == {"select-image_alt", "render-image_alt", "verify-image_alt"}
    assert len(list(root.glob("stages/score-*"))) == 1
    assert "low_similarity" in (second.folder / "report.html").read_text()

    (tmp_path / "mine.yaml").write_text(
        json.dumps({"order": ["low_similarity"], "min_similarity": options["min_similarity"]})
    )
    funnel = cli("funnel", root, "--preset", tmp_path / "mine.yaml")
    assert funnel.returncode == 0, funnel.stdout + funnel.stderr
    assert re.search(rf"low_similarity +-{dropped}\b", funnel.stdout), funnel.stdout
    whole = cli("verify", second.folder)
    assert whole.returncode == 0, whole.stdout + whole.stderr


def test_a_missing_file_is_told_before_anything_runs(recipe: dict[str, Any], tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "clip" / "text_encoder.onnx").unlink()
    done = cli("build", write_recipe(tmp_path / "recipe.yaml", recipe), "--root", tmp_path / "root")
    assert done.returncode == 2
    assert "pairs.image_alt.similarity.text_encoder" in done.stderr
    assert not list(tmp_path.glob("root/stages/*"))
