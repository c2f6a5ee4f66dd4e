"""A small version for the tests of its side files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

from made_version import make_version

from pipelines.dataset import DatasetManifest


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetManifest]:
    """(folder, manifest): shards only; no test writes into it."""
    folder = tmp_path_factory.mktemp("version")
    return folder, make_version(folder)
