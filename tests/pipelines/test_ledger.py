"""The law of conservation, and that sums do not depend on how the work was cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.ledger import LedgerError, Step, check, check_chain, error_rate, merge

COUNTS = st.dictionaries(st.sampled_from(["short", "long", "odd"]), st.integers(0, 50), max_size=3)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """A step that balances."""
    kept, dropped, errors = draw(st.integers(0, 50)), draw(COUNTS), draw(COUNTS)
    return Step(
        source=draw(st.sampled_from("abc")),
        step=draw(st.sampled_from(["read", "filter", "unique"])),
        unit="rows",
        rows_in=kept + sum(dropped.values()) + sum(errors.values()),
        kept=kept,
        rows_out=draw(st.integers(0, 100)),
        dropped=dropped,
        errors=errors,
        alone=draw(COUNTS),
    )


@given(st.lists(steps(), max_size=8), st.lists(steps(), max_size=8), st.lists(steps(), max_size=8))
def test_sums_do_not_depend_on_how_the_work_was_cut(a: list[Step], b: list[Step], c: list[Step]) -> None:
    whole = merge([*a, *b, *c])
    assert merge([*merge([*a, *b]), *c]) == whole
    assert merge([*a, *merge([*b, *c])]) == whole
    assert merge([*merge(a), *merge(b), *merge(c)]) == whole
    assert merge(whole) == whole
    check(whole)


@given(st.lists(steps(), max_size=8))
def test_sums_keep_each_source_and_change_no_argument(given_steps: list[Step]) -> None:
    before = [step.model_copy(deep=True) for step in given_steps]
    whole = merge(given_steps)
    assert given_steps == before
    for field in ("rows_in", "kept", "rows_out"):
        assert sum(getattr(step, field) for step in whole) == sum(getattr(step, field) for step in before)
    for field in ("dropped", "errors", "alone"):
        for rule in ("short", "long", "odd"):
            total = sum(getattr(step, field).get(rule, 0) for step in whole)
            assert total == sum(getattr(step, field).get(rule, 0) for step in before)
    places = [(step.source, step.step) for step in whole]
    assert len(set(places)) == len(places)
    assert [source for source, _ in places] == sorted(source for source, _ in places)


@given(steps(), st.integers(-20, 20).filter(bool))
def test_a_row_that_vanishes_or_appears_is_named(step: Step, change: int) -> None:
    if step.rows_in + change < 0:
        return
    with pytest.raises(LedgerError, match=f"source '{step.source}', step '{step.step}': "):
        check([step.model_copy(update={"rows_in": step.rows_in + change})])


@pytest.mark.parametrize("field", ["dropped", "errors", "alone"])
def test_counts_below_zero_are_refused(field: str) -> None:
    """They could make up for rows that are lost."""
    with pytest.raises(ValidationError):
        Step(source="a", step="read", unit="rows", **{field: {"rule": -1}})


def step(source: str, name: str, rows_in: int, rows_out: int | None = None, **fields: object) -> Step:
    kept = rows_in - sum(sum(counts.values()) for counts in fields.values())  # type: ignore[attr-defined]
    out = kept if rows_out is None else rows_out
    return Step(source=source, step=name, unit="rows", rows_in=rows_in, kept=kept, rows_out=out, **fields)


def test_a_chain_that_hands_on_all_its_rows() -> None:
    read = step("a", "read", 10, errors={"odd": 1})
    mine = step("a", "mine", 9, 30, dropped={"short": 2})
    assert check_chain([[read, mine], [step("a", "unique", 30)]])[1].rows_out == 30


@pytest.mark.parametrize(
    "stages",
    [
        [[step("a", "read", 10)], [step("a", "filter", 9)]],
        [[step("a", "read", 10), step("a", "mine", 11)]],
        [[step("a", "read", 10)], [step("a", "filter", 10), step("b", "filter", 1)]],
        [[step("a", "read", 10), step("b", "read", 5)], [step("a", "filter", 10)]],
        [[step("a", "read", 10)], []],
    ],
)
def test_rows_that_vanish_between_steps_are_found(stages: list[list[Step]]) -> None:
    with pytest.raises(LedgerError, match=r"source '[ab]'"):
        check_chain(stages)


def test_a_source_of_which_nothing_is_left_may_end() -> None:
    gone = step("a", "read", 3, errors={"odd": 3})
    check_chain([[gone, step("b", "read", 1)], [step("b", "filter", 1)]])


def test_the_error_rate_counts_errors_of_all_steps_per_record_read() -> None:
    done = [step("a", "read", 90, errors={"x": 9}), step("b", "read", 10), step("a", "render", 81, errors={"y": 1})]
    assert error_rate(done) == pytest.approx(0.1)
    assert error_rate([]) == 0.0
