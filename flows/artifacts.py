"""What a flow run shows on its page: stages, what was dropped where, a sheet of samples, the way to the report, progress."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import base64
import contextlib
import re
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext

from flows.log import logger
from flows.progress import Board
from pipelines import gate, storage
from pipelines.dataset import DatasetManifest
from pipelines.publish import sheet

environment.settle()

_EVERY_SECONDS = 5.0
_RULES_SHOWN = 12
_PICTURES = 3  # a kind: the sheet travels inside the artifact
_PICTURE_BYTES = 1 << 20


def key_of(*words: str) -> str:
    """An artifact's key: Prefect takes lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


@contextlib.contextmanager
def _never_in_the_way() -> Iterator[None]:
    """An artifact that cannot be written is no reason for a build to fail."""
    try:
        yield
    except Exception as error:
        logger().warning("no artifact: %s", error)


def table(name: str, what: str, rows: list[dict[str, Any]]) -> None:
    """Any table."""
    with _never_in_the_way():
        create_table_artifact(rows, key=key_of(name, what), description=f"{name}: {what}")


def stages(name: str, board: Board) -> None:
    """A table of the run's stages."""
    rows = [
        {
            "stage": line.stage,
            "state": line.state,
            "rows": line.rows,
            "seconds": round(line.seconds, 1),
            "note": line.note[:200],
        }
        for line in board.snapshot()
    ]
    with _never_in_the_way():
        create_table_artifact(rows, key=key_of(name, "stages"), description=f"Stages of {name} in this run")


def funnel(manifest: DatasetManifest) -> None:
    """A table of what came in, what each rule dropped, what was kept, step by step."""
    rows: list[dict[str, Any]] = []
    for kind, steps in manifest.ledger.items():
        for step in steps:
            most = sorted(step.dropped.items(), key=lambda item: (-item[1], item[0]))[:_RULES_SHOWN]
            rows.append(
                {
                    "kind": kind,
                    "source": step.source,
                    "step": step.step,
                    "in": step.rows_in,
                    "kept": step.kept,
                    "dropped": sum(step.dropped.values()),
                    "in error": sum(step.errors.values()),
                    "dropped by": ", ".join(f"{rule} {count:,}" for rule, count in most),
                }
            )
    with _never_in_the_way():
        create_table_artifact(
            rows,
            key=key_of(manifest.name, "funnel"),
            description=f"Rows of {manifest.name} {manifest.version}, step by step",
        )


def checks(name: str, report: str, found: list[gate.Check]) -> None:
    """The gate's checks, and where the report lies."""
    rows = [
        {
            "check": one.name,
            "measured": f"{one.value:.4g}",
            "bound": f"{one.bound:.4g}",
            "passed": "yes" if one.passed else "NO",
        }
        for one in found
    ]
    with _never_in_the_way():
        create_table_artifact(rows, key=key_of(name, "gate"), description=f"The gate of {name}")
    place = storage.local_path(report).absolute().as_uri() if storage.is_local(report) else report
    with _never_in_the_way():
        create_link_artifact(place, link_text=report, key=key_of(name, "report"), description=f"The report of {name}")


def samples(folder: str, manifest: DatasetManifest) -> None:
    """A sheet of some samples of each kind."""
    with _never_in_the_way():
        found: list[sheet.Sample] = []
        for kind in manifest.samples():
            shard = next(shard for shard in manifest.shards if shard.kind == kind)
            found += sheet.sample_shard(storage.join(folder, shard.path), _PICTURES, 0)
        data = sheet.contact_sheet(found) if found else b""
        if 0 < len(data) <= _PICTURE_BYTES:
            create_image_artifact(
                "data:image/png;base64," + base64.b64encode(data).decode(),
                key=key_of(manifest.name, "samples"),
                description=f"Samples of {manifest.name} {manifest.version}",
            )


@contextlib.contextmanager
def progress(name: str, board: Board) -> Iterator[None]:
    """A bar that follows the board for as long as the context lasts."""
    if FlowRunContext.get() is None:
        yield
        return
    made: UUID | None = None
    with _never_in_the_way():
        made = create_progress_artifact(0.0, key=key_of(name, "progress"), description=f"Progress of {name}")  # type: ignore[assignment]
    ended = threading.Event()

    def follow() -> None:
        last = 0.0
        while not ended.wait(_EVERY_SECONDS):
            with _never_in_the_way():
                if made is not None and (now := _share(board)) > last:
                    update_progress_artifact(made, now)
                    last = now

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=_EVERY_SECONDS)
        with _never_in_the_way():
            if made is not None:
                update_progress_artifact(made, _share(board))


def _share(board: Board) -> float:
    """How much of a run is done, in percent: every stage counts alike."""
    lines = board.snapshot()
    if not lines:
        return 0.0
    done = 0.0
    for line in lines:
        if line.state in ("done", "cached"):
            done += 1.0
        elif line.state == "running" and line.total_rows:
            done += min(1.0, line.rows / line.total_rows)
    return round(100.0 * done / len(lines), 1)
