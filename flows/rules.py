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

from flows.recipe import RecipeError
from pairs import alt_text, counting, keys, normalise, presets, reasons
from pairs.alt_text import AltTextOptions
from pairs.language import LanguageIdentifier
from pipelines import manifest as manifests
from pipelines import storage
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

            return AltTextOptions.model_validate(preset_file(Path(preset)))
        return AltTextOptions(preset=preset)
    except ValueError as error:
        raise RecipeError(f"preset {preset!r}: {error}") from error


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
        batches = [batch for part in manifest.tables() for batch in read_batches(str(path.parent / part.path))]
        if batches and set(_NEEDED) <= set(batches[0].schema.names):
            yield manifest.stage.removeprefix("annotate-"), batches


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
        fails = alt_text.fails(batch, _here(options))
        for rule, count in reasons.count(reasons.first_failure(fails, batch.num_rows)).items():
            dropped[rule] = dropped.get(rule, 0) + count
        for rule, count in reasons.alone(fails).items():
            alone[rule] = alone.get(rule, 0) + count
    ordered = {rule: dropped.get(rule, 0) for rule in options.order if alone.get(rule)}
    return {"in": rows.count, "kept": rows.count - sum(dropped.values()), "dropped": ordered, "alone": alone}


def repairs(rows: Rows) -> dict[str, int]:
    """What normalising changed -> rows, most first."""
    counts: Counter[str] = Counter()
    for batch in rows.batches:
        counts.update(normalise.count_repairs(batch.column("repairs")))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _here(options: AltTextOptions) -> AltTextOptions:
    """Without the rules that need other files: lists of words, evaluation sets."""
    return options.model_copy(update={"frequent_words": None, "decontaminate": None})


def samples(rows: Rows, options: AltTextOptions, count: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Random rows that were kept (`kept`), and for each rule rows that it is the first to drop.

    The same rows on every run: those with the least hash(seed, origin).
    """
    chosen: dict[str, list[tuple[int, dict[str, Any]]]] = {"kept": []}
    for batch in rows.batches:
        fails = alt_text.fails(batch, _here(options))
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
