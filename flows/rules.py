"""What alt-text rules do to real rows, for people to read: the funnel of each preset, and rows that each rule kept and dropped.

Works on annotated batches, those of a build's root or raw files annotated on the spot, and writes nothing into either.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from flows.recipe import RecipeError
from pairs import alt_text, balance, counting, keys, normalise, presets, reasons, similarity
from pairs.alt_text import AltTextOptions
from pairs.language import LanguageIdentifier
from pipelines import manifest as manifests
from pipelines import queries, storage
from pipelines.similarity.table import Scores
from pipelines.sources import image_text
from pipelines.sources.inputs import find
from pipelines.sources.reading import Reading
from pipelines.sources.spec import ImageTextColumns, ImageTextSource
from pipelines.tables import read_batches

_NEEDED = [name for name, _ in alt_text.SCORES]
_CUT = 400
DEFAULT = "default"


@dataclass
class Rows:
    """Annotated rows of one source with their counts over all of them."""

    name: str
    batches: list[pa.RecordBatch]

    @property
    def count(self) -> int:
        """Rows."""
        return sum(batch.num_rows for batch in self.batches)


def options_of(preset: str) -> AltTextOptions:
    """The options of a preset, of a file of options, or the defaults.

    Raises:
        RecipeError: There is no such preset or file, or its options are wrong.
    """
    try:
        if preset == DEFAULT:
            return AltTextOptions()
        if preset.endswith((".yaml", ".yml")):
            from flows.recipe import preset_file

            return _located(AltTextOptions.model_validate(preset_file(Path(preset))), Path(preset).parent)
        return AltTextOptions(preset=preset)
    except ValidationError as error:
        faults = [str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors(include_url=False)]
        raise RecipeError("; ".join(faults)) from error


def _located(options: AltTextOptions, folder: Path) -> AltTextOptions:
    """Lists of queries are looked for from the preset's own folder."""
    if options.balance is None:
        return options
    places = tuple(place if "://" in place else str(folder / place) for place in options.balance.queries)
    return options.model_copy(update={"balance": options.balance.model_copy(update={"queries": places})})


def annotated(places: list[str], text: str | None = None) -> Iterator[Rows]:
    """The annotated rows of each place, counted.

    Args:
        places: Roots of builds (all of their annotated alt-texts, a source each), annotate stages, or raw files that the source
            type image_text reads.
        text: The column of raw files that holds the text; by default the usual names are looked for.

    Raises:
        RecipeError: A place holds no alt-texts.
    """
    for place in places:
        found = False
        for name, batches in _annotated(place, text):
            found = True
            yield Rows(name, _counted(batches))
        if not found:
            raise RecipeError(f"{place}: no annotated alt-texts: give a build's root, an annotate stage or raw files")


def _annotated(place: str, text: str | None) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
    if not (storage.is_local(place) and storage.local_path(place).is_dir()):
        yield place.rsplit("/", 1)[-1], list(_raw(place, text))
        return
    folder = storage.local_path(place)
    for path in sorted({*folder.glob("MANIFEST.json"), *folder.glob("stages/annotate-*/MANIFEST.json")}):
        manifest = manifests.read(str(path.parent))
        if manifest is None or not manifest.stage.startswith("annotate-"):
            continue
        batches = list(_with_scores(path.parent, manifest))
        if batches and set(_NEEDED) <= set(batches[0].schema.names):
            yield manifest.stage.removeprefix("annotate-"), batches


def _with_scores(folder: Path, manifest: manifests.StageManifest) -> Iterator[pa.RecordBatch]:
    """The annotated rows; where the same root has scores of them, the latest, those without rows that were in error there."""
    name = manifest.stage.removeprefix("annotate-")
    found = []
    for path in folder.parent.glob(f"score-{name}-*/{manifests.NAME}"):
        scored = manifests.read(str(path.parent))
        if scored is not None and scored.inputs.get(name) == manifest.digest:
            found.append((path.stat().st_mtime_ns, path.parent))
    for part in manifest.tables():
        scores = Scores(str(max(found)[1] / part.path)) if found else None
        first = 0
        for batch in read_batches(str(folder / part.path)):
            yield batch if scores is None else scores.beside(batch, first)
            first += batch.num_rows


def _raw(place: str, text: str | None) -> Iterator[pa.RecordBatch]:
    source = ImageTextSource(type="image_text", path=place, columns=ImageTextColumns(text=text))
    lid = LanguageIdentifier()
    with tempfile.TemporaryDirectory() as folder:
        for unit in find("files", source, str, folder).units():
            with storage.AtomicFile(storage.join(folder, "blob"), keep_empty=False) as blob:
                reading = Reading("files")
                for batch in image_text.read(source, unit["url"], unit["path"], unit["cut"], reading, blob, "blob"):
                    yield alt_text.annotate(batch, lid=lid)


def _counted(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    both = [counting.identities(batch) for batch in batches]
    text, image = (np.concatenate([pair[at] for pair in both]) for at in (0, 1))
    every = {
        name: counting.count(name, *((text, image) if name in counting.BY_TEXT else (image, text)))
        for name in counting.COUNTS
    }
    made, first = [], 0
    for batch in batches:
        last = first + batch.num_rows
        made.append(counting.with_counts(batch, {name: values[first:last] for name, values in every.items()}))
        first = last
    return made


def funnel(rows: Rows, options: AltTextOptions) -> dict[str, Any]:
    """How many rows come in, what each rule drops of those that the rules before it left, and what is kept.

    Returns:
        in, kept, dropped (rule -> rows, in the options' order) and alone (rule -> rows that it alone would drop).
    """
    dropped: dict[str, int] = {}
    alone: dict[str, int] = {}
    for batch in rows.batches:
        fails = alt_text.fails(batch, _here(options, batch))
        for rule, count in reasons.count(reasons.first_failure(fails, batch.num_rows)).items():
            dropped[rule] = dropped.get(rule, 0) + count
        for rule, count in reasons.alone(fails).items():
            alone[rule] = alone.get(rule, 0) + count
    ordered = {rule: dropped.get(rule, 0) for rule in options.order if alone.get(rule)}
    return {"in": rows.count, "kept": rows.count - sum(dropped.values()), "dropped": ordered, "alone": alone}


def balanced(rows: Rows, options: AltTextOptions, seed: int = 0) -> dict[str, Any] | None:
    """What balancing does to the rows that the rules keep; None where the options have no list of queries.

    Duplicates are not dropped before, as a build does, so that its counts are smaller where rows come twice.

    Returns:
        in, dropped (unmatched, balanced_out), kept, and the figures of `queries.figures` with what was read of the lists.

    Raises:
        SourceError: A list cannot be used.
    """
    if options.balance is None:
        return None
    given = options.balance
    listed, read = queries.gather(given, queries.files_of(given.queries))
    matcher = balance.Matcher.of(listed, given)
    draws, found, first = [np.zeros(0, np.uint64)], [np.zeros((2, 0), np.int64)], 0
    for batch in rows.batches:
        kept = batch.filter(pc.is_null(alt_text.select(batch, _here(options, batch))))
        has_image = "image" in kept.schema.names and not kept.column("image").null_count
        made = alt_text.to_pairs(kept, source="") if has_image else alt_text.to_table(kept, source="")
        draws.append(balance.pair_draws(made.column("key"), seed))
        at, ids = matcher.match(kept.column("text"))
        found.append(np.stack([at + first, ids]))
        first += kept.num_rows
    every, (at, ids) = np.concatenate(draws), np.concatenate(found, axis=1)
    count = np.bincount(ids, minlength=matcher.n)
    why = balance.reasons_of(first, at, balance.chosen(every[at], ids, listed, count, given), given)
    left = np.bincount(ids[why[at] == 0], minlength=matcher.n)
    table = queries.counts_table(listed, count, left)
    return {
        "in": first,
        "dropped": reasons.count(balance.reason_names(why)),
        "kept": int((why == 0).sum()),
        "matched": len(np.unique(at)),
        **read,
        **queries.figures(count, left, table, given.threshold),
    }


def with_queries(options: AltTextOptions, places: list[str] | None, threshold: int, mode: str) -> AltTextOptions:
    """The options with balancing by some lists of queries; none: as they are.

    Raises:
        RecipeError: The mode is none.
    """
    if not places:
        return options
    try:
        given = balance.BalanceOptions(queries=tuple(places), threshold=threshold, mode=mode)
    except ValueError as error:
        raise RecipeError(f"--mode {mode!r}: probability and cap there are") from error
    return options.model_copy(update={"balance": given})


def balance_lines(found: dict[str, Any] | None, top: int) -> list[str]:
    """What `balanced` gives, as lines to print."""
    if found is None:
        return []
    rows = max(1, found["in"])
    before, after = found["top_share"], found["top_share_kept"]
    lines = [
        f"  balance: {found['queries']:,} queries ({found['duplicates']:,} twice, {found['empty']:,} empty lines), "
        f"{found['met']:,} met, {found['above']:,} above the threshold; {found['matched'] / rows:.1%} of the rows hold one; "
        f"the first hundredth of the met queries has {before:.1%} of the matches before, {after:.1%} after"
    ]
    left = found["in"]
    for reason in balance.REASONS:
        count = found["dropped"].get(reason, 0)
        left -= count
        lines.append(f"  {reason:<22}{-count:>9,}{left:>10,}")
    lines.append(f"  {'balanced':<22}{'':>9}{found['kept']:>10,}   {found['kept'] / rows:.1%} of what the rules keep")
    return lines + [f"    {query:<24}{count:>9,} -> {kept:,}" for query, count, kept in found["top"][:top]]


def repairs(rows: Rows) -> dict[str, int]:
    """What normalising changed -> rows, most first."""
    counts: Counter[str] = Counter()
    for batch in rows.batches:
        counts.update(normalise.count_repairs(batch.column("repairs")))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _here(options: AltTextOptions, batch: pa.RecordBatch) -> AltTextOptions:
    """Without the rules that need what is not here: lists of words, evaluation sets, scores that nobody made."""
    off: dict[str, Any] = {"frequent_words": None, "decontaminate": None}
    if similarity.COLUMN not in batch.schema.names:
        off["min_similarity"] = None
    return options.model_copy(update=off)


def samples(rows: Rows, options: AltTextOptions, count: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Random rows that were kept (`kept`), and for each rule rows that it is the first to drop.

    The same rows on every run: those with the least hash(seed, origin).
    """
    chosen: dict[str, list[tuple[int, dict[str, Any]]]] = {"kept": []}
    for batch in rows.batches:
        fails = alt_text.fails(batch, _here(options, batch))
        why = reasons.first_failure(fails, batch.num_rows)
        draws = keys.draw(batch.column("origin"), seed, "samples")
        masks = {"kept": pc.is_null(why), **{rule: pc.fill_null(pc.equal(why, rule), False) for rule in fails}}
        for rule, mask in masks.items():
            at = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
            least = at[np.argsort(draws[at], kind="stable")[:count]]
            into = chosen.setdefault(rule, [])
            into += [(int(draws[row]), _shown(batch.slice(int(row), 1), why[int(row)].as_py())) for row in least]
    return {
        rule: [row for _, row in sorted(found, key=lambda item: (item[0], json.dumps(item[1], sort_keys=True)))[:count]]
        for rule, found in chosen.items()
    }


def _shown(row: pa.RecordBatch, why: str | None) -> dict[str, Any]:
    raw, text = row.column("raw_text")[0].as_py(), row.column("text")[0].as_py()
    shown = {"text": text[:_CUT], "lang": row.column("lang")[0].as_py(), "origin": row.column("origin")[0].as_py()}
    if raw.strip() != text:
        shown["raw_text"] = raw[:_CUT]
    if why is not None:
        shown["reason"] = why
    if similarity.COLUMN in row.schema.names:
        shown["similarity"] = round(row.column(similarity.COLUMN)[0].as_py() or 0.0, similarity.DIGITS)
    image = row.column("image")[0].as_py() if "image" in row.schema.names else None
    if image is not None:
        shown["image"] = f"{image['width']}x{image['height']} {image['format']}, {image['length']} bytes"
    return shown


def write_samples(rows: Rows, options: AltTextOptions, folder: Path, count: int, seed: int) -> list[Path]:
    """Writes one file for the kept rows and one for each rule that drops any: a line a row, the text first."""
    made = []
    for rule, found in samples(rows, options, count, seed).items():
        if not found:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{rows.name}.{rule}.txt"
        lines = [
            "\t".join([row.pop("text") or "(empty)", *(f"{name}={value!r}" for name, value in row.items())])
            for row in found
        ]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        made.append(path)
    return made


def every_preset() -> list[str]:
    """The defaults and all presets."""
    return [DEFAULT, *presets.names()]
