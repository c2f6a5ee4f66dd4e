"""Texts -> tokens, as a tokenizer.json says; all of one length, so that a text's embedding is its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.similarity.model import ModelError

_PADS = ("<pad>", "[PAD]", "<|pad|>")
_LONGEST = 8192  # tokenizer_config.json says 10^30 where there is no bound


class Tokenizer:
    """Cuts and fills up to the model's context length."""

    def __init__(self, files: Mapping[str, str], wanted: int | None, fixed: int | None) -> None:
        """Reads the files.

        Args:
            files: `tokenizer` and, where there is one, `tokenizer_config`.
            wanted: Tokens, as the recipe says.
            fixed: Tokens, as the text encoder is made for; None where it takes any number.

        Raises:
            ModelError: A file cannot be read, the lengths differ, or nothing tells the length.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise ModelError(
                f"provider onnx needs tokenizers ({error}): pip install 'pixelpairs[similarity]'"
            ) from error
        path = files["tokenizer"]
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(path)
        except Exception as error:  # the library raises Exception itself
            raise ModelError(f"{path}: is no tokenizer.json: {str(error).splitlines()[0][:300]}") from None
        config = _config(files.get("tokenizer_config"))
        if wanted is not None and fixed is not None and wanted != fixed:
            raise ModelError(f"{files['text_encoder']} reads {fixed} tokens, context_length is {wanted}")
        length = wanted or fixed or self._length(config)
        if length is None:
            raise ModelError(
                f"pairs.image_alt.similarity.context_length: neither the recipe nor the text encoder nor {path} says it"
            )
        self.length = length
        self.pad_id, pad = self._pad(config)
        try:
            self._tokenizer.enable_truncation(length)
            self._tokenizer.enable_padding(length=length, pad_id=self.pad_id, pad_token=pad, direction="right")
        except Exception as error:
            raise ModelError(f"{path}: cannot be cut to {length} tokens: {error}") from None

    def _length(self, config: Mapping[str, Any]) -> int | None:
        truncation, padding = self._tokenizer.truncation, self._tokenizer.padding
        told = ((truncation or {}).get("max_length"), (padding or {}).get("length"), config.get("model_max_length"))
        return next(
            (int(length) for length in told if isinstance(length, int | float) and 2 <= length <= _LONGEST), None
        )

    def _pad(self, config: Mapping[str, Any]) -> tuple[int, str]:
        """Of the tokenizer; of its configuration; of a usual name; else 0, as OpenAI's CLIP fills up."""
        padding = self._tokenizer.padding
        if padding is not None:
            return int(padding["pad_id"]), str(padding["pad_token"])
        named = config.get("pad_token")
        named = named.get("content") if isinstance(named, Mapping) else named
        for token in (named, *_PADS):
            if isinstance(token, str) and (found := self._tokenizer.token_to_id(token)) is not None:
                return found, token
        return 0, self._tokenizer.id_to_token(0) or ""

    def batch(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Tokens and the mask of those that are none of filling: int64 (n, length)."""
        found = self._tokenizer.encode_batch(list(texts))
        ids, mask = ([getattr(one, name) for one in found] for name in ("ids", "attention_mask"))
        return np.array(ids, np.int64), np.array(mask, np.int64)


def _config(path: str | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        told = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from error
    return told if isinstance(told, dict) else {}
