"""The version in use: named last, named anew, taken back; and what a version must have to become it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipelines.dataset import DatasetError, DatasetManifest, encode
from pipelines.ledger import Step
from pipelines.publish import champion
from pipelines.publish.champion import Promotion, against_champion
from pipelines.publish.version import Published


def _publish(root: Path, version: DatasetManifest, number: str) -> Published:
    folder = root / "datasets" / version.name / number
    folder.mkdir(parents=True)
    data = encode(version.model_copy(update={"version": number}))
    (folder / "MANIFEST.json").write_bytes(data)
    return Published(str(folder), number, hashlib.sha256(data).hexdigest(), new=True)


@pytest.fixture
def root(tmp_path: Path, version: tuple[Path, DatasetManifest]) -> Path:
    """Three versions: a, b and c, promoted in that order."""
    for number in "abc":
        champion.promote(str(tmp_path), _publish(tmp_path, version[1], number))
    return tmp_path


def _named(root: Path, version: tuple[Path, DatasetManifest]) -> str:
    return str(json.loads((root / "datasets" / version[1].name / "champion.json").read_text())["version"])


def test_a_rollback_goes_back_step_by_step(root: Path, version: tuple[Path, DatasetManifest]) -> None:
    name = version[1].name
    before = {path: path.read_bytes() for path in root.rglob("MANIFEST.json")}
    assert champion.rollback(str(root), name).version == "b"
    assert _named(root, version) == "b"
    done = champion.rollback(str(root), name)
    found = champion.read(str(root), name)
    assert found is not None
    assert (found["version"], found["manifest_sha256"]) == ("a", done.manifest_sha256)
    with pytest.raises(DatasetError, match="no champion before"):
        champion.rollback(str(root), name)
    assert _named(root, version) == "a", "a rollback that fails changes nothing"
    assert {path: path.read_bytes() for path in root.rglob("MANIFEST.json")} == before


def test_a_rollback_passes_over_what_is_gone(root: Path, version: tuple[Path, DatasetManifest]) -> None:
    (root / "datasets" / version[1].name / "b" / "MANIFEST.json").unlink()
    assert champion.rollback(str(root), version[1].name).version == "a"


def test_promoting_by_hand(root: Path, version: tuple[Path, DatasetManifest]) -> None:
    name = version[1].name
    champion.promote_version(str(root), name, "a")
    assert _named(root, version) == "a"
    assert champion.rollback(str(root), name).version == "c", "the one that was in use before"
    with pytest.raises(DatasetError, match="not a published version"):
        champion.promote_version(str(root), name, "d")
    (root / "datasets" / name / "a").rename(root / "datasets" / name / "e")
    with pytest.raises(DatasetError, match="holds version a"):
        champion.promote_version(str(root), name, "e")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 3, "manifest_sha256": ""}', b"\xff"])
def test_a_broken_pointer_is_said_and_replaced(
    root: Path, version: tuple[Path, DatasetManifest], content: bytes
) -> None:
    name = version[1].name
    (root / "datasets" / name / "champion.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"champion\.json names no champion"):
        champion.read(str(root), name)
    assert not any(one.champion for one in champion.versions(str(root), name))
    champion.promote_version(str(root), name, "b")
    assert _named(root, version) == "b"


def test_the_list_has_the_newest_first(root: Path, version: tuple[Path, DatasetManifest]) -> None:
    import os

    name = version[1].name
    for seconds, number in enumerate("bca"):
        os.utime(root / "datasets" / name / number / "MANIFEST.json", (10_000 + seconds, 10_000 + seconds))
    (root / "datasets" / name / ".publishing-x-1").mkdir()
    (root / "datasets" / name / "half").mkdir()
    listed = champion.versions(str(root), name)
    assert [(one.version, one.champion) for one in listed] == [("a", False), ("c", True), ("b", False)]
    with pytest.raises(DatasetError, match=f"data sets of .*: {name}"):
        champion.versions(str(root), "absent")


def test_without_a_champion_nothing_is_compared(version: tuple[Path, DatasetManifest]) -> None:
    assert against_champion(Promotion(max_shrink={"image_alt": 0.0}), version[1], None) == []


def test_a_kind_that_shrinks_by_more_than_it_may(version: tuple[Path, DatasetManifest]) -> None:
    manifest = version[1]
    total = manifest.samples()["image_alt"]
    smaller = manifest.model_copy(update={"shards": [one for one in manifest.shards if one.kind != "image_alt"][:]})
    (check,) = against_champion(Promotion(max_shrink={"image_alt": 0.5}), smaller, manifest)
    assert (check.value, check.passed) == (1.0, False)
    assert total
    assert "FAILED by 0.5" in check.words()
    (check,) = against_champion(Promotion(max_shrink={"image_alt": 0.0}), manifest, smaller)
    assert (check.value, check.passed) == (0.0, True), "growing is no shrinking"


def test_errors_and_languages_against_the_champion(version: tuple[Path, DatasetManifest]) -> None:
    step = Step(source="a", step="read", unit="records", rows_in=100, kept=100, rows_out=100)
    worse = step.model_copy(update={"kept": 90, "rows_out": 90, "errors": {"x": 10}})
    bounds = Promotion(max_error_rise=0.05, max_language_shift=0.2)
    now = version[1].model_copy(
        update={"ledger": {"k": [worse]}, "languages": {"image_alt": {"right": {"en": 50, "de": 50}}}}
    )
    then = version[1].model_copy(
        update={"ledger": {"k": [step]}, "languages": {"image_alt": {"right": {"en": 90, "fr": 10}}}}
    )
    found = {check.name: check for check in against_champion(bounds, now, then)}
    assert found["error rate above the champion's"].value == pytest.approx(0.1)
    assert not found["error rate above the champion's"].passed
    assert found["image_alt: shift of a language's share"].value == pytest.approx(0.5)
    assert not found["image_alt: shift of a language's share"].passed
    assert all(check.passed for check in against_champion(bounds, now, now))
