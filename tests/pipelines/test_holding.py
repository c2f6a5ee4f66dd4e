"""The step that holds pairs out, over buckets: the same as over all pairs at once, however they lie in buckets."""

from __future__ import annotations

import json
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import holdout, keys
from pairs.schema import PAIR_SCHEMA
from pipelines.beam_jobs.holding import Contents, Divide, Groups, Union
from pipelines.beam_jobs.ipc import from_ipc, to_ipc
from pipelines.beam_jobs.pairs_job import bucket_of
from pipelines.ledger import Step, check

SEED = 3
OPTIONS = {"share": 0.5, "most": 9}


def pairs(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    made = [
        {
            "key": keys.content_key("translations", left, right, str(number)), "kind": "translations", "image": None,
            "left_text": left, "right_text": right, "left_lang": "en", "right_lang": "de", "source": "sr"[number % 2],
            "origin": f"f#{number}", "url": None, "scores": "{}",
        }
        for number, (left, right) in enumerate(rows)
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(sorted(made, key=lambda row: row["key"]), schema=PAIR_SCHEMA)


def united(parts: Any, options: dict[str, Any] | None = None) -> bytes:
    """Parts combined as a runner may: some here, some there."""
    union = Union(options)
    piles = [union.create_accumulator() for _ in range(3)]
    for number, part in enumerate(parts):
        piles[number % 3] = union.add_input(piles[number % 3], part)
    return union.extract_output(union.merge_accumulators(piles))


def run(rows: pa.RecordBatch, buckets: int) -> tuple[dict[str, list[Any]], list[Step]]:
    bucket = bucket_of(rows.column("key"), buckets)
    parts = [(n, to_ipc(rows.filter(pa.array(bucket == n)))) for n in sorted(set(bucket.tolist()))]
    held = united((piece for part in parts for piece in Groups(SEED).process(part)), OPTIONS)
    contents = Contents(SEED)
    shown = united(piece for part in parts for piece in contents.process(part, held))
    seen = united(piece for part in parts for piece in contents.process(part, held, shown))
    found: dict[str, list[Any]] = {"train": [], "validation": []}
    steps = []
    for part in parts:
        for item in Divide(SEED).process(part, held, seen):
            if not isinstance(item, beam.pvalue.TaggedOutput):
                found["train"] += from_ipc([item[1]]).to_pylist()
            elif item.tag == "records":
                steps += [Step.model_validate(step) for step in json.loads(item.value)["steps"]]
            else:
                found[item.tag] += from_ipc([item.value[1]]).to_pylist()
    return found, steps


WORDS = st.sampled_from([f"{word} {n}" for word in ("one", "two") for n in range(9)] + ["ONE 1", "one 1."])


@given(st.lists(st.tuples(WORDS, WORDS), max_size=40), st.integers(1, 7))
def test_buckets_make_no_difference_and_the_books_balance(rows: list[tuple[str, str]], buckets: int) -> None:
    batch = pairs(rows)
    found, steps = run(batch, buckets)
    draws = holdout.draws(batch, SEED)
    held = holdout.least(draws, holdout.HoldoutOptions.model_validate(OPTIONS))
    out = holdout.among(draws, held)
    both = [holdout.contents(batch.filter(pa.array(mask)))[0] for mask in (out, ~out)]
    plain = holdout.divide(batch, held, np.intersect1d(*both), SEED)
    assert found == {name: plain[name].to_pylist() for name in ("train", "validation")}
    check(steps)
    assert sum(step.rows_in for step in steps) == len(rows)
    assert sum(step.rows_out for step in steps) == len(found["train"]) + len(found["validation"])
    assert sum(step.dropped.get(holdout.SEEN, 0) for step in steps) == plain["dropped"]


@pytest.mark.engine
def test_a_runner_gives_both_splits(tmp_path: Any) -> None:
    """The whole step under Beam, and once more for pairs that follow those: every group goes where it went before."""
    import pyarrow.parquet as pq

    from pipelines.beam_jobs.holding import divided
    from pipelines.beam_jobs.runner import pipeline

    batch = pairs([(f"left {n}", f"right {n}") for n in range(200)])
    bucket = bucket_of(batch.column("key"), 4)
    parts = [(n, to_ipc(batch.filter(pa.array(bucket == n)))) for n in range(4)]
    spec = {"beam": {"runner": "FnApiRunner", "options": []}, "workers": 1}

    def write(element: tuple[int, bytes], name: str) -> None:
        pq.write_table(pa.Table.from_batches([from_ipc([element[1]])]), tmp_path / f"{name}-{element[0]}.parquet")

    for name, wanted in (("a", OPTIONS), ("b", None)):
        held = sorted(str(path) for path in tmp_path.glob("a-validation-*"))
        with pipeline(spec) as p:
            train, validation, _ = divided(p | beam.Create(parts), wanted or {"as": held}, SEED)
            train | "train" >> beam.Map(write, f"{name}-train")
            validation | "validation" >> beam.Map(write, f"{name}-validation")
    for split in ("train", "validation"):
        first, second = (
            sorted(pa.concat_tables(map(pq.read_table, tmp_path.glob(f"{name}-{split}-*"))).column("key").to_pylist())
            for name in "ab"
        )
        assert first == second
        assert first
