"""What the tests of pairs/ share: one identifier, and real samples where they lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from pairs.language import LanguageIdentifier

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def lid() -> LanguageIdentifier:
    return LanguageIdentifier()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real samples; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("no real samples beside the repository")
    return SHARED
