"""The law of conservation: rows in = rows kept + rows dropped by each named rule + rows in error, step by step.

A *step* is one decision over the rows of one source. A step that turns one row into several (a document into sentence pairs, a
picture into its captions) says so by `rows_out`; the next step of that source must then start with just so many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt


class LedgerError(Exception):
    """Rows were lost or invented; the message names the source and the step."""


class Step(BaseModel):
    """What one step did to the rows of one source."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="name of the source in the recipe")
    step: str = Field(description="read, filter, unique, render, …")
    unit: str = Field(description="what a row of `rows_in` is: records, documents, lines, pairs")
    rows_in: NonNegativeInt = 0
    kept: NonNegativeInt = 0
    rows_out: NonNegativeInt = Field(
        default=0, description="rows handed on; differs from `kept` where one row becomes several"
    )
    dropped: dict[str, NonNegativeInt] = Field(default_factory=dict, description="rule -> rows that failed it first")
    errors: dict[str, NonNegativeInt] = Field(default_factory=dict, description="reason -> rows in error")
    alone: dict[str, NonNegativeInt] = Field(
        default_factory=dict, description="rule -> rows that it alone would drop, overlaps included"
    )

    def balance(self) -> int:
        """rows_in minus all that is accounted for; 0 where nothing was lost."""
        return self.rows_in - self.kept - sum(self.dropped.values()) - sum(self.errors.values())


def _add(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in sorted({*left, *right})}


def merge(steps: Iterable[Step]) -> list[Step]:
    """Sums steps of the same source and name; sources sorted, a source's steps in the order in which they first came."""
    merged: dict[tuple[str, str], Step] = {}
    for step in steps:
        old = merged.get((step.source, step.step))
        if old is None:
            merged[step.source, step.step] = step.model_copy(deep=True)
            continue
        merged[step.source, step.step] = Step(
            source=step.source,
            step=step.step,
            unit=step.unit,
            rows_in=old.rows_in + step.rows_in,
            kept=old.kept + step.kept,
            rows_out=old.rows_out + step.rows_out,
            dropped=_add(old.dropped, step.dropped),
            errors=_add(old.errors, step.errors),
            alone=_add(old.alone, step.alone),
        )
    return sorted(merged.values(), key=lambda step: step.source)


def check(steps: Sequence[Step]) -> None:
    """Checks the law within each step.

    Raises:
        LedgerError: Some step's rows do not add up.
    """
    for step in steps:
        if step.balance() != 0:
            raise LedgerError(
                f"source {step.source!r}, step {step.step!r}: {step.rows_in} {step.unit} in, but {step.kept} kept + "
                f"{sum(step.dropped.values())} dropped + {sum(step.errors.values())} in error"
            )


def check_chain(stages: Sequence[Sequence[Step]]) -> list[Step]:
    """Checks that no row vanishes inside a step, between two steps, or between two stages.

    Args:
        stages: The steps of each stage that one kind of pair went through, in the order in which they ran.

    Returns:
        All steps, merged.

    Raises:
        LedgerError: Some rows are not accounted for.
    """
    handed: dict[str, tuple[str, int]] = {}
    every: list[Step] = []
    for number, stage in enumerate(stages):
        check(stage)
        seen = set()
        for step in stage:
            if number and step.source not in handed:
                raise LedgerError(f"source {step.source!r} first appears in step {step.step!r}")
            before, rows = handed.get(step.source, ("", step.rows_in))
            if rows != step.rows_in:
                raise LedgerError(
                    f"source {step.source!r}: step {before!r} handed on {rows} rows, step {step.step!r} took {step.rows_in}"
                )
            handed[step.source] = (step.step, step.rows_out)
            seen.add(step.source)
            every.append(step)
        for source, (before, rows) in handed.items():
            if source not in seen and rows:
                raise LedgerError(
                    f"source {source!r}: step {before!r} handed on {rows} rows, which no later stage took"
                )
    return merge(every)


def error_rate(steps: Sequence[Step]) -> float:
    """Rows in error, over all steps, per record that was read; 0.0 where nothing was read."""
    read = sum(step.rows_in for step in steps if step.step == "read")
    errors = sum(sum(step.errors.values()) for step in steps)
    return errors / read if read else 0.0
