"""The classifier against the library that trained it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import arrow, lid
from pairs.language import LanguageIdentifier

MODEL = LanguageIdentifier().file()
OURS = lid.load(MODEL)
THEIRS = fasttext.load_model(str(MODEL))


def compare(texts: list[str]) -> None:
    label, probability = OURS.predict(*arrow.bytes_and_offsets(pa.array(texts, pa.string())))
    for text, number, ours in zip(texts, label.tolist(), probability.tolist(), strict=True):
        theirs = THEIRS.f.predict(text + "\n", 1, 0.0, "replace")
        if not text:
            assert number == -1
            continue
        (wanted, name), *_ = theirs
        assert abs(ours - wanted) < 1e-4, text
        # Two labels may be as probable as float32 can tell.
        assert OURS.labels[number] == name.removeprefix("__label__") or wanted < 0.5, text


def test_texts_of_many_scripts() -> None:
    compare(
        [
            "",
            "Hello world",
            "Füße und Straßen",
            "Привет, мир",
            "你好世界",
            "こんにちは",
            "안녕하세요",
            "مرحبا",
            "สวัสดี",
            "नमस्ते",
            "a",
            "   x  ",
            "1 2 3",
            "😀",
        ]
    )


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=60), max_size=8))
def test_any_text(texts: list[str]) -> None:
    compare(texts)


def test_real_sentences_of_a_hundred_languages(shared: Path) -> None:
    texts: list[str] = []
    with tarfile.open(shared / "multilingual" / "laser_tatoeba_v1.tar.gz") as archive:
        for member in archive.getmembers():
            name = member.name.rsplit("/", 1)[-1]
            if name.startswith("tatoeba.") and not name.endswith(".eng"):
                lines = io.TextIOWrapper(archive.extractfile(member), "utf-8")  # type: ignore[arg-type]
                texts += [" ".join(line.split()) for line in lines][:50]
    texts = [text for text in texts if text]
    assert len(texts) > 4000
    label, _ = OURS.predict(*arrow.bytes_and_offsets(pa.array(texts)))
    theirs = [THEIRS.f.predict(text + "\n", 1, 0.0, "replace")[0][1].removeprefix("__label__") for text in texts]
    assert np.mean([OURS.labels[number] == name for number, name in zip(label.tolist(), theirs, strict=True)]) > 0.9995


@pytest.mark.parametrize("cut", [0, 4, 100, 100_000])
def test_damaged_models_are_errors(cut: int, tmp_path: Path) -> None:
    (tmp_path / "cut.ftz").write_bytes(MODEL.read_bytes()[:cut])
    with pytest.raises(lid.ModelError):
        lid.load(tmp_path / "cut.ftz")
