"""The stages that draw pairs into shards and read the shards back."""

from __future__ import annotations

import functools
from typing import Any

from flows.stages.translate import Translating
from pipelines import stage, storage, verify
from pipelines.jobs import Progress
from pipelines.manifest import StageManifest
from pipelines.ray_jobs import render
from pipelines.ray_jobs.tasks import run_tasks
from pipelines.stage import Outcome, Stage
from rendering import load_font


class Rendering(Translating):
    """Pairs -> shards, and shards -> what is wrong with them."""

    @functools.cached_property
    def render_identity(self) -> dict[str, Any]:
        """What determines every rendered pixel: the spec, the font, and the digest of both."""
        spec = self.recipe.render.spec()
        font = load_font(*self.fonts())
        return {"spec": spec.to_dict(), "font": {"name": font.name, "sha256": font.sha256}, "digest": spec.digest(font)}

    def render_stage(self, kind: str, pairs: StageManifest) -> Stage:
        """The stage that writes a kind's shards."""
        config = {"kind": kind, "samples": self.recipe.shards.of(kind), "render": self.render_identity}
        return Stage(f"render-{kind}", config, {"pairs": pairs.digest}, render.CODE)

    def render(self, kind: str, pairs: StageManifest, progress: Progress | None = None) -> tuple[StageManifest, bool]:
        """Runs it."""
        shards = render.plan_shards(pairs, kind, self.recipe.shards.of(kind))

        def body(folder: str) -> Outcome:
            job = {
                "root": self.root,
                "folder": folder,
                "render": self.render_identity["spec"],
                "fonts": self.fonts(),
                "bases": self.bases(),
            }
            run = functools.partial(render.run, session=self.ray, progress=progress, stop=self.stop)
            return render.body(job, shards, pairs, run)

        return stage.run(self.root, self.render_stage(kind, pairs), body)

    def verify_stage(self, kind: str, rendered: StageManifest) -> Stage:
        """The stage that reads a kind's shards back."""
        return Stage(
            f"verify-{kind}", {"kind": kind, "render": self.render_identity}, {"shards": rendered.digest}, verify.CODE
        )

    def verify(
        self, kind: str, rendered: StageManifest, progress: Progress | None = None
    ) -> tuple[StageManifest, bool]:
        """Runs it; the manifest's facts hold the problems of each shard that has any."""
        shards = [
            {
                "url": storage.join(self.root, rendered.folder, part.path),
                "path": part.path,
                "kind": kind,
                "bytes": part.bytes,
                "sha256": part.sha256,
                "samples": part.rows,
                "first_key": part.facts["first_key"],
                "last_key": part.facts["last_key"],
            }
            for part in rendered.shards()
        ]
        shared = {"render": self.render_identity["spec"], "fonts": self.fonts()}

        def body(folder: str) -> Outcome:
            problems: dict[str, list[str]] = {}
            samples = units = 0
            for read in run_tasks(self.ray, verify.verify_shard, shared, shards, self.stop):
                samples, units = samples + read["samples"], units + 1
                if read["problems"]:
                    problems[read["path"]] = read["problems"]
                if progress is not None:
                    progress(samples, units)
            return Outcome(parts=[], facts={"samples": samples, "shards": units, "problems": problems})

        return stage.run(self.root, self.verify_stage(kind, rendered), body)
