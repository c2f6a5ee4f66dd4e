"""How fast documents become pairs, against the same documents split bare.

    python -m benchmarks.bench_documents [--shared DIR] [--repeats N] [--megabytes N]

Documents: ../shared/data/c4 (web pages, HPLT, C4), over and over, in one .json.gz. One core, processor time; the contenders run one
after the other and that several times over; a ratio is the median over the repeats, so that a busy machine slows both.

Prints a table, then one line a row, `<name> <value> <goal> ok|short`; exits 1 if a row is short, 2 if the documents are not there.

What is compared:
    pairs       ours, MB of text a second: read, tidied, split, measured, languages, drawn, filtered, keyed (at least)
    bare        its time over that of the same reader and bare splitting by sentencex, a line at a time (at most)
    datatrove   its time over that of datatrove's reader with the named splitter, on a part of the documents (at most)
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from pairs import sentences
from pairs.language import LanguageIdentifier
from pipelines.sources import documents
from pipelines.sources.reading import Reading
from pipelines.sources.spec import DocumentsSource

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("webpages_c4style.json.gz", "hplt_c4style.json.gz", "c4_sample.first120.jsonl")
GOALS = {
    "pairs": (10.0, "least"),
    "bare": (1.5, "most"),
    "datatrove+nltk": (1.0, "most"),
    "datatrove+pysbd": (1.0, "most"),
}
SOURCE = DocumentsSource(type="documents", path="x")
SLOW_DOCUMENTS = 60  # what pysbd is timed on


def write(shared: Path, megabytes: float, path: Path) -> tuple[int, float]:
    """Writes the documents over and over, each time with addresses of their own; gives their number and MB of text."""
    rows = []
    for name in NAMES:
        place = shared / "data/c4" / name
        data = place.read_bytes()
        lines = (gzip.decompress(data) if name.endswith(".gz") else data).splitlines()
        rows += [orjson.loads(line) for line in lines if line.strip()]
    once = sum(len(row["text"].encode()) for row in rows) / 1e6
    times = max(1, round(megabytes / once))
    with gzip.open(path, "wb", 6) as out:
        for number in range(times):
            for row in rows:
                out.write(orjson.dumps({"text": row["text"], "url": f"https://bench/{number}"}) + b"\n")
    return times * len(rows), once * times


def mine(path: Path, lid: LanguageIdentifier) -> int:
    """The whole way, as the jobs do it; gives the number of pairs."""
    options = sentences.SentenceOptions()
    made = 0
    for batch in documents.read(SOURCE, str(path), path.name, Reading("bench")):
        found, _ = sentences.annotate(batch, options=options, lid=lid, seed=1, source="bench")
        kept = found.filter(sentences.select(found, options).is_null())
        made += sentences.to_pairs(kept, source="bench", seed=1).num_rows
    return made


def texts_of(path: Path) -> Iterator[str]:
    """The texts, by our reader."""
    for batch in documents.read(SOURCE, str(path), path.name, Reading("bench")):
        yield from batch.column("text").to_pylist()


def bare(path: Path) -> int:
    """Our reader and sentencex alone."""
    import sentencex

    return sum(len(sentencex.segment("en", line)) for text in texts_of(path) for line in text.split("\n") if line)


def datatrove(path: Path, split: Callable[[str], list[str]], limit: int) -> int:
    """Datatrove's reader and a splitter."""
    from datatrove.pipeline.readers import JsonlReader

    reader = JsonlReader(str(path.parent), glob_pattern=path.name, compression="gzip", limit=limit, doc_progress=False)
    return sum(len(split(line)) for document in reader.run() for line in document.text.split("\n") if line)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=12.0)
    words = parser.parse_args()
    if not (words.shared / "data/c4" / NAMES[0]).is_file():
        print(f"no documents under {words.shared}", file=sys.stderr)
        return 2
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "documents.json.gz"
        count, size = write(words.shared, words.megabytes, path)
        lid = LanguageIdentifier()
        pairs = mine(path, lid)
        contenders: dict[str, Callable[[], object]] = {
            "ours": lambda: mine(path, lid),
            "read": lambda: sum(1 for _ in texts_of(path)),
        }
        try:
            import sentencex  # noqa: F401

            contenders["bare"] = lambda: bare(path)
        except ImportError:
            print("sentencex is not installed (the extra `bench`)")
        spent: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(words.repeats):
            for name, work in contenders.items():
                spent[name].append(seconds(work))
        ours = statistics.median(spent["ours"])
        found["pairs"] = size / ours
        print(f"{count} documents, {size:.1f} MB of text, {pairs} pairs")
        for name, times in spent.items():
            print(f"{name:18} {size / statistics.median(times):8.1f} MB/s/core")
        if "bare" in spent:
            found["bare"] = statistics.median(a / b for a, b in zip(spent["ours"], spent["bare"], strict=True))
        try:
            import nltk
            import pysbd

            punkt, segmenter = nltk.tokenize.PunktSentenceTokenizer(), pysbd.Segmenter(language="en", clean=False)
            for name, split, limit in (("nltk", punkt.tokenize, -1), ("pysbd", segmenter.segment, SLOW_DOCUMENTS)):
                part = (
                    sum(
                        len(text.encode())
                        for _, text in zip(range(limit if limit > 0 else count), texts_of(path), strict=False)
                    )
                    / 1e6
                )
                theirs = seconds(lambda split=split, limit=limit: datatrove(path, split, limit))  # type: ignore[misc]
                print(f"{'datatrove+' + name:18} {part / theirs:8.1f} MB/s/core")
                found[f"datatrove+{name}"] = (ours / size) / (theirs / part)
        except ImportError as error:
            print(f"not compared with datatrove: {error}")
    short = False
    for name, value in found.items():
        goal, bound = GOALS[name]
        good = value >= goal if bound == "least" else value <= goal
        short |= not good
        print(f"{name} {value:.2f} {goal} {'ok' if good else 'short'}")
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())
