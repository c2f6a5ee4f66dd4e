"""An image and a text encoder as ONNX files, run by ONNX Runtime; texts cut by a tokenizer.json.

Reads what transformers, Optimum and open_clip's exporters write: inputs are told by name and type, the embedding is the output of a
known name or the first of two dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pairs.similarity import SimilarityOptions
from pipelines.similarity.model import Floats, ModelError
from pipelines.similarity.pictures import preprocessing
from pipelines.similarity.texts import Tokenizer

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_INTS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_IMAGE_OUTPUTS = ("image_embeds", "image_features", "image_embedding", "pooler_output")
_TEXT_OUTPUTS = ("text_embeds", "text_features", "text_embedding", "pooler_output")
_IDS = ("input_ids", "tokens", "text", "input")
_ZEROS = ("token_type_ids",)


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    dtype: Any
    shape: tuple[int | None, ...]


class _Encoder:
    """One ONNX file and the output of it that is an embedding."""

    def __init__(self, path: str, session: Any, outputs: tuple[str, ...]) -> None:
        self.path = path
        self._session = session
        self.inputs = [self._input(node) for node in self._session.get_inputs()]
        self._output = self._embedding(outputs)

    def _input(self, node: Any) -> _Input:
        dtype = {**_FLOATS, **_INTS, "tensor(bool)": np.bool_}.get(node.type)
        if dtype is None:
            raise ModelError(f"{self.path}: input {node.name!r} is a {node.type}, which is not known")
        return _Input(node.name, dtype, tuple(size if isinstance(size, int) else None for size in node.shape))

    def _embedding(self, names: tuple[str, ...]) -> str:
        nodes = self._session.get_outputs()
        ranks = {node.name: len(node.shape) for node in nodes}
        # Exporters do not always say an output's shape: one of no stated rank is taken by its name alone.
        for name in names:
            if ranks.get(name) in (0, 2):
                return name
        for node in nodes:
            if len(node.shape) == 2:
                return str(node.name)
        told = ", ".join(f"{node.name} {list(node.shape)}" for node in nodes)
        raise ModelError(f"{self.path}: no output is an embedding of two dimensions, batch and size: there are {told}")

    def run(self, given: Mapping[str, np.ndarray], rows: int) -> Floats:
        """float32 (rows, d)."""
        try:
            (found,) = self._session.run([self._output], dict(given))
        except Exception as error:  # the runtime's own classes, which are not exported
            raise ModelError(f"{self.path}: {str(error).splitlines()[0][:300]}") from None
        found = np.asarray(found)
        if found.ndim != 2 or len(found) != rows:
            raise ModelError(
                f"{self.path}: output {self._output!r} is of shape {found.shape}; ({rows}, size of an embedding) is wanted"
            )
        return found.astype(np.float32)


def _session(path: str, *, gpu: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"provider onnx needs onnxruntime ({error}): pip install 'pixelpairs[similarity]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.use_deterministic_compute = True
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # an actor a CPU: more threads would only wait
    providers = ["CPUExecutionProvider"]
    if gpu and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # the runtime's own classes, which are not exported
        raise ModelError(f"{path}: is no ONNX model that can be run: {str(error).splitlines()[0][:300]}") from None


class OnnxModel:
    """See `SimilarityModel`."""

    def __init__(self, options: SimilarityOptions, files: Mapping[str, str], *, gpu: bool = False) -> None:
        """Loads both encoders and tries them.

        Raises:
            ModelError: A file is no model, or not one of such inputs and outputs; the message names it.
        """
        paths = files["image_encoder"], files["text_encoder"]
        sessions = {path: _session(path, gpu=gpu) for path in dict.fromkeys(paths)}
        same = len(sessions) == 1
        self._image = _Encoder(paths[0], sessions[paths[0]], _IMAGE_OUTPUTS)
        self._text = _Encoder(paths[1], sessions[paths[1]], _TEXT_OUTPUTS)
        self._pixels = self._find_pixels()
        self._ids = self._find_ids()
        self._tokenizer = Tokenizer(files, options.context_length, self._ids.shape[1])
        self._preprocessing = preprocessing(options, files, self._side())
        self._check_inputs(self._image, {self._pixels.name}, both=same)
        self._check_inputs(self._text, {self._ids.name, "attention_mask", *_ZEROS}, both=same)
        self._batch = options.batch_size
        sizes = {
            self._image.path: self.images([self.prepare(Image.new("RGB", (8, 8)))]).shape[1],
            self._text.path: self.texts([""]).shape[1],
        }
        if len({*sizes.values()}) != 1:
            told = ", ".join(f"{path}: {size}" for path, size in sizes.items())
            raise ModelError(f"the encoders' embeddings are of different sizes, so they are not of one model: {told}")

    @property
    def batch_size(self) -> int:
        """How many images, or texts, the model is given at once."""
        return self._batch

    def prepare(self, picture: Image.Image) -> Floats:
        """An RGB picture of any size as the image encoder reads it: float32 (3, size, size)."""
        return self._preprocessing.array(picture)

    def images(self, prepared: Sequence[Floats]) -> Floats:
        """Embeddings of n prepared pictures: float32 (n, d), not normalised."""
        side = self._preprocessing.size

        def feed(first: int, last: int, rows: int) -> dict[str, np.ndarray]:
            pixels = np.zeros((rows, 3, side, side), self._pixels.dtype)
            for at, picture in enumerate(prepared[first:last]):
                pixels[at] = picture
            return {self._pixels.name: pixels}

        return self._run(self._image, len(prepared), self._pixels.shape[0], feed)

    def texts(self, texts: Sequence[str]) -> Floats:
        """Embeddings of n texts: float32 (n, d), not normalised."""

        def feed(first: int, last: int, rows: int) -> dict[str, np.ndarray]:
            ids, mask = self._tokenizer.batch([*texts[first:last], *[""] * (rows - (last - first))])
            given = {self._ids.name: ids, "attention_mask": mask, **dict.fromkeys(_ZEROS, np.zeros_like(ids))}
            return {node.name: given[node.name].astype(node.dtype) for node in self._text.inputs if node.name in given}

        return self._run(self._text, len(texts), self._ids.shape[0], feed)

    def _run(
        self, encoder: _Encoder, n: int, fixed: int | None, feed: Callable[[int, int, int], dict[str, np.ndarray]]
    ) -> Floats:
        """Batch by batch, the last one filled up: equal shapes give a row the same numbers whatever stands beside it."""
        rows = fixed or self._batch
        made = []
        for first in range(0, n, rows):
            last = min(n, first + rows)
            given = feed(first, last, rows)
            blank = {
                node.name: _blank(node, self._preprocessing.size) for node in encoder.inputs if node.name not in given
            }
            made.append(encoder.run({**given, **blank}, rows)[: last - first])
        return np.concatenate(made) if made else np.zeros((0, 0), np.float32)

    def _find_pixels(self) -> _Input:
        for node in self._image.inputs:
            if node.dtype in _FLOATS.values() and len(node.shape) == 4 and node.shape[1] in (3, None):
                return node
        raise ModelError(
            f"{self._image.path}: no input takes pictures, floats of (batch, 3, height, width): {_told(self._image)}"
        )

    def _find_ids(self) -> _Input:
        ints = [node for node in self._text.inputs if node.dtype in _INTS.values() and len(node.shape) == 2]
        named = [node for name in _IDS for node in ints if node.name == name] or ints[:1]
        if not named:
            raise ModelError(
                f"{self._text.path}: no input takes tokens, integers of (batch, length): {_told(self._text)}"
            )
        return named[0]

    def _side(self) -> int | None:
        height, width = self._pixels.shape[2:]
        if height is not None and width is not None and height != width:
            raise ModelError(f"{self._image.path}: reads pictures of {width} x {height} px; only squares are known")
        return height or width

    def _check_inputs(self, encoder: _Encoder, known: set[str], *, both: bool) -> None:
        """A file that holds both encoders also asks for the other's input, which is given blank."""
        more = [node for node in encoder.inputs if node.name not in known]
        if more and not both:
            raise ModelError(
                f"{encoder.path}: input {', '.join(node.name for node in more)} is not known: {_told(encoder)}"
            )


def _blank(node: _Input, side: int) -> np.ndarray:
    """The least that an input which does not matter here may be given: one row; ones, since an empty mask divides by 0."""
    least = (1, 3, side, side) if len(node.shape) == 4 else (1, 8)
    return np.ones([size or wanted for size, wanted in zip(node.shape, least, strict=False)], node.dtype)


def _told(encoder: _Encoder) -> str:
    shown = [f"{node.name} {np.dtype(node.dtype)} {list(node.shape)}" for node in encoder.inputs]
    return f"there are {', '.join(shown)}" if shown else "there are no inputs"
