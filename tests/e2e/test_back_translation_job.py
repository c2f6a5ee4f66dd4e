"""Back-translation of documents, bitext and a corpus: the books, failing engines, what is remembered, equal bytes, Apertium."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flows.recipe import Loaded, parse
from flows.stages import Build
from flows.stages.select import MIXED
from pipelines.ledger import check_chain
from pipelines.manifest import StageManifest
from tests.e2e.conftest import Cli, champion, write_recipe

pytestmark = pytest.mark.engine

COUNT = 90
ENGLISH = "The old harbour was quiet that morning, and {} boats were on the northern pier of the town."
GERMAN = "Der alte Hafen war an diesem Morgen still, und {} Boote lagen am nördlichen Pier der Stadt."
REWORD = r"""
import sys
log = open(sys.argv[1], "ab", buffering=0)
for line in sys.stdin.buffer:
    if line.strip():
        log.write(line)
    if b"CRASH" in line:
        sys.exit("no more")
    text = line.decode()
    for old, new in (("quiet", "silent"), ("were", "lay"), ("town", "small city"), ("still", "ruhig"), ("lagen", "waren")):
        text = text.replace(old, new)
    sys.stdout.buffer.write(text.encode())
"""


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Documents with two neighbours each, one of which breaks the engine; bitext; a corpus that was translated back before."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "reword.py").write_text(REWORD)
    write_inputs(folder, COUNT)
    lines = [
        f"He finished piece {n} of this work on his own.\tHe completed piece {n} of this work alone." for n in range(40)
    ]
    lines += ["The same as it was before.\tThe same as it was before."]
    (folder / "corpus.tsv").write_bytes("\n".join([*lines, "one side alone"]).encode() + b"\nGer\xe4t\tx\n")
    return folder


def write_inputs(folder: Path, count: int) -> None:
    documents = [
        {"text": f"{ENGLISH.format(n)} {ENGLISH.format(n + 5000)}", "url": f"https://example.org/{n}"}
        for n in range(count)
    ]
    documents[3]["text"] = documents[3]["text"].replace("boats", "CRASH boats", 1)
    for part in range(2):
        lines = [json.dumps(document) for document in documents[part::2]]
        (folder / f"docs{part}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "b.en").write_text("".join(ENGLISH.format(9000 + n) + "\n" for n in range(count)))
    (folder / "b.de").write_text("".join(GERMAN.format(9000 + n) + "\n" for n in range(count)))


def recipe_of(folder: Path, *, turned: bool = False, workers: int = 1, **options: Any) -> dict[str, Any]:
    def engine(log: str) -> dict[str, Any]:
        words = [sys.executable, "{script}", str(folder / log)]
        return {"type": "command", "argv": words, "files": {"script": "reword.py"}, "batch_size": 32}

    docs = ["docs0.jsonl", "docs1.jsonl"]
    routes = {
        "en_de": {"language": "en", "through": "de", "forward": engine("en_de.f"), "backward": engine("en_de.b")},
        "de_en": {"language": "de", "through": "en", "forward": engine("de_en.f"), "backward": engine("de_en.b")},
        "en_fr": {"language": "en", "through": "fr", "forward": engine("en_fr.f"), "backward": engine("en_fr.b")},
    }
    sources = {
        "docs": {"type": "documents", "path": docs[::-1] if turned else docs},
        "bitext": {"type": "bitext", "left": "b.en", "right": "b.de", "languages": ["en", "de"]},
        "corpus": {"type": "bitext", "role": "back_translation", "path": "corpus.tsv", "languages": ["en", "en"]},
    }
    made = {"sides": "both", "runs": 50, "routes": routes, **options}
    return {
        "name": "back",
        "seed": 3,
        "sources": dict(reversed(sources.items())) if turned else sources,
        "pairs": {"sentences": {}, "translations": {}, "back_translation": made},
        "gate": {"max_error_rate": 0.1},
        "runtime": {"workers": workers, "beam": {"bytes_per_process": 1}},
    }


def build(folder: Path, root: Path, **options: Any) -> Build:
    return Build(Loaded(parse(yaml.safe_dump(recipe_of(folder, **options))), str(folder)), str(root))


Stages = dict[str, StageManifest]


def run(made: Build) -> tuple[Stages, dict[str, bool]]:
    """Every stage up to the pairs of back-translations, and which of them ran."""
    done: dict[str, tuple[StageManifest, bool]] = {}
    try:
        for kind in ("sentences", "translations"):
            annotated = {name: made.annotate(name) for name in made.sources_of(kind)}
            done |= annotated
            done[kind] = made.make_pairs(kind, {name: manifest for name, (manifest, _) in annotated.items()})
        done["to_translate"] = made.gather_sentences({kind: done[kind][0] for kind in ("sentences", "translations")})
        done["translate"] = made.translate(done["to_translate"][0])
        done["corpus"] = made.annotate("corpus")
        before = {MIXED: done["translate"][0], "corpus": done["corpus"][0]}
        done["pairs"] = made.make_pairs("back_translation", before)
    finally:
        made.close()
    return {name: one for name, (one, _) in done.items()}, {name: ran for name, (_, ran) in done.items()}


def rows_of(made: Build, manifest: StageManifest) -> list[dict[str, Any]]:
    parts = [pq.read_table(Path(made.root, manifest.folder, part.path)) for part in manifest.tables()]
    return pa.concat_tables(parts).to_pylist()  # type: ignore[no-any-return]


def asked(folder: Path) -> list[str]:
    return sorted(line for log in folder.glob("*.[fb]") for line in log.read_text().splitlines())


def test_from_sentences_to_pairs_and_what_is_done_again(inputs: Path, tmp_path: Path) -> None:
    made = build(inputs, tmp_path / "root")
    stages, _ = run(made)
    before = [step for name in ("docs", "bitext") for step in stages[name].ledger]
    selected = [*stages["sentences"].ledger, *stages["translations"].ledger]
    check_chain([before, selected, stages["to_translate"].ledger, stages["translate"].ledger])
    first = [step for name in ("to_translate", "translate", "corpus") for step in stages[name].ledger]
    books = {(step.source, step.step): step for step in check_chain([first, stages["pairs"].ledger])}

    # Two neighbours a document, none twice; both sides of the bitext.
    assert books["docs", "translate"].rows_in == 2 * COUNT
    assert books["docs", "translate"].errors == {"engine_crashed": 1}
    assert books["bitext", "translate"].rows_in == books["bitext", "translate"].kept == 2 * COUNT
    assert books["corpus", "read"].errors == {"invalid_utf8": 1, "one_sided": 1}
    assert books["corpus", "filter"].dropped == {"identical": 1}
    assert stages["translate"].facts["translated"]["de_en"] == COUNT
    assert all(stages["translate"].facts["translated"][route] > 40 for route in ("en_de", "en_fr"))

    (log,) = [part for part in stages["translate"].parts if part.role == "errors"]
    (entry,) = [
        json.loads(line) for line in Path(made.root, stages["translate"].folder, log.path).read_text().splitlines()
    ]
    assert entry["source"] == "docs"
    assert entry["reason"] == "engine_crashed"
    assert "no more" in entry["detail"]

    rows = rows_of(made, stages["pairs"])
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)
    assert len(rows) == books["docs", "translate"].kept + 2 * COUNT + 40
    for row in rows:
        scores = json.loads(row["scores"])
        there, back = row["left_text"], row["right_text"]
        if scores["original"] == "right":
            there, back = back, there
        if row["source"] == "corpus":
            continue
        wanted = there
        for old, new in (
            ("quiet", "silent"),
            ("were", "lay"),
            ("town", "small city"),
            ("still", "ruhig"),
            ("lagen", "waren"),
        ):
            wanted = wanted.replace(old, new)
        assert back == wanted, "each translation belongs to its sentence"
        assert scores["route"] in ("en_de", "en_fr") if row["left_lang"] == "en" else scores["route"] == "de_en"
        assert row["left_lang"] == row["right_lang"]

    # The same again runs nothing; a threshold asks no engine; a grown corpus asks it for what is new.
    told = asked(inputs)
    _, ran = run(build(inputs, tmp_path / "root"))
    assert not any(ran.values())
    _, ran = run(build(inputs, tmp_path / "root", max_distance=0.3))
    assert [name for name, did in ran.items() if did] == ["pairs"]
    assert asked(inputs) == told
    write_inputs(inputs, COUNT + 10)
    grown, ran = run(build(inputs, tmp_path / "root"))
    assert ran["translate"]
    new = len(asked(inputs)) - len(told)
    crashes = sum("CRASH" in line for line in asked(inputs)) - sum("CRASH" in line for line in told)
    assert grown["translate"].ledger[0].rows_in == 2 * COUNT + 20
    assert 2 * 40 <= new - crashes <= 2 * 40 + 2 * 32 * 2, (
        "ten documents and ten lines, there and back, and the culprit's batch"
    )
    # Four workers, other files first, another root that remembers nothing: the same bytes.
    other, _ = run(build(inputs, tmp_path / "other", turned=True, workers=4))
    for name in ("to_translate", "translate", "pairs"):
        assert [part.sha256 for part in other[name].parts] == [part.sha256 for part in grown[name].parts], name
        assert other[name].digest == grown[name].digest


def test_an_engine_that_fails_on_everything_ends_the_build_with_its_words(
    inputs: Path, tmp_path: Path, cli: Cli
) -> None:
    recipe = recipe_of(inputs)
    routes = recipe["pairs"]["back_translation"]["routes"]
    routes["en_fr"]["forward"] = {
        "type": "command",
        "argv": [sys.executable, "-c", "import sys; sys.exit('no model here')"],
    }
    recipe["sources"] = {"bitext": recipe["sources"]["bitext"]}
    del recipe["pairs"]["sentences"]
    path = write_recipe(inputs / "recipe.yaml", recipe)
    done = cli("build", path, "--root", tmp_path / "root")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no model here" in " ".join(done.stderr.split())
    routes["en_fr"]["forward"] = {"type": "command", "argv": ["no-such-engine"]}
    done = cli("build", write_recipe(path, recipe), "--root", tmp_path / "root", "--plan")
    assert done.returncode == 2
    assert "pairs.back_translation.routes.en_fr.forward.argv: 'no-such-engine'" in " ".join(done.stderr.split())


@pytest.mark.skipif(shutil.which("apertium") is None, reason="Apertium is not installed (apertium-eng-spa)")
def test_apertium_translates_there_and_back(tmp_path: Path, cli: Cli) -> None:
    """The real engine through the command line: every pair verified, each translation beside its own sentence."""
    nasty = [
        "Prices rose by $5 ^ 3 today [see below] in the town.",
        "The sign @ the door said ^^ {open} <now> in red paint.",
    ]
    people = ["farmer", "teacher", "woman", "doctor", "writer", "king", "singer", "judge"]
    things = ["house", "garden", "book", "city", "letter", "river", "road", "school"]
    plain = [f"The {who} saw the old {what} near the water." for who in people for what in things]
    cut = [f"I see the {what} of my" for what in things]
    lines = [*nasty, *plain, *cut]
    (tmp_path / "a.en").write_text("\n".join(lines) + "\n")
    (tmp_path / "a.de").write_text("".join(f"Zeile Nummer {n} mit einem deutschen Satz.\n" for n in range(len(lines))))

    def engine(pair: str) -> dict[str, Any]:
        words = ["apertium", "-f", "txt", pair]
        return {"type": "command", "argv": words, "fence": ["", ".", ""], "unknown_marks": "*", "failed_marks": "@#"}

    route = {"language": "en", "through": "es", "forward": engine("eng-spa"), "backward": engine("spa-eng")}
    rules = {
        "routes": {"en_es": route},
        "min_distance": None,
        "identical": False,
        "max_untranslated": None,
        "min_chars": None,
    }
    recipe = {
        "name": "real",
        "sources": {"b": {"type": "bitext", "left": "a.en", "right": "a.de", "languages": ["en", "de"]}},
        "pairs": {"translations": {"order": []}, "back_translation": {**rules, "order": ["empty", "too_far"]}},
    }
    root = tmp_path / "root"
    done = cli("build", write_recipe(tmp_path / "recipe.yaml", recipe), "--root", root)
    assert done.returncode == 0, done.stdout + done.stderr
    version = champion(root)
    assert cli("verify", version.folder).returncode == 0
    (step,) = [step for step in version.manifest["ledger"]["back_translation"] if step["step"] == "translate"]
    assert step["rows_in"] == step["kept"] == len(lines)
    assert {"translation.en_es.forward", "translation.en_es.backward"} < set(version.manifest["models"])
    (part,) = (root / "stages").glob("translate-*/part-*.parquet")
    back = {row["left_text"]: row["right_text"] for row in pq.read_table(part).to_pylist()}
    for who in people:
        for what in things:
            made = back[f"The {who} saw the old {what} near the water."].lower()
            assert what in made, "no word slips to another line"
            assert made.count("water") == 1
    assert sum("$5" in made and "see" in made.lower() for made in back.values()) == 1
    assert len(set(back.values())) >= len(lines) - 2
