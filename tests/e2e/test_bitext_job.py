"""Bitext of several formats through annotating and selecting: the books, the bound, and the same bytes however it is run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flows.recipe import Loaded, parse
from flows.stages import Build
from pairs.translations import identity
from pipelines.beam_jobs import pairs_job, per_source
from pipelines.ledger import check_chain
from pipelines.manifest import StageManifest
from pipelines.sources import bitext_rows
from pipelines.sources.reading import SourceError

pytestmark = pytest.mark.engine

ENGLISH = "The old harbour was quiet that morning, and {} boats lay on the northern pier."
OTHERS = {
    "de": "Der alte Hafen war an diesem Morgen still, und {} Boote lagen am nördlichen Pier.",
    "fr": "Le vieux port était calme ce matin-là, et {} bateaux se trouvaient sur la jetée nord.",
    "es": "El viejo puerto estaba tranquilo aquella mañana, y {} barcos estaban en el muelle norte.",
    "ru": "Старая гавань была тиха в то утро, и {} лодок стояли у северного причала.",
    "zh": "那天早上旧港口很安静，北码头停着{}艘船，渔民们还没有出海。",
}
COUNT = 60


def lines_of(lang: str) -> list[str]:
    return [(ENGLISH if lang == "en" else OTHERS[lang]).format(1000 + number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One English text in five languages and five formats; noise in each; one corpus twice in another case."""
    folder = tmp_path_factory.mktemp("bitext")
    english = lines_of("en")
    (folder / "a.en").write_text("\n".join(english) + "\n", encoding="utf-8")
    (folder / "a.de").write_text("\n".join([*lines_of("de")[:-1], "12 / 13 - 14"]) + "\n", encoding="utf-8")
    (folder / "b.de").write_text("\n".join(line.upper() for line in lines_of("de")) + "\n", encoding="utf-8")
    units = "".join(
        f'<tu><tuv xml:lang="en-GB"><seg>{left}</seg></tuv><tuv xml:lang="fr"><seg>{right}</seg></tuv></tu>'
        for left, right in zip(english, lines_of("fr"), strict=True)
    )
    (folder / "c1.tmx").write_text(f"<tmx><body>{units}<tu>broken</tu></body></tmx>", encoding="utf-8")
    (folder / "c2.tmx").write_text(f"<tmx><body>{units.replace('northern', 'southern')}</body></tmx>", encoding="utf-8")
    (folder / "bomb.tmx").write_text('<!DOCTYPE tmx [<!ENTITY a "b">]><tmx><body>' + units, encoding="utf-8")
    records = [{"translation": {"es": es, "en": en}} for es, en in zip(lines_of("es"), english, strict=True)]
    (folder / "d.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    rows = zip(english, lines_of("ru"), strict=True)
    (folder / "e.tsv").write_bytes(
        "".join(f"{en}\t{ru}\n" for en, ru in rows).encode() + "Ger\xe4t\tx\n".encode("latin-1")
    )
    segments = ["".join(f'<seg id="{n}">{t}</seg>' for n, t in enumerate(lines_of(lang), 1)) for lang in ("en", "zh")]
    (folder / "f.xml").write_text(
        f'<dataset><doc id="d"><src lang="en">{segments[0]}</src><ref lang="zh" translator="A">{segments[1]}</ref>'
        f'<hyp lang="zh" system="S">{segments[1]}</hyp></doc></dataset>',
        encoding="utf-8",
    )
    return folder


def build(inputs: Path, root: Path, *, workers: int = 1, turned: bool = False, **options: Any) -> Build:
    tmx = ["c1.tmx", "bomb.tmx", "c2.tmx"]
    recipe = {
        "name": "bitext",
        "seed": 5,
        "sources": {
            "de": {"type": "bitext", "left": "a.en", "right": ["a.de", "b.de"], "languages": ["en", "de"]},
            "fr": {"type": "bitext", "path": tmx[::-1] if turned else tmx, "languages": ["en", "fr"]},
            "es": {"type": "bitext", "path": "*.jsonl", "languages": ["es", "en"]},
            "ru": {"type": "bitext", "path": "e.tsv", "languages": ["en", "ru"]},
            "zh": {"type": "bitext", "path": "f.xml", "languages": ["en", "zh"]},
        },
        "pairs": {"translations": {"max_pairs_per_source": 3, **options}},
        "runtime": {"workers": workers, "beam": {"bytes_per_process": 1}},
    }
    if turned:
        recipe["sources"] = dict(reversed(recipe["sources"].items()))  # type: ignore[attr-defined]
    return Build(Loaded(parse(yaml.safe_dump(recipe)), str(inputs)), str(root))


def run(made: Build) -> tuple[dict[str, StageManifest], StageManifest]:
    annotated = {name: made.annotate(name)[0] for name in made.sources_of("translations")}
    return annotated, made.make_pairs("translations", annotated)[0]


def rows_of(made: Build, manifest: StageManifest) -> pa.Table:
    return pa.concat_tables(pq.read_table(Path(made.root, manifest.folder, part.path)) for part in manifest.tables())


Done = tuple[Build, dict[str, StageManifest], StageManifest]


@pytest.fixture(scope="module")
def done(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    made = build(inputs, tmp_path_factory.mktemp("root"))
    return made, *run(made)


def test_the_books_balance(done: Done) -> None:
    _, annotated, pairs = done
    steps = [step for manifest in annotated.values() for step in manifest.ledger]
    merged = check_chain([steps, pairs.ledger])
    by = {(step.source, step.step): step for step in merged}
    assert by["de", "read"].rows_in == 2 * COUNT
    assert by["de", "filter"].dropped == {"no_letters": 1}
    assert by["de", "unique"].dropped == {"duplicate_pair": COUNT - 1}, "another case is no other pair"
    assert by["fr", "read"].errors == {"entity_declaration": 1, "one_sided": 1}
    assert by["fr", "read"].kept == 2 * COUNT
    assert by["ru", "read"].errors == {"invalid_utf8": 1}
    assert by["zh", "read"].kept == COUNT, "hypotheses are no pairs"
    assert sum(step.dropped.get("pairs_per_source", 0) for step in merged) == 2 * COUNT


def test_no_sentence_is_in_more_pairs_than_the_bound(done: Done) -> None:
    made, _, pairs = done
    table = rows_of(made, pairs)
    sentences = [
        text
        for name in ("left_text", "right_text")
        for text in identity(table.column(name).combine_chunks()).to_pylist()
    ]
    assert max(Counter(sentences).values()) == 3
    english = [lang == "en" for lang in table.column("left_lang").to_pylist()]
    assert 0.3 < sum(english) / len(english) < 0.7, "the left side is drawn"
    assert set(table.column("left_lang").to_pylist()) == {"en", *OTHERS}
    groups: dict[str, set[str]] = {}
    for row in table.to_pylist():
        text = row["left_text"] if row["left_lang"] == "en" else row["right_text"]
        groups.setdefault(text.lower(), set()).add(json.loads(row["scores"])["group"])
    shared = Counter(text for text in groups)
    assert all(len(found) == 1 for found in groups.values()), "pairs of one English sentence are one group"
    assert len(shared) == 2 * COUNT


def test_four_workers_and_another_order_give_the_same_bytes(done: Done, inputs: Path, tmp_path: Path) -> None:
    _, annotated, pairs = done
    again = run(build(inputs, tmp_path, workers=4, turned=True))
    for name, manifest in annotated.items():
        assert again[0][name].digest == manifest.digest, name
    assert [part.sha256 for part in again[1].parts] == [part.sha256 for part in pairs.parts]
    assert again[1].digest == pairs.digest


def test_batches_and_buckets_change_no_pair(
    done: Done, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _, pairs = done
    monkeypatch.setattr(bitext_rows, "BATCH_ROWS", 7)
    other = build(inputs, tmp_path)
    annotated = {name: other.annotate(name)[0] for name in other.sources_of("translations")}
    monkeypatch.setattr("flows.stages.select.buckets", lambda size: 5)
    again = other.make_pairs("translations", annotated)[0]
    assert len(again.tables()) > 1
    assert rows_of(other, again).equals(rows_of(made, pairs))


def test_a_moved_threshold_scores_nothing_again(done: Done, inputs: Path) -> None:
    made, annotated, _ = done
    moved = build(inputs, Path(made.root), max_length_ratio=2.0, numbers_min_digits=4)
    for name, manifest in annotated.items():
        found, ran = moved.annotate(name)
        assert not ran, name
        assert found.digest == manifest.digest
    assert moved.pairs_stage("translations", annotated).key != made.pairs_stage("translations", annotated).key


def test_unequal_sides_are_an_error_before_anything_is_written(inputs: Path, tmp_path: Path) -> None:
    (inputs / "short.de").write_text("eine Zeile\n")
    made = build(inputs, tmp_path)
    source = made.recipe.sources["de"].model_copy(update={"right": "short.de"})
    made.recipe.sources["de"] = source
    with pytest.raises(SourceError, match=rf"sources\.de: .*a\.en has {COUNT} lines, .*short\.de has 1"):
        made.inputs("de")
    assert not list(tmp_path.glob("stages/*"))


def test_the_rounds_are_those_of_the_job() -> None:
    """A sentence is counted over unique pairs, before pictures and balance, which bitext has none of."""
    assert pairs_job.ORDER["unique"] < pairs_job.ORDER[per_source.RULE] < 0
