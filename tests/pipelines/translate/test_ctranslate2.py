"""CTranslate2 with a tiny random Transformer: batches do not matter, the model's content is its identity, faults are clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.translate import files
from pipelines.translate.spec import CTranslate2Engine
from pipelines.translate.translator import TranslatorError, load, translate_all
from tests.pipelines.translate import tiny_model

pytest.importorskip("ctranslate2")
pytest.importorskip("sentencepiece")
SENTENCES = [f"{line} {n}" for n, line in enumerate(tiny_model.LINES[:20])]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tiny_model.make(tmp_path_factory.mktemp("model") / "tiny")


def engine_of(told: dict[str, str], **options: Any) -> tuple[CTranslate2Engine, dict[str, str]]:
    engine = CTranslate2Engine.model_validate({**told, "max_pieces": 24, **options})
    return engine, files.find(engine, str, "here")


def test_each_sentence_is_translated_whatever_stands_beside_it(told: dict[str, str]) -> None:
    engine, paths = engine_of(told)
    translator = load(engine, paths, gpu=False)
    together = translate_all(translator, SENTENCES, 64).texts
    assert all(together)
    assert len(set(together)) > 2, "what comes out depends on what goes in"
    assert translate_all(translator, SENTENCES, 3).texts == together
    assert translate_all(translator, SENTENCES[::-1], 64).texts == together[::-1]
    translator.close()


def test_prefixes_are_given_and_taken_off(told: dict[str, str]) -> None:
    engine, paths = engine_of(told)
    plain = load(engine, paths, gpu=False).translate(SENTENCES)
    prefixed, _ = engine_of(told, target_prefix=["▁the"], source_prefix=["▁a"])
    other = load(prefixed, paths, gpu=False).translate(SENTENCES)
    assert other != plain
    assert len(other) == len(plain)


def test_identity_is_the_content_and_the_search(told: dict[str, str], tmp_path: Path) -> None:
    def identity(**options: Any) -> str:
        engine, paths = engine_of(told, **options)
        return files.identity(engine, paths, ("en", "es"), str(tmp_path), str, "here")

    one = identity()
    assert identity(batch_size=3, threads=2) == one
    assert identity(beam_size=5) != one
    other = tiny_model.make(tmp_path / "other", seed=1)
    assert identity(model=other["model"]) != one


@pytest.mark.parametrize(("name", "data"), [("model.bin", b"no model"), ("tokenizer", b"no pieces")])
def test_what_is_no_model_is_told(told: dict[str, str], tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.bin").write_bytes(data)
    (tmp_path / "pieces.model").write_bytes(data)
    changed = (
        {"tokenizer": str(tmp_path / "pieces.model")} if name == "tokenizer" else {"model": str(tmp_path / "model")}
    )
    engine, paths = engine_of({**told, **changed})
    with pytest.raises(TranslatorError, match=r"no SentencePiece model|cannot load it"):
        load(engine, paths, gpu=False)
