"""What the template shows, computed from the manifest: plain values, no markup."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.report.text import number, shown
from pairs.schema import KINDS
from pipelines.dataset import DatasetManifest
from pipelines.ledger import Step

COLOURS = 8
_TOP_LANGUAGES = 12
_CANDIDATES = ("filter", "drop words")


@dataclass
class Drop:
    """Rows that one rule dropped first, or one reason put in error.

    Attributes:
        colour: 1 to COLOURS, 0 for all further rules; -1 for errors.
        alone: Rows that the rule alone would drop; None where nobody counted.
    """

    name: str
    count: int
    alone: int | None
    colour: int


@dataclass
class StepView:
    """One step of a kind, all sources together."""

    name: str
    unit: str
    rows_in: int
    kept: int
    rows_out: int
    drops: list[Drop]
    sources: list[Step]
    width: float = 100.0

    @property
    def multiplies(self) -> bool:
        """Whether rows became others: documents pairs, say."""
        return self.rows_out != self.kept

    @property
    def counted_alone(self) -> bool:
        """Whether it is known what each rule alone would drop."""
        return any(drop.alone is not None for drop in self.drops)


@dataclass
class Funnel:
    """The way of one kind from what was read to what was made.

    Attributes:
        candidates: Rows that the rules judged.
        made: Pairs in shards; where the build has none (the gate refused it), what the last step handed on.
    """

    kind: str
    steps: list[StepView]
    read: int
    read_unit: str
    candidates: int
    made: int
    made_unit: str


@dataclass
class SourceView:
    """What one source gave."""

    name: str
    unit: str
    read: int
    kept: int
    errors: list[tuple[str, int]]
    kinds: list[str]
    repairs: list[tuple[str, int]] = field(default_factory=list)
    roles: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class LanguageView:
    """Languages of one side of one kind, most first."""

    side: str
    total: int
    rows: list[tuple[str, int]]
    others: int = 0
    other_pairs: int = 0


@dataclass
class Lineage:
    """A stage of the lineage."""

    stage: str
    key: str
    code: str
    inputs: list[tuple[str, str]] = field(default_factory=list)


def ordered(kinds: Iterable[str]) -> list[str]:
    """Kinds in the order of the schema, unknown ones behind."""
    place = {kind: index for index, kind in enumerate(KINDS)}
    return sorted(kinds, key=lambda kind: (place.get(kind, len(place)), kind))


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda item: (-item[1], item[0]))


def _sum(dicts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in dicts:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def _names_in_order(steps: list[Step]) -> list[str]:
    """Names of steps in the order in which they ran, where not every source went through all of them."""
    names: list[str] = []
    at: dict[str, int] = {}
    for step in steps:
        if step.step not in names:
            names.insert(at.get(step.source, 0), step.step)
        at[step.source] = names.index(step.step) + 1
    return names


def _step_view(name: str, steps: list[Step]) -> StepView:
    dropped, errors, alone = (_sum(getattr(step, what) for step in steps) for what in ("dropped", "errors", "alone"))
    rules = [*_most_first(dropped), *((rule, 0) for rule, _ in _most_first(alone) if not dropped.get(rule))]
    drops = [
        Drop(rule, count, alone.get(rule) if alone else None, index + 1 if index < COLOURS else 0)
        for index, (rule, count) in enumerate(rules)
    ]
    drops += [Drop(f"error: {reason}", count, None, -1) for reason, count in _most_first(errors)]
    return StepView(
        name=name,
        unit=steps[0].unit,
        rows_in=sum(step.rows_in for step in steps),
        kept=sum(step.kept for step in steps),
        rows_out=sum(step.rows_out for step in steps),
        drops=drops,
        sources=steps,
    )


def funnels(manifest: DatasetManifest) -> list[Funnel]:
    """A funnel a kind; kinds with samples but no ledger are left out."""
    found = []
    samples = manifest.samples()
    for kind in ordered(manifest.ledger):
        steps = manifest.ledger[kind]
        views = [_step_view(name, [step for step in steps if step.step == name]) for name in _names_in_order(steps)]
        if not views:
            continue
        most = max(view.rows_in for view in views) or 1
        for view in views:
            view.width = round(max(1.5, 100 * view.rows_in / most), 2)
        first = next((view for view in reversed(views) if view.name in _CANDIDATES), views[0])
        made = samples.get(kind, views[-1].rows_out)
        found.append(Funnel(kind, views, views[0].rows_in, views[0].unit, first.rows_in, made, views[-1].unit))
    return found


def sources(manifest: DatasetManifest) -> list[SourceView]:
    """What was read of each source. Several kinds may share one: it is counted once."""
    found: dict[str, SourceView] = {}
    for kind in ordered(manifest.ledger):
        for step in manifest.ledger[kind]:
            if step.step != "read":
                continue
            known = found.get(step.source)
            if known is None:
                errors = _most_first(step.errors)
                found[step.source] = SourceView(
                    step.source,
                    step.unit,
                    step.rows_in,
                    step.kept,
                    errors,
                    [kind],
                    _most_first(manifest.repairs.get(step.source, {})),
                    _most_first(manifest.text_roles.get(step.source, {})),
                )
            elif kind not in known.kinds:
                known.kinds.append(kind)
    return [found[name] for name in sorted(found)]


def dropped(manifest: DatasetManifest) -> dict[tuple[str, str], int]:
    """Source and rule -> rows that it dropped, over all steps and kinds."""
    found: Counter[tuple[str, str]] = Counter()
    for steps in manifest.ledger.values():
        for step in steps:
            found.update({(step.source, rule): count for rule, count in step.dropped.items()})
    return found


def languages(manifest: DatasetManifest) -> list[tuple[str, list[LanguageView]]]:
    """Kind -> its sides."""
    found = []
    for kind in ordered(manifest.languages):
        views = []
        for side, counts in sorted(manifest.languages[kind].items()):
            rows = _most_first(counts)
            rest = rows[_TOP_LANGUAGES:]
            views.append(
                LanguageView(
                    side=side,
                    total=sum(counts.values()),
                    rows=rows[:_TOP_LANGUAGES],
                    others=len(rest),
                    other_pairs=sum(count for _, count in rest),
                )
            )
        if any(view.total for view in views):
            found.append((kind, [view for view in views if view.total]))
    return found


@dataclass
class SimilarityView:
    """How the scores of a source are spread, or of its texts in one language (`language` is then its tag)."""

    source: str
    language: str
    scored: int
    quantiles: list[float]


def similarity(facts: Mapping[str, Mapping[str, Any]]) -> list[SimilarityView]:
    """Each source, and behind it its languages, most first."""
    found = []
    for source, told in sorted(facts.items()):
        found.append(SimilarityView(source, "", told["scored"], list(told["quantiles"].values())))
        languages = sorted(told["languages"].items(), key=lambda item: (-item[1]["scored"], item[0]))
        found += [
            SimilarityView(source, tag, one["scored"], list(one["quantiles"].values()))
            for tag, one in languages[:_TOP_LANGUAGES]
        ]
    return [view for view in found if view.quantiles]


def lineage(manifest: DatasetManifest) -> list[Lineage]:
    """Stages with their key and inputs, in the manifest's order of names."""
    found = []
    for stage, told in sorted(manifest.lineage.items()):
        told = told if isinstance(told, dict) else {"key": told}
        inputs = told.get("inputs") or {}
        if isinstance(inputs, dict):
            pairs = [(str(name), _compact(value)) for name, value in sorted(inputs.items())]
        else:
            pairs = [("", _compact(value)) for value in (inputs if isinstance(inputs, list) else [inputs])]
        found.append(Lineage(stage, str(told.get("key", "")), str(told.get("code", told.get("version", ""))), pairs))
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and values."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _compact(value)))
    return rows


def _compact(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return number(value) if isinstance(value, int | float) else shown(value, 400)
