"""Words of languages that do not set them apart, by libraries that know them; each is optional and loaded when it is asked.

The extra `words` brings jieba (Chinese; dictionary and a hidden Markov model), PyThaiNLP (Thai; its dictionary, maximal matching)
and BudouX (Chinese, Japanese, Thai; a small model of where lines may break, so its words are phrases).
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import Any, Final, Literal

Name = Literal["jieba", "pythainlp", "budoux"]
LANGUAGES: Final[dict[Name, tuple[str, ...]]] = {
    "jieba": ("zh",),
    "pythainlp": ("th",),
    "budoux": ("zh", "ja", "th"),
}
"""The languages, subtags, whose words each library knows."""
_MODULES: Final = {"jieba": "jieba", "pythainlp": "pythainlp.tokenize", "budoux": "budoux"}


class SegmenterError(Exception):
    """A segmenter that is not installed."""


def release(name: Name) -> str:
    """Name and release of a library, which its words depend on.

    Raises:
        SegmenterError: It is not installed; the message names the extra that brings it.
    """
    try:
        return f"{name}-{metadata.version(name)}"
    except metadata.PackageNotFoundError as error:
        raise SegmenterError(f"the segmenter {name} is not installed: pip install 'pixelpairs[words]'") from error


def starts(texts: Sequence[str], name: Name, lang: str) -> list[list[int]]:
    """Where words begin.

    Args:
        texts: n texts.
        name: The library.
        lang: The language's subtag, one of `LANGUAGES[name]`.

    Returns:
        For each text the places, in code points, at which a word begins.

    Raises:
        SegmenterError: The library is not installed.
    """
    cut = _cutter(name, lang)
    found = []
    for text in texts:
        places, at = [], 0
        for word in cut(text):
            places.append(at)
            at += len(word)
        found.append(places if at == len(text) else list(range(len(text))))  # one that changes text tells nothing
    return found


@functools.cache
def _cutter(name: Name, lang: str) -> Callable[[str], Iterable[str]]:
    release(name)
    library: Any = importlib.import_module(_MODULES[name])
    if name == "jieba":
        library.setLogLevel(logging.ERROR)
        return lambda text: library.cut(text)
    if name == "pythainlp":
        return lambda text: library.word_tokenize(text, engine="newmm", keep_whitespace=True)
    models = {"zh": "simplified_chinese", "ja": "japanese", "th": "thai"}
    parse: Callable[[str], Iterable[str]] = getattr(library, f"load_default_{models[lang]}_parser")().parse
    return parse
