"""Whole builds: the quickstart's input in small, and the command line as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent.parent
BUILD_SECONDS = 900


@dataclass(frozen=True)
class Version:
    """A published version."""

    folder: Path
    manifest: dict[str, Any]

    def hashes(self) -> dict[str, str]:
        """Shard -> sha256, as the manifest says."""
        return {shard["path"]: shard["sha256"] for shard in self.manifest["shards"]}


def champion(root: Path) -> Version:
    """The version in use under a root that holds one data set."""
    (pointer,) = root.glob("datasets/*/champion.json")
    folder = pointer.parent / json.loads(pointer.read_text())["version"]
    return Version(folder, json.loads((folder / "MANIFEST.json").read_text()))


@pytest.fixture(scope="session")
def small_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ of the quickstart, a hundred and fifty pictures, and its recipe with small shards."""
    folder = tmp_path_factory.mktemp("quickstart")
    subprocess.run(
        [
            *(sys.executable, REPO / "examples/quickstart/make_input.py", folder / "data"),
            *("--pictures", "150", "--scene-lines", "100"),
        ],
        check=True,
        timeout=300,
    )
    recipe = yaml.safe_load((REPO / "examples/quickstart/recipe.yaml").read_text())
    recipe["shards"] = {"samples": 50, "per_kind": {"image_alt": 8}}
    recipe["gate"] = {"max_error_rate": 0.1}
    recipe.pop("train")
    write_recipe(folder / "recipe.yaml", recipe)
    return folder


def write_recipe(path: Path, recipe: dict[str, Any]) -> Path:
    """Writes a recipe file."""
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True))
    return path


Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def cli(prefect_environment: dict[str, str]) -> Cli:
    """Runs `pixelpairs …` as a process, against the tests' Prefect server."""

    def run(*words: object, timeout: float = BUILD_SECONDS) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(words), env=prefect_environment, capture_output=True, text=True, timeout=timeout, cwd=REPO
        )

    return run


def command(words: Sequence[object]) -> list[str]:
    """The words of a `pixelpairs …` call with this interpreter."""
    return [sys.executable, "-m", "flows.cli", *map(str, words)]


@dataclass(frozen=True)
class Undisturbed:
    """The small build, run once without trouble."""

    root: Path
    version: Version
    said: str


@pytest.fixture(scope="session")
def undisturbed(small_input: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Builds the small input with one worker."""
    root = tmp_path_factory.mktemp("undisturbed")
    done = cli("build", small_input / "recipe.yaml", "--root", root, "--workers", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    return Undisturbed(root, champion(root), done.stdout)


@pytest.fixture(scope="session")
def many_shards(undisturbed: Undisturbed, small_input: Path, cli: Cli) -> Version:
    """What the small build gives in many small shards, without a cluster and without trouble."""
    from tests.e2e.sites import many_shards_recipe

    done = cli("build", many_shards_recipe(small_input, "local"), "--root", undisturbed.root)
    assert done.returncode == 0, done.stdout + done.stderr
    (pointer,) = undisturbed.root.glob("datasets/many_shards/champion.json")
    folder = pointer.parent / json.loads(pointer.read_text())["version"]
    return Version(folder, json.loads((folder / "MANIFEST.json").read_text()))
