"""The quickstart's input: what is planted is what `expected.json` says, and the same seed gives the same rows."""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "examples" / "quickstart"


@pytest.fixture(scope="module")
def maker():
    """The module `make_input`, imported as the script imports its neighbours."""
    sys.path.insert(0, str(FOLDER))
    try:
        import make_input

        yield make_input
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def made(maker, tmp_path_factory):
    out = tmp_path_factory.mktemp("quickstart")
    maker.make_input(out, pictures=120, scene_lines=40, scene_documents_each=12, seed=3)
    return out


def rows_of(out: Path) -> list[dict]:
    return pq.read_table(out / "pictures.parquet").to_pylist()


def opens(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


def test_planted_noise_is_what_expected_json_says(made):
    expected = json.loads((made / "expected.json").read_text())["pictures"]["pictures.parquet"]
    rows, noise = rows_of(made), expected["noise"]
    assert len(rows) == expected["rows"] == 120
    assert expected["clean"] + sum(noise.values()) == 120
    assert sum(not row["caption"].strip() for row in rows) == noise["empty_caption"]
    assert sum(max(row["width"], row["height"]) <= 32 for row in rows) == noise["tiny_icon"]
    assert sum(not opens(row["image"]["bytes"]) for row in rows) == noise["truncated_jpeg"] + noise["not_an_image"]
    distinct = {(row["image"]["bytes"], row["caption"]) for row in rows if row["image"]["bytes"][:1] != b"<"}
    assert len(rows) - noise["not_an_image"] - len(distinct) == noise["duplicate"]


def test_clean_captions_tell_all_pictures_apart(made):
    expected = json.loads((made / "expected.json").read_text())["pictures"]["pictures.parquet"]
    described = [row["caption"] for row in rows_of(made) if "background" in row["caption"]]
    assert len(set(described)) == len(described) - expected["noise"]["duplicate"]


def test_pictures_have_the_size_that_the_row_says_and_all_formats_occur(made):
    formats = set()
    for row in rows_of(made):
        if opens(row["image"]["bytes"]):
            picture = Image.open(io.BytesIO(row["image"]["bytes"]))
            formats.add(picture.format)
            assert picture.size == (row["width"], row["height"])
    assert formats == {"JPEG", "PNG", "WEBP"}


def test_same_seed_same_bytes_and_other_seed_other_rows(maker, made, tmp_path):
    maker.make_input(tmp_path, pictures=120, scene_lines=40, scene_documents_each=12, seed=3)
    for file in sorted(made.iterdir()):
        assert file.read_bytes() == (tmp_path / file.name).read_bytes(), file.name
    other = [row["caption"] for row in maker.picture_rows(30, seed=4)]
    assert other != [row["caption"] for row in maker.picture_rows(30, seed=3)]


def test_documents_are_c4_lines_with_one_paragraph_a_line(made):
    expected = json.loads((made / "expected.json").read_text())["documents"]
    for name, counts in expected.items():
        rows = [json.loads(line) for line in gzip.decompress((made / name).read_bytes()).decode().splitlines()]
        assert len(rows) == counts["documents"]
        assert sum(row["text"].count("\n") + 1 for row in rows) == counts["paragraphs"]
        assert all(set(row) == {"text", "timestamp", "url"} for row in rows)
        assert not any(">>>" in row["text"] or "::=" in row["text"] for row in rows)


def test_bitext_is_aligned_and_translated(made):
    expected = json.loads((made / "expected.json").read_text())["bitext"]
    for stem, counts in expected.items():
        sides = []
        for lang in stem.rpartition(".")[2].split("-"):
            file = next(made.glob(f"{stem}.{lang}*"))
            data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            sides.append(data.decode().split("\n")[:-1])
        assert len(sides[0]) == len(sides[1]) == counts["lines"] > 0
        assert all(a and b and a != b for a, b in zip(*sides, strict=True))


@pytest.mark.parametrize(
    ("lang", "wordings"),
    [
        ("en", {"a red star above an orange heart on a blue background"}),
        ("de", {"ein roter Stern über einem orangefarbenen Herzen auf blauem Hintergrund"}),
        ("fr", {"une étoile rouge au-dessus d'un cœur orange sur fond bleu"}),
        ("es", {"una estrella roja encima de un corazón naranja sobre fondo azul"}),
        ("ru", {"красная звезда над оранжевым сердцем на синем фоне"}),
        ("zh", {"蓝色背景上，一个红色星形在橙色心形的上方。"}),
        ("ja", {"青い背景で、オレンジ色のハートの上に赤い星があります。"}),
    ],
)
def test_wording_of_a_relation_in_every_language(maker, lang, wordings):
    from scenes import Scene, Thing

    scene = Scene("above", (Thing("star", "red"), Thing("heart", "orange")), "blue")
    said = {maker.caption(scene, lang, random.Random(n)) for n in range(60)}  # noqa: S311
    assert wordings <= said


def test_no_painted_scene_is_worded_in_the_bitext(maker):
    """A caption of a held-out picture in the bitext would be trained on."""
    from bitext import SCENE_LANGUAGES
    from scenes import make_scenes

    painted = set(make_scenes(800, seed=3, stage="pictures"))
    met = 0
    for target in SCENE_LANGUAGES:
        worded = make_scenes(300, seed=3, stage=f"bitext-{target}", without=painted)
        assert len(worded) == 300
        assert not painted & set(worded)
        met += len(painted & set(make_scenes(300, seed=3, stage=f"bitext-{target}")))
    assert met, "without being told they meet some, or this test says nothing"


def test_russian_numerals_take_the_right_cases(maker):
    from captions import _ru
    from scenes import Thing

    assert _ru(Thing("star", "blue"), count=2) == "две синие звезды"
    assert _ru(Thing("ring", "blue"), count=3) == "три синих кольца"
    assert _ru(Thing("circle", "red"), count=5) == "пять красных кругов"


def test_out_of_bounds_is_a_clear_error(maker, tmp_path, capsys):
    assert maker.main([str(tmp_path), "--pictures", "3"]) == 2
    assert "20 to 20000" in capsys.readouterr().err


def test_described_scenes_are_sentences_in_all_languages_and_of_no_picture(maker, made):
    from captions import LANGUAGES
    from scenes import make_scenes

    rows = [json.loads(line) for line in gzip.decompress((made / "docs-00003.json.gz").read_bytes()).splitlines()]
    by_lang = {lang: [row["text"] for row in rows if f"/{lang}/" in row["url"]] for lang in LANGUAGES}
    assert {lang: len(texts) for lang, texts in by_lang.items()} == dict.fromkeys(LANGUAGES, 12)
    for lang, texts in by_lang.items():
        stop = "。" if lang in ("ja", "zh") else "."
        for text in texts:
            assert text.endswith(stop)
            assert text.count(stop) in (2, 3)
            sentences = text.removesuffix(stop).split(stop)
            assert len(set(sentences)) == len(sentences)
    painted = set(make_scenes(120, seed=3, stage="pictures"))
    said = {maker.caption(scene, "en", random.Random(n)).rstrip(".").lower() for scene in painted for n in range(40)}  # noqa: S311
    told = {sentence.strip().lower() for text in by_lang["en"] for sentence in text.split(".") if sentence.strip()}
    assert not told & said
