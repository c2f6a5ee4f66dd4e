"""How like an image and its text a model finds them: the settings of the model, and the rule on its score.

The model itself runs in a stage of its own (`pipelines.similarity`), between annotating and selecting. Here is what is pure: the
options, and a threshold for each language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pairs import arrow, language

COLUMN: Final = "similarity"
"""The column of scores: float32, the cosine of both embeddings in [-1, 1], rounded to `DIGITS`; null where there is none."""

DIGITS: Final = 4
"""Decimals of a score. The last bits of an embedding depend on the machine and the release of what runs the model; four digits are
far finer than what tells a good pair from a bad one."""

DEFAULT: Final = "default"
UNKNOWN: Final = "und"
"""Keys of `min_similarity` that are no languages: every other language; texts whose language is not known."""

_ONNX: Final = ("image_encoder", "text_encoder", "tokenizer", "preprocessor")
Channels = tuple[float, float, float]


class SimilarityOptions(BaseModel):
    """The model that scores images against their texts. Its files count by content, not by where they lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Literal["onnx", "open_clip"] = Field(
        "onnx", description="onnx: ONNX Runtime (extra `similarity`); open_clip: PyTorch (extra `open-clip`)"
    )
    model: str | None = Field(
        None,
        min_length=1,
        description="onnx: folder with the image and the text encoder, tokenizer.json and, if there is one, "
        "preprocessor_config.json; open_clip: the architecture's name, such as ViT-B-32",
    )
    pretrained: str | None = Field(None, min_length=1, description="open_clip: file of the weights")
    image_encoder: str | None = Field(
        None, min_length=1, description="onnx: file; null: image_encoder.onnx, vision_model.onnx, … in `model`"
    )
    text_encoder: str | None = Field(
        None, min_length=1, description="onnx: file; null: text_encoder.onnx, text_model.onnx, … in `model`"
    )
    tokenizer: str | None = Field(None, min_length=1, description="onnx: file; null: tokenizer.json in `model`")
    preprocessor: str | None = Field(
        None, min_length=1, description="onnx: file; null: preprocessor_config.json in `model`, where there is one"
    )
    image_size: int | None = Field(
        None,
        ge=8,
        le=2048,
        description="px, the square that the model sees; null: as the preprocessor or the model says",
    )
    resize: Literal["crop", "squash"] | None = Field(
        None,
        description="crop: the shorter side to image_size, then the middle (CLIP); squash: both sides, whatever the aspect "
        "(SigLIP); null: as the preprocessor says, else crop",
    )
    interpolation: Literal["bicubic", "bilinear"] | None = Field(
        None, description="how the picture is resized; null: as the preprocessor says, else bicubic"
    )
    mean: Channels | None = Field(
        None, description="of red, green, blue in [0, 1]; null: as the preprocessor says, else CLIP's"
    )
    std: Channels | None = Field(None, description="likewise; none may be 0")
    context_length: int | None = Field(
        None, ge=2, le=8192, description="tokens; null: as the text encoder or the tokenizer says; longer texts are cut"
    )
    batch_size: int = Field(
        64, ge=1, le=4096, description="images, or texts, that the model is given at once; what is missing is filled up"
    )

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}

    @model_validator(mode="after")
    def _of_one_provider(self) -> SimilarityOptions:
        if self.std is not None and 0 in self.std:
            raise ValueError("std: no channel may be 0")
        if self.provider == "open_clip":
            if self.model is None or self.pretrained is None:
                raise ValueError("open_clip needs `model`, its name, and `pretrained`, the file of its weights")
            ours = (*_ONNX, "image_size", "resize", "interpolation", "mean", "std", "context_length")
            if named := [name for name in ours if getattr(self, name) is not None]:
                raise ValueError(f"{', '.join(named)}: only for provider onnx; open_clip's model brings its own")
            return self
        if self.pretrained is not None:
            raise ValueError("pretrained: only for provider open_clip; an ONNX file holds its weights")
        if self.model is None and any(getattr(self, name) is None for name in _ONNX[:3]):
            raise ValueError("name `model`, a folder, or the files `image_encoder`, `text_encoder` and `tokenizer`")
        return self

    def settings(self) -> dict[str, Any]:
        """What changes scores beside the files: everything but paths."""
        paths = {*_ONNX, "pretrained", *(("model",) if self.provider == "onnx" else ())}
        return self.model_dump(mode="json", exclude=paths)


def _bounds(given: Any) -> Any:
    """Keys as BCP 47 writes them; a `default` among them."""
    if not isinstance(given, Mapping):
        return given
    clean: dict[str, Any] = {}
    for key, bound in given.items():
        name = key if key in (DEFAULT, UNKNOWN) else language.bcp47(key if isinstance(key, str) else None)
        if name is None:
            raise ValueError(f"{key!r} is no language tag (BCP 47: ja, pt-BR, zh-Hant), nor {DEFAULT} or {UNKNOWN}")
        if name in clean:
            raise ValueError(f"{name} stands twice")
        clean[name] = bound
    if DEFAULT not in clean:
        raise ValueError(f"add `{DEFAULT}`, for the languages that are not named; null: those are not judged")
    return clean


Bounds = Annotated[
    dict[str, Annotated[float, Field(ge=-1, le=1)] | None],
    BeforeValidator(_bounds),
]
"""Language -> least similarity; null: texts in that language are not judged."""


def bound_of(tag: str | None, bounds: Mapping[str, float | None]) -> float | None:
    """The least similarity of a language.

    Looked up as RFC 4647 (3.4, lookup) says: the tag itself, then without its last subtag, and so on (`zh-Hant-TW`, `zh-Hant`,
    `zh`), then `default`. An unknown language is `und`, then `default`.

    Args:
        tag: BCP 47, or null.
        bounds: As `Bounds`.
    """
    at = tag or UNKNOWN
    while at:
        if at in bounds:
            return bounds[at]
        at = at.rpartition("-")[0]
    return bounds[DEFAULT]


def low(similarity: pa.Array, lang: pa.Array, bounds: Mapping[str, float | None]) -> pa.BooleanArray:
    """Which rows are less similar than their language asks.

    Args:
        similarity: n floats; null: not scored, which fails nothing.
        lang: n BCP 47 tags, null where unknown.
        bounds: As `Bounds`.
    """
    tags = arrow.strings(lang)
    distinct = pc.unique(tags)
    values = pa.array([bound_of(tag, bounds) for tag in distinct.to_pylist()], similarity.type)
    wanted = values.take(pc.index_in(tags, value_set=distinct))
    return pc.less(similarity, wanted).fill_null(False)


QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_STEPS: Final = 1000  # bins of a histogram from 0 to 1


def histogram(similarity: pa.Array) -> dict[str, int]:
    """How many scores round to each thousandth: `"283"` stands for 0.283. Nulls are left out."""
    scores = similarity.drop_null().cast(pa.float64()).to_numpy(zero_copy_only=False)
    values, counts = np.unique(np.rint(scores * _STEPS).astype(np.int64), return_counts=True)
    return {str(value): int(count) for value, count in zip(values.tolist(), counts.tolist(), strict=True)}


def quantiles(counts: Mapping[str, int]) -> dict[str, float]:
    """Quantiles of a histogram, each the least score with at least that share at or below it; none where it is empty.

    Returns:
        `{"0.5": 0.283, ...}`, for each of `QUANTILES`, to the thousandth.
    """
    if not counts:
        return {}
    values = sorted(map(int, counts))
    below = np.cumsum([counts[str(value)] for value in values])
    at = np.searchsorted(below, np.ceil(np.array(QUANTILES) * below[-1] - 1e-9))
    return {str(share): values[int(place)] / _STEPS for share, place in zip(QUANTILES, at.tolist(), strict=True)}
