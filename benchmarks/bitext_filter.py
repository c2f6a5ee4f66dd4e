"""What the translation rules do to real bitext: kept and dropped by rule, against human judgements where there are any.

    python -m benchmarks.bitext_filter DATA [--read N]

DATA is the folder of real samples (wmt/, mozilla_translations/). Prints, each with its goal:

    references  WMT22's human translations: pairs of every set, dropped by rule; at most 3 % of any set
    mlqe        MLQE-PE ro-en: kept by mean direct assessment; of 70 and better at least 95 %
    mined       ELRC-3075: dropped by rule; ELRC-2922 after it: pairs that are new
    bound       all en-X of WMT22 together: pairs before and after the bound, most pairs of one sentence

and with --read N as many dropped and as many kept pairs of ELRC-3075, drawn by hash, for a person to judge. Exits 1 if a goal is
missed, 2 if the data is not there.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs import dedupe, keys, reasons, translations
from pairs.language import LanguageIdentifier
from pairs.translations import TranslationOptions
from pipelines.sources import bitext
from pipelines.sources.reading import Reading
from pipelines.sources.spec import BitextSource

OPTIONS = TranslationOptions()
MOST_DROPPED = 0.03
LEAST_KEPT = 0.95
_BANDS = ((70.0, 101.0), (15.0, 70.0), (0.0, 15.0))


def annotated(source: BitextSource, unit: dict[str, Any], lid: LanguageIdentifier) -> pa.RecordBatch:
    """All rows of a unit, scored."""
    batches = list(bitext.read(source, unit, Reading(str(unit["path"]))))
    return translations.annotate(
        pa.Table.from_batches(batches).combine_chunks().to_batches()[0], options=OPTIONS, lid=lid
    )


def references(folder: Path, lid: LanguageIdentifier) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Every reference of WMT22's sets."""
    for right in sorted(folder.glob("*.ref.*")):
        _, pair, _, which, target = right.name.split(".")
        source = pair.split("-")[0]
        left = folder / f"generaltest2022.{pair}.src.{source}"
        words = BitextSource(type="bitext", left=str(left), right=str(right), languages=(source, target))
        yield f"{pair} {which}", annotated(words, {"url": str(left), "right_url": str(right), "path": right.name}, lid)


def zipped(path: Path, lid: LanguageIdentifier) -> pa.RecordBatch:
    """An English-Russian Moses zip."""
    source = BitextSource(type="bitext", path=str(path), languages=("en", "ru"))
    return annotated(source, {"url": str(path), "path": path.name}, lid)


def assessed(archive: Path, lid: LanguageIdentifier) -> tuple[pa.RecordBatch, np.ndarray]:
    """MLQE-PE's pairs and their mean direct assessments."""
    with tempfile.TemporaryDirectory() as name, tarfile.open(archive) as tar:
        member = next(member for member in tar if member.name.endswith(".tsv"))
        path = Path(name) / "assessed.tsv"
        path.write_bytes(tar.extractfile(member).read())  # type: ignore[union-attr]
        columns: dict[str, Any] = {"left": "original", "right": "translation", "id": "mean"}
        source = BitextSource(type="bitext", path=str(path), languages=("ro", "en"), columns=columns)
        batch = annotated(source, {"url": str(path), "path": path.name}, lid)
    return batch, np.array([float(origin.rsplit(":", 1)[1]) for origin in batch.column("origin").to_pylist()])


def kept_pairs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The pairs of the rows that pass."""
    return translations.to_pairs(batch.filter(pc.is_null(translations.select(batch, OPTIONS))), source="bench", seed=1)


def beyond_bound(pairs: pa.RecordBatch, bound: int) -> np.ndarray:
    """The pairs of which a sentence, on whichever side, has `bound` pairs of lesser rank."""
    n = pairs.num_rows
    rank = np.argsort(np.argsort(dedupe.ranks(pairs, 1), kind="stable"), kind="stable")
    sentence = np.concatenate(translations.sentences(pairs))
    beyond = dedupe.beyond(sentence, np.concatenate([rank, rank]), bound)
    return beyond[:n] | beyond[n:]


def line(name: str, why: pa.StringArray) -> float:
    """Prints a row of the table; gives the share dropped."""
    dropped = reasons.count(why)
    share = sum(dropped.values()) / max(1, len(why))
    words = ", ".join(f"{rule} {rows}" for rule, rows in sorted(dropped.items(), key=lambda item: -item[1]))
    print(f"  {name:<14}{len(why):>7,}{100 * share:>8.2f} %   {words}")
    return share


def show(batch: pa.RecordBatch, why: pa.StringArray, count: int) -> None:
    """Prints dropped and kept pairs, drawn by hash."""
    order = np.argsort(keys.draw(batch.column("origin"), 1, "read"), kind="stable")
    reason = why.to_pylist()
    for title, wanted in (("dropped", False), ("kept", True)):
        print(f"\n{title}:")
        for at in [int(at) for at in order if (reason[at] is None) == wanted][:count]:
            left, right = (batch.column(f"{side}_text")[at].as_py() for side in ("left", "right"))
            print(f"  {reason[at] or '-'} | {left} ||| {right}")


def main() -> int:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="folder of real samples")
    parser.add_argument("--read", type=int, default=0, help="pairs to print for reading")
    given = parser.parse_args()
    if not (given.data / "wmt/wmt22").is_dir():
        print(f"no real samples at {given.data}", file=sys.stderr)
        return 2
    lid = LanguageIdentifier()
    missed = []
    print(f"references: at most {MOST_DROPPED:.0%} dropped\n  set             pairs  dropped")
    from_english = []
    for name, batch in references(given.data / "wmt/wmt22", lid):
        if line(name, translations.select(batch, OPTIONS)) > MOST_DROPPED:
            missed.append(f"references {name}")
        if name.startswith("en-"):
            from_english.append(kept_pairs(batch))
    batch, mean = assessed(given.data / "wmt/mlqe-pe/ro-en-train.tar.gz", lid)
    why = translations.select(batch, OPTIONS)
    print(f"\nmlqe ro-en: of 70 and better at least {LEAST_KEPT:.0%} kept")
    for low, high in _BANDS:
        share = line(f"{low:.0f} to {min(high, 100):.0f}", why.filter(pa.array((mean >= low) & (mean < high))))
        if low == 70 and 1 - share < LEAST_KEPT:
            missed.append("mlqe")
    print("\nmined")
    mined, again = (zipped(given.data / f"mozilla_translations/{name}.txt.zip", lid) for name in ("en-ru", "en-ru2"))
    why = translations.select(mined, OPTIONS)
    line("ELRC-3075", why)
    line("ELRC-2922", translations.select(again, OPTIONS))
    first, second = (set(kept_pairs(part).column("key").to_pylist()) for part in (mined, again))
    print(
        f"  ELRC-3075 has {len(first):,} unique pairs; ELRC-2922 after it adds {len(second - first):,} of {len(second):,}"
    )
    print(f"\nbound: {OPTIONS.max_pairs_per_source} pairs of one sentence")
    unique, _ = dedupe.drop_duplicates(pa.Table.from_batches(from_english).combine_chunks().to_batches()[0], 1)
    lost = beyond_bound(unique, OPTIONS.max_pairs_per_source or unique.num_rows)
    for words, pairs in (("before", unique), ("after", unique.filter(pa.array(~lost)))):
        most = int(np.unique(np.concatenate(translations.sentences(pairs)), return_counts=True)[1].max())
        print(f"  {words:<14}{pairs.num_rows:>7,} pairs, most of one sentence {most}")
    if most > (OPTIONS.max_pairs_per_source or most):
        missed.append("bound")
    if given.read:
        show(mined, why, given.read)
    print(f"\nmissed: {', '.join(missed) or 'nothing'}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
