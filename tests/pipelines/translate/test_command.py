"""Programs that translate lines: what goes right, and every way in which they go wrong."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.translate.command import CommandTranslator
from pipelines.translate.spec import CommandEngine
from pipelines.translate.translator import EngineError, Translated, TranslatorError, translate_all

_SPEC = importlib.util.spec_from_file_location("translate_engines", Path(__file__).with_name("engines.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
engines = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(engines)


def made(folder: Path, *more: str, **options: Any) -> tuple[CommandEngine, CommandTranslator]:
    spec = CommandEngine.model_validate(engines.engine(folder, *more, **options))
    return spec, CommandTranslator(spec, dict(spec.files))


def run(folder: Path, sentences: list[str], *more: str, **options: Any) -> Translated:
    spec, translator = made(folder, *more, **options)
    try:
        return translate_all(translator, sentences, spec.batch_size)
    finally:
        translator.close()


MODES = pytest.mark.parametrize("stream", [False, True], ids=["a batch a process", "streaming"])


@MODES
@pytest.mark.parametrize("fence", [[], [""], ["", ".", ""]], ids=["none", "empty", "sentence"])
def test_each_line_has_its_translation(tmp_path: Path, stream: bool, fence: list[str]) -> None:
    sentences = [f"sentence number {n} é 中 😀" for n in range(50)]
    found = run(tmp_path, sentences, stream=stream, fence=fence)
    assert found.texts == [text.upper() for text in sentences]
    assert not found.faults
    assert engines.starts(tmp_path) == (1 if stream else 4), "one process for all batches, or one each"


@MODES
def test_what_ends_lines_elsewhere_does_not_here(tmp_path: Path, stream: bool) -> None:
    sentences = ["a\u2028b", "c\x85d\x0be", "f\tg\r", "\x00h", "i\ud800j"]
    found = run(tmp_path, sentences, stream=stream)
    assert found.texts == ["A B", "C D E", "F G", "H", "I?J"]


@MODES
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("CRASH", "engine_crashed"),
        ("KILL", "engine_crashed"),
        ("HANG", "engine_hung"),
        ("FLOOD", "too_much"),
        ("BYTES", "not_text"),
        ("SLIP", "line_shift"),
    ],
)
def test_the_culprit_is_found_and_all_others_are_translated(
    tmp_path: Path, word: str, reason: str, stream: bool
) -> None:
    sentences = [f"sentence {n}" for n in range(20)]
    sentences[7] = f"bad {word} sentence"
    options = {"start_seconds": 2.0, "batch_size": 2} if word == "HANG" else {"start_seconds": 30.0}
    fence = ["."] if word == "SLIP" else [""]
    found = run(tmp_path, sentences, stream=stream, fence=fence, sentence_seconds=0.0, **options)
    others = [text for at, text in enumerate(found.texts) if at != 7]
    assert others == [text.upper() for at, text in enumerate(sentences) if at != 7]
    assert found.texts[7] is None
    assert {at: fault.reason for at, fault in found.faults.items()} == {7: reason}
    if word == "CRASH":
        assert "boom" in found.faults[7].detail, "what it said is passed on"


@pytest.mark.parametrize("word", ["LOSE", "TWICE"])
@MODES
def test_lines_lost_or_added_never_shift_the_rest(tmp_path: Path, word: str, stream: bool) -> None:
    sentences = [f"sentence {n}" for n in range(20)]
    sentences[3] = f"{word} this"
    found = run(tmp_path, sentences, stream=stream, batch_size=4, start_seconds=2.0, sentence_seconds=0.0)
    assert [text for at, text in enumerate(found.texts) if at != 3] == [
        text.upper() for at, text in enumerate(sentences) if at != 3
    ]
    assert found.texts[3] is None
    assert found.faults[3].reason in ("line_count", "line_shift", "engine_hung")


def test_an_empty_translation_is_one(tmp_path: Path) -> None:
    assert run(tmp_path, ["a", "NOTHING", "b"]).texts == ["A", "", "B"]


def test_a_bad_code_at_the_end_is_a_failure_though_the_lines_are_right(tmp_path: Path) -> None:
    with pytest.raises(TranslatorError, match=r"times in a row.*ended with code 7"):
        run(tmp_path, [f"sentence {n}" for n in range(60)], "code")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    spec = CommandEngine(type="command", argv=["no-such-program-anywhere"])
    with pytest.raises(TranslatorError, match="cannot be started"):
        CommandTranslator(spec, {}).translate(["a"])


def test_nothing_is_passed_through_a_shell(tmp_path: Path) -> None:
    spec = CommandEngine(type="command", argv=["cat", "-", ";", "touch", str(tmp_path / "made")], fence=[])
    with pytest.raises(EngineError, match="code 1"):
        CommandTranslator(spec, {}).translate(["$(touch x) `touch y`"])
    assert not list(tmp_path.iterdir())
    plain = CommandEngine(type="command", argv=["cat"], fence=[])
    assert CommandTranslator(plain, {}).translate(["$(touch x); `touch y`"]) == ["$(touch x); `touch y`"]


def test_children_of_a_script_that_hangs_end_with_it(tmp_path: Path) -> None:
    script = tmp_path / "engine.sh"
    script.write_text(f"sleep 600 & echo $! > {tmp_path}/child; wait\n")
    spec = CommandEngine(type="command", argv=["sh", str(script)], start_seconds=1.0, sentence_seconds=0.0)
    with pytest.raises(EngineError, match="engine_hung"):
        CommandTranslator(spec, {}).translate(["a"])
    child = (tmp_path / "child").read_text().strip()

    def gone() -> bool:
        told = subprocess.run(["ps", "-o", "stat=", "-p", child], capture_output=True, text=True)
        return told.stdout.strip()[:1] in ("", "Z")

    deadline = time.monotonic() + 10
    while not gone() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone()


def test_a_large_batch_does_not_fill_the_pipes(tmp_path: Path) -> None:
    sentences = [f"{n} " + "x" * 3000 for n in range(400)]
    found = run(tmp_path, sentences, batch_size=400)
    assert found.texts == [text.upper() for text in sentences]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"argv": ["a", "{model}"]}, "names no model"),
        ({"argv": []}, "at least 1"),
        ({"argv": ["a\x00b"]}, "NUL"),
        ({"argv": ["a"], "fence": ["x\ny"]}, "pattern"),
        ({"argv": ["a"], "start_seconds": 0}, "greater than 0"),
    ],
)
def test_what_a_recipe_may_not_say(told: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CommandEngine.model_validate({"type": "command", **told})
