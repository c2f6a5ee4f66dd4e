"""Sets pairs aside for evaluation, over all buckets: the last step before pairs are written.

Which groups are held out and which contents they share with training is known when all buckets were looked at: three small sets of
hashes, bounded by the groups that are held out, which are combined and handed to every worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pairs import holdout
from pipelines.beam_jobs.ipc import from_ipc, to_ipc
from pipelines.ledger import Step
from pipelines.tables import read_batches

STEP = "hold out"
ORDER = -1
"""Where its records stand: behind all rules', before the parts."""
VALIDATION = "validation"


def _hashes(data: bytes) -> holdout.UInt64:
    return np.frombuffer(data, np.uint64)


class Union(beam.CombineFn):
    """Sorted hashes (bytes of uint64) of all parts together, each once; with options, the least of them alone."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.options = options

    def _least(self, parts: Iterable[bytes]) -> bytes:
        found = np.concatenate([np.zeros(0, np.uint64), *map(_hashes, parts)])
        if self.options is not None:
            return holdout.least(found, holdout.HoldoutOptions.model_validate(self.options)).tobytes()
        return np.unique(found).tobytes()

    def create_accumulator(self) -> bytes:
        """Nothing."""
        return b""

    def add_input(self, accumulator: bytes, element: bytes) -> bytes:
        """One part more."""
        return self._least([accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[bytes]) -> bytes:
        """All parts."""
        return self._least(accumulators)

    def extract_output(self, accumulator: bytes) -> bytes:
        """The hashes."""
        return accumulator


class Contents(beam.DoFn):
    """What the held-out pairs of a bucket show; or, given that, which of it the others show too."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def process(self, element: tuple[int, bytes], held: bytes, shown: bytes | None = None) -> Iterator[bytes]:
        """Gives sorted hashes."""
        rows = from_ipc([element[1]])
        out = holdout.among(holdout.draws(rows, self.seed), _hashes(held))
        hashes, _ = holdout.contents(rows.filter(pa.array(out if shown is None else ~out)))
        if shown is not None:
            hashes = hashes[holdout.among(hashes, _hashes(shown))]
        if len(hashes):
            yield np.unique(hashes).tobytes()


class Divide(beam.DoFn):
    """Divides a bucket."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def process(self, element: tuple[int, bytes], held: bytes, seen: bytes) -> Iterator[Any]:
        """Gives the bucket's pairs of training, and by tag those held out, as (bucket, IPC bytes), and the record."""
        bucket, piece = element
        rows = from_ipc([piece])
        divided = holdout.divide(rows, _hashes(held), _hashes(seen), self.seed)
        train, validation = divided["train"], divided["validation"]
        left = _counts(train)
        for source, count in _counts(validation).items():
            left[source] = left.get(source, 0) + count
        steps = [
            Step(
                source=source,
                step=STEP,
                unit="pairs",
                rows_in=count,
                kept=left.get(source, 0),
                rows_out=left.get(source, 0),
                dropped={holdout.SEEN: count - left.get(source, 0)} if count > left.get(source, 0) else {},
            ).model_dump()
            for source, count in sorted(_counts(rows).items())
        ]
        record = {"order": ORDER, "steps": steps}
        yield beam.pvalue.TaggedOutput("records", orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
        if validation.num_rows:
            yield beam.pvalue.TaggedOutput(VALIDATION, (bucket, to_ipc(validation)))
        yield bucket, to_ipc(train)


def _counts(batch: pa.RecordBatch) -> dict[str, int]:
    return {str(item["values"]): item["counts"] for item in pc.value_counts(batch.column("source")).to_pylist()}


class Groups(beam.DoFn):
    """The groups that a bucket's pairs, or a part's, are of."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def process(self, element: tuple[int, bytes] | str) -> Iterator[bytes]:
        """Gives their hashes. Takes (bucket, IPC bytes), or the URL of a part."""
        batches = read_batches(element) if isinstance(element, str) else [from_ipc([element[1]])]
        for batch in batches:
            yield np.unique(holdout.draws(batch, self.seed)).tobytes()


def divided(
    rows: beam.PCollection, wanted: dict[str, Any], seed: int
) -> tuple[beam.PCollection, beam.PCollection, beam.PCollection]:
    """Divides the pairs of all buckets.

    Args:
        rows: (bucket, IPC bytes).
        wanted: `HoldoutOptions`; or `{"as": [URLs]}` for pairs that were made from pairs which are divided already: those parts'
            groups.
        seed: The recipe's.

    Returns:
        (bucket, IPC bytes) of training and of what is held out, and the records.
    """
    groups = Groups(seed)
    if "as" in wanted:
        found = rows.pipeline | "held parts" >> beam.Create(wanted["as"]) | "held groups" >> beam.ParDo(groups)
        options = None
    else:
        found, options = rows | "groups" >> beam.ParDo(groups), wanted
    held = beam.pvalue.AsSingleton(found | "held" >> beam.CombineGlobally(Union(options)))
    contents = Contents(seed)
    shown = rows | "held contents" >> beam.ParDo(contents, held) | "shown" >> beam.CombineGlobally(Union())
    seen = (
        rows
        | "contents" >> beam.ParDo(contents, held, beam.pvalue.AsSingleton(shown))
        | "seen" >> beam.CombineGlobally(Union())
    )
    parts = rows | "divide" >> beam.ParDo(Divide(seed), held, beam.pvalue.AsSingleton(seen)).with_outputs(
        "records", VALIDATION, main="train"
    )
    return parts.train, parts[VALIDATION], parts.records
