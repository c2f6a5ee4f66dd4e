"""Jobs of a flow run on a Ray cluster: stopped when the run is cancelled or crashes, and found when nobody saw it end."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from flows.log import logger
from flows.recipe import RecipeError, load
from pipelines import lease, storage
from pipelines.jobs import JobError
from pipelines.ray_jobs.cluster import SUBMISSION, Cluster, is_submitted

environment.settle()


def run_id() -> str | None:
    """The id of the flow run that is under way; None outside of one."""
    return str(runtime.flow_run.id) if runtime.flow_run.id else None


def stop_jobs(flow: Any, flow_run: Any, state: Any) -> None:
    """A hook, which Prefect calls by these names: stops what a run that was cancelled or crashed has left on the cluster."""
    try:
        address = load(str(flow_run.parameters["recipe"])).recipe.runtime.ray.address
    except (RecipeError, KeyError) as error:
        logger().warning("what run %s left on a cluster is not known: %s", flow_run.id, error)
        return
    if not is_submitted(address):
        return
    cluster = Cluster(address, str(flow_run.id))
    try:
        for handle, owner, folder in cluster.jobs():
            if _owner(folder, handle, owner) == str(flow_run.id):
                logger().info("Ray job %s: %s", handle, cluster.stop(handle) or "no answer")
    except JobError as error:
        logger().warning("jobs of run %s were not stopped (`reap` will): %s", flow_run.id, error)


def _owner(folder: str, handle: str, first: str) -> str:
    """The run that follows a job: the one that took it up last, else the one that submitted it."""
    try:
        noted = json.loads(storage.read_bytes(storage.join(folder, SUBMISSION)))
        if noted["submission_id"] == handle:
            return str(noted["run"])
    except (OSError, ValueError, TypeError, LookupError, storage.StorageError):
        pass
    return first


def orphans(cluster: Cluster, over: Callable[[str], bool] | None = None) -> list[tuple[str, str]]:
    """Jobs of ours that nobody follows: their run is over or unknown, and the lease of their stage is free.

    The lease counts beside the run, since a build that was started without this Prefect server has a run that is not known here.

    Args:
        cluster: Where to look.
        over: Tells of a run whether it has ended; asks Prefect by default.

    Returns:
        Submission id and run of each.

    Raises:
        JobError: The cluster does not answer.
    """
    found = []
    for handle, first, folder in cluster.jobs():
        owner = _owner(folder, handle, first)
        if (over or is_over)(owner) and not _followed(folder):
            found.append((handle, owner))
    return found


def _followed(folder: str) -> bool:
    """Whether some process has the lease of the stage, or of the range of it, that a job's folder belongs to."""
    root, _, place = folder.partition("/stages/")
    stage, _, some = place.partition("/jobs/")
    try:
        return lease.holder(root, f"{stage}-{some}" if some else stage) is not None
    except (OSError, storage.StorageError):
        return False  # the root is gone


def is_over(run: str) -> bool:
    """Whether a flow run has ended, or is not known to the server."""
    try:
        number = UUID(run)
    except ValueError:
        return True
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(number).state
        except ObjectNotFound:
            return True
    return state is not None and state.is_final()
