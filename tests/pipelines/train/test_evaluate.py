"""The evaluation of a saved tower on a version, as a command: figures, page, and what is refused."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin crawl on shared cores
torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from pipelines.train.reference.config import make_config  # noqa: E402
from pipelines.train.reference.evaluate_command import main  # noqa: E402
from pipelines.train.reference.metrics import METRICS, read_metrics  # noqa: E402
from pipelines.train.reference.trainer import train  # noqa: E402

CLASSES = """
- name: languages
  templates: ["{}"]
  classes: {German: {en: roter Kreis}, Greek: {en: κόκκινος κύκλος}, Korean: {en: 파란 사각형}, Russian: {en: круг}}
- name: nothing
  classes: [qqqq, wwww]
"""


@pytest.fixture(scope="module")
def trained(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps on a version whose texts the renderer drew, evaluated on the way."""
    out = tmp_path_factory.mktemp("run")
    options = {"dataset": rendered, "out": out, "steps": 6, "batch_size": 8, "size": 32, "holdout": 0.4, "threads": 1}
    train(make_config(options | {"evaluate_every": 3, "mix": {"image_alt": 0.5, "sentences": 0.5}, "lanes": 2}))
    return out


def check_closed(page: Path) -> str:
    """The page holds all that it shows, and no script."""
    text = page.read_text()
    assert not re.search(r"<(script|link|iframe|object)\b", text)
    assert all(found.startswith("data:image/") for found in re.findall(r'src="([^"]*)', text))
    assert all(found.startswith("#") for found in re.findall(r'href="([^"]*)', text))
    assert "default-src 'none'" in text
    return text


def test_a_run_evaluates_on_its_way_and_leaves_its_page(trained: Path) -> None:
    rows = [row for row in read_metrics(trained / METRICS) if "evaluation" in row]
    assert [row["step"] for row in rows] == [3, 6]
    result = json.loads((trained / "result.json").read_text())
    assert rows[-1]["evaluation"]["retrieval_by_kind"] == result["retrieval_by_kind"]
    assert result["retrieval"]["chance_at_1"] == 1 / result["retrieval"]["samples"]
    assert 0 <= result["modality_gap"] <= 2
    text = check_closed(trained / "report.html")
    assert "What was found: image_alt" in text
    names = {
        "loss",
        "recall",
        *(f"{what}-{kind}" for what in ("sides", "similarity") for kind in ("image_alt", "sentences")),
    }
    assert {path.stem for path in trained.glob("*.png")} == names
    for path in trained.glob("*.png"):
        with Image.open(path) as image:
            assert len(image.convert("RGB").getcolors(maxcolors=1 << 24)) > 20, "something is drawn"
    events = next(trained.glob("events.out.tfevents.*")).read_bytes()
    assert b"evaluation/retrieval_by_kind/image_alt/gap" in events


def test_a_saved_tower_is_evaluated_as_the_run_did(
    trained: Path, rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--weights", str(trained / "weights.safetensors"), "--dataset", str(rendered), "--threads", "1"]
    (tmp_path / "classes.yaml").write_text(CLASSES)
    words += ["--holdout", "0.4", "--most", "256", "--classes", str(tmp_path / "classes.yaml")]
    assert main([*words, "--kinds", "image_alt,sentences", "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    of_run = json.loads((trained / "result.json").read_text())["retrieval_by_kind"]
    assert found["retrieval_by_kind"].keys() == of_run.keys()
    for kind, one in of_run.items():
        assert found["retrieval_by_kind"][kind]["text_to_left"] == one["text_to_left"]
        assert found["retrieval_by_kind"][kind]["gap"] == pytest.approx(one["gap"], abs=1e-5)
    (zero_shot,) = found["zero_shot"]  # classes that no picture is of are left out
    assert zero_shot["name"] == "languages"
    assert zero_shot["photographs"] > 0
    assert 0 <= zero_shot["top_1"] <= 1
    check_closed(tmp_path / "out" / "report.html")
    assert "image_alt" in capsys.readouterr().out


def test_what_cannot_be_evaluated_is_said(
    trained: Path, rendered: Path, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = trained / "weights.safetensors"
    words = ["--dataset", str(rendered), "--threads", "1", "--holdout", "0.4"]
    (tmp_path / "broken.yaml").write_text("- classes: [one]")
    (tmp_path / "no.safetensors").write_bytes(b"\x80\x04x")
    for more, code, says in (
        (["--weights", str(weights), "--kinds", "word_drop"], 1, "no shards of kind word_drop; this version has"),
        (["--weights", str(weights), "--classes", str(tmp_path / "broken.yaml")], 2, "classes: 2 to"),
        (["--weights", str(tmp_path / "no.safetensors")], 1, "not a tower's weights"),
        (["--weights", str(weights), "--dataset", str(small)], 1, "render digest"),
    ):
        assert main([*words, *more]) == code
        assert says in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--weights", str(weights), "--most", "1"])
