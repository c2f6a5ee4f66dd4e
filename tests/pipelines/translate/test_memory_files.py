"""What is remembered of translations, and what makes an engine another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pairs.keys import content_key
from pipelines.translate import files
from pipelines.translate.marks import take_off
from pipelines.translate.memory import Memory
from pipelines.translate.spec import CommandEngine, CTranslate2Engine
from pipelines.translate.translator import TranslatorError


def test_what_was_added_is_found_by_its_range(tmp_path: Path) -> None:
    memory = Memory(str(tmp_path), "a" * 64)
    assert memory.look("0" * 32, "f" * 32) == {}
    places = sorted(content_key(str(n)) for n in range(100))
    memory.add(places[:50], [f"t{n}" for n in range(50)], [f"m{n}" for n in range(50)])
    memory.add(places[50:], [f"t{n}" for n in range(50, 100)], [f"m{n}" for n in range(50, 100)])
    memory.add([], [], [])
    assert memory.look("0" * 32, "f" * 32) == {f"t{n}": f"m{n}" for n in range(100)}
    assert memory.look(places[40], places[59]) == {f"t{n}": f"m{n}" for n in range(40, 60)}
    assert Memory(str(tmp_path), "b" * 64).look("0" * 32, "f" * 32) == {}, "another engine knows nothing of it"
    memory.add(places[:50], [f"t{n}" for n in range(50)], [f"m{n}" for n in range(50)])
    assert len(list(Path(memory.folder).iterdir())) == 2, "the same again is the same file"


def test_a_damaged_file_is_not_believed(tmp_path: Path) -> None:
    memory = Memory(str(tmp_path), "a" * 64)
    memory.add(["0" * 32], ["text"], ["translation"])
    memory.add(["1" * 32], ["other"], ["made"])
    first, second = sorted(Path(memory.folder).iterdir())
    first.write_bytes(second.read_bytes())
    assert memory.look("0" * 32, "f" * 32) == {"other": "made"}
    second.write_bytes(b"PAR1 no more")
    assert memory.look("0" * 32, "f" * 32) == {}


def command(**options: Any) -> CommandEngine:
    return CommandEngine.model_validate({"type": "command", "argv": ["cat", "{model}"], **options})


def identity(folder: Path, engine: CommandEngine, languages: tuple[str, str] = ("en", "es")) -> str:
    def locate(path: str) -> str:
        return str(folder / path)

    paths = files.find(engine, locate, "here")
    return files.identity(engine, paths, languages, str(folder / "root"), locate, "here")


def test_identity_is_content_words_and_direction_not_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("model one")
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/b").write_text("model one")
    (tmp_path / "c").write_text("model two")
    one = identity(tmp_path, command(files={"model": "a"}))
    assert identity(tmp_path, command(files={"model": "moved/b"})) == one, "moved"
    assert identity(tmp_path, command(files={"model": "a"}, batch_size=3, start_seconds=9.0)) == one, "how, not what"
    others = {
        identity(tmp_path, command(files={"model": "c"})),
        identity(tmp_path, command(files={"model": "a"}), ("es", "en")),
        identity(tmp_path, command(files={"model": "a"}, release="2")),
        identity(tmp_path, command(files={"model": "a"}, fence=["."])),
        identity(tmp_path, command(files={"model": "a"}, argv=["cat", "-u", "{model}"])),
        identity(tmp_path, command(files={"model": "a"}, argv=["tee", "{model}"])),
    }
    assert len(others) == 6
    assert one not in others
    (tmp_path / "a").write_text("model 1b")
    assert identity(tmp_path, command(files={"model": "a"})) != one


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"argv": ["no-such-program"], "files": {}}, "no program on the PATH"),
        ({"argv": ["./nothing"], "files": {}}, "there is no program"),
        ({"files": {"model": "gone"}}, r"here\.model: no file at"),
        ({"files": {"model": "s3://bucket/x"}}, "a local path is wanted"),
        ({"files": {"model": "empty"}}, "holds no file"),
    ],
)
def test_what_is_missing_is_told_before_anything_runs(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    (tmp_path / "empty").mkdir()

    def locate(path: str) -> str:
        return path if "://" in path else str(tmp_path / path)

    with pytest.raises(TranslatorError, match=says):
        files.find(command(**options), locate, "here")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "sp.model").write_bytes(b"x")
    engine = CTranslate2Engine(type="ctranslate2", model="model", tokenizer="sp.model")
    with pytest.raises(TranslatorError, match=r"no model\.bin"):
        files.find(engine, lambda path: str(tmp_path / path), "here")


@pytest.mark.parametrize(
    ("sentence", "translation", "wanted"),
    [
        ("I see a flibbet.", "Veo un *flibbet.", ("Veo un flibbet.", 1, 0)),
        ("(blorb) works", "(*blorb) *works", ("(blorb) works", 2, 0)),
        ("go", "#ir @x", ("ir x", 0, 2)),
        ("I like *this* #tag", "Me gusta *this* #tag", ("Me gusta *this* #tag", 0, 0)),
        ("#tag here", "#tag #aquí", ("tag aquí", 0, 1)),
        ("2 * 3", "2 * 3", ("2 * 3", 0, 0)),
        ("2*3 in the 30s", "2*3 en los 30*s", ("2*3 en los 30s", 1, 0)),
        ("a_b", "*a_*b", ("a_b", 2, 0)),
        ("a@b.de", "a@b.de", ("a@b.de", 0, 0)),
    ],
)
def test_marks_are_taken_off_and_counted(sentence: str, translation: str, wanted: tuple[str, int, int]) -> None:
    assert take_off(sentence, translation, "*", "@#") == wanted
    assert take_off(sentence, translation, "", "") == (translation, 0, 0)
