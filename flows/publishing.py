"""The last tasks of a build: the gate, the version, a person's word where the recipe wants it, the champion, the event."""

from __future__ import annotations

from flows import environment  # isort: skip  (must come before Prefect)

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.settings import get_current_settings
from pydantic import Field

from flows import artifacts
from flows.assembly import Assembled, Made, assemble
from flows.context import Built
from flows.log import logger
from flows.report.losses import great_losses
from flows.stages import Build
from pipelines import agreement, gate, storage
from pipelines.publish import champion, version
from pipelines.publish.version import Published

environment.settle()

PROMOTED = "pixelpairs.dataset.promoted"
REFUSED = "pixelpairs.gate.failed"
_ASKED_EVERY_SECONDS = 5


class GateError(Exception):
    """The gate let nothing through; the message says which bounds failed and where the report lies."""


class Approval(RunInput):
    """What a person is asked before a version becomes the one in use."""

    promote: bool = Field(default=False, description="make this version the one in use, and tell the trainer")
    note: str = Field(default="", max_length=1000, description="why; kept in the run's log")


def _named(name: str) -> Any:
    """A plain task that is neither cached nor kept."""
    return task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)


def publish(build: Build, made: Made) -> Built:
    """Holds what was made against the gate and publishes it.

    Raises:
        GateError: It is outside the recipe's bounds, or too far from the champion; nothing is published, the report lies under the
            root's `reports`.
    """
    name = build.recipe.name

    @_named("publish")
    def run() -> tuple[Assembled, list[gate.Check], Published | None]:
        ready = assemble(build, made)
        before = champion.manifest_of(build.root, name)
        found = champion.against_champion(build.recipe.promotion, ready.manifest, before)
        if not ready.passed or not all(check.passed for check in found):
            return ready, found, None
        return ready, found, version.publish(build.root, ready.manifest, ready.files, ready.contents)

    ready, against, published = run()
    checks = [*ready.checks, *against]
    artifacts.funnel(ready.manifest)
    losses = great_losses(ready.manifest)
    for words in losses:
        logger().warning(words)
    if published is None:
        folder = storage.join(build.root, "reports", f"{name}-{ready.manifest.version}")
        storage.make_folder(folder)
        report = storage.write_bytes(storage.join(folder, "report.html"), ready.contents["report.html"]).url
        artifacts.checks(name, report, checks)
        failed = [check.words() for check in checks if not check.passed]
        _tell(name, REFUSED, {"failed": "\n".join(failed), "report": report, "version": ready.manifest.version})
        lines = "\n".join([f"  {words}" for words in failed] + [f"  warning: {words}" for words in losses])
        raise GateError(f"the gate failed, nothing is published:\n{lines}\nreport: {report}")
    report = storage.join(published.folder, "report.html")
    artifacts.checks(name, report, checks)
    artifacts.samples(published.folder, ready.manifest)
    return Built(
        folder=published.folder,
        version=published.version,
        manifest=ready.manifest,
        manifest_sha256=published.manifest_sha256,
        report=report,
    )


def promote(build: Build, built: Built) -> bool:
    """Makes a published version the one in use and says so by an event, once whoever must be asked has agreed.

    Returns:
        Whether it is the one in use now.
    """
    if build.recipe.promotion.approval and not _approved(build, built):
        logger().warning("%s %s is published and not promoted", built.manifest.name, built.version)
        return False

    @_named("promote")
    def run() -> None:
        champion.promote(build.root, Published(built.folder, built.version, built.manifest_sha256, new=True))

    before = champion.manifest_of(build.root, built.manifest.name)
    run()
    # Again for the champion that is there already, where a run that died before it could say so is the likely cause.
    if before is None or before.version != built.version or not agreement.names(f"{built.folder}/training"):
        announce(built.manifest.name, built.folder, built.version, built.manifest_sha256)
    return True


def _approved(build: Build, built: Built) -> bool:
    name = built.manifest.name
    champions = champion.read(build.root, name)
    if champions is not None and champions["version"] == built.version:
        return True  # it is the one in use already
    by_hand = f"`pixelpairs promote {name} {built.version} --root {build.root}`"
    if not get_current_settings().api.url:
        logger().warning("nobody can be asked without a Prefect server; to promote: %s", by_hand)
        return False
    counts = ", ".join(f"{kind} {count:,}" for kind, count in built.manifest.samples().items())
    form = Approval.with_initial_data(
        description=f"**{name} {built.version}** passed the gate: {counts}. Report: `{built.report}`. Make it the one in use?"
    )
    try:
        answer = pause_flow_run(
            wait_for_input=form, timeout=build.recipe.promotion.approval_seconds, poll_interval=_ASKED_EVERY_SECONDS
        )
    except FlowPauseTimeout:
        logger().warning("nobody answered; to promote: %s", by_hand)
        return False
    logger().info("%s: %s", "approved" if answer.promote else "refused", answer.note or "(no note)")
    return bool(answer.promote)


def announce(name: str, folder: str, number: str, sha256: str) -> None:
    """Emits the event that a version is the champion now, with its manifest's URI and sha256."""
    _tell(name, PROMOTED, {"manifest": storage.join(folder, "MANIFEST.json"), "sha256": sha256, "version": number})


def _tell(name: str, event: str, payload: dict[str, str]) -> None:
    resource = {"prefect.resource.id": f"pixelpairs.dataset.{name}", "prefect.resource.name": name}
    emit_event(event, resource=resource, payload=payload)
