"""What all stages of a build share: the recipe, the root, the raw inputs, where work runs."""

from __future__ import annotations

import functools
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flows.recipe import Loaded, Recipe
from pairs.language import LanguageIdentifier
from pipelines import stage
from pipelines.manifest import StageManifest
from pipelines.ray_jobs.cluster import Cluster, is_submitted
from pipelines.ray_jobs.session import Session
from pipelines.sources.inputs import Inputs, find
from pipelines.stage import Outcome, Stage

_log = logging.getLogger(__name__)


@dataclass
class Base:
    """One run of a recipe under one root, without its stages.

    Attributes:
        loaded: The recipe and its folder.
        root: Where stages and data sets live.
        stop: Set to end running jobs.
        run_id: Of the flow run, from which the ids of its jobs on a cluster derive.
        waits: Told of a stage, and of who is at it, when another build is.
    """

    loaded: Loaded
    root: str
    stop: threading.Event = field(default_factory=threading.Event)
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    waits: Callable[[str, str], None] = lambda name, who: _log.info("%s: waits for %s", name, who)
    _ray: Session | Cluster | None = None
    _one_session: threading.Lock = field(default_factory=threading.Lock)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    _inputs: dict[str, Inputs] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.loaded.recipe

    @functools.cached_property
    def lid(self) -> LanguageIdentifier:
        """The language model's whereabouts and hash; not loaded here."""
        return LanguageIdentifier(None)

    @property
    def ray(self) -> Session | Cluster:
        """Where scoring, rendering and reading back run: one session for the whole build, another once that is lost."""
        with self._one_session:
            if self._ray is None or (isinstance(self._ray, Session) and self._ray.closed and not self.stop.is_set()):
                runtime = self.recipe.runtime
                where = runtime.ray
                if is_submitted(where.address):
                    self._ray = Cluster(where.address, self.run_id, where.actors, where.python)
                else:
                    self._ray = Session(where.address, runtime.worker_count(), where.actors)
            return self._ray

    def close(self) -> None:
        """Ends what the build has started."""
        with self._one_session:
            if self._ray is not None:
                self._ray.close()

    def run(self, what: Stage, body: Callable[[str], Outcome]) -> tuple[StageManifest, bool]:
        """Runs a stage unless it is done, or another build is at it: then this one waits and takes up what that one makes."""
        term = self.recipe.runtime.lease_seconds
        return stage.run(self.root, what, body, term=term, waits=lambda who: self.waits(what.name, who), stop=self.stop)

    def inputs(self, name: str) -> Inputs:
        """A source's raw files, looked up once."""
        if name not in self._inputs:
            self._inputs[name] = find(name, self.recipe.sources[name], self.loaded.locate, self.root)
        return self._inputs[name]

    def fonts(self) -> list[str]:
        """Paths of the fonts, absolute; none: the bundled one."""
        return [self.loaded.locate(path) for path in self.recipe.render.fonts]

    def bases(self) -> dict[str, str]:
        """Source -> folder of its raw files."""
        return {name: self.inputs(name).base for name in self.recipe.sources}

    def photograph_sources(self) -> list[str]:
        """Sources of photographs with texts."""
        return [name for name in self.recipe.of_type("image_text") if self.inputs(name).photographs]

    def table_sources(self) -> list[str]:
        """Sources of alt-texts without photographs."""
        return [name for name in self.recipe.of_type("image_text") if not self.inputs(name).photographs]

    def kinds(self) -> list[str]:
        """The kinds of pairs that this build makes."""
        wanted = list(self.recipe.pairs.wanted())
        if "image_alt" in wanted and not self.photograph_sources():
            wanted.remove("image_alt")  # there are tables alone
        return [str(kind) for kind in wanted]

    def sources_of(self, kind: str) -> list[str]:
        """Sources whose annotated batches a kind is selected from."""
        if kind == "image_alt":
            return self.photograph_sources()
        if kind == "sentences":
            return list(self.recipe.of_type("documents"))
        return self.recipe.bitext_of(kind)

    def _spec(self, job: str, folder: str, units: int, size: int) -> dict[str, Any]:
        """What every Beam job is told. A process costs seconds to start: a small job gets one."""
        runtime = self.recipe.runtime
        worth = -(-size // runtime.beam.bytes_per_process)
        return {
            "job": job,
            "root": self.root,
            "folder": folder,
            "seed": self.recipe.seed,
            "workers": max(1, min(runtime.worker_count(), units, worth)),
            "beam": {"runner": runtime.beam.runner, "options": runtime.beam.options},
        }
