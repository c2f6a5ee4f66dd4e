"""The stages that read raw files and score what is in them."""

from __future__ import annotations

from typing import Any

from flows.stages.base import Base
from flows.stages.code import code_of
from pipelines.jobs import Progress, outcome_of, run_beam
from pipelines.manifest import StageManifest
from pipelines.sources import documents
from pipelines.sources.spec import DocumentsSource
from pipelines.stage import Outcome, Stage

ANNOTATE_CODE = "12"
_LIBRARIES = {"image_text": ("ftfy", "pillow"), "documents": ("ftfy",), "bitext": ("ftfy", "sacremoses")}
"""Libraries whose release can change what an annotate stage gives."""


class Annotating(Base):
    """Raw files -> annotated batches, a stage a source."""

    def annotate_options(self, name: str) -> dict[str, Any]:
        """What of the recipe changes a source's annotated batches."""
        kind = self.recipe.sources[name].type
        if kind == "documents":
            assert self.recipe.pairs.sentences is not None
            return self.recipe.pairs.sentences.model_dump(mode="json", exclude={"max_pairs_per_host"})
        if kind == "bitext":
            return self.recipe.bitext_options(name)
        return {}

    def annotate_stage(self, name: str) -> Stage:
        """The stage that reads and scores a source."""
        # Paths are left out: the content's digest stands for them, so moved data is not read again.
        source = self.recipe.sources[name].model_dump(mode="json", exclude={"path", "left", "right"})
        config = {"source": source, "options": self.annotate_options(name), "seed": self.recipe.seed, "name": name}
        inputs = {"files": self.inputs(name).digest, "language_model": self.lid.sha256}
        libraries = _LIBRARIES[self.recipe.sources[name].type]
        read_as = self.recipe.sources[name]
        if isinstance(read_as, DocumentsSource) and "warc" in {
            documents.file_format(read_as, path) for path, _ in self.inputs(name).files
        }:
            libraries = (*libraries, "resiliparse")
        return Stage(f"annotate-{name}", config, inputs, code_of(ANNOTATE_CODE, *libraries))

    def annotate(self, name: str, progress: Progress | None = None) -> tuple[StageManifest, bool]:
        """Runs it."""
        what = self.annotate_stage(name)

        def body(folder: str) -> Outcome:
            units = self.inputs(name).units()
            spec = self._spec("annotate", folder, len(units), self.inputs(name).bytes()) | {
                "relative_folder": what.folder,
                "source_name": name,
                "source": self.recipe.sources[name].model_dump(mode="json"),
                "units": units,
                "options": self.annotate_options(name),
                "language_model": None,
            }
            return outcome_of(run_beam(spec, progress, self.stop))

        return self.run(what, body)
