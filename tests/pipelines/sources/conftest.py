"""A log of errors as the readers write it, and the law that every test of a reader ends with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import storage
from pipelines.sources import image_text
from pipelines.sources.reading import Reading
from pipelines.sources.spec import ImageTextSource


@dataclass
class Took:
    """What a reader made of its input."""

    rows: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    reading: Reading

    def faults(self) -> list[tuple[str, str]]:
        """Position and reason of each error, in order."""
        return [(error["position"], error["reason"]) for error in self.errors]


@pytest.fixture
def take(tmp_path: Path) -> Callable[[Callable[[Reading], Iterable[pa.RecordBatch]]], Took]:
    """Runs a reader with a real log and checks the books: records met = records handed on + rows of the logged errors."""

    def run(read: Callable[[Reading], Iterable[pa.RecordBatch]]) -> Took:
        url = str(tmp_path / "errors.jsonl")
        rows: list[dict[str, Any]] = []
        with storage.AtomicFile(url) as log:
            reading = Reading("src", log)
            for batch in read(reading):
                batch.validate(full=True)
                rows += batch.to_pylist()
        errors = [json.loads(line) for line in Path(url).read_text(encoding="ascii").splitlines()]
        lost = sum(error["rows"] for error in errors)
        assert lost == sum(reading.errors.values()), "the log and the counts differ"
        origins = [row["origin"] for row in rows]
        assert len(set(origins)) == len(origins), "two rows of one origin"
        # Several texts of one record share all of the origin but a number at its end; the tests' own names have no dot there.
        if len({row.get("image") is None for row in rows}) < 2 and not any(
            o.rsplit(".", 1)[-1].isdigit() for o in origins
        ):
            dropped = sum(reading.dropped.values())
            assert reading.records == len(rows) + lost + dropped, "a record vanished or was invented"
        return Took(rows, errors, reading)

    return run


@pytest.fixture
def read_rows(take: Callable[..., Took], tmp_path: Path) -> Callable[..., Took]:
    """Reads an image_text file unit by unit, as a build does."""

    def run(name: str, data: bytes, seed: int = 0, **fields: Any) -> Took:
        url = str(tmp_path / name)
        Path(url).write_bytes(data)
        source = ImageTextSource.model_validate({"type": "image_text", "path": name, **fields})

        def units(reading: Reading) -> Iterable[pa.RecordBatch]:
            with storage.AtomicFile(str(tmp_path / "blob"), keep_empty=False) as blob:
                for unit in image_text.plan(source, url):
                    yield from image_text.read(source, url, name, unit, reading, blob, "root:blob", seed)

        return take(units)

    return run
