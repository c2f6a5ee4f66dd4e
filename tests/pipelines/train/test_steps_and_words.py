"""Mix, steps, and a version as open_clip's words."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dataset import DatasetError, DatasetManifest, ShardEntry
from pipelines.train.steps import mix_for, steps_for
from pipelines.train.webdataset_words import samples, shards, upsampling


def manifest(counts: dict[str, list[int]], mix: dict[str, float] | None = None) -> DatasetManifest:
    """A version whose shards hold so many samples."""
    entries = [
        ShardEntry(
            path=f"train/{kind}-{n:06d}.tar",
            kind=kind,
            bytes=1,
            sha256="0" * 64,
            samples=count,
            first_key="",
            last_key="",
        )
        for kind, sizes in counts.items()
        for n, count in enumerate(sizes)
    ]
    weights = mix or {kind: 1 / len(counts) for kind in counts}
    empty = {"recipe": {}, "lineage": {}, "render": {}, "models": {}, "ledger": {}}
    return DatasetManifest(name="made", version="0" * 12, mix=weights, shards=entries, **empty)


def test_what_is_held_out_is_no_trainers() -> None:
    made = manifest({"image_alt": [5, 5], "sentences": [3]})
    aside = made.shards[0].model_copy(
        update={"path": "validation/image_alt-000000.tar", "split": "validation", "samples": 100}
    )
    both = made.model_copy(update={"shards": [aside, *made.shards]})
    mix = {"image_alt": 0.5, "sentences": 0.5}
    assert mix_for(both, {}) == mix
    for of in (shards(both, "/v", mix), upsampling(both, mix), samples(both, mix)):
        assert of in (shards(made, "/v", mix), upsampling(made, mix), samples(made, mix))
    assert "validation" not in shards(both, "/v", mix)
    assert both.samples() == {"image_alt": 110, "sentences": 3}
    assert both.samples("train") == made.samples()


@pytest.mark.parametrize(("share", "steps"), [(0.0, 250_000), (0.25, 333_333), (0.5, 500_000)])
def test_clippos_steps(share: float, steps: int) -> None:
    """250k, 333k and 500k: the paper's three numbers."""
    mix = {"image_alt": 1 - share, "sentences": share / 2, "translations": share / 2}
    assert steps_for(mix) == steps


@given(st.floats(0.01, 1), st.floats(0, 5), st.integers(1, 10**6))
def test_every_run_sees_the_same_number_of_photographs(images: float, texts: float, base: int) -> None:
    steps = steps_for({"image_alt": images, "sentences": texts}, base_steps=base)
    assert abs(steps * images / (images + texts) - base) <= images / (images + texts)
    assert steps >= base


def test_steps_can_be_set_and_must_be_without_photographs() -> None:
    assert steps_for({"sentences": 1.0}, steps=7) == 7
    with pytest.raises(ValueError, match="set steps"):
        steps_for({"sentences": 1.0})


def test_weights_asked_for_override_the_versions() -> None:
    made = manifest(
        {"image_alt": [5], "sentences": [5], "word_drop": [0]}, {"image_alt": 0.75, "sentences": 0.25, "word_drop": 0.0}
    )
    assert mix_for(made, {}) == {"image_alt": 0.75, "sentences": 0.25}
    assert mix_for(made, {"sentences": 4, "image_alt": 4}) == {"image_alt": 0.5, "sentences": 0.5}
    assert mix_for(made, {"sentences": 3}) == {"sentences": 1.0}
    for kind in ("word_drop", "nope"):
        with pytest.raises(
            DatasetError, match=f"{kind}, of which made .* has no sample to train on; it has image_alt, sentences"
        ):
            mix_for(made, {kind: 1})


def test_runs_of_shards_are_one_pattern() -> None:
    made = manifest({"image_alt": [10, 10, 3], "sentences": [4], "translations": [5, 0, 5]})
    mix = mix_for(made, {})
    assert shards(made, "/v", mix).split("::") == [
        "/v/train/image_alt-{000000..000002}.tar", "/v/train/sentences-000000.tar",
        "/v/train/translations-000000.tar", "/v/train/translations-000002.tar",
    ]  # fmt: skip
    assert len(upsampling(made, mix).split("::")) == 4
    assert samples(made, mix) == 37


@pytest.mark.parametrize("folder", ["/a::b", "/a{b}", "/a\\b", "pipe:cat x"])
def test_folders_that_lists_of_shards_read_otherwise(folder: str) -> None:
    made = manifest({"image_alt": [1]})
    with pytest.raises(ValueError, match="give a meaning of their own"):
        shards(made, folder, {"image_alt": 1.0})


@given(
    st.dictionaries(
        st.sampled_from(["image_alt", "sentences", "word_drop"]),
        st.lists(st.integers(1, 1000), min_size=1, max_size=5),
        min_size=1,
    ),
    st.data(),
)
def test_factors_give_each_kind_its_weight(counts: dict[str, list[int]], data: st.DataObject) -> None:
    """Shards drawn in proportion to their factors and read whole: each kind's share of the samples is its weight."""
    made = manifest(counts)
    mix = mix_for(made, {kind: data.draw(st.integers(1, 9)) for kind in counts})
    factors = dict(zip(mix, map(Fraction, upsampling(made, mix).split("::")), strict=True))
    chance = {kind: sum(factors[kind] * size for size in counts[kind]) for kind in mix}
    for kind, weight in mix.items():
        assert float(chance[kind] / sum(chance.values())) == pytest.approx(weight, rel=1e-4)


def test_factors_of_the_versions_own_proportions_are_one() -> None:
    made = manifest({"image_alt": [30, 30], "sentences": [20]})
    assert upsampling(made, mix_for(made, {"image_alt": 60, "sentences": 20})) == "1::1"


def test_what_the_build_held_out_has_words_of_its_own() -> None:
    made = manifest({"image_alt": [10, 10], "sentences": [5]})
    change = {"path": "validation/image_alt-000000.tar", "split": "validation", "samples": 2}
    made = made.model_copy(update={"shards": [*made.shards, made.shards[1].model_copy(update=change)]})
    mix = {"image_alt": 0.5, "sentences": 0.5}
    assert shards(made, "/v", mix, "validation") == "/v/validation/image_alt-000000.tar"
    assert samples(made, mix, "validation") == 2
    with pytest.raises(ValueError, match="none of sentences in its split validation"):
        shards(made, "/v", {"sentences": 1.0}, "validation")
