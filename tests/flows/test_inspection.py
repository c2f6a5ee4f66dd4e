"""What `verify` holds against a manifest apart from shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.inspection import _side_problems
from pipelines.dataset import FIRST_CARD, DatasetManifest
from pipelines.publish.version import CARD_CODE, WORDED, publish, version_of


def published(root: Path, card_code: str) -> tuple[Path, DatasetManifest]:
    empty = {
        "recipe": {},
        "lineage": {},
        "render": {},
        "models": {},
        "mix": {},
        "shards": [],
        "tables": [],
        "ledger": {},
    }
    manifest = DatasetManifest(name="made", version="", card_code=card_code, **empty)
    manifest.version = version_of(manifest)
    contents = dict.fromkeys(WORDED, b"{}") | {"train/sizes.json": b"{}\n"}
    done = publish(str(root), manifest, {}, contents | {"errors.jsonl": b""})
    return Path(done.folder), manifest


@pytest.fixture(autouse=True)
def sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this release would write beside a version, without a whole build."""
    made = {"README.md": b"# Made\n", "croissant.json": b"{}", "train/sizes.json": b"{}\n"}
    monkeypatch.setattr("flows.inspection.side_files", lambda manifest: made)


def test_a_card_that_another_release_worded_is_no_problem(tmp_path: Path) -> None:
    folder, manifest = published(tmp_path, FIRST_CARD)
    assert _side_problems(str(folder), manifest) == []
    (folder / "train/sizes.json").write_bytes(b'{"train/a.tar": 1}\n')
    assert _side_problems(str(folder), manifest) == ["train/sizes.json is not what the manifest gives"]
    (folder / "README.md").unlink()
    assert "README.md is gone" in _side_problems(str(folder), manifest)


def test_a_card_of_this_release_must_be_what_it_would_write(tmp_path: Path) -> None:
    folder, manifest = published(tmp_path, CARD_CODE)
    assert _side_problems(str(folder), manifest) == ["README.md is not what the manifest gives"]


def test_versions_of_before_the_field_keep_their_names(tmp_path: Path) -> None:
    _, old = published(tmp_path, FIRST_CARD)
    _, new = published(tmp_path, CARD_CODE)
    without = {name: value for name, value in old.model_dump().items() if name != "card_code"}
    assert version_of(DatasetManifest.model_validate(without)) == old.version != new.version
