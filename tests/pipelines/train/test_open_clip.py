"""open_clip's command line for a version; where open_clip is installed, its own parser and its own sampler read it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipelines.dataset import DatasetManifest, ShardEntry
from pipelines.train.open_clip import OpenClipOptions, open_clip_argv, open_clip_spec
from pipelines.train.spec import TrainerSpec
from pipelines.train.webdataset_words import samples, shards, upsampling


def manifest(*, held_out: int = 0) -> DatasetManifest:
    """Two kinds, 1000 and 500 samples in 4 and 1 shards."""
    counts = [("train", "image_alt", n, size) for n, size in enumerate((400, 300, 200, 100))] + [
        ("train", "sentences", 0, 500)
    ]
    counts += [("validation", "image_alt", 0, held_out)] if held_out else []
    entries = [
        ShardEntry.model_validate(
            {"path": f"{split}/{kind}-{n:06d}.tar", "split": split, "kind": kind, "bytes": 1, "sha256": "0" * 64, "samples": size,
             "first_key": "", "last_key": ""}
        )
        for split, kind, n, size in counts
    ]  # fmt: skip
    empty = {"recipe": {}, "lineage": {}, "render": {}, "models": {}, "ledger": {}}
    return DatasetManifest(
        name="made", version="0" * 12, mix={"image_alt": 0.75, "sentences": 0.25}, shards=entries, **empty
    )


BASE = TrainerSpec(argv=["-"])


def after(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]


def test_epochs_cover_the_steps() -> None:
    """CLIPPO's steps for a quarter of text pairs, in epochs of 1500 samples at 100 a step."""
    argv = open_clip_argv(manifest(), OpenClipOptions(batch_size=100, base_steps=600), BASE)
    assert int(after(argv, "--epochs")) == 54  # 800 steps of 15 an epoch
    assert after(open_clip_argv(manifest(), OpenClipOptions(epochs=3), BASE), "--epochs") == "3"
    four = TrainerSpec(argv=["-"], resources={"processes": 4})
    assert after(open_clip_argv(manifest(), OpenClipOptions(batch_size=100, steps=16), four), "--epochs") == "4"


def test_pairs_that_were_held_out_are_for_validation() -> None:
    assert "--val-data" not in open_clip_argv(manifest(), OpenClipOptions(epochs=1), BASE)
    argv = open_clip_argv(manifest(held_out=7), OpenClipOptions(epochs=1), BASE)
    assert after(argv, "--val-data") == "{validation}"
    assert "--val-data" not in open_clip_argv(
        manifest(held_out=7), OpenClipOptions(epochs=1, validate_on_held_out=False), BASE
    )


def test_a_mix_without_photographs_needs_epochs_or_steps() -> None:
    texts = TrainerSpec(argv=["-"], mix={"sentences": 1})
    with pytest.raises(ValueError, match="set steps"):
        open_clip_argv(manifest(), OpenClipOptions(), texts)
    assert open_clip_spec(manifest(), OpenClipOptions(epochs=2), texts).mix == {"sentences": 1}


def test_open_clip_itself_reads_the_command(tmp_path: Path) -> None:
    """Its parser takes the words, and its sampler draws kinds by their weights."""
    data = pytest.importorskip("open_clip_train.data")
    params = pytest.importorskip("open_clip_train.params")
    made, mix = manifest(held_out=7), {"image_alt": 0.6, "sentences": 0.4}
    filled = {
        "{shards}": shards(made, "/v", mix), "{upsampling}": upsampling(made, mix), "{samples}": str(samples(made, mix)),
        "{validation}": shards(made, "/v", mix, "validation"), "{validation_samples}": "7", "{out}": str(tmp_path),
    }  # fmt: skip
    argv = [filled.get(word, word) for word in open_clip_argv(made, OpenClipOptions(epochs=1), BASE)]
    args = params.parse_args(argv[3:])
    assert (args.train_num_samples, args.dataset_resampled, args.epochs) == (1500, True, 1)
    sizes = {f"/v/{shard.path}": shard.samples for shard in made.shards}
    drawn = data.ResampledShards2(
        args.train_data, weights=args.train_data_upsampling_factors, nshards=40_000, deterministic=True, epoch=0
    )
    seen: Counter[str] = Counter()
    for one in drawn:
        seen["image_alt" if "image_alt" in one["url"] else "sentences"] += sizes[one["url"]]
    assert seen["image_alt"] / seen.total() == pytest.approx(0.6, abs=0.02)
