"""The stages of back-translation: which sentences are to be translated, and their way there and back."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from flows.stages.code import code_of
from flows.stages.select import PAIRS_CODE, Selecting, buckets
from pairs import back_translation
from pipelines import storage
from pipelines.dataset import SPLITS
from pipelines.jobs import Progress, outcome_of, run_beam
from pipelines.manifest import StageManifest
from pipelines.ray_jobs import translate
from pipelines.stage import Outcome, Stage
from pipelines.translate import files
from pipelines.translate.spec import BackTranslation, Engine

TO_TRANSLATE = "to_translate"
TRANSLATE = "translate"


class Translating(Selecting):
    """Pairs -> their sentences -> sentences with their translations back."""

    @property
    def back(self) -> BackTranslation:
        """The options of back-translation."""
        assert self.recipe.pairs.back_translation is not None
        return self.recipe.pairs.back_translation

    def translates(self) -> bool:
        """Whether this build translates, and does not only read what was translated before."""
        return bool(self.recipe.to_translate())

    def _engines(self) -> Iterator[tuple[str, str, Engine, tuple[str, str]]]:
        """Route, direction, engine, languages from and to."""
        for name, route in sorted(self.back.routes.items()):
            yield name, "forward", route.forward, (route.language, route.through)
            yield name, "backward", route.backward, (route.through, route.language)

    @functools.cached_property
    def routes(self) -> dict[str, dict[str, Any]]:
        """Name -> language, through, and for forward and backward the engine, its files' paths and its identity.

        Raises:
            TranslatorError: A program, a file or a library is missing.
        """
        found: dict[str, dict[str, Any]] = {
            name: {"language": route.language, "through": route.through} for name, route in self.back.routes.items()
        }
        for name, direction, engine, languages in self._engines():
            place = f"pairs.back_translation.routes.{name}.{direction}"
            paths = files.find(engine, self.loaded.locate, place)
            found[name][direction] = {
                "engine": files.located(engine, self.loaded.locate).model_dump(mode="json"),
                "paths": paths,
                "identity": files.identity(engine, paths, languages, self.root, self.loaded.locate, place),
            }
        return found

    def engine_identities(self) -> dict[str, str]:
        """`translation.<route>.<direction>` -> the engine's identity; none where nothing is translated."""
        if not self.translates():
            return {}
        return {
            f"translation.{name}.{direction}": told[direction]["identity"]
            for name, told in sorted(self.routes.items())
            for direction in ("forward", "backward")
        }

    def to_translate_stage(self, before: Mapping[str, StageManifest]) -> Stage:
        """The stage that gathers the sentences, each once, sorted by key.

        Args:
            before: Kind -> manifest of its pairs.
        """
        config = {**self._chosen(), "seed": self.recipe.seed}
        return Stage(TO_TRANSLATE, config, {kind: manifest.digest for kind, manifest in before.items()}, PAIRS_CODE)

    def _chosen(self) -> dict[str, Any]:
        options = self.back.model_dump(mode="json", include=set(back_translation.CHOSEN_BY))
        return {
            "back_translation": options,
            "languages": sorted({route.language for route in self.back.routes.values()}),
        }

    def gather_sentences(
        self, before: Mapping[str, StageManifest], progress: Progress | None = None
    ) -> tuple[StageManifest, bool]:
        """Runs it."""
        parts = [
            {"url": storage.join(self.root, manifest.folder, part.path), "source": None}
            for _, manifest in sorted(before.items())
            for split in SPLITS
            for part in manifest.tables(split)
        ]
        size = sum(part.bytes for manifest in before.values() for part in manifest.tables())

        def body(folder: str) -> Outcome:
            spec = self._spec("pairs", folder, len(parts), size) | {
                "kind": TO_TRANSLATE,
                "step": "choose sentences",
                "unit": "pairs",
                "options": self._chosen(),
                "parts": parts,
                "buckets": buckets(size),
            }
            return outcome_of(run_beam(spec, progress, self.stop))

        return self.run(self.to_translate_stage(before), body)

    def translate_stage(self, sentences: StageManifest) -> Stage:
        """The stage that translates them and measures what comes back.

        Raises:
            TranslatorError: A program, a file or a library is missing.
        """
        config = {
            "routes": {
                name: {
                    "language": route.language,
                    "through": route.through,
                    "marks": [
                        [engine.unknown_marks, engine.failed_marks] for engine in (route.forward, route.backward)
                    ],
                }
                for name, route in self.back.routes.items()
            },
            "options": self.back.model_dump(mode="json", include=set(back_translation.MEASURED_BY)),
            "runs": self.back.runs,
            "seed": self.recipe.seed,
        }
        inputs = {"sentences": sentences.digest, "language_model": self.lid.sha256, **self.engine_identities()}
        return Stage(TRANSLATE, config, inputs, code_of(translate.CODE, "ftfy", "sacremoses"))

    def translate(self, sentences: StageManifest, progress: Progress | None = None) -> tuple[StageManifest, bool]:
        """Runs it."""

        def body(folder: str) -> Outcome:
            job = {
                "root": self.root,
                "folder": folder,
                "seed": self.recipe.seed,
                "options": self.back.model_dump(mode="json", include=set(back_translation.MEASURED_BY)),
                "language_model": None,
                "routes": self.routes,
            }
            runs = translate.plan_runs(sentences, self.back.runs)
            made = translate.run(job, runs, session=self.ray, progress=progress, stop=self.stop)
            return translate.outcome(sentences, runs, made)

        return self.run(self.translate_stage(sentences), body)
