"""The command `pixelpairs open-clip`, without open_clip: what it would start, and the trainer that it writes down."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from pipelines.dataset import encode
from pipelines.train.spec import TrainerSpec
from tests.pipelines.train.test_open_clip import manifest


@pytest.fixture
def version(tmp_path: Path) -> Path:
    (tmp_path / "MANIFEST.json").write_bytes(encode(manifest()))
    return tmp_path


def test_it_shows_what_would_be_started(version: Path) -> None:
    done = CliRunner().invoke(
        app, ["open-clip", str(version), "--epochs", "2", "--mix", "image_alt=1", "--more", "--seed 7 --note 'a b'"]
    )
    assert done.exit_code == 0, done.output
    assert f"{version}/train/image_alt-{{000000..000003}}.tar\n" in done.output
    assert "argv      'a b'\n" in done.output
    assert not (version / "training").exists()


def test_it_writes_a_trainer_for_recipes_and_flows(version: Path) -> None:
    words = ["open-clip", str(version), "--epochs", "1", "--processes", "4", "--trainer", str(version / "trainer.yaml")]
    assert CliRunner().invoke(app, words).exit_code == 0
    spec = TrainerSpec.model_validate(yaml.safe_load((version / "trainer.yaml").read_text()))
    assert spec.resources.processes == 4
    assert "{shards}" in spec.argv, "it holds for any version, not for the folder that it was made from"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mix", "nope=1"], "mix names nope"),
        (["--mix", "sentences=1"], "set steps"),
        (["--precision", "x"], "precision"),
        (["--mix", "a"], "mix"),
    ],
)
def test_what_cannot_be_trained(version: Path, words: list[str], told: str) -> None:
    done = CliRunner().invoke(app, ["open-clip", str(version), *words])
    assert done.exit_code == 1
    assert told in done.output
