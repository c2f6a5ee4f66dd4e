"""The stages that apply thresholds: annotated batches to unique pairs, or to filtered tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.stages.lists import Listing
from pairs import segmenters
from pairs.back_translation import CHOSEN_BY, MEASURED_BY
from pipelines import storage
from pipelines.dataset import SPLITS
from pipelines.jobs import Progress, outcome_of, run_beam
from pipelines.manifest import StageManifest
from pipelines.similarity.model import ModelError
from pipelines.sources.spec import ImageTextSource
from pipelines.stage import Outcome, Stage

PAIRS_CODE = "7"
TABLE_CODE = "3"
BUCKET_BYTES = 64 << 20
MAX_BUCKETS = 4096
MIXED = "(translated)"
"""What stands for a source's name where rows of many sources come together; no source can be called so."""
UPSTREAM = (*CHOSEN_BY, *MEASURED_BY, "routes", "runs")
"""Options of back-translation that have done their work before its rules are applied."""
_STEP = {"word_drop": "drop words"}


class Selecting(Listing):
    """Annotated batches -> pairs of each kind, or filtered tables."""

    def select_options(self, kind: str) -> dict[str, Any]:
        """The thresholds of a kind."""
        options = getattr(self.recipe.pairs, kind)
        assert options is not None
        left_out = set(UPSTREAM) if kind == "back_translation" else set()
        return dict(options.model_dump(mode="json", exclude=left_out))

    def select_config(self, kind: str) -> dict[str, Any]:
        """The thresholds as they go into a stage's key: files' contents count (see `compared`), not where they lie."""
        options = self.select_options(kind)
        if kind == "image_alt":
            options.pop("frequent_words")
            options["decontaminate"] = options["decontaminate"] and {**options["decontaminate"], "sets": []}
            options["balance"] = options["balance"] and {**options["balance"], "queries": []}
            options.pop("similarity")  # the scores stand for it
        return options

    def holdout(self, kind: str, before: Mapping[str, StageManifest]) -> dict[str, Any] | None:
        """What of a kind is held out, None: nothing. Pairs made from pairs go where those went."""
        if self.recipe.holdout is None:
            return None
        if kind != "word_drop":
            return dict(self.recipe.holdout.of(kind).model_dump(mode="json"))
        parts = [(manifest.folder, part.path) for manifest in before.values() for part in manifest.tables("validation")]
        return {"as": sorted(storage.join(self.root, *place) for place in parts)}

    def pairs_stage(
        self, kind: str, before: Mapping[str, StageManifest], scores: Mapping[str, StageManifest] | None = None
    ) -> Stage:
        """The stage that makes a kind's unique pairs, sorted by key.

        Args:
            kind: One of `Build.kinds`.
            before: Name -> manifest of the stages that it reads, named as its source; the rows of `MIXED` name theirs themselves.
            scores: Name -> manifest of their scores, where the recipe names a model.
        """
        config = {"kind": kind, "options": self.select_config(kind), "seed": self.recipe.seed}
        if self.recipe.holdout is not None:
            config["holdout"] = self.holdout(kind, {})
        name = "word_drop" if kind == "word_drop" else f"select-{kind}"
        inputs = {key: manifest.digest for key, manifest in before.items()} | self.compared(kind)
        inputs |= {f"score-{key}": manifest.digest for key, manifest in (scores or {}).items()}
        return Stage(name, config, inputs, "+".join([PAIRS_CODE, *self.segmenter_releases(kind)]))

    def segmenter_releases(self, kind: str) -> list[str]:
        """Name and release of the libraries that tell a kind's words.

        Raises:
            ModelError: One is not installed.
        """
        options = self.recipe.pairs.word_drop if kind == "word_drop" else None
        try:
            return sorted({segmenters.release(name) for name in options.segmenters.values()}) if options else []
        except segmenters.SegmenterError as error:
            raise ModelError(f"pairs.word_drop.segmenters: {error}") from error

    def make_pairs(
        self,
        kind: str,
        before: Mapping[str, StageManifest],
        progress: Progress | None = None,
        scores: Mapping[str, StageManifest] | None = None,
    ) -> tuple[StageManifest, bool]:
        """Runs it."""
        scored = scores or {}
        parts = [
            {
                "url": storage.join(self.root, manifest.folder, part.path),
                "source": None if kind == "word_drop" or name == MIXED else name,
                "scores": storage.join(self.root, scored[name].folder, part.path) if name in scored else None,
            }
            for name, manifest in sorted(before.items())
            for split in SPLITS
            for part in manifest.tables(split)
        ]
        size = sum(part.bytes for manifest in before.values() for part in manifest.tables())

        def body(folder: str) -> Outcome:
            spec = self._spec("pairs", folder, len(parts), size) | {
                "kind": kind,
                "step": _STEP.get(kind, "filter"),
                "unit": "pairs",
                "options": self.select_options(kind),
                "references": self.references(kind),
                "queries": self.query_table(kind),
                "parts": parts,
                "buckets": buckets(size),
                "holdout": self.holdout(kind, before),
            }
            return outcome_of(run_beam(spec, progress, self.stop))

        return self.run(self.pairs_stage(kind, before, scores), body)

    def table_stage(self, name: str, before: StageManifest) -> Stage:
        """The stage that filters a table of alt-texts without photographs."""
        options = self._table_options(name, self.select_config("image_alt"))
        config = {"source": name, "options": options, "seed": self.recipe.seed}
        return Stage(f"table-{name}", config, {name: before.digest} | self.compared("image_alt"), TABLE_CODE)

    def _table_options(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Thresholds for texts without photographs: no model scores them, so a similarity is the source's own or none."""
        source = self.recipe.sources[name]
        if isinstance(source, ImageTextSource) and source.columns.similarity is not None:
            return {**options, "similarity": None}
        order = [rule for rule in options["order"] if rule != "low_similarity"]
        return {**options, "order": order, "similarity": None, "min_similarity": None}

    def filter_table(
        self, name: str, before: StageManifest, progress: Progress | None = None
    ) -> tuple[StageManifest, bool]:
        """Runs it."""

        def body(folder: str) -> Outcome:
            tables = before.tables()
            size = sum(part.bytes for part in tables)
            spec = self._spec("table", folder, len(tables), size) | {
                "step": "filter",
                "options": self._table_options(name, self.select_options("image_alt")),
                "references": self.references("image_alt"),
                "queries": self.query_table("image_alt"),
                "buckets": buckets(size),
                "parts": [
                    {"index": i, "url": storage.join(self.root, before.folder, part.path), "source": name}
                    for i, part in enumerate(tables)
                ],
            }
            return outcome_of(run_beam(spec, progress, self.stop))

        return self.run(self.table_stage(name, before), body)


def buckets(size: int) -> int:
    """By the size of what comes in, so that it depends on the data alone, and a bucket fits a worker."""
    return min(MAX_BUCKETS, max(1, -(-size // BUCKET_BYTES)))
