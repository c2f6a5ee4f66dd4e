"""The recipes that users copy are recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.recipe import load, parse

REPO = Path(__file__).resolve().parent.parent.parent
BLOCKS = re.findall(r"```yaml\n(.*?)```", (REPO / "docs/recipe.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("text", BLOCKS)
def test_the_page_on_recipes(text: str) -> None:
    recipe = parse(text)
    assert set(recipe.pairs.wanted()) == {"image_alt", "sentences", "translations", "back_translation", "word_drop"}


@pytest.mark.parametrize("path", sorted(REPO.glob("examples/*/recipe.yaml")), ids=lambda path: path.parent.name)
def test_the_examples(path: Path) -> None:
    assert load(path).recipe.name == path.parent.name


def test_there_is_something_to_check() -> None:
    assert BLOCKS
    assert list(REPO.glob("examples/*/recipe.yaml"))
