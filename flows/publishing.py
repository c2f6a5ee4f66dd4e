"""The last task of a build: the gate, the version, the champion, and the event that says so."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from flows.assembly import Assembled, Made, assemble
from flows.context import Built
from flows.stages import Build
from pipelines import storage
from pipelines.publish import version

environment.settle()

PROMOTED = "pixelpairs.dataset.promoted"


class GateError(Exception):
    """The gate let nothing through; the message says which bounds failed and where the report lies."""


def publish(build: Build, made: Made) -> Built:
    """Holds what was made against the gate, publishes it and names it the champion.

    Raises:
        GateError: It is outside the recipe's bounds; nothing is published, the report lies under the root's `reports`.
    """

    def run() -> tuple[Assembled, version.Published | None]:
        ready = assemble(build, made)
        if not ready.passed:
            return ready, None
        published = version.publish(build.root, ready.manifest, ready.files, ready.contents)
        version.promote(build.root, published)
        return ready, published

    ready, published = task(run, name="publish", task_run_name="publish", cache_policy=NO_CACHE, persist_result=False)()
    if published is None:
        folder = storage.join(build.root, "reports", f"{build.recipe.name}-{ready.manifest.version}")
        storage.make_folder(folder)
        report = storage.write_bytes(storage.join(folder, "report.html"), ready.contents["report.html"]).url
        failed = "\n".join(f"  {check.words()}" for check in ready.checks if not check.passed)
        raise GateError(f"the gate failed, nothing is published:\n{failed}\nreport: {report}")
    return Built(
        folder=published.folder,
        version=published.version,
        manifest=ready.manifest,
        manifest_sha256=published.manifest_sha256,
        report=storage.join(published.folder, "report.html"),
    )


def announce(built: Built) -> None:
    """Emits the event that a version is the champion now, with its manifest's URI and sha256."""
    emit_event(
        PROMOTED,
        resource={
            "prefect.resource.id": f"pixelpairs.dataset.{built.manifest.name}",
            "prefect.resource.name": built.manifest.name,
        },
        payload={
            "manifest": storage.join(built.folder, "MANIFEST.json"),
            "sha256": built.manifest_sha256,
            "version": built.version,
        },
    )
