"""The quality gate: a version is published only within the recipe's bounds."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from pairs.schema import Kind
from pipelines.ledger import Step, error_rate

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class GateBounds(BaseModel):
    """What a version must keep to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_samples: dict[Kind, NonNegativeInt] = Field(
        default_factory=dict, description="kind -> least samples; every kind must have one"
    )
    max_error_rate: Share = Field(default=0.01, description="records in error / records read, over all sources")
    min_kept: dict[Kind, Share] = Field(
        default_factory=dict, description="kind -> least share of candidate pairs that the rules keep"
    )
    max_dropped_by: dict[str, Share] = Field(
        default_factory=dict, description="rule -> most of a kind's candidates it may drop"
    )
    max_cut: Share = Field(default=0.5, description="most texts of a kind that do not fit their picture")
    min_languages: int = Field(default=1, ge=1, description="least distinct languages over all kinds")


class Check(BaseModel):
    """One bound and what was measured."""

    name: str
    value: float
    bound: float
    passed: bool

    def words(self) -> str:
        """The check in one line."""
        sign = "ok" if self.passed else f"FAILED by {abs(self.value - self.bound):.4g}"
        return f"{self.name}: {self.value:.4g}, bound {self.bound:.4g}: {sign}"


def least(name: str, value: float, bound: float) -> Check:
    """Passes from the bound on upwards."""
    return Check(name=name, value=value, bound=bound, passed=value >= bound)


def most(name: str, value: float, bound: float) -> Check:
    """Passes up to the bound."""
    return Check(name=name, value=value, bound=bound, passed=value <= bound)


def evaluate(
    bounds: GateBounds,
    samples: dict[str, int],
    ledger: dict[str, list[Step]],
    cut: dict[str, dict[str, int]],
    languages: dict[str, dict[str, dict[str, int]]],
    problems: int,
) -> list[Check]:
    """Holds a build against its bounds.

    Args:
        bounds: The recipe's.
        samples: Kind -> samples in shards.
        ledger: Kind -> its steps.
        cut: Kind -> side -> texts that did not fit.
        languages: Kind -> side -> language -> pairs.
        problems: Faults that reading the shards back found.

    Returns:
        All checks, in a fixed order.
    """
    checks = [most("problems found by verify", problems, 0)]
    steps = [step for kind in sorted(ledger) for step in ledger[kind]]
    checks.append(most("error rate", error_rate(steps), bounds.max_error_rate))
    for kind in sorted({*samples, *bounds.min_samples}):
        bound = bounds.min_samples.get(kind, 1)  # type: ignore[call-overload]  # a str that is no kind has none
        checks.append(least(f"{kind}: samples", samples.get(kind, 0), bound))
        for side, count in sorted(cut.get(kind, {}).items()):
            checks.append(
                most(f"{kind}: {side} texts cut, share", count / max(1, samples.get(kind, 0)), bounds.max_cut)
            )
    for kind, share in sorted(bounds.min_kept.items()):
        checks.append(least(f"{kind}: share kept", _share_kept(ledger.get(kind, [])), share))
    for rule, share in sorted(bounds.max_dropped_by.items()):
        for kind in sorted(ledger):
            checks.append(most(f"{kind}: share dropped by {rule}", _share_dropped(ledger[kind], rule), share))
    known = {code for sides in languages.values() for counts in sides.values() for code in counts} - {"und"}
    if samples:  # a table of texts alone has no pairs
        checks.append(least("languages", len(known), bounds.min_languages))
    return checks


def _share_kept(steps: list[Step]) -> float:
    filters = [step for step in steps if step.step in ("filter", "drop words")]
    rows = sum(step.rows_in for step in filters)
    return sum(step.kept for step in filters) / rows if rows else 0.0


def _share_dropped(steps: list[Step], rule: str) -> float:
    names = {step.step for step in steps if rule in step.dropped}
    asked = [step for step in steps if step.step in names]  # of all sources, those where nothing failed the rule too
    rows = sum(step.rows_in for step in asked)
    return sum(step.dropped.get(rule, 0) for step in asked) / rows if rows else 0.0


def report(checks: list[Check]) -> dict[str, Any]:
    """The gate's report as the manifest keeps it."""
    return {"passed": all(check.passed for check in checks), "checks": [check.model_dump() for check in checks]}
