"""The page: views and pictures into the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import jinja2

from flows.report import text, views
from flows.report.losses import great_losses
from flows.report.pictures import Pictures
from pairs.similarity import QUANTILES
from pipelines.dataset import TABLES, DatasetManifest
from pipelines.publish.sheet import Sample

MAX_SAMPLES = 24
MAX_EXAMPLES = 12
MAX_RULES = 200
MAX_ERRORS = 50
MAX_SHARDS = 500
_EXAMPLE_FIELDS = ("raw_text", "text", "left_text", "right_text", "lang", "left_lang", "right_lang")


@dataclass
class ReportData:
    """All that the page shows.

    Attributes:
        manifest: Of the version, or of the build whose gate failed (it then has no shards to speak of).
        samples: Of every kind, in the order in which they are shown; at most 24 of a kind are.
        examples: Source -> rule -> dropped rows (origin, raw_text, text, left_text, right_text, lang, left_lang,
            right_lang); at most 12 of a rule are shown.
        errors: Rows of errors.jsonl (source, path, position, reason, detail, rows); the first 50 are shown.
        timings: Stage -> seconds; None leaves the section out, so that the page depends on the build's content alone.
        failed: Whether the gate refused the build.
        similarity: Source -> how its scores are spread: scored, without_image, quantiles, languages; see
            `pipelines.ray_jobs.score`.
    """

    manifest: DatasetManifest
    samples: Sequence[Sample] = ()
    examples: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()
    timings: Mapping[str, float] | None = None
    failed: bool = False
    similarity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    environment.filters.update(shown=text.shown, n=text.number, size=text.size, seconds=text.seconds, share=text.share)
    source = resources.files("flows.report").joinpath("template.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def _samples(samples: Sequence[Sample]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Kind -> its cards. Pictures are taken in turns, so that a spent budget costs every kind alike."""
    by_kind: dict[str, list[Sample]] = {}
    for sample in samples:
        by_kind.setdefault(sample.kind, []).append(sample)
    cards: dict[str, list[dict[str, Any]]] = {kind: [] for kind in by_kind}
    pictures = Pictures()
    for turn in range(MAX_SAMPLES):
        for kind in views.ordered(by_kind):
            if turn < len(by_kind[kind]):
                sample = by_kind[kind][turn]
                card = {"sample": sample, "left": pictures.take(sample.left), "right": pictures.take(sample.right)}
                cards[kind].append(card)
    return [(kind, cards[kind]) for kind in views.ordered(cards)]


def _examples(
    examples: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], dropped: Mapping[tuple[str, str], int]
) -> list[dict[str, Any]]:
    """Source -> rules, each with its rows as (origin, [(field, value)]), and how many it dropped of that source."""
    found, rules = [], 0
    for source in sorted(examples):
        listed = []
        for rule in sorted(examples[source]):
            if rules == MAX_RULES:
                break
            rules += 1
            rows = [
                (row.get("origin"), [(name, row[name]) for name in _EXAMPLE_FIELDS if row.get(name) not in (None, "")])
                for row in examples[source][rule][:MAX_EXAMPLES]
            ]
            listed.append((rule, rows, dropped.get((source, rule), 0)))
        if listed:
            found.append({"source": source, "rules": listed})
    return found


def render_report(data: ReportData) -> bytes:
    """Writes report.html: one page without script, link or any other outside resource.

    Args:
        data: What to show. Nothing in it is trusted: texts are escaped, cut and isolated, pictures decoded within
            bounds, shrunk and encoded anew.

    Returns:
        UTF-8, some MB at most; the same bytes for the same data.
    """
    manifest = data.manifest
    gate = manifest.gate if isinstance(manifest.gate, dict) else {}
    sources = views.sources(manifest)
    funnels = views.funnels(manifest)
    counts = manifest.pairs()
    card = manifest.recipe.get("card")
    page = _template().render(
        manifest=manifest,
        title=(card.get("title") if isinstance(card, dict) else None) or manifest.name,
        failed=data.failed,
        checks=gate.get("checks") or [],
        gated=bool(gate),
        counts=[(kind, counts[kind]) for kind in views.ordered(counts)],
        held=sum(manifest.samples("validation").values()),
        total=sum(manifest.samples().values()) or sum(funnel.made for funnel in funnels if funnel.kind != TABLES),
        table_rows=sum(table.rows for table in manifest.tables),
        shard_bytes=sum(shard.bytes for shard in manifest.shards),
        read=sum(source.read for source in sources),
        in_error=sum(manifest.errors.values()),
        sources=sources,
        funnels=funnels,
        losses=great_losses(manifest),
        languages=views.languages(manifest),
        samples=_samples(data.samples),
        examples=_examples(data.examples, views.dropped(manifest)),
        similarity=views.similarity(data.similarity),
        quantiles=QUANTILES,
        shards=manifest.shards[:MAX_SHARDS],
        more_shards=max(0, len(manifest.shards) - MAX_SHARDS),
        errors=list(data.errors[:MAX_ERRORS]),
        more_errors=max(0, len(data.errors) - MAX_ERRORS),
        lineage=views.lineage(manifest),
        render=views.flat(manifest.render),
        timings=None if data.timings is None else sorted(data.timings.items(), key=lambda item: (-item[1], item[0])),
    )
    return page.encode("utf-8", "replace")
