"""Which kinds a run sees, how often, and for how many steps."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.dataset import DatasetError, DatasetManifest

CLIPPO_STEPS = 250_000
"""Steps of CLIPPO's runs on image/alt-text alone (arXiv 2212.08045, section 4)."""

_PHOTOGRAPHS = frozenset({"image_alt"})


def mix_for(manifest: DatasetManifest, weights: Mapping[str, float]) -> dict[str, float]:
    """Weights of the kinds in a run, summing to 1: those asked for, else the version's own.

    Raises:
        DatasetError: A kind is asked for that the version has no samples of.
    """
    samples = {kind: count for kind, count in manifest.samples("train").items() if count}
    wanted = dict(weights) or {kind: weight for kind, weight in manifest.mix.items() if weight > 0}
    for kind in wanted:
        if kind not in samples:
            there = ", ".join(sorted(samples))
            raise DatasetError(
                f"mix names {kind}, of which {manifest.name} {manifest.version} has no sample to train on; it has {there}"
            )
    total = sum(wanted.values())
    return {kind: weight / total for kind, weight in sorted(wanted.items())}


def steps_for(mix: Mapping[str, float], *, steps: int | None = None, base_steps: int = CLIPPO_STEPS) -> int:
    """Steps of a run: base_steps / (1 - p), p the share of text pairs.

    CLIPPO trains for 250k, 333k and 500k steps with 0, 25 and 50 % of text pairs in each batch (arXiv 2212.08045): one curve,
    on which every run sees the same number of photographs.

    Args:
        mix: Kind -> weight.
        steps: An exact number, which overrides the rule.
        base_steps: Steps without text pairs.

    Raises:
        ValueError: A mix without photographs, for which the rule has no value.
    """
    if steps is not None:
        return steps
    photographs = sum(weight for kind, weight in mix.items() if kind in _PHOTOGRAPHS) / sum(mix.values())
    if photographs <= 0:
        raise ValueError("steps: the rule keeps the number of photographs seen, and this mix has none: set steps")
    return round(base_steps / photographs)
