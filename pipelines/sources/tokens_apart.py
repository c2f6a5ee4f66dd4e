"""Whether a file of bitext is tokenised, where the recipe leaves that to its first pairs."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pairs import moses

HEAD_ROWS = 1000


def decided(
    batches: Iterator[pa.RecordBatch], sides: tuple[bool | str, bool | str]
) -> Iterator[tuple[pa.RecordBatch, tuple[bool, bool]]]:
    """Each batch with the word on its two sides.

    Args:
        batches: What a reader gives of one file.
        sides: True, False or `auto`, which the file's first `HEAD_ROWS` pairs decide.
    """
    head: list[pa.RecordBatch] = []
    rows = 0
    while "auto" in sides and rows < HEAD_ROWS and (batch := next(batches, None)) is not None:
        head.append(batch)
        rows += batch.num_rows
    first = pa.Table.from_batches(head).slice(0, HEAD_ROWS) if head else None

    def tokenised(side: str, said: bool | str) -> bool:
        if said != "auto":
            return bool(said)
        if first is None:
            return False
        lang = first.column(f"{side}_lang")[0].as_py()
        return moses.is_tokenised(first.column(f"{side}_text").combine_chunks(), lang)

    found = (tokenised("left", sides[0]), tokenised("right", sides[1]))
    for batch in head:
        yield batch, found
    for batch in batches:
        yield batch, found
