"""CTranslate2 models: Transformers converted from OpenNMT, Marian, fairseq or transformers, with SentencePiece pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.translate.spec import CTranslate2Engine
from pipelines.translate.translator import EngineError, TranslatorError


class CTranslate2Translator:
    """A model in this process.

    Sentences of one batch do not see each other; that their numbers are summed in another order beside longer neighbours may turn a
    tie, on a GPU more than on a CPU.
    """

    def __init__(self, engine: CTranslate2Engine, paths: dict[str, str], *, gpu: bool) -> None:
        """Loads it.

        Args:
            engine: The recipe's words.
            paths: model, tokenizer, target_tokenizer.
            gpu: Whether to run on the GPU that this process has been given.

        Raises:
            TranslatorError: A library is missing, or a file is not such a model.
        """
        try:
            import ctranslate2
            import sentencepiece
        except ImportError as error:
            raise TranslatorError(
                f"provider ctranslate2 needs {error.name}, which is not installed: pip install 'pixelpairs[translate]'"
            ) from error
        self._engine = engine
        try:
            self._source: Any = sentencepiece.SentencePieceProcessor(model_file=paths["tokenizer"])
            self._target: Any = sentencepiece.SentencePieceProcessor(model_file=paths["target_tokenizer"])
        except (RuntimeError, OSError) as error:
            raise TranslatorError(f"{paths['tokenizer']}: no SentencePiece model: {error}") from error
        try:
            self._model: Any = ctranslate2.Translator(
                paths["model"],
                device="cuda" if gpu else "cpu",
                compute_type=engine.compute_type,
                inter_threads=1,
                intra_threads=engine.threads,
            )
        except (RuntimeError, ValueError) as error:
            raise TranslatorError(f"{paths['model']}: CTranslate2 cannot load it: {error}") from error

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """See `Translator`."""
        engine = self._engine
        end = [engine.source_end] if engine.source_end is not None else []
        room = engine.max_pieces
        pieces = [
            [*engine.source_prefix, *self._source.encode(sentence, out_type=str)[:room], *end] for sentence in sentences
        ]
        prefix = [list(engine.target_prefix)] * len(pieces) if engine.target_prefix else None
        try:
            results = self._model.translate_batch(
                pieces,
                target_prefix=prefix,
                beam_size=engine.beam_size,
                max_decoding_length=room,
                max_batch_size=engine.batch_size,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError("engine_crashed", f"CTranslate2: {error}") from error
        skipped = len(engine.target_prefix)
        return [" ".join(self._target.decode(result.hypotheses[0][skipped:]).split()) for result in results]

    def close(self) -> None:
        """Lets the model go."""
        self._model = None
