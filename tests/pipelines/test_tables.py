"""Parquet between stages: bytes that depend on the rows alone, and any range of rows; shards cut from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import tables
from pipelines.manifest import Part, StageManifest
from pipelines.ray_jobs.render import plan_shards
from pipelines.tables import TableWriter, read_batches, read_rows

SCHEMA = pa.schema([("key", pa.string()), ("n", pa.int64()), ("deep", pa.struct([("x", pa.list_(pa.string()))]))])


def rows(count: int) -> pa.Table:
    values = [
        {"key": f"{n:04x}" if n % 5 else None, "n": n, "deep": {"x": ["ü"] * (n % 4)} if n % 7 else None}
        for n in range(count)
    ]
    return pa.Table.from_pylist(values, schema=SCHEMA)


def write(folder: Path, table: pa.Table, cuts: list[int]) -> Part:
    """Writes a table in batches that end at `cuts`."""
    with TableWriter(str(folder), "a.parquet") as writer:
        begin = 0
        for end in [*sorted(cuts), table.num_rows]:
            for batch in table.slice(begin, end - begin).to_batches():
                writer.write(batch)
            begin = end
    return writer.part(first="x")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 60), st.lists(st.integers(0, 60), max_size=6))
def test_the_bytes_do_not_depend_on_how_rows_were_batched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, cuts: list[int]
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 16)
    whole = write(tmp_path, rows(count), [])
    cut = write(tmp_path, rows(count), [min(cut, count) for cut in cuts])
    assert cut == whole
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.read().equals(rows(count))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
        min(16, count - begin) for begin in range(0, count, 16)
    ]


def test_no_rows_leave_no_file(tmp_path: Path) -> None:
    with TableWriter(str(tmp_path), "a.parquet") as writer:
        pass
    assert list(tmp_path.iterdir()) == []
    assert (writer.part().rows, writer.part().bytes) == (0, 0)


def test_a_schema_without_rows_is_a_table_of_none(tmp_path: Path) -> None:
    with TableWriter(str(tmp_path), "a.parquet", SCHEMA) as writer:
        pass
    assert writer.part().rows == 0
    assert pq.read_table(tmp_path / "a.parquet").equals(rows(0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 40])
def test_an_error_leaves_no_file_and_no_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Also where row groups have been written already: the half-made writer must not write its footer later."""
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 16)
    with pytest.raises(RuntimeError), TableWriter(str(tmp_path), "a.parquet") as writer:  # noqa: PT012
        writer.write(rows(count).to_batches()[0])
        raise RuntimeError
    del writer
    assert list(tmp_path.iterdir()) == []


def test_a_batch_of_another_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid), TableWriter(str(tmp_path), "a.parquet") as writer:  # noqa: PT012
        writer.write(rows(3).to_batches()[0])
        writer.write(pa.RecordBatch.from_pydict({"other": [1]}))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 50), st.integers(0, 55), st.integers(0, 55))
def test_a_range_of_rows_is_the_slice_of_the_whole(tmp_path: Path, count: int, first: int, last: int) -> None:
    pq.write_table(rows(count), tmp_path / "a.parquet", row_group_size=7)
    first, last = min(first, last), max(first, last)
    assert read_rows(str(tmp_path / "a.parquet"), first, last).equals(rows(count)[first:last])


def test_batches_give_all_rows_in_order(tmp_path: Path) -> None:
    pq.write_table(rows(50), tmp_path / "a.parquet", row_group_size=7)
    batches = list(read_batches(str(tmp_path / "a.parquet"), 11))
    assert pa.Table.from_batches(batches).equals(rows(50))
    assert max(batch.num_rows for batch in batches) <= 11


# --- which shard a row goes to -----------------------------------------------------------------------------------------------


def stage_of(counts: list[int]) -> StageManifest:
    blob = Part(path="part-0.images", bytes=1, sha256="0" * 64, rows=0, role="blob")
    parts = [Part(path=f"part-{n}.parquet", bytes=1, sha256="0" * 64, rows=count) for n, count in enumerate(counts)]
    return StageManifest(
        stage="select-x", key="k", config={}, inputs={}, code="1", parts=[*parts[:1], blob, *parts[1:]], ledger=[]
    )


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 50))
def test_shards_hold_each_row_once_in_order(counts: list[int], samples: int) -> None:
    pairs = stage_of(counts)
    shards = plan_shards(pairs, "x", samples)
    wanted = [(f"{pairs.folder}/part-{n}.parquet", row) for n, count in enumerate(counts) for row in range(count)]
    held = [[(path, row) for path, first, last in shard["ranges"] for row in range(first, last)] for shard in shards]
    assert [row for shard in held for row in shard] == wanted
    assert all(len(shard) == samples for shard in held[:-1])
    assert all(held), "a shard of no rows"
    assert [shard["index"] for shard in shards] == list(range(len(shards)))
    assert len({shard["path"] for shard in shards}) == len(shards)
    assert all(first < last for shard in shards for _, first, last in shard["ranges"])


@given(st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(0, 9), max_size=3), st.integers(1, 12))
def test_no_shard_holds_rows_of_two_splits(train: list[int], held: list[int], samples: int) -> None:
    pairs = stage_of(train)
    more = [
        Part(path=f"validation-{n}.parquet", bytes=1, sha256="0" * 64, rows=count, role="validation")
        for n, count in enumerate(held)
    ]
    both = plan_shards(pairs.model_copy(update={"parts": [*more, *pairs.parts]}), "x", samples)
    alone = plan_shards(pairs, "x", samples)
    assert both[: len(alone)] == alone, "holding out changes no shard of the rest"
    aside = both[len(alone) :]
    assert {shard["split"] for shard in aside} <= {"validation"}
    assert sum(last - first for shard in aside for _, first, last in shard["ranges"]) == sum(held)
    assert all("validation-" in path for shard in aside for path, *_ in shard["ranges"])
    assert len({shard["path"] for shard in both}) == len(both)


def test_planning_needs_no_ray() -> None:
    code = "import sys; import pipelines.ray_jobs.render; sys.exit('ray' in sys.modules)"
    done: Any = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0
