"""Texts in, one flat byte buffer out: what the kernels read. Nothing here runs once a text, but for lone surrogates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Texts: TypeAlias = "Sequence[str | bytes] | pa.Array | pa.ChunkedArray"


@dataclass(frozen=True)
class TextBlock:
    """Some consecutive texts as UTF-8.

    Attributes:
        data: uint8 (bytes,), all texts of the underlying Arrow buffer.
        offsets: int64 (n + 1,): text i is data[offsets[i]:offsets[i + 1]].
        surrogates: uint8 (n,): 1 where a three-byte sequence for U+D800 to U+DFFF stands for that code point because the text
            was a `str` that held it; 0 where it is invalid UTF-8.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    surrogates: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def blocks(texts: Texts) -> Iterator[TextBlock]:
    """Cuts texts into blocks of at least one text each, without copying an Arrow large_string or large_binary array.

    Args:
        texts: a list or other sequence of str and bytes, mixed as you like, or an Arrow string or binary array of any kind,
            chunked or not.

    Raises:
        TypeError: something else, a single string among it. ValueError: a null text.
    """
    if isinstance(texts, (str, bytes, bytearray, memoryview)):
        raise TypeError("texts is a single text; pass a list of texts")
    if isinstance(texts, pa.ChunkedArray):
        for chunk in texts.chunks:
            if len(chunk):
                yield _arrow_block(chunk)
    elif isinstance(texts, pa.Array):
        if len(texts):
            yield _arrow_block(texts)
    elif len(texts):
        yield _list_block(texts if isinstance(texts, list) else list(texts))


def _list_block(texts: list[str | bytes]) -> TextBlock:
    try:
        array = pa.array(texts, pa.large_binary())  # takes str too, as UTF-8
    except UnicodeEncodeError:
        return _surrogate_block(texts)
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise TypeError(f"texts must be str or bytes: {error}") from error
    return _arrow_block(array)


def _surrogate_block(texts: list[str | bytes]) -> TextBlock:
    """Some str holds a lone surrogate, which UTF-8 has no form for: encode one by one as it would be, and mark the row."""
    marks = np.zeros(len(texts), np.uint8)
    encoded: list[bytes] = []
    for row, text in enumerate(texts):
        if isinstance(text, str):
            marks[row] = 1
            encoded.append(text.encode("utf-8", "surrogatepass"))
        else:
            encoded.append(text)
    block = _list_block(encoded)  # type: ignore[arg-type]  # list is invariant
    return TextBlock(block.data, block.offsets, marks)


def _arrow_block(array: pa.Array) -> TextBlock:
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    kind = array.type
    if not (pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)):
        if pa.types.is_string(kind) or pa.types.is_string_view(kind):
            array = array.cast(pa.large_string())
        elif pa.types.is_binary(kind) or pa.types.is_binary_view(kind):
            array = array.cast(pa.large_binary())
        else:
            raise TypeError(f"texts must be an Arrow string or binary array, not {kind}")
    if array.null_count:
        row = array.is_null().to_pylist().index(True)
        raise ValueError(f"texts[{row}] is null; drop the row or render an empty text")
    _, offsets, data = array.buffers()
    spans = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return TextBlock(raw, spans, np.zeros(len(array), np.uint8))
