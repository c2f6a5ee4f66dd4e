"""What the rules of alt-text compare with beside numbers: lists of words, evaluation sets, lists of queries."""

from __future__ import annotations

import functools
from typing import Any

from flows.stages.code import code_of
from flows.stages.score import Scoring
from pairs.alt_text import AltTextOptions
from pipelines import queries, references, stage, storage
from pipelines.manifest import digest_of
from pipelines.sources.inputs import fingerprints
from pipelines.stage import Outcome, Stage


class Listing(Scoring):
    """Lists and sets -> one table each, small enough to be read by every worker."""

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
            manifest, _ = self.run(self.queries_stage(), body)
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
                manifest, _ = self.run(self.evaluation_stage(), body)
            found["evaluation"] = storage.join(self.root, manifest.folder, references.TABLE)
        return found
