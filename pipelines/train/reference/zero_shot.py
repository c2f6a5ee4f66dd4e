"""Zero-shot classification: each class is a text, rendered, and a photograph is of the class whose text is nearest.

A class's vector is the mean of its prompts' (CLIP's prompt ensembling, Radford et al. 2021, section 3.1.4), in each language by
itself and over all languages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import yaml
from torch import Tensor

from pipelines.train.reference.loss import unit

MAX_BYTES: Final[int] = 4 << 20
MAX_CLASSES: Final[int] = 20_000
BLANK: Final[str] = "{}"
_KEYS: Final[tuple[str, ...]] = ("name", "templates", "classes", "label_by", "pictures")


class ClassesError(ValueError):
    """A file of classes cannot be used; the message says where and what would be right."""


@dataclass(frozen=True, slots=True)
class ClassSet:
    """Classes of one sort.

    Attributes:
        name: What they are classes of.
        words: Class -> language -> how it is called there.
        templates: Language -> prompts with `{}` where the class's words go.
        pictures: sha256 of a photograph -> its class. Photographs that are not listed are labelled by their own texts, see `label`.
        label_by: Languages in whose texts a class's words say for certain that it is there: those that do not inflect them.
    """

    name: str
    words: Mapping[str, Mapping[str, str]]
    templates: Mapping[str, Sequence[str]]
    pictures: Mapping[str, str]
    label_by: Sequence[str]

    @property
    def classes(self) -> list[str]:
        """Names, in their order."""
        return list(self.words)

    def prompts(self, language: str) -> list[list[str]]:
        """The prompts of each class in a language."""
        return [[t.replace(BLANK, words[language]) for t in self.templates[language]] for words in self.words.values()]

    def label(self, texts: Sequence[str]) -> int | None:
        """The class that a photograph is of by its own texts: the only one whose words, in `label_by`, stand in one of them.

        Args:
            texts: Of the photograph.

        Returns:
            Its number; None where the texts name none or several.
        """
        found = {number for number, pattern in enumerate(self._patterns()) for text in texts if pattern.search(text)}
        return found.pop() if len(found) == 1 else None

    def _patterns(self) -> list[re.Pattern[str]]:
        return [
            re.compile(
                "|".join(_whole(words[language]) for language in self.label_by if language in words) or "(?!)",
                re.IGNORECASE,
            )
            for words in self.words.values()
        ]


def _whole(words: str) -> str:
    """A pattern of whole words; Han and kana stand without spaces around them."""
    unspaced = re.search(r"[\u3040-\u30ff\u3400-\u9fff]", words)
    return re.escape(words) if unspaced else rf"(?<![^\W_]){re.escape(words)}(?![^\W_])"


def read_classes(path: Path) -> list[ClassSet]:
    """Reads sets of classes: YAML or JSON, a list of mappings (or one).

    ```yaml
    - name: background
      templates: {en: ["a picture with {}"], de: ["ein Bild mit {}"]}
      classes:
        red: {en: a red background, de: rotem Hintergrund}
      label_by: [en]          # left out: all languages
      pictures: {<sha256>: red}   # left out: none
    ```

    `classes` may be a list of names, and `templates` a list, both then English. Plain data alone is read.

    Raises:
        ClassesError: The file is no such file.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise ClassesError(f"{path}: {len(data)} bytes, at most {MAX_BYTES} are read")
        found = json.loads(data) if path.suffix == ".json" else yaml.safe_load(data)
    except OSError as error:
        raise ClassesError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if isinstance(error, ClassesError):
            raise
        raise ClassesError(f"{path}: cannot be read: {error}") from error
    listed = found if isinstance(found, list) else [found]
    if not listed:
        raise ClassesError(f"{path}: no set of classes; a mapping with classes and templates, or a list of such")
    return [_class_set(one, f"{path}, set {number}") for number, one in enumerate(listed, 1)]


def _class_set(found: Any, where: str) -> ClassSet:
    if not isinstance(found, dict):
        raise ClassesError(f"{where}: not a mapping with name, templates and classes")
    unknown = sorted(map(str, set(found) - set(_KEYS)))
    if unknown:
        raise ClassesError(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(_KEYS)}")
    templates = found.get("templates", [BLANK])
    templates = templates if isinstance(templates, dict) else {"en": templates}
    classes = found.get("classes")
    for name in classes if isinstance(classes, list | dict) else ():
        if not isinstance(name, str):  # YAML's yes, no and 1 are none
            raise ClassesError(f"{where}: classes: {name!r} is no name; put it in quotes")
    classes = {name: {"en": name} for name in classes} if isinstance(classes, list) else classes
    if not templates or not all(isinstance(language, str) for language in templates):
        raise ClassesError(f"{where}: templates: a list of prompts, or language -> a list of prompts")
    for language, prompts in templates.items():
        if not isinstance(prompts, list) or not prompts or not all(isinstance(p, str) and BLANK in p for p in prompts):
            raise ClassesError(f"{where}: templates.{language}: a list of prompts, each with {{}} for the class")
    if not isinstance(classes, dict) or not 2 <= len(classes) <= MAX_CLASSES:
        raise ClassesError(
            f"{where}: classes: 2 to {MAX_CLASSES} of them, a list of names or name -> language -> words"
        )
    for name, words in classes.items():
        words = words if isinstance(words, dict) else {"en": words}
        classes[name] = words
        missing = sorted(set(templates) - set(words))
        if missing or not all(isinstance(w, str) and w.strip() for w in words.values()):
            raise ClassesError(f"{where}: classes.{name}: words in each of {', '.join(templates)} are needed")
    pictures = found.get("pictures") or {}
    if not isinstance(pictures, dict) or not all(isinstance(c, str) and c in classes for c in pictures.values()):
        raise ClassesError(f"{where}: pictures: sha256 -> one of the classes")
    label_by = found.get("label_by", list(next(iter(classes.values()))))
    if (
        not isinstance(label_by, list)
        or not all(isinstance(one, str) for one in label_by)
        or not all(any(one in words for one in label_by) for words in classes.values())
        or not all(any(one in words for words in classes.values()) for one in label_by)
    ):
        raise ClassesError(
            f"{where}: label_by: a list of languages in which classes have words, each class in one of them"
        )
    return ClassSet(str(found.get("name", "classes")), classes, templates, pictures, label_by)


def classify(
    images: Tensor, labels: Sequence[int], classes: ClassSet, embed: Callable[[list[str]], Tensor]
) -> dict[str, Any]:
    """Classifies photographs by the texts of classes.

    Args:
        images: float [n, d], rows of length 1; n at least 1.
        labels: n, the class of each.
        classes: The texts.
        embed: Texts -> float [m, d], rows of length 1.

    Returns:
        name, classes, photographs, chance (1 / classes), top_1 and top_5 over all languages, `by_language`: language -> top_1,
        `by_class`: class -> {photographs, top_1}.
    """
    target = torch.tensor(labels)
    sums = torch.zeros(len(classes.words), images.shape[1])
    by_language = {}
    for language in classes.templates:
        prompts = classes.prompts(language)
        found = embed([text for one in prompts for text in one]).float().cpu()
        means = torch.stack([part.mean(0) for part in found.split([len(one) for one in prompts])])
        sums += means
        by_language[language] = _share(_hits(images, unit(means), target, 1))
    ensemble = unit(sums)
    first = _hits(images, ensemble, target, 1)
    by_class = {
        name: {"photographs": int(of.sum()), "top_1": _share(first[of])}
        for number, name in enumerate(classes.classes)
        if bool((of := target == number).any())
    }
    return {
        "name": classes.name,
        "classes": len(classes.words),
        "photographs": len(labels),
        "chance": round(1 / len(classes.words), 6),
        "top_1": _share(first),
        "top_5": _share(_hits(images, ensemble, target, 5)),
        "by_language": by_language,
        "by_class": by_class,
    }


def _hits(images: Tensor, classes: Tensor, target: Tensor, at: int) -> Tensor:
    """bool [n]: whether each photograph's class is among its `at` nearest; ties count against."""
    scores = images.float().cpu() @ classes.T
    own = scores.gather(1, target[:, None])
    return (~(scores < own)).sum(1) - 1 < at


def _share(hits: Tensor) -> float:
    return round(float(hits.float().mean()), 6)
