"""The Prefect flows that keep a house in order: `backfill` starts a grid of builds, `reap` stops orphans, `retire` clears away."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from flows import artifacts
from flows.log import logger
from flows.parameters import BackfillParameters, ReapParameters, RetireParameters, flat
from flows.remote import orphans
from pipelines import retire as retirement
from pipelines.manifest import canonical_json
from pipelines.ray_jobs.cluster import Cluster

environment.settle()


@dataclass(frozen=True, slots=True)
class Cell:
    """One build of a grid.

    Attributes:
        partition: Its name.
        parameters: What its run is given.
        key: By which Prefect knows that it was started: equal parameters, equal key.
        run: Name of the run, where there is one.
        state: Of that run; empty where there is none.
    """

    partition: str
    parameters: dict[str, str]
    key: str
    run: str = ""
    state: str = ""


def partitions(asked: BackfillParameters) -> Iterator[str]:
    """The names of a grid: days, names, or each day with each name."""
    days = [""]
    if asked.first is not None and asked.last is not None:
        count = (asked.last - asked.first).days // asked.step_days + 1
        days = [(asked.first + timedelta(days=number * asked.step_days)).isoformat() for number in range(count)]
    for day in days:
        for name in asked.partitions or [""]:
            yield "-".join(filter(None, [day, name]))


def grid(asked: BackfillParameters) -> list[Cell]:
    """The builds of a grid, without what became of them.

    `{partition}` in the recipe's path and in the root is filled in here. A recipe that has it in its sources' paths is told the
    partition instead, and fills it in itself.

    Raises:
        ValueError: There are more than were allowed, or two cells are the same build.
    """
    names = list(partitions(asked))
    if len(names) > asked.most:
        raise ValueError(f"the grid has {len(names):,} builds, most = {asked.most:,}: raise it, or take a smaller grid")
    if len(set(names)) != len(names):
        raise ValueError("two cells of the grid have one name: name each partition once")
    cells = []
    for name in names:
        parameters = {
            "recipe": asked.recipe.replace("{partition}", name),
            "root": asked.root.replace("{partition}", name),
        }
        if "{partition}" not in asked.recipe:
            parameters["partition"] = name
        digest = hashlib.sha256(canonical_json([asked.deployment, parameters])).hexdigest()[:32]
        cells.append(Cell(name, parameters, f"pixelpairs-backfill-{digest}"))
    return cells


@flow(name="backfill", persist_result=False)
@flat(BackfillParameters)
def backfill(asked: BackfillParameters) -> list[Cell]:
    """Starts a build for each day or partition of a grid. One that was started before, by any backfill, is not started again."""
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(asked.deployment)
        except ObjectNotFound as error:
            raise ValueError(f"there is no deployment {asked.deployment}: `pixelpairs deploy` makes them") from error
        done = []
        for cell in grid(asked):
            known = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[cell.key])), limit=1
            )
            if known:
                state = known[0].state_name or ""
                done.append(Cell(cell.partition, cell.parameters, cell.key, known[0].name, state))
            elif asked.dry_run:
                done.append(cell)
            else:
                run: FlowRun = run_deployment(  # type: ignore[assignment]  # a coroutine only where coroutines run
                    deployment.id,
                    parameters=cell.parameters,
                    idempotency_key=cell.key,
                    timeout=0,
                    as_subflow=False,
                    tags=["backfill"],
                    flow_run_name=f"{cell.partition}",
                )
                done.append(Cell(cell.partition, cell.parameters, cell.key, run.name, "Started"))
    rows = [
        {"partition": cell.partition, "run": cell.run or "(to start)", "state": cell.state, **cell.parameters}
        for cell in done
    ]
    artifacts.table("backfill", "grid", rows)
    started = sum(cell.state == "Started" for cell in done)
    fresh = sum(not cell.run for cell in done)
    before = len(done) - started - fresh
    logger().info("%d builds: %d started, %d there before, %d to start", len(done), started, before, fresh)
    return done


@flow(name="reap", persist_result=False)
@flat(ReapParameters)
def reap(asked: ReapParameters) -> list[str]:
    """Finds jobs on a Ray cluster whose flow run is over and which nobody follows, and stops them."""
    cluster = Cluster(asked.address, "reap")
    rows = []
    for handle, owner in orphans(cluster):
        status = cluster.stop(handle) if asked.stop else "running"
        logger().info("Ray job %s of run %s: %s", handle, owner, status or "no answer")
        rows.append({"job": handle, "run": owner, "status": status})
    artifacts.table("reap", "jobs", rows)
    return [row["job"] for row in rows]


@flow(name="retire", persist_result=False)
@flat(RetireParameters)
def retire(asked: RetireParameters) -> retirement.Retirement:
    """Lists versions and outputs of stages that no kept version and no champion needs, and removes them when told."""
    found = retirement.plan(asked.root, keep=asked.keep, min_age_seconds=asked.min_age_hours * 3600)
    state = "removed" if asked.remove else "to remove"
    rows = [{"what": name, "state": state} for name in [*found.versions, *found.stages]]
    rows += [{"what": name, "state": f"kept: {why}"} for name, why in found.kept.items()]
    artifacts.table("retire", "list", rows)
    if asked.remove:
        retirement.carry_out(asked.root, found, said=lambda line: logger().info("removed %s", line))
    logger().info(
        "%d versions and %d stages, %s bytes: %s", len(found.versions), len(found.stages), f"{found.bytes:,}", state
    )
    return found
