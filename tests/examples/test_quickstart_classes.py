"""The quickstart's classes name what its scenes show, in every language that they are labelled by."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
sys.path.insert(0, str(EXAMPLE))

from captions import LANGUAGES, caption  # noqa: E402
from scenes import make_scenes  # noqa: E402

from pipelines.train.reference.zero_shot import read_classes  # noqa: E402


def test_labels_are_what_was_drawn() -> None:
    background, colour, shape = read_classes(EXAMPLE / "classes.yaml")
    shapes_told = colours_told = 0
    for number, scene in enumerate(make_scenes(300, seed=3, stage="labels")):
        texts = [caption(scene, language, random.Random(number)) for language in LANGUAGES]  # noqa: S311
        assert background.classes[background.label(texts)] == scene.background
        label = colour.label(texts)
        if label is not None:
            colours_told += 1
            assert {colour.classes[label]} == {thing.colour for thing in scene.things} - {"black", "white", "grey"}
        label = shape.label(texts)
        if label is not None:
            shapes_told += 1
            assert {shape.classes[label]} == {thing.shape for thing in scene.things}
    assert shapes_told > 50
    assert colours_told > 100
