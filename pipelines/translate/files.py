"""Which files an engine is made of, and its identity: what a translation depends on beside the sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines import storage
from pipelines.manifest import digest_of
from pipelines.sources.inputs import fingerprints
from pipelines.translate.spec import CommandEngine, CTranslate2Engine, Engine
from pipelines.translate.translator import TranslatorError

CODE = "1"
"""Raise it when the same engine and sentence would give another translation: the protocol, how lines are cleaned."""

EXTRA = "translate"
_LIBRARIES = ("ctranslate2", "sentencepiece")


def find(engine: Engine, locate: Callable[[str], str], place: str) -> dict[str, str]:
    """The paths of an engine's files.

    Args:
        engine: The recipe's words.
        locate: Makes a recipe's path absolute.
        place: Where the recipe names it, for messages: `pairs.back_translation.routes.en_es.forward`.

    Returns:
        Of a command, name -> path; of a CTranslate2 model, model, tokenizer and target_tokenizer.

    Raises:
        TranslatorError: One is missing.
    """
    if isinstance(engine, CommandEngine):
        named = engine.files
        _program(engine, locate, place)
    else:
        named = {
            "model": engine.model,
            "tokenizer": engine.tokenizer,
            "target_tokenizer": engine.target_tokenizer or engine.tokenizer,
        }
    paths = {name: locate(path) for name, path in sorted(named.items())}
    for name, path in paths.items():
        if not storage.is_local(path):
            raise TranslatorError(f"{place}.{name}: {path}: a local path is wanted, on every machine that translates")
        paths[name] = str(storage.local_path(path))
        _contents(paths[name], f"{place}.{name}")
    if isinstance(engine, CTranslate2Engine) and not (Path(paths["model"]) / "model.bin").is_file():
        raise TranslatorError(f"{place}.model: {paths['model']} is no converted model: there is no model.bin in it")
    return paths


def _program(engine: CommandEngine, locate: Callable[[str], str], place: str) -> str:
    word = engine.argv[0]
    path = shutil.which(locate(word) if "/" in word and "{" not in word else word)
    if path is None and "{" not in word:
        where = "there is no program" if "/" in word else "no program on the PATH has that name"
        raise TranslatorError(f"{place}.argv: {word!r}: {where}")
    return path or ""


def located(engine: Engine, locate: Callable[[str], str]) -> Engine:
    """The engine with its program's path made absolute, where it has one; a bare name is looked for where it runs."""
    if isinstance(engine, CommandEngine) and "/" in engine.argv[0] and "{" not in engine.argv[0]:
        return engine.model_copy(update={"argv": [locate(engine.argv[0]), *engine.argv[1:]]})
    return engine


def _contents(path: str, place: str) -> list[str]:
    """The files that a path, folder or glob names."""
    if Path(path).is_dir():
        found = sorted(str(file) for file in Path(path).rglob("*") if file.is_file())
    else:
        try:
            found = storage.expand(path)
        except storage.StorageError as error:
            raise TranslatorError(f"{place}: {error}") from error
    if not found:
        raise TranslatorError(f"{place}: {path} holds no file")
    return found


def identity(
    engine: Engine,
    paths: dict[str, str],
    languages: tuple[str, str],
    root: str,
    locate: Callable[[str], str],
    place: str,
) -> str:
    """Hash of all that a translation depends on beside the sentence: words, contents, releases, direction; no paths, no times.

    Args:
        engine: The recipe's words.
        paths: As `find` gives them.
        languages: From, to.
        root: Where fingerprints of files are remembered.
        locate: Makes a recipe's path absolute.
        place: For messages, as in `find`.

    Raises:
        TranslatorError: A library is not installed.
    """
    said: dict[str, Any] = {"code": CODE, "languages": languages, "type": engine.type}
    urls = {name: _contents(path, place) for name, path in paths.items()}
    if isinstance(engine, CommandEngine):
        said |= engine.model_dump(include={"argv", "release", "fence"})
        program = _program(engine, locate, place)
        urls |= {"argv": [program]} if program else {}
        said["argv"] = engine.argv if not program else [Path(program).name, *engine.argv[1:]]
    else:
        shown = {"source_prefix", "target_prefix", "source_end", "beam_size", "max_pieces", "compute_type"}
        said |= engine.model_dump(include=shown) | {"releases": [_release(name, place) for name in _LIBRARIES]}
    prints = fingerprints(root, sorted({(url, url) for found in urls.values() for url in found}))
    said["files"] = {name: [prints[url] for url in found] for name, found in sorted(urls.items())}
    return digest_of(said)


def _release(name: str, place: str) -> str:
    try:
        return f"{name}-{metadata.version(name)}"
    except metadata.PackageNotFoundError as error:
        raise TranslatorError(
            f"{place} needs {name}, which is not installed: pip install 'pixelpairs[{EXTRA}]'"
        ) from error
