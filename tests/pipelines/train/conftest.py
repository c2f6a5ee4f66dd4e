"""Versions that the trainer's tests train on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin crawl on shared cores
pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))

from versions import bands, real_version, text_png, write_version


@pytest.fixture(scope="session")
def learnable(tmp_path_factory) -> Path:
    """Four bands of colour, named by their captions."""
    sentences = [("png", text_png(f"a{n} {n % 7}"), f"b{n} {n % 7}") for n in range(60)]
    return write_version(tmp_path_factory.mktemp("v") / "v", {"image_alt": bands(), "sentences": sentences})


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """40 pictures and 30 sentences in shards of 25."""
    sentences = [("png", text_png(f"a{n}"), f"b{n}") for n in range(30)]
    kinds = {"image_alt": bands()[:40], "sentences": sentences}
    return write_version(tmp_path_factory.mktemp("s") / "v", kinds, per_shard=25)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """A version whose texts were drawn by the renderer, with its digest."""
    return real_version(tmp_path_factory.mktemp("r") / "v")
