"""The stages of a build: from a recipe to each stage's key, its work and its place in the order. Know no orchestrator.

A module a kind of stage, each adding its own to `Build`; `flows.order` runs them under Prefect, `flows.plan` shows them.
"""

from __future__ import annotations

from flows.stages.render import Rendering
from pipelines.ledger import Step
from pipelines.manifest import StageManifest


class Build(Rendering):
    """One run of a recipe under one root: the keys, the inputs and the work of all of its stages."""


def chain(stages: list[StageManifest]) -> list[list[Step]]:
    """The steps of each stage, for the ledger's check."""
    return [manifest.ledger for manifest in stages]


__all__ = ["Build", "chain"]
