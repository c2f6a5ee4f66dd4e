"""README.md of a version: the card that Hugging Face shows, which also tells `datasets` how to read the shards.

Everything that comes out of data or out of a recipe is escaped: it reads as the text that it is, never as markdown or
HTML.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import yaml

from pairs.schema import KINDS
from pipelines.dataset import SPLITS, DatasetManifest
from pipelines.ledger import Step

_MEANING = {
    "image_alt": "a photograph and its alt-text",
    "sentences": "two sentences that follow each other in one paragraph",
    "translations": "a sentence and its translation",
    "back_translation": "a sentence and its translation back from another language",
    "word_drop": "a sentence and the same sentence with words left out",
}
_TASKS = {
    "image_alt": "zero-shot-image-classification",
    "sentences": "sentence-similarity",
    "translations": "translation",
    "back_translation": "sentence-similarity",
    "word_drop": "sentence-similarity",
}
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"),
    (10**12, "100B<n<1T"),
)
_LONGEST = 4000
_INTRODUCTION = """\
Training pairs for models that read photographs and text with one and the same vision tower, such as CLIPPO: every text
is here as pixels and as text. Each pair has a left side (a photograph or a drawn text) and a right side (a drawn text).
"""
_LOADING = """\
## Loading

The snippets run in this folder. A sample is `<key>.jpg|png|webp` (left pixels), `<key>.text.png` (right text as
pixels), `<key>.txt` (right text) and `<key>.json` (left text, languages, source, scores).

With webdataset:

```python
import glob

import webdataset as wds

shards = sorted(glob.glob("train/KIND-*.tar"))
dataset = (
    wds.WebDataset(shards, shardshuffle=False)
    .decode("pil")
    .rename(left="jpg;png;webp", right="text.png", text="txt", rest="json")
)
for sample in dataset:
    print(sample["__key__"], sample["left"].size, sample["right"].size, sample["text"])
    break
```

With Hugging Face `datasets`. This card declares the columns, so load the folder (or the repository), not bare tars:
`datasets` guesses the columns of bare tars from the first five samples, and photographs come as `jpg`, `png` or `webp`.
It leaves out `scores`, whose names differ from rule to rule.

```python
import os

from datasets import load_dataset

dataset = load_dataset(os.getcwd(), "KIND", split="train", streaming=True)
for sample in dataset:
    left = next(sample[name] for name in ("jpg", "png", "webp") if sample.get(name) is not None)
    print(sample["__key__"], left.size, sample["text.png"].size, sample["txt"])
    break
```

With the standard library and Pillow:

```python
import glob
import tarfile

from PIL import Image

with tarfile.open(sorted(glob.glob("train/KIND-*.tar"))[0]) as tar:
    for member in tar:
        if member.name.endswith(".text.png"):
            picture = Image.open(tar.extractfile(member))
            print(member.name, picture.size, picture.mode)
            break
```

`train/sizes.json` has the samples of every shard, `train/<kind>.wids.json` an index for random access, and
`MANIFEST.json` the sha256 of every shard; `pixelpairs verify` holds a copy against it.
"""


_HELD_OUT = """\
Held out for evaluation, the split `validation`: whole photographs, documents and sentences with all of their pairs,
drawn by hash. No photograph and no text of a held-out pair is in a pair of its kind in `train`.
"""


def plain(text: object, limit: int = 300) -> str:
    """A text made fit for one line of markdown: shown as it is, cut at `limit` characters, never markup.

    Control and text-direction characters become spaces; what markdown or HTML would read as markup is escaped, and so
    are the signs by which GitHub and Hugging Face turn bare addresses and names into links.
    """
    shown = str(text)
    cut = len(shown) > limit
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cf", "Zl", "Zp") else c for c in shown[:limit])
    shown = " ".join(shown.split())
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"([\\`*{}\[\]|~$!]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", shown)  # no emphasis within a word
    shown = shown.replace("://", "&#58;//").replace("@", "&#64;").replace("www.", "www&#46;")
    shown = re.sub(r"^([#+=-]|\d+(?=[.)]))", lambda found: _first_escaped(found[1]), shown)
    return shown + "…" if cut else shown


def _first_escaped(text: str) -> str:
    """What would start a heading, list or rule at the head of a line."""
    return f"&#{ord(text[0])};{text[1:]}"


def size_category(samples: int) -> str:
    """The Hub's name for a number of samples."""
    return next((name for bound, name in _SIZES if samples < bound), "n>1T")


def kinds_of(manifest: DatasetManifest) -> list[str]:
    """Kinds that have samples, in the order of the schema."""
    counts = manifest.samples()
    order = {kind: index for index, kind in enumerate(KINDS)}
    found = [kind for kind, count in counts.items() if count]
    return sorted(found, key=lambda kind: (order.get(kind, len(order)), kind))


def languages_of(manifest: DatasetManifest) -> list[str]:
    """Language tags over all kinds and sides, sorted, without the unknown."""
    sides = [counts for kinds in manifest.languages.values() for counts in kinds.values()]
    return sorted({code for counts in sides for code, pairs in counts.items() if pairs} - {"und", ""})


def features(kind: str) -> list[dict[str, Any]]:
    """What `datasets` needs to be told of a sample, in the form of a card's `dataset_info`.

    Left alone it reads the first five samples and takes the rest to be alike: it refuses shards in which JPEGs and PNGs
    alternate, and takes a field that is null in all five for one that is null everywhere.
    """
    rest = ["key", "kind", "source", "origin", "url", "left_text", "left_lang", "right_lang"]
    struct: list[dict[str, Any]] = [{"name": name, "dtype": "string"} for name in rest]
    struct += [{"name": name, "dtype": "bool"} for name in ("left_cut", "right_cut")]
    if kind == "image_alt":
        image = [("format", "string"), ("width", "int32"), ("height", "int32"), ("sha256", "string")]
        struct.append({"name": "image", "struct": [{"name": name, "dtype": dtype} for name, dtype in image]})
    left = ("jpg", "png", "webp") if kind == "image_alt" else ("png",)
    return [
        *({"name": name, "dtype": "image"} for name in (*left, "text.png")),
        {"name": "txt", "dtype": "string"},
        {"name": "json", "struct": struct},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _license(manifest: DatasetManifest) -> tuple[dict[str, str], str]:
    """Front matter and a sentence."""
    told = (manifest.recipe.get("card") or {}).get("license")
    if not told or told in ("other", "unknown"):
        return {"license": "unknown"}, (
            "The recipe names no licence for this collection. Each pair stays under the terms of the source that it\n"
            "came from; whoever uses or passes on this data set has to look those up."
        )
    told = str(told)
    known = re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,39}", told)
    front = {"license": told} if known else {"license": "other", "license_name": " ".join(told[:80].split())}
    return front, (
        f"{plain(told)}, as the recipe says. It is the publisher's statement about the collection; each pair came\n"
        "from a source with terms of its own."
    )


def _front_matter(manifest: DatasetManifest) -> dict[str, Any]:
    kinds = kinds_of(manifest)
    codes = languages_of(manifest)
    short = sorted({code.split("-")[0] for code in codes if re.fullmatch(r"[a-z]{2,3}(-.*)?", code)})
    tagged = sorted(code for code in codes if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})+", code))
    front: dict[str, Any] = {"pretty_name": _title(manifest), **_license(manifest)[0]}
    if short:
        front["language"] = short
    if tagged:
        front["language_bcp47"] = tagged
    front["multilinguality"] = ["monolingual" if len(short) == 1 else "multilingual"] if short else []
    front["size_categories"] = [size_category(sum(manifest.samples().values()))]
    front["task_categories"] = sorted({"feature-extraction", *(_TASKS[kind] for kind in kinds if kind in _TASKS)})
    front["tags"] = ["webdataset", "pixel-only", "rendered-text", "contrastive-learning", "clippo"]
    has = {split: manifest.samples(split) for split in SPLITS}
    front["configs"] = [
        {
            "config_name": kind,
            "data_files": [
                {"split": split, "path": f"{split}/{kind}-*.tar"}
                for split in SPLITS
                if split == "train" or kind in has[split]
            ],
        }
        for kind in kinds
    ]
    if kinds:
        front["configs"][0]["default"] = True
    front["dataset_info"] = [{"config_name": kind, "features": features(kind)} for kind in kinds]
    return {name: value for name, value in front.items() if value != []}


def _title(manifest: DatasetManifest) -> str:
    told = (manifest.recipe.get("card") or {}).get("title")
    return " ".join(str(told)[:200].split()) if told else manifest.name


def _described(manifest: DatasetManifest) -> list[str]:
    told = (manifest.recipe.get("card") or {}).get("description")
    paragraphs = re.split(r"\n\s*\n", str(told)[:_LONGEST]) if told else []
    return [line for paragraph in paragraphs if paragraph.strip() for line in (plain(paragraph, _LONGEST), "")]


def _table(head: list[str], rows: list[list[str]], numbers: set[int]) -> list[str]:
    rule = ["---:" if index in numbers else "---" for index in range(len(head))]
    return [*("| " + " | ".join(row) + " |" for row in (head, rule, *rows)), ""]


def _counts(counts: dict[str, int]) -> str:
    shown = sorted((-count, name) for name, count in counts.items() if count)
    return ", ".join(f"{plain(name)} {-count:,}" for count, name in shown) or "-"


def _funnel(steps: list[Step]) -> list[str]:
    head = ["source", "step", "unit", "in", "kept", "handed on", "dropped by rule", "in error"]
    rows = [
        [
            *(plain(text) for text in (step.source, step.step, step.unit)),
            *(f"{count:,}" for count in (step.rows_in, step.kept, step.rows_out)),
            _counts(step.dropped),
            _counts(step.errors),
        ]
        for step in steps
    ]
    return _table(head, rows, {3, 4, 5})


def _contents(manifest: DatasetManifest, kinds: list[str]) -> list[str]:
    counts = manifest.pairs()
    names = list(next(iter(counts.values()), ["pairs"]))
    rows = []
    for kind in [*kinds, None]:
        shards = [shard for shard in manifest.shards if kind in (None, shard.kind)]
        first = ["all", ""] if kind is None else [f"`{kind}`", _MEANING.get(kind, "")]
        numbers = [sum(found[name] for k, found in counts.items() if kind in (None, k)) for name in names]
        numbers += [len(shards), sum(shard.bytes for shard in shards)]
        rows.append([*first, *(f"{number:,}" for number in numbers)])
    head = ["kind", "a pair is", *names, "shards", "bytes"]
    lines = ["## What is in it", "", *_table(head, rows, set(range(2, len(head))))]
    if "held out" in names:
        lines += [*_HELD_OUT.split("\n")]
    if manifest.tables:
        lines += ["Tables of filtered alt-text without photographs:", ""]
        lines += [f"- {plain(table.path)}: {table.rows:,} rows, {table.bytes:,} bytes" for table in manifest.tables]
        lines.append("")
    if manifest.balance:
        lines += ["Pairs of each query, before and after balancing:", ""]
        lines += [f"- {plain(table.path)}: {table.rows:,} queries" for table in manifest.balance]
        lines.append("")
    return lines


def _languages(sides: dict[str, dict[str, int]]) -> list[str]:
    return [f"- {plain(side)}: {_counts(counts)}" for side, counts in sorted(sides.items()) if counts]


def _loading(kinds: list[str]) -> list[str]:
    return _LOADING.replace("KIND", kinds[0] if kinds else KINDS[0]).split("\n")


def _provenance(manifest: DatasetManifest) -> list[str]:
    font = manifest.render.get("font") or {}
    spec = manifest.render.get("spec") or {}
    size = f"{spec['width']} x {spec['height']} pixels" if {"width", "height"} <= set(spec) else "one size"
    lines = [
        "## Provenance",
        "",
        f"- Version {plain(manifest.version)}: a digest of its manifest. Equal recipes and inputs give equal bytes.",
        f"- Texts were drawn on {plain(size)} with {plain(font.get('name', 'a bitmap font'))}, sha256 "
        f"{plain(font.get('sha256', 'not recorded'))}.",
        f"- Digest of font and settings: {plain(manifest.render.get('digest', 'not recorded'))}.",
    ]
    lines += [f"- Model {plain(name)}: sha256 {plain(digest)}." for name, digest in sorted(manifest.models.items())]
    sources = manifest.recipe.get("sources")
    for name, source in sorted(sources.items()) if isinstance(sources, dict) else []:
        type_ = source.get("type") if isinstance(source, dict) else None
        lines.append(f"- Source {plain(name)}" + (f" ({plain(type_)})." if type_ else "."))
    return [*lines, "- Stages, keys and inputs: `lineage` in `MANIFEST.json`; a page to read: `report.html`.", ""]


def _limits(manifest: DatasetManifest) -> list[str]:
    counts = manifest.samples()
    lines = ["## Known limits", ""]
    for kind in kinds_of(manifest):
        for side, cut in sorted(manifest.cut.get(kind, {}).items()):
            if cut:
                share = cut / max(1, counts[kind])
                lines.append(f"- `{kind}`: {cut:,} {plain(side)} texts ({share:.1%}) do not fit their picture whole.")
    if errors := sum(manifest.errors.values()):
        lines.append(f"- {errors:,} records could not be read and are not in here: {_counts(manifest.errors)}.")
    if unknown := sum(counts.get("und", 0) for sides in manifest.languages.values() for counts in sides.values()):
        lines.append(f"- {unknown:,} texts are in no language that the model was sure of (`und`).")
    return [
        *lines,
        "- Filters are rules and small models: wrong, offensive, private or copyrighted content may have passed them.",
        "- Languages were told by a model, and short texts mislead it. Photographs were not looked at by a person.",
        "- A bitmap font draws no ligatures and joins no letters: Arabic and Indic scripts look unlike print.",
        "",
    ]


def card(manifest: DatasetManifest) -> bytes:
    """Writes README.md.

    Args:
        manifest: The version. `recipe["card"]` may hold title, description and license.

    Returns:
        UTF-8: YAML front matter, then markdown. The same manifest gives the same bytes.
    """
    kinds = kinds_of(manifest)
    front = yaml.safe_dump(_front_matter(manifest), sort_keys=False, allow_unicode=True, width=10_000)
    lines = [f"# {plain(_title(manifest))}", "", *_described(manifest), *_INTRODUCTION.split("\n")]
    lines += _contents(manifest, kinds)
    lines += ["## Languages", ""]
    for kind in kinds:
        if listed := _languages(manifest.languages.get(kind, {})):
            lines += [f"`{kind}`, pairs by side:", "", *listed, ""]
    lines += _loading(kinds)
    lines += ["## What was kept and dropped", "", "Every row was kept, dropped by a named rule, or in error.", ""]
    for kind in [*kinds, *sorted(set(manifest.ledger) - set(kinds))]:
        lines += [f"### {plain(kind)}", "", *_funnel(manifest.ledger.get(kind, []))]
    lines += [*_provenance(manifest), *_limits(manifest), "## Licence", "", _license(manifest)[1], ""]
    return f"---\n{front}---\n\n{chr(10).join(lines)}".encode("utf-8", "replace")
