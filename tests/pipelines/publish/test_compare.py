"""What differs between two versions, counted sample by sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_version import make_version, members_of, write_tar

from pipelines.dataset import DatasetError, DatasetManifest, encode
from pipelines.publish.compare import compare


def _write(folder: Path, manifest: DatasetManifest) -> None:
    (folder / "MANIFEST.json").write_bytes(encode(manifest))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """One version, and another that lost a sample of sentences, gained two, dropped more and was built otherwise."""
    folders = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        manifest = make_version(folder)
        if name == "b":
            shard = next(one for one in manifest.shards if one.kind == "sentences")
            mine = range(1, shard.samples)
            samples = {f"{n:032x}": members_of("sentences", n) for n in (1000, 1001)}
            from made_version import key_of

            samples |= {key_of("sentences", n): members_of("sentences", n) for n in mine}
            write_tar(folder / shard.path, samples)
            recipe = {**manifest.recipe, "seed": 77, "pairs": {"sentences": {"min_words": 4}}}
            lineage = {**manifest.lineage, "new-stage": {"key": "0" * 16, "inputs": {}, "code": "1"}}
            ledger = {kind: [step.model_copy(deep=True) for step in steps] for kind, steps in manifest.ledger.items()}
            step = next(step for step in ledger["sentences"] if step.dropped)
            rule = next(iter(step.dropped))
            step.dropped[rule] += 5
            manifest = manifest.model_copy(update={"recipe": recipe, "lineage": lineage, "ledger": ledger})
        _write(folder, manifest)
        folders.append(folder)
    return folders[0], folders[1]


def test_rows_are_counted_by_their_keys(two: tuple[Path, Path]) -> None:
    found = compare(*map(str, two))
    kept, gained, lost = found.total(0)["sentences"]
    assert (gained, lost) == (2, 1)
    assert kept
    assert all((gained, lost) == (0, 0) for kind, (_, gained, lost) in found.total(0).items() if kind != "sentences")
    assert sum(gained for _, gained, _ in found.total(1).values()) == 2
    assert sum(lost for *_, lost in found.total(2).values()) == 1
    back = compare(*map(str, two[::-1]))
    assert back.total(0)["sentences"] == (kept, lost, gained)


def test_settings_drops_and_stages(two: tuple[Path, Path]) -> None:
    found = compare(*map(str, two))
    assert found.settings["seed"][1] == 77
    assert found.settings["pairs.sentences.min_words"][1] == 4
    assert found.stages["new-stage"] == "only in B"
    ((_, _, _), (before, after)) = next(iter(found.dropped.items()))
    assert len(found.dropped) == 1
    assert after == before + 5


def test_a_version_and_itself(two: tuple[Path, Path]) -> None:
    found = compare(str(two[0]), str(two[0]))
    assert not found.settings
    assert not found.dropped
    assert not found.stages
    assert all(counts[1:] == (0, 0) for counts in found.rows.values())


def test_what_cannot_be_read_is_said(two: tuple[Path, Path]) -> None:
    with pytest.raises(DatasetError, match="not a published version"):
        compare(str(two[0]), str(two[0].parent))
    shard = next(two[1].glob("train/*.tar"))
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(DatasetError, match=shard.name):
        compare(*map(str, two))
