"""Rules that dropped most of a source: what a person should look at before training, as lines; computed from the ledger alone."""

from __future__ import annotations

from typing import Final

from flows.report.text import share
from pipelines.dataset import DatasetManifest

_SHARE = 0.5
_LEAST_ROWS = 50  # of a handful of rows any share is chance
_MOST_LINES = 6
# Not faults that a row has: of what is sound, so much is wanted.
_WANTED_FEWER: Final = frozenset({"not_drawn", "balanced_out"})


def great_losses(manifest: DatasetManifest) -> list[str]:
    """One line for each step of a source in which one rule dropped more than half of at least 50 rows.

    Args:
        manifest: Of a version, or of a build whose gate failed.

    Returns:
        The greatest shares first, at most six; then how many more there are. The same lines for the same manifest.
    """
    found: set[tuple[float, str]] = set()
    for kind, steps in manifest.ledger.items():
        for step in steps:
            for rule, count in step.dropped.items():
                if step.rows_in < _LEAST_ROWS or count <= _SHARE * step.rows_in or rule in _WANTED_FEWER:
                    continue
                words = f"{kind}, source {step.source}: {rule} dropped {share(count, step.rows_in)} of the {step.unit} "
                words += f"({count:,} of {step.rows_in:,}){_question(manifest, step.source, rule)}"
                found.add((-count / step.rows_in, words))
    lines = [words for _, words in sorted(found)]
    more = len(lines) - _MOST_LINES
    return lines[:_MOST_LINES] + ([f"and {more} more, under Kept and dropped in the report"] if more > 0 else [])


def _question(manifest: DatasetManifest, source: str, rule: str) -> str:
    """What is likely behind it, where something is."""
    told = manifest.recipe.get("sources", {}).get(source, {})
    if rule == "wrong_language" and isinstance(told, dict) and told.get("type") == "bitext":
        return "; are its `languages` in the order of the files?"
    if rule == "alone":
        return "; they hold one sentence, which has no neighbour: is a line a whole paragraph?"
    return ""
