"""Which files a model is made of, and the releases that run it: what its scores depend on beside the settings."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from pairs.similarity import SimilarityOptions
from pipelines import storage
from pipelines.similarity.model import ModelError

_IMAGE = ("image_encoder.onnx", "vision_model.onnx", "visual.onnx", "image_model.onnx", "model.onnx")
_TEXT = ("text_encoder.onnx", "text_model.onnx", "textual.onnx", "model.onnx")
_USUAL = {
    "image_encoder": _IMAGE,
    "text_encoder": _TEXT,
    "tokenizer": ("tokenizer.json",),
    "preprocessor": ("preprocessor_config.json",),
    "tokenizer_config": ("tokenizer_config.json",),
}
"""Names as transformers, Optimum and open_clip's exporters give them; `model.onnx` holds both encoders."""

_FOLDERS = ("", "onnx")
_OPTIONAL = ("preprocessor", "tokenizer_config")
_EXTERNAL = ("_data*", ".data*")
"""Weights of a model above 2 GB lie in files of these endings beside it."""

_LIBRARIES = {
    "onnx": (("onnxruntime", "onnxruntime-gpu"), ("tokenizers",), ("pillow",)),
    "open_clip": (("open-clip-torch",), ("torch",), ("torchvision",), ("pillow",)),
}
EXTRA = {"onnx": "similarity", "open_clip": "open-clip"}


def find(options: SimilarityOptions, locate: Callable[[str], str]) -> dict[str, str]:
    """The files of a model.

    Args:
        options: The recipe's.
        locate: Makes a recipe's path absolute.

    Returns:
        Role -> path: image_encoder, text_encoder, tokenizer and, where there are such, preprocessor and tokenizer_config;
        for open_clip: pretrained.

    Raises:
        ModelError: One is missing; the message names the key and what was looked for.
    """
    if options.provider == "open_clip":
        assert options.pretrained is not None
        return {"pretrained": _file("pretrained", locate(options.pretrained))}
    folder = None
    if options.model is not None:
        folder = _local("model", locate(options.model))
        if not folder.is_dir():
            what = "is a file; the folder that it lies in is wanted" if folder.is_file() else "is no folder"
            raise ModelError(f"pairs.image_alt.similarity.model: {folder} {what}")
    found: dict[str, str] = {}
    for role, names in _USUAL.items():
        named = getattr(options, role, None)
        if named is not None:
            found[role] = _file(role, locate(named))
            continue
        places = [folder / inner / name for name in names for inner in _FOLDERS] if folder is not None else []
        there = next((place for place in places if place.is_file()), None)
        if there is not None:
            found[role] = str(there)
        elif role not in _OPTIONAL:
            raise ModelError(
                f"pairs.image_alt.similarity.{role}: {folder} holds none of {', '.join(names)}: name the file by `{role}`"
            )
    return found


def _local(role: str, path: str) -> Path:
    if not storage.is_local(path):
        raise ModelError(
            f"pairs.image_alt.similarity.{role}: {path}: a local path is wanted, on every machine of Ray's"
        )
    return storage.local_path(path)


def _file(role: str, path: str) -> str:
    place = _local(role, path)
    if not place.is_file():
        raise ModelError(f"pairs.image_alt.similarity.{role}: {place} is no file")
    return str(place)


def contents(files: dict[str, str]) -> dict[str, str]:
    """Role -> path of every file whose content counts: those of `find`, and the weights that lie beside an ONNX file."""
    found = dict(files)
    for role, path in files.items():
        if path.endswith(".onnx"):
            place = Path(path)
            beside = sorted({str(file) for ending in _EXTERNAL for file in place.parent.glob(f"{place.name}{ending}")})
            found |= {f"{role}{file.removeprefix(path)}": file for file in beside}
    return found


def releases(options: SimilarityOptions) -> list[str]:
    """Name and release of each library that a model's scores depend on.

    Raises:
        ModelError: One is not installed; the message names the extra that brings it.
    """
    return [_release(names, options.provider) for names in _LIBRARIES[options.provider]]


def _release(names: tuple[str, ...], provider: str) -> str:
    for name in names:
        try:
            return f"{names[0]}-{metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    raise ModelError(
        f"pairs.image_alt.similarity with provider {provider} needs {' or '.join(names)}, which is not installed: "
        f"pip install 'pixelpairs[{EXTRA[provider]}]'"
    )
