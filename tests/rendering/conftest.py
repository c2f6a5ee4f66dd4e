"""Where the shared samples and the fonts of the tests are; what is not there is skipped, by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `import reference`, in any of pytest's import modes

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ beside the repository is not there")
    return SHARED


@pytest.fixture(scope="session")
def unifont_9(shared: Path) -> list[Path]:
    return [shared / "data/unifont/unifont-9.0.06.hex.gz", shared / "data/unifont/unifont_upper-9.0.06.hex.gz"]
