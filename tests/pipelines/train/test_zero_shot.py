"""Files of classes, labels by texts, and classification where the answer is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
torch = pytest.importorskip("torch")

from pipelines.train.reference.zero_shot import ClassesError, classify, read_classes  # noqa: E402

TWO = """
name: background
templates: {en: ["a picture with {}", "{}"], zh: ["{}的图片"]}
classes:
  red: {en: a red background, zh: 红色背景, de: rotem Hintergrund}
  blue: {en: a blue background, zh: 蓝色背景, de: blauem Hintergrund}
"""


def written(tmp_path: Path, text: str, name: str = "classes.yaml") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_a_photograph_is_labelled_by_its_texts_where_they_agree(tmp_path: Path) -> None:
    (classes,) = read_classes(written(tmp_path, TWO))
    assert classes.label(["A star on a RED background."]) == 0
    assert classes.label(["蓝色背景上有一个圆"]) == 1, "Han has no spaces around words"
    assert classes.label(["ein Stern auf blauem Hintergrund", "a star on a blue background"]) == 1
    assert classes.label(["a star on an infrared backgrounds"]) is None, "a part of a word is no word"
    assert classes.label(["a red background", "a blue background"]) is None
    assert classes.label([]) is None
    assert classes.prompts("en")[1] == ["a picture with a blue background", "a blue background"]


def test_lists_are_english(tmp_path: Path) -> None:
    (classes,) = read_classes(written(tmp_path, '{"classes": ["cat", "dog"], "templates": ["a {}"]}', "c.json"))
    assert classes.prompts("en") == [["a cat"], ["a dog"]]
    assert len(read_classes(written(tmp_path, "- classes: [a, b]\n- classes: [c, d]\n"))) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("classes: [a]", "classes: 2 to"),
        ("classes: {a: {en: x}, b: {de: y}}", "classes.b: words in each of en"),
        ("classes: {a: {en: x}, b: {en: ''}}", "classes.b: words"),
        ("classes: [a, b]\ntemplates: [a cat]", "each with {} for the class"),
        ("classes: [a, b]\nlabels: x", "unknown key 'labels'"),
        ("classes: [a, b]\nlabel_by: [de]", "label_by: a list of languages"),
        ("classes: [a, b]\npictures: {00: c}", "pictures: sha256 -> one of the classes"),
        ("!!python/object/apply:os.system [true]", "cannot be read"),
        ("5", "not a mapping"),
        ("[]", "no set of classes"),
        ("classes: [yes, no]", "classes: True is no name; put it in quotes"),
        ("classes: [a, [b]]", "classes: ['b'] is no name"),
        ("classes: [a, b]\ntemplates: {7: ['{}']}", "templates: a list of prompts"),
        ("classes: [a, b]\ntemplates: {}", "templates: a list of prompts"),
        ("classes: [a, b]\npictures: {x: [a]}", "pictures: sha256 -> one of the classes"),
        # Its pattern was empty and found in every text.
        ("classes: {a: {en: x, de: y}, b: {en: z}}\ntemplates: ['{}']\nlabel_by: [de]", "each class in one of them"),
    ],
)
def test_a_wrong_file_is_named_with_what_would_be_right(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ClassesError, match=r"classes\.yaml") as caught:
        read_classes(written(tmp_path, text))
    assert says in str(caught.value)


def test_the_nearest_class_wins_and_ties_lose(tmp_path: Path) -> None:
    (classes,) = read_classes(written(tmp_path, TWO))
    known = {"red": torch.tensor([1.0, 0.0]), "blue": torch.tensor([0.0, 1.0])}

    def embed(texts: list[str]) -> Any:
        return torch.stack([known["red" if "red" in text or "红" in text else "blue"] for text in texts])

    images = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.5**0.5, 0.5**0.5]])
    found = classify(images, [0, 0, 0, 0], classes, embed)
    assert (found["top_1"], found["top_5"], found["chance"]) == (0.5, 1.0, 0.5)
    assert found["by_language"] == {"en": 0.5, "zh": 0.5}
    assert found["by_class"] == {"red": {"photographs": 4, "top_1": 0.5}}
