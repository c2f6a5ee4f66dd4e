"""How well sentence boundaries are recovered, beside four libraries.

    python -m benchmarks.boundaries [--shared DIR] [--markdown]

The segments of WMT22's documents (../shared/data/wmt/wmt22, the XML files; sources and references, no machine translations) are
joined to one paragraph a `<p>`, by a space or, in Chinese and Japanese, by nothing. A boundary is a place between two segments,
counted in characters that are no spaces; precision, recall and F1 are of the places that a splitter cuts at. Many segments end
without a mark, which bounds the recall of all. Languages with no XML file are made of the line-aligned files, eight lines a
paragraph.

Errors were read in all of these while the rules were made; what was not looked at is in docs/pairs.md.

Speed is of one core, megabytes of UTF-8 a second of processor time. Libraries that are not installed (the extra `bench`) are left
out. Prints a table; exits 1 where ours is beaten by one of them, by more than 0.0005, in F1 or precision of a language of the XML
files, or slower than 10 MB/s.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pairs import boundaries

ROOT = Path(__file__).resolve().parent.parent
UNSPACED = ("zh", "ja")
LINES = 8
PLAIN = {
    "cs": ["generaltest2022.cs-en.src.cs", "generaltest2022.en-cs.ref.B.cs"],
    "ru": ["generaltest2022.ru-en.src.ru", "generaltest2022.en-ru.ref.A.ru"],
    "uk": ["generaltest2022.uk-en.src.uk"],
}
TOLERANCE = 0.0005
SPEED = 10.0

Paragraphs = list[tuple[str, ...]]
Splitter = Callable[[str, str], list[str]]


def xml_paragraphs(shared: Path) -> dict[str, Paragraphs]:
    """Language -> paragraphs as tuples of segments, each once."""
    from xml.etree import ElementTree  # the files are ours to trust

    found: dict[str, dict[tuple[str, ...], None]] = defaultdict(dict)
    for path in sorted((shared / "data/wmt/wmt22").glob("*.xml.gz")):
        with gzip.open(path) as file:
            root = ElementTree.parse(file).getroot()  # noqa: S314
        for document in root.iter("doc"):
            for side in [*document.findall("src"), *document.findall("ref")]:
                for paragraph in side.findall("p"):
                    segments = tuple(" ".join((segment.text or "").split()) for segment in paragraph.findall("seg"))
                    found[str(side.get("lang"))][tuple(segment for segment in segments if segment)] = None
    return {lang: list(paragraphs) for lang, paragraphs in sorted(found.items())}


def plain_paragraphs(shared: Path) -> dict[str, Paragraphs]:
    """The same of line-aligned files."""
    found: dict[str, Paragraphs] = {}
    for lang, names in PLAIN.items():
        found[lang] = []
        for name in names:
            lines = (shared / "data/wmt/wmt22" / name).read_text(encoding="utf-8").splitlines()
            tidy = [" ".join(line.split()) for line in lines]
            found[lang] += [tuple(line for line in tidy[at : at + LINES] if line) for at in range(0, len(tidy), LINES)]
    return found


def places(pieces: list[str]) -> set[int]:
    """Where pieces end, but for the last, in characters that are no spaces."""
    found, at = set(), 0
    for piece in pieces:
        at += len("".join(piece.split()))
        found.add(at)
    return found - {at}


def ours(lang: str, texts: list[str]) -> list[list[str]]:
    """All paragraphs at once, as the miner does."""
    pieces, counts = boundaries.split(pa.array(texts, pa.string()), pa.array([lang] * len(texts), pa.string()))
    every, found, at = pieces.to_pylist(), [], 0
    for count in counts.tolist():
        found.append(every[at : at + count])
        at += count
    return found


def each(split: Splitter, lang: str, texts: list[str]) -> list[list[str]]:
    """Paragraph by paragraph, as the libraries do."""
    return [split(lang, text) for text in texts]


def libraries() -> dict[str, Splitter]:
    """Those of the four that are installed."""
    found: dict[str, Splitter] = {}
    made: dict[tuple[str, str], Any] = {}

    def of(kind: str, lang: str, make: Callable[[str], Any]) -> Any:
        if (kind, lang) not in made:
            try:
                made[kind, lang] = make(lang)
            except Exception:  # a language that the library has not
                made[kind, lang] = make("en")
        return made[kind, lang]

    try:
        import sentencex

        found["sentencex"] = lambda lang, text: sentencex.segment(lang, text)
    except ImportError:
        pass
    try:
        import blingfire

        found["blingfire"] = lambda _, text: blingfire.text_to_sentences(text).split("\n")
    except ImportError:
        pass
    try:
        from sentence_splitter import SentenceSplitter

        found["moses"] = lambda lang, text: of("moses", lang, lambda tag: SentenceSplitter(language=tag)).split(text)
    except ImportError:
        pass
    try:
        import pysbd

        found["pysbd"] = lambda lang, text: of(
            "pysbd", lang, lambda tag: pysbd.Segmenter(language=tag, clean=False)
        ).segment(text)
    except ImportError:
        pass
    return found


def measure(
    paragraphs: Paragraphs, lang: str, split: Callable[[list[str]], list[list[str]]]
) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and megabytes a second."""
    joint = "" if lang in UNSPACED else " "
    texts = [joint.join(segments) for segments in paragraphs]
    start = time.process_time()
    got = split(texts)
    spent = time.process_time() - start
    right = said = true = 0
    for segments, pieces in zip(paragraphs, got, strict=True):
        wanted, found = places(list(segments)), places(pieces)
        right, said, true = right + len(wanted & found), said + len(found), true + len(wanted)
    precision, recall = right / max(said, 1), right / max(true, 1)
    both = 2 * precision * recall / max(precision + recall, 1e-9)
    return precision, recall, both, sum(len(text.encode()) for text in texts) / 1e6 / max(spent, 1e-9)


def speed(texts: list[str], lang: str) -> float:
    """Ours over some megabytes in a column, megabytes a second: the best of five."""
    many = pa.array(texts * (1 + 4_000_000 // sum(len(text) for text in texts)), pa.string())
    langs = pa.array([lang] * len(many), pa.string())
    size = sum(len(text.encode()) for text in texts) * len(many) / len(texts) / 1e6
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        boundaries.split(many, langs)
        best = min(best, time.process_time() - start)
    return size / best


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    words = parser.parse_args()
    if not (words.shared / "data/wmt/wmt22").is_dir():
        print(f"no WMT22 documents under {words.shared}", file=sys.stderr)
        return 2
    others = libraries()
    names = ["ours", *others]
    beaten = []
    print(
        "| language | segments | " + " | ".join(names) + " |"
        if words.markdown
        else "precision / recall / F1 / MB a second"
    )
    if words.markdown:
        print("|---" * (len(names) + 2) + "|")
    for kind, data in (("xml", xml_paragraphs(words.shared)), ("lines", plain_paragraphs(words.shared))):
        for lang, paragraphs in data.items():
            ours(lang, ["Warm. Up."])
            found = {"ours": measure(paragraphs, lang, functools.partial(ours, lang))}
            joint = "" if lang in UNSPACED else " "
            fast = speed([joint.join(segments) for segments in paragraphs], lang)
            found["ours"] = (*found["ours"][:3], fast)
            for name, split in others.items():
                found[name] = measure(paragraphs, lang, functools.partial(each, split, lang))
            cells = [f"{p:.3f} / {r:.3f} / {f:.3f} / {mb:.1f}" for p, r, f, mb in (found[name] for name in names)]
            label = lang if kind == "xml" else f"{lang} (lines)"
            count = sum(map(len, paragraphs))
            if words.markdown:
                print(f"| {label} | {count} | " + " | ".join(cells) + " |")
            else:
                print(
                    f"{label:10} {count:6} "
                    + "  ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
                )
            best = [max(found[name][at] for name in names) for at in (0, 2)]
            if kind == "xml" and (
                found["ours"][0] < best[0] - TOLERANCE or found["ours"][2] < best[1] - TOLERANCE or fast < SPEED
            ):
                beaten.append(lang)
    if beaten:
        print(f"short in {', '.join(beaten)}")
    return 1 if beaten else 0


if __name__ == "__main__":
    raise SystemExit(main())
