"""`versions` and `diff`: which data set is meant, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from pipelines import dataset
from tests.pipelines.publish.made_version import make_version


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One data set with one version."""
    return with_version(tmp_path / "root", "shapes")


def with_version(root: Path, name: str) -> Path:
    folder = root / "datasets" / name / "0123456789ab"
    folder.mkdir(parents=True)
    manifest = make_version(folder, kinds={"sentences": [3]}).model_copy(update={"name": name})
    (folder / "MANIFEST.json").write_bytes(dataset.encode(manifest))
    return root


def test_a_root_that_holds_nothing_is_said(tmp_path: Path) -> None:
    for command in (["versions"], ["diff", "0123456789ab", "ba9876543210"]):
        done = CliRunner().invoke(app, [*command, "--root", str(tmp_path)])
        assert done.exit_code == 1
        assert done.output.startswith(f"error: no data sets under {tmp_path}")


def test_versions_are_listed_with_their_pairs(root: Path) -> None:
    done = CliRunner().invoke(app, ["versions", "--root", str(root)])
    assert done.exit_code == 0, done.output
    head, line = (line.split() for line in done.output.splitlines())
    assert head == ["data", "set", "version", "published", "pairs", "shards", "trained"]
    assert (line[0], line[1], line[-3:]) == ("shapes", "0123456789ab", ["3", "1", "0"])


def test_numbers_are_of_the_only_data_set_and_of_several_the_name_is_asked_for(root: Path) -> None:
    numbers = ["diff", "0123456789ab", "0123456789ab", "--root", str(root)]
    done = CliRunner().invoke(app, numbers)
    assert done.exit_code == 0, done.output
    assert "rows by kind" in done.output
    with_version(root, "others")
    done = CliRunner().invoke(app, numbers)
    assert done.exit_code == 1
    assert "--name others | shapes" in done.output
    assert CliRunner().invoke(app, [*numbers, "--name", "shapes"]).exit_code == 0
