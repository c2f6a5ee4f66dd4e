"""The interface of an engine that translates, and how its failures cost no more than the sentences that cause them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pydantic import TypeAdapter

from pipelines.similarity.model import ModelError
from pipelines.translate.spec import CommandEngine, CTranslate2Engine, Engine

_GIVE_UP: Final = 40
"""Failures in a row, with no batch in between that went well: the engine is broken, not a sentence. One culprit at the beginning
of a batch of 100,000 makes 19."""


class TranslatorError(ModelError):
    """An engine that cannot be used at all: it is not installed, its files are missing, it fails on everything."""


class EngineError(Exception):
    """An engine that failed on a batch.

    Attributes:
        reason: Short snake_case name: engine_crashed, engine_hung, line_count, line_shift, not_text, too_much.
        detail: What it said.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Translator(Protocol):
    """Takes batches of sentences and gives batches back."""

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """As many translations as sentences, in their order.

        Args:
            sentences: n texts of one line each, none empty.

        Raises:
            EngineError: The batch failed; the engine is usable again.
            TranslatorError: It cannot be used.
        """
        ...

    def close(self) -> None:
        """Ends what it has started."""
        ...


@dataclass(slots=True)
class Failures:
    """Failures in a row of one engine.

    Attributes:
        in_a_row: How many.
        last: The last one.
    """

    in_a_row: int = 0
    last: EngineError | None = None


@dataclass(slots=True)
class Translated:
    """What became of sentences.

    Attributes:
        texts: A translation each; None where there is none.
        faults: Place of a sentence without one -> why.
    """

    texts: list[str | None]
    faults: dict[int, EngineError] = field(default_factory=dict)


def translate_all(
    translator: Translator, sentences: Sequence[str], batch_size: int, failures: Failures | None = None
) -> Translated:
    """Translates any number of sentences in batches.

    A batch that fails is tried once more, then in halves, down to the sentences that make the engine fail, which are given up.

    Args:
        translator: The engine.
        sentences: n texts of one line each, none empty.
        batch_size: Most of a batch.
        failures: Carries failures in a row from call to call.

    Raises:
        TranslatorError: The engine fails on everything.
    """
    found = Translated([None] * len(sentences))
    failed = failures if failures is not None else Failures()
    for first in range(0, len(sentences), batch_size):
        _work(translator, sentences, first, min(first + batch_size, len(sentences)), found, failed, tries=2)
    return found


def _work(
    translator: Translator,
    sentences: Sequence[str],
    first: int,
    last: int,
    found: Translated,
    failed: Failures,
    tries: int,
) -> None:
    for _ in range(tries):
        try:
            texts = translator.translate(sentences[first:last])
            if len(texts) != last - first:
                raise EngineError("line_count", f"{last - first} sentences gave {len(texts)} translations")
            found.texts[first:last] = texts
            failed.in_a_row = 0
            return
        except EngineError as error:
            failed.in_a_row, failed.last = failed.in_a_row + 1, error
            if failed.in_a_row > _GIVE_UP:
                raise TranslatorError(
                    f"the engine failed {failed.in_a_row} times in a row, at last with {error}"
                ) from error
    if last - first == 1:
        assert failed.last is not None
        found.faults[first] = failed.last
        return
    middle = (first + last) // 2
    _work(translator, sentences, first, middle, found, failed, tries=2 if middle - first == 1 else 1)
    _work(translator, sentences, middle, last, found, failed, tries=2 if last - middle == 1 else 1)


def load(engine: Engine, paths: dict[str, str], *, gpu: bool) -> Translator:
    """Makes an engine ready.

    Args:
        engine: The recipe's words.
        paths: Name -> path of its files, as `files.find` gives them.
        gpu: Whether to run it on the GPU that this process has been given.

    Raises:
        TranslatorError: A file or a library is missing, or not what it should be.
    """
    if isinstance(engine, CTranslate2Engine):
        from pipelines.translate.ctranslate2_model import CTranslate2Translator

        return CTranslate2Translator(engine, paths, gpu=gpu)
    assert isinstance(engine, CommandEngine)
    from pipelines.translate.command import CommandTranslator

    return CommandTranslator(engine, paths)


_ENGINE: TypeAdapter[Engine] = TypeAdapter(Engine)


@functools.lru_cache(64)
def _held(said: str, gpu: bool) -> tuple[Engine, Translator, Failures]:
    told = json.loads(said)
    engine = _ENGINE.validate_json(json.dumps(told["engine"]))
    return engine, load(engine, told["paths"], gpu=gpu), Failures()


def held(engine: dict[str, Any], paths: dict[str, str], *, gpu: bool) -> Callable[[Sequence[str]], Translated]:
    """`translate_all` with an engine that is loaded once a process.

    Args:
        engine: The recipe's words, as JSON.
        paths: Name -> path of its files.
        gpu: See `load`.
    """
    spec, translator, failures = _held(json.dumps({"engine": engine, "paths": paths}, sort_keys=True), gpu)
    return lambda sentences: translate_all(translator, sentences, spec.batch_size, failures)
