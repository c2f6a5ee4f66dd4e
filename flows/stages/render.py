"""The stages that draw pairs into shards and read the shards back."""

from __future__ import annotations

import functools
from typing import Any

from flows.stages.translate import Translating
from pipelines import lease, stage, storage, verify
from pipelines.jobs import Progress
from pipelines.manifest import StageManifest
from pipelines.ray_jobs import render
from pipelines.ray_jobs import verify as verify_job
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
        shards = self.shards(kind, pairs)

        def body(folder: str) -> Outcome:
            run = functools.partial(render.run, session=self.ray, progress=progress, stop=self.stop)
            return render.body(self._render_job(folder), shards, pairs, run)

        return self.run(self.render_stage(kind, pairs), body)

    def shards(self, kind: str, pairs: StageManifest) -> list[dict[str, Any]]:
        """The shards that a kind's pairs are cut into, see `pipelines.ray_jobs.render.plan_shards`."""
        return render.plan_shards(pairs, kind, self.recipe.shards.of(kind))

    def render_some(
        self, kind: str, pairs: StageManifest, first: int, last: int, progress: Progress | None = None
    ) -> tuple[int, int]:
        """Renders a range of a kind's shards and leaves the rest, and with it the stage, to others.

        Several machines can each render a range at once. The run of the whole stage finds what they made.

        Args:
            kind: Which pairs.
            pairs: Their manifest.
            first: Number of the first shard.
            last: Number of the first shard that is not rendered.
            progress: Told of rows and shards as they are done.

        Returns:
            Shards of the range, and rows in them.
        """
        what = self.render_stage(kind, pairs)
        some = self.shards(kind, pairs)[first:last]
        rows = (
            [int(part.rows) for part in found.shards()[first:last]] if (found := stage.done(self.root, what)) else None
        )
        if rows is None:
            folder = storage.join(self.root, what.folder)
            storage.make_folder(folder)
            runtime = self.recipe.runtime
            name = f"{what.name}-{what.key}-{first}-{first + len(some)}"
            with lease.hold(
                self.root,
                name,
                term=runtime.lease_seconds,
                waits=lambda who: self.waits(what.name, who),
                stop=self.stop,
            ):
                job = self._render_job(folder) | {"range": [first, first + len(some)]}
                made = render.run(job, some, session=self.ray, progress=progress, stop=self.stop)
                rows = [sum(int(part["rows"]) for part in record["parts"]) for record in made]
        return len(rows), sum(rows)

    def _render_job(self, folder: str) -> dict[str, Any]:
        return {
            "root": self.root,
            "folder": folder,
            "render": self.render_identity["spec"],
            "fonts": self.fonts(),
            "bases": self.bases(),
        }

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

        def body(folder: str) -> Outcome:
            problems: dict[str, list[str]] = {}
            samples = units = 0
            job = {"folder": folder, "render": self.render_identity["spec"], "fonts": self.fonts()}
            for read in verify_job.run(job, shards, session=self.ray, progress=progress, stop=self.stop):
                samples, units = samples + read["samples"], units + 1
                if read["problems"]:
                    problems[read["path"]] = read["problems"]
            return Outcome(
                parts=[], facts={"samples": samples, "shards": units, "problems": dict(sorted(problems.items()))}
            )

        return self.run(self.verify_stage(kind, rendered), body)
