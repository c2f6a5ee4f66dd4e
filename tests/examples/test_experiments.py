"""The tables of the experiments, from results that are known."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.experiments import Arm, arms, spread, table


def result(recall: float, gap: float) -> dict[str, Any]:
    kind = {
        "samples": 200,
        "text_to_left": {"recall_at_1": recall, "median_rank": 100 * recall},
        "left_to_text": {"recall_at_1": recall},
        "gap": gap,
        "relative_gap": gap / 2,
    }
    zero = [{"name": "background", "top_1": 0.9}, {"name": "colour", "top_1": 0.5}]
    return {
        "samples": 6400,
        "seconds": 60.0,
        "retrieval_by_kind": {"image_alt": kind, "translations": kind},
        "zero_shot": zero,
    }


def test_a_row_holds_medians_with_their_spread() -> None:
    rows = [(Arm("alone", 100), [result(0.1, 0.5), result(0.2, 0.7), result(0.12, 0.6)])]
    head, rule, row = table(rows)
    assert head.count("|") == rule.count("|") == row.count("|")
    assert "n = 200" in head
    assert "| 6,400 | 60 (60 to 60) | 12.0 (10.0 to 20.0) | 24.0 (20.0 to 40.0) |" in row
    assert row.endswith("| 12, 12 | 0.600 (0.500 to 0.700) | 0.300 (0.250 to 0.350) | 90.0 (90.0 to 90.0) |")


def test_one_seed_has_no_spread() -> None:
    assert spread([0.25], "{:.2f}") == "0.25"


def test_the_mixed_arms_match_the_plain_one_in_pairs_and_in_photographs() -> None:
    alone, pairs, within, photographs = arms(1000, 900)["mix"]
    assert pairs.steps == within.steps == alone.steps
    assert pairs.mix == within.mix == photographs.mix
    assert sum(float(part.partition("=")[2]) for part in pairs.mix.split(",")) == pytest.approx(1)
    share = float(photographs.mix.split(",")[0].partition("=")[2])
    assert abs(photographs.steps * share - alone.steps) < 1
