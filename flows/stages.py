"""The stages of a build: from a recipe to each stage's key, its work and its place in the order. Knows no orchestrator.

`flows.build` runs these under Prefect; `flows.plan` shows them and runs nothing.
"""

from __future__ import annotations

import functools
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from flows.recipe import Loaded, Recipe
from pairs.alt_text import AltTextOptions
from pairs.language import LanguageIdentifier
from pairs.similarity import SimilarityOptions
from pairs.translations import MEASURED_BY
from pipelines import queries, references, stage, storage, verify
from pipelines.jobs import Progress, outcome_of, run_beam
from pipelines.ledger import Step
from pipelines.manifest import StageManifest, digest_of
from pipelines.ray_jobs import render, score
from pipelines.ray_jobs.session import Session
from pipelines.ray_jobs.tasks import run_tasks
from pipelines.similarity import files as model_files
from pipelines.sources import documents
from pipelines.sources.inputs import Inputs, find, fingerprints
from pipelines.sources.spec import DocumentsSource, ImageTextSource
from pipelines.stage import Outcome, Stage
from rendering import load_font

ANNOTATE_CODE = "5"
PAIRS_CODE = "4"
TABLE_CODE = "3"
BUCKET_BYTES = 64 << 20
MAX_BUCKETS = 4096
_STEP = {"word_drop": "drop words"}
_LIBRARIES = {"image_text": ("ftfy", "pillow"), "documents": ("ftfy",), "bitext": ("ftfy", "sacremoses")}
"""Libraries whose release can change what an annotate stage gives."""


def code_of(version: str, *libraries: str) -> str:
    """The recipe version of a stage's code: our own number, and the releases of the libraries that its output depends on."""
    # Classes of characters come from Python's own tables, which grow with its releases.
    tables = f"unicode-{unicodedata.unidata_version}"
    return "+".join([version, tables, *(f"{name}-{_release(name)}" for name in libraries)])


def _release(name: str) -> str:
    """A library's release; of one that is not installed, none: the stage that needs it will say so."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


@dataclass
class Build:
    """One run of a recipe under one root.

    Attributes:
        loaded: The recipe and its folder.
        root: Where stages and data sets live.
        stop: Set to end running jobs.
    """

    loaded: Loaded
    root: str
    stop: threading.Event = field(default_factory=threading.Event)
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

    @functools.cached_property
    def ray(self) -> Session:
        """Where scoring and rendering run: one session for the whole build, started by the first task."""
        runtime = self.recipe.runtime
        return Session(runtime.ray.address, runtime.worker_count(), runtime.ray.actors)

    def close(self) -> None:
        """Ends what the build has started."""
        self.ray.close()

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
        return list(self.recipe.of_type({"sentences": "documents", "translations": "bitext"}[kind]))

    # --- annotate ------------------------------------------------------------------------------------------------------------

    def annotate_options(self, name: str) -> dict[str, Any]:
        """What of the recipe changes a source's annotated batches."""
        kind = self.recipe.sources[name].type
        if kind == "documents":
            assert self.recipe.pairs.sentences is not None
            return self.recipe.pairs.sentences.model_dump(mode="json", exclude={"max_pairs_per_host"})
        if kind == "bitext":
            assert self.recipe.pairs.translations is not None
            return self.recipe.pairs.translations.model_dump(mode="json", include=set(MEASURED_BY))
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

        return stage.run(self.root, what, body)

    # --- score ---------------------------------------------------------------------------------------------------------------

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

        return stage.run(self.root, self.score_stage(name, before), body)

    # --- select --------------------------------------------------------------------------------------------------------------

    def select_options(self, kind: str) -> dict[str, Any]:
        """The thresholds of a kind."""
        options = getattr(self.recipe.pairs, kind)
        assert options is not None
        return dict(options.model_dump(mode="json"))

    def select_config(self, kind: str) -> dict[str, Any]:
        """The thresholds as they go into a stage's key: files' contents count (see `compared`), not where they lie."""
        options = self.select_options(kind)
        if kind == "image_alt":
            options.pop("frequent_words")
            options["decontaminate"] = options["decontaminate"] and {**options["decontaminate"], "sets": []}
            options["balance"] = options["balance"] and {**options["balance"], "queries": []}
            options.pop("similarity")  # the scores stand for it
        return options

    @property
    def alt_options(self) -> AltTextOptions:
        """The rules of alt-text."""
        assert self.recipe.pairs.image_alt is not None
        return self.recipe.pairs.image_alt

    @functools.cached_property
    def evaluation_files(self) -> list[str]:
        """Files of the evaluation sets."""
        wanted = self.alt_options.decontaminate
        return references.files_of(tuple(map(self.loaded.locate, wanted.sets))) if wanted is not None else []

    def compared(self, kind: str) -> dict[str, str]:
        """Digests of what a kind's rules compare with beside numbers: lists of words, evaluation sets."""
        found: dict[str, str] = {}
        if kind != "image_alt":
            return found
        if self.alt_options.frequent_words is not None:
            found["frequent_words"] = storage.sha256_of(self.loaded.locate(self.alt_options.frequent_words))
        if self.alt_options.decontaminate is not None:
            found["evaluation"] = self.evaluation_stage().key
        if self.alt_options.balance is not None:
            found["queries"] = self.queries_stage().key
        return found

    @functools.cached_property
    def query_files(self) -> list[str]:
        """Files of the queries to balance by."""
        wanted = self.alt_options.balance
        return queries.files_of(tuple(map(self.loaded.locate, wanted.queries))) if wanted is not None else []

    def queries_stage(self) -> Stage:
        """The stage that makes one table of the lists of queries."""
        options = self.alt_options.balance
        assert options is not None
        prints = fingerprints(self.root, [(url, url) for url in self.query_files])
        names = {url: [url.rsplit("/", 1)[-1], queries.form_of(url)] for url in self.query_files}
        return Stage(
            "queries",
            {"case": options.case, "counted": options.counted},
            {"files": digest_of(sorted([*names[url], prints[url]] for url in self.query_files))},
            code_of(queries.CODE),
        )

    def check_lists(self) -> None:
        """Reads the lists of queries unless that is done, so that a fault in them comes to light before anything starts.

        Raises:
            SourceError: A list is missing or cannot be used.
        """
        if self.recipe.pairs.image_alt is not None and (options := self.alt_options.balance) is not None:
            files = self.query_files
            if stage.done(self.root, self.queries_stage()) is None:
                queries.gather(options, files)

    def query_table(self, kind: str) -> dict[str, Any]:
        """The table of queries that a kind is balanced by, and what was read of the lists; made unless it is there."""
        options = self.alt_options.balance if kind == "image_alt" else None
        if options is None:
            return {}

        def body(folder: str) -> Outcome:
            table, facts = queries.compile_lists(options, self.query_files, folder)
            return Outcome(parts=[table.part()], facts=facts)

        with self._one_at_a_time:
            manifest, _ = stage.run(self.root, self.queries_stage(), body)
        return {"table": storage.join(self.root, manifest.folder, queries.TABLE), "facts": manifest.facts}

    def evaluation_stage(self) -> Stage:
        """The stage that boils the evaluation sets down to hashes."""
        assert self.alt_options.decontaminate is not None
        prints = fingerprints(self.root, [(url, url) for url in self.evaluation_files])
        return Stage(
            "evaluation",
            {"text_words": self.alt_options.decontaminate.text_words},
            {"files": digest_of(sorted(prints.values()))},
            code_of(references.CODE, "ftfy", "pillow"),
        )

    def references(self, kind: str) -> dict[str, str]:
        """Places of what a kind's rules compare with; boils the evaluation sets down unless that is done."""
        found: dict[str, str] = {}
        if kind != "image_alt":
            return found
        if self.alt_options.frequent_words is not None:
            found["frequent_words"] = self.loaded.locate(self.alt_options.frequent_words)
        options = self.alt_options.decontaminate
        if options is not None:

            def body(folder: str) -> Outcome:
                table, facts = references.boil_down(options, self.evaluation_files, folder)
                return Outcome(parts=[table.part()], facts=facts)

            with self._one_at_a_time:
                manifest, _ = stage.run(self.root, self.evaluation_stage(), body)
            found["evaluation"] = storage.join(self.root, manifest.folder, references.TABLE)
        return found

    def pairs_stage(
        self, kind: str, before: Mapping[str, StageManifest], scores: Mapping[str, StageManifest] | None = None
    ) -> Stage:
        """The stage that makes a kind's unique pairs, sorted by key.

        Args:
            kind: image_alt, sentences, translations or word_drop.
            before: Name -> manifest of the stages that it reads.
            scores: Name -> manifest of their scores, where the recipe names a model.
        """
        config = {"kind": kind, "options": self.select_config(kind), "seed": self.recipe.seed}
        name = "word_drop" if kind == "word_drop" else f"select-{kind}"
        inputs = {key: manifest.digest for key, manifest in before.items()} | self.compared(kind)
        inputs |= {f"score-{key}": manifest.digest for key, manifest in (scores or {}).items()}
        return Stage(name, config, inputs, PAIRS_CODE)

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
                "source": None if kind == "word_drop" else name,
                "scores": storage.join(self.root, scored[name].folder, part.path) if name in scored else None,
            }
            for name, manifest in sorted(before.items())
            for part in manifest.tables()
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
                "buckets": _buckets(size),
            }
            return outcome_of(run_beam(spec, progress, self.stop))

        return stage.run(self.root, self.pairs_stage(kind, before, scores), body)

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
                "buckets": _buckets(size),
                "parts": [
                    {"index": i, "url": storage.join(self.root, before.folder, part.path), "source": name}
                    for i, part in enumerate(tables)
                ],
            }
            return outcome_of(run_beam(spec, progress, self.stop))

        return stage.run(self.root, self.table_stage(name, before), body)

    # --- render, verify ------------------------------------------------------------------------------------------------------

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


def _buckets(size: int) -> int:
    """By the size of what comes in, so that it depends on the data alone, and a bucket fits a worker."""
    return min(MAX_BUCKETS, max(1, -(-size // BUCKET_BYTES)))


def chain(stages: list[StageManifest]) -> list[list[Step]]:
    """The steps of each stage, for the ledger's check."""
    return [manifest.ledger for manifest in stages]
