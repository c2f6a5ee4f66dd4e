"""The gate: each bound holds a build back, and none is passed over in silence."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.gate import GateBounds, evaluate, report
from pipelines.ledger import Step


def step(source: str, name: str, rows_in: int, **fields: Any) -> Step:
    lost = sum(sum(counts.values()) for counts in fields.values())
    return Step(
        source=source, step=name, unit="rows", rows_in=rows_in, kept=rows_in - lost, rows_out=rows_in - lost, **fields
    )


LEDGER = {
    "image_alt": [
        step("a", "read", 100, errors={"corrupt": 2}),
        step("a", "filter", 98, dropped={"short": 48}),
        step("b", "read", 100),
        step("b", "filter", 100),
        step("b", "unique", 100, dropped={"duplicate": 50}),
    ],
    "sentences": [step("c", "read", 200, errors={"odd": 6}), step("c", "filter", 194, dropped={"short": 97})],
}
SOUND: dict[str, Any] = {
    "samples": {"image_alt": 100, "sentences": 97},
    "ledger": LEDGER,
    "cut": {"sentences": {"left": 10, "right": 40}},
    "languages": {"sentences": {"left": {"en": 90, "und": 7}, "right": {"de": 97}}},
    "problems": 0,
}


def failed(bounds: dict[str, Any], **changes: Any) -> list[str]:
    checks = evaluate(GateBounds.model_validate(bounds), **{**SOUND, **changes})
    assert report(checks)["passed"] == all(check.passed for check in checks)
    for check in checks:
        assert ("FAILED" in check.words()) == (not check.passed)
    return [check.name for check in checks if not check.passed]


def test_a_sound_build_passes_with_what_it_measured() -> None:
    checks = {check.name: check.value for check in evaluate(GateBounds(max_error_rate=0.5), **SOUND)}
    assert checks["error rate"] == pytest.approx(8 / 400)
    assert checks["languages"] == 2, "what is undetermined is no language"
    assert checks["sentences: right texts cut, share"] == pytest.approx(40 / 97)
    assert failed({"max_error_rate": 0.5}) == []
    assert failed({"max_error_rate": 0.5, "min_samples": {"translations": 0}}) == [], (
        "a kind may be allowed to be empty"
    )


@pytest.mark.parametrize(
    ("bounds", "changes", "name"),
    [
        ({"max_error_rate": 0.019}, {}, "error rate"),
        ({}, {"problems": 1}, "problems found by verify"),
        ({"min_samples": {"image_alt": 101}}, {}, "image_alt: samples"),
        ({"min_samples": {"translations": 1}}, {}, "translations: samples"),
        ({}, {"samples": {"image_alt": 100, "sentences": 0}, "cut": {}}, "sentences: samples"),
        ({"max_cut": 0.4}, {}, "sentences: right texts cut, share"),
        ({"min_kept": {"image_alt": 0.76}}, {}, "image_alt: share kept"),
        ({"min_kept": {"translations": 0.1}}, {}, "translations: share kept"),
        ({"max_dropped_by": {"short": 0.49}}, {}, "sentences: share dropped by short"),
        ({"max_dropped_by": {"duplicate": 0.49}}, {}, "image_alt: share dropped by duplicate"),
        ({"min_languages": 3}, {}, "languages"),
        ({}, {"languages": {}}, "languages"),
        ({}, {"languages": {"sentences": {"left": {"und": 5}}}}, "languages"),
    ],
)
def test_each_bound_holds_the_build_back(bounds: dict[str, Any], changes: dict[str, Any], name: str) -> None:
    assert failed({"max_error_rate": 0.5, **bounds}, **changes) == [name]


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_error_rate": 0.02},
        {"min_samples": {"image_alt": 100}},
        {"max_cut": 40 / 97},
        {"min_kept": {"image_alt": 150 / 198}},
        {"max_dropped_by": {"short": 0.5}},
        {"min_languages": 2},
    ],
)
def test_a_bound_that_is_just_met_is_met(bounds: dict[str, Any]) -> None:
    assert failed({"max_error_rate": 0.5, **bounds}) == []


def test_a_share_is_of_all_sources_of_the_kind() -> None:
    """Source b lost nothing to the rule; its rows are candidates all the same."""
    (check,) = (
        check
        for check in evaluate(GateBounds(max_dropped_by={"short": 1}), **SOUND)
        if check.name == "image_alt: share dropped by short"
    )
    assert check.value == pytest.approx(48 / 198)


def test_nothing_read_fails_for_want_of_samples() -> None:
    empty = {"samples": {"sentences": 0}, "ledger": {"sentences": [step("c", "read", 0)]}, "cut": {}}
    assert "sentences: samples" in failed({}, **empty)


def test_the_order_of_checks_does_not_depend_on_the_order_of_kinds() -> None:
    orders = set()
    for kinds in itertools.permutations(SOUND["samples"]):
        samples = {kind: SOUND["samples"][kind] for kind in kinds}
        ledger = {kind: LEDGER[kind] for kind in kinds}
        bounds = GateBounds(max_dropped_by={"short": 0.5})
        orders.add(tuple(check.name for check in evaluate(bounds, **{**SOUND, "samples": samples, "ledger": ledger})))
    assert len(orders) == 1


@pytest.mark.parametrize(
    "bounds",
    [
        {"min_samples": {"image_atl": 5}},
        {"min_samples": {"image_alt": -1}},
        {"min_kept": {"image_alt": 70}},
        {"min_kept": {"image_alt": -0.1}},
        {"max_dropped_by": {"short": 50}},
        {"max_error_rate": float("nan")},
        {"max_cut": float("inf")},
        {"max_eror_rate": 0.1},
    ],
)
def test_bounds_that_cannot_be_meant_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GateBounds.model_validate(bounds)
