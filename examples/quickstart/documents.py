"""Documents in C4's schema: prose that the Python installation carries (pydoc's topics, docstrings), and described scenes."""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Final

from captions import caption
from scenes import Scene, make_scenes

UNKNOWN_TIME: Final[str] = "1970-01-01T00:00:00Z"

DOCSTRING_MODULES: Final[tuple[str, ...]] = (
    "argparse", "asyncio", "calendar", "collections", "configparser", "contextlib", "csv", "datetime", "decimal",
    "difflib", "doctest", "email", "enum", "heapq", "html", "http", "importlib", "inspect", "ipaddress", "locale",
    "logging", "pathlib", "pickle", "random", "shutil", "smtplib", "socketserver", "statistics", "subprocess",
    "tarfile", "tempfile", "textwrap", "threading", "turtle", "unittest", "urllib", "wsgiref", "zipfile",
)  # fmt: skip
"""Modules and packages of the standard library whose docstrings become documents, one document a file."""

_UNDERLINE = re.compile(r"^[*=\-^~\"'.#+]{3,}$")
_MARKER = re.compile(r"^(?:[*+-]|\d+[.)]|\[\d+\])\s+")
_CODE = re.compile(r"::=|>>>|^\.{3}\s|^(?:def|class|import|return|@)\b.*[:)]$|[{};]$|^\w+ = |\w\(.*\)$")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2}|`{1,2})([^*`\s](?:[^*`]*[^*`\s])?)\1(?![\w*])")
_FIELDS = re.compile(r"\b(?:Args|Returns|Raises|Kwargs):")
_WORD = re.compile(r"[^\W\d_]{2,}")


def paragraphs(text: str) -> list[str]:
    """Strips documentation markup down to natural paragraphs, each on one line.

    Headings, code blocks, grammar productions and tables go; list items, notes and indented descriptions that are
    prose stay. A paragraph counts as prose if it has at least eight words, begins like a sentence and ends as one.

    Args:
        text: Plain text as Sphinx writes it, or a docstring (dedented).
    """
    kept: list[str] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").expandtabs()):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        if not lines or any(_UNDERLINE.match(line) for line in lines):
            continue
        items: list[list[str]] = [[]]
        for line in lines:
            if _MARKER.match(line) and items[-1]:
                items.append([])
            items[-1].append(line)
        for item in items:
            joined = re.sub(r"\s+", " ", " ".join(item))
            joined = re.sub(r"\s*\[\d+\]", "", _MARKER.sub("", joined)).strip()
            joined = _EMPHASIS.sub(r"\2", joined)
            if _is_prose(joined, item):
                kept.append(joined)
    return kept


def _is_prose(joined: str, lines: list[str]) -> bool:
    words = _WORD.findall(joined)
    if len(words) < 8 or joined[-1] not in '.!?:)"':
        return False
    if _FIELDS.search(joined) or not (joined[0].isupper() or joined[0] in "\"'“"):
        return False
    if sum(len(w) for w in words) < 0.6 * len(joined):
        return False
    if any(re.search(r"\S {3,}\S", line) for line in lines):  # columns: a table
        return False
    return sum(bool(_CODE.search(line)) for line in lines) * 3 <= len(lines)


def topic_documents() -> Iterator[dict[str, str]]:
    """The language reference as pydoc carries it, one document a topic, in the order of the topics' names."""
    for name in sorted(topics):
        found = paragraphs(topics[name])
        if found:
            yield {"text": "\n".join(found), "timestamp": UNKNOWN_TIME, "url": f"file:pydoc_data/topics.py#{name}"}


def docstring_documents() -> Iterator[dict[str, str]]:
    """Docstrings of the standard library, one document a source file. The files are parsed, not imported."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    for module in DOCSTRING_MODULES:
        single, package = stdlib / f"{module}.py", stdlib / module
        files = [single] if single.is_file() else sorted(package.rglob("*.py"))
        for file in files:
            if "test" in file.relative_to(stdlib).parts:
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            docs = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, nodes))
            found = list(dict.fromkeys(p for doc in docs if doc for p in paragraphs(doc)))
            if found:
                yield {"text": "\n".join(found), "timestamp": UNKNOWN_TIME,
                       "url": f"file:{file.relative_to(stdlib).as_posix()}"}  # fmt: skip


def scene_documents(lang: str, count: int, *, seed: int, painted: Collection[Scene] = ()) -> Iterator[dict[str, str]]:
    """Scenes described in two or three sentences, one document a scene.

    Neighbouring sentences say the same in other words, so that a small tower can learn what follows what. The scenes are drawn from
    a stream of their own, none of the `painted` ones (a set) among them.

    Args:
        lang: A language of `captions.LANGUAGES`.
        count: How many, at most 10,000.
        seed: Same seed, same documents.
        painted: Scenes that are not wanted.
    """
    rng = random.Random(f"{seed}:documents:{lang}")  # noqa: S311 - reproducible, not secret
    made = 0
    for scene in make_scenes(2 * count, seed=seed, stage=f"documents-{lang}", without=painted):
        wanted, found = rng.choice((2, 3)), dict[str, None]()
        for _ in range(16):
            found.update(dict.fromkeys(_sentences(caption(scene, lang, rng))))
        if made < count and len(found) > 1:  # of some scenes a language has one wording
            made += 1
            text = ("" if lang in ("ja", "zh") else " ").join(list(found)[:wanted])
            yield {"text": text, "timestamp": UNKNOWN_TIME, "url": f"https://prose.example/{lang}/{made:05d}"}


def _sentences(words: str) -> list[str]:
    """The caption as a sentence; none where it is a phrase of a script without capitals, which no stop makes one."""
    if words[-1] in ".。":
        return [words]
    return [f"{words[0].upper()}{words[1:]}."] if words[0].lower() != words[0].upper() else []
