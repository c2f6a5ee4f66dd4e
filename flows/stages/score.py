"""The stages that score photographs against their texts with a model, where the recipe names one."""

from __future__ import annotations

import functools

from flows.stages.annotate import Annotating
from pairs.similarity import SimilarityOptions
from pipelines.jobs import Progress
from pipelines.manifest import StageManifest
from pipelines.ray_jobs import score
from pipelines.similarity import files as model_files
from pipelines.sources.inputs import fingerprints
from pipelines.stage import Outcome, Stage


class Scoring(Annotating):
    """Annotated photographs -> a table of similarities beside each part."""

    @property
    def model(self) -> SimilarityOptions | None:
        """The model that photographs are scored with; None: they are not."""
        options = self.recipe.pairs.image_alt
        return options.similarity if options is not None and self.photograph_sources() else None

    @functools.cached_property
    def model_files(self) -> dict[str, str]:
        """Role -> path of the model's files.

        Raises:
            ModelError: One is missing.
        """
        assert self.model is not None
        return model_files.find(self.model, self.loaded.locate)

    @functools.cached_property
    def model_contents(self) -> dict[str, str]:
        """`similarity.<role>` -> sha256 of every file of the model; none where there is no model."""
        if self.model is None:
            return {}
        files = model_files.contents(self.model_files)
        prints = fingerprints(self.root, sorted({(url, url) for url in files.values()}))
        return {f"similarity.{role}": prints[url] for role, url in sorted(files.items())}

    def score_stage(self, name: str, before: StageManifest) -> Stage:
        """The stage that scores a source's photographs against their texts.

        Raises:
            ModelError: A file or a library of the model is missing.
        """
        assert self.model is not None
        config = {"source": name, "options": self.model.settings()}
        code = "+".join([score.CODE, *model_files.releases(self.model)])
        return Stage(f"score-{name}", config, {name: before.digest} | self.model_contents, code)

    def score(self, name: str, before: StageManifest, progress: Progress | None = None) -> tuple[StageManifest, bool]:
        """Runs it; needs a model in the recipe."""
        assert self.model is not None
        options = self.model.model_dump(mode="json")

        def body(folder: str) -> Outcome:
            job = {
                "root": self.root,
                "folder": folder,
                "bases": self.bases(),
                "source": name,
                "options": options,
                "files": self.model_files,
            }
            parts = score.plan_parts(before)
            return score.outcome(
                name, parts, score.run(job, parts, session=self.ray, progress=progress, stop=self.stop)
            )

        return self.run(self.score_stage(name, before), body)
