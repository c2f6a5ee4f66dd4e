"""A few dropped rows of each rule, the same few on every run: what a person reads to judge a rule."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import keys, reasons

PER_RULE = 12
_COLUMNS = ("origin", "raw_text", "text", "left_text", "right_text", "lang", "left_lang", "right_lang")
_CHARACTERS = 300


def tagged(batch: pa.RecordBatch, why: pa.StringArray, source: str, seed: int) -> Iterator[beam.pvalue.TaggedOutput]:
    """Of each rule's dropped rows those with the least hash, as outputs tagged `examples`."""
    names = [name for name in _COLUMNS if name in batch.schema.names]
    for rule in reasons.count(why):
        rows = batch.select(names).filter(pc.fill_null(pc.equal(why, rule), False))
        draws = keys.draw(rows.column("origin"), seed, "examples")
        chosen = [
            (int(draws[i]), {k: v[:_CHARACTERS] for k, v in rows.slice(i, 1).to_pylist()[0].items() if v is not None})
            for i in np.argsort(draws, kind="stable")[:PER_RULE].tolist()
        ]
        yield beam.pvalue.TaggedOutput("examples", (f"{source}\t{rule}", chosen))


def _least(lists: Iterable[list[Any]]) -> list[Any]:
    return heapq.nsmallest(
        PER_RULE, itertools.chain.from_iterable(lists), key=lambda item: (item[0], orjson.dumps(item[1]))
    )


def _record(item: tuple[str, list[Any]]) -> bytes:
    source, rule = item[0].split("\t")
    return orjson.dumps({"examples": {source: {rule: [row for _, row in item[1]]}}}, option=orjson.OPT_SORT_KEYS)


def least(examples: beam.PCollection) -> beam.PCollection:
    """Brings the examples of all parts together: one record (JSON bytes) a source and rule."""
    return examples | "least" >> beam.CombinePerKey(_least) | "example records" >> beam.Map(_record)
