"""The rule on similarity: a bound for each language, options that name what is wrong, and presets with rules beside them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pairs import alt_text, presets, similarity
from pairs.alt_text import AltTextOptions
from pairs.language import LanguageIdentifier
from pairs.schema import IMAGE_REF
from pairs.similarity import SimilarityOptions

BOUNDS = {"default": 0.28, "ja": 0.25, "zh": 0.24, "zh-Hant": 0.22, "pt-BR": 0.3, "th": None, "und": 0.2}
ROWS = [
    ("A red house beside the water", "en", 0.28, False),
    ("A red house beside the water", "en", 0.2799, True),
    ("水辺の赤い家", "ja", 0.25, False),
    ("水辺の赤い家", "ja", 0.2499, True),
    ("水邊的紅色房子", "zh_TW", 0.24, False),  # zh-TW: no bound of its own, zh has one
    ("水邊的紅色房子", "zh_TW", 0.2399, True),
    ("水邊的紅色房子", "zh-Hant-TW", 0.23, False),
    ("水邊的紅色房子", "zh-Hant-TW", 0.2199, True),
    ("Uma casa vermelha", "pt_BR", 0.29, True),
    ("Uma casa vermelha", "pt", 0.29, False),
    ("บ้านสีแดงริมน้ำ", "th", -1.0, False),  # null: not judged
    ("Красный дом у воды", "ru", 0.27, True),
    ("Красный дом у воды", "ru", None, False),  # not scored
    ("Fyn", None, 0.21, False),  # too short to be identified: und
    ("Fyn", None, 0.19, True),
]


def annotated(rows: list[tuple[str, str | None, float | None, bool]]) -> pa.RecordBatch:
    n = len(rows)
    ref = {"part": "root:x", "offset": 0, "length": 1, "format": "jpg", "width": 100, "height": 100, "sha256": "0" * 64,
           "phash": None}  # fmt: skip
    batch = pa.RecordBatch.from_pydict(
        {
            "text": pa.array([row[0] for row in rows], pa.string()),
            "lang_hint": pa.array([row[1] for row in rows], pa.string()),
            "origin": [f"a#{at}" for at in range(n)],
            "url": pa.nulls(n, pa.string()),
            "image": pa.array([ref] * n, IMAGE_REF),
        }
    )
    scored = alt_text.annotate(batch, lid=LanguageIdentifier())
    return scored.append_column("similarity", pa.array([row[2] for row in rows], pa.float32()))


def test_each_language_has_its_bound_and_falls_back() -> None:
    fails = alt_text.fails(annotated(ROWS), AltTextOptions.model_validate({"min_similarity": BOUNDS}))
    assert fails["low_similarity"].to_pylist() == [row[3] for row in ROWS]


def test_rows_before_the_scores_are_a_mistake_and_rows_without_images_pass() -> None:
    options = AltTextOptions.model_validate({"min_similarity": BOUNDS})
    batch = annotated(ROWS).drop_columns(["similarity"])
    with pytest.raises(ValueError, match="low_similarity needs the column"):
        alt_text.fails(batch, options)
    assert "low_similarity" not in alt_text.fails(batch.drop_columns(["image"]), options)


def test_the_score_stands_among_the_scores_of_the_pair() -> None:
    batch = annotated([row for row in ROWS if row[2] is not None])
    found = [
        json.loads(row)["similarity"] for row in alt_text.to_pairs(batch, source="web").column("scores").to_pylist()
    ]
    assert found == [pytest.approx(row[2]) for row in ROWS if row[2] is not None]
    assert "similarity" not in alt_text.scores(batch.drop_columns(["similarity"]))[0].as_py()


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"ja": 0.2}, "add `default`"),
        ({"default": 0.2, "japanese!": 0.2}, "no language tag"),
        ({"default": 0.2, "pt_br": 0.2, "pt-BR": 0.3}, "stands twice"),
        ({"default": 1.5}, "less than or equal to 1"),
        ({"default": "high"}, "valid number"),
    ],
)
def test_bounds_that_cannot_be_meant(bounds: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AltTextOptions.model_validate({"min_similarity": bounds})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name `model`"),
        ({"image_encoder": "a.onnx", "tokenizer": "t.json"}, "name `model`"),
        ({"model": "m", "pretrained": "w.pt"}, "only for provider open_clip"),
        ({"provider": "open_clip", "model": "ViT-B-32"}, "needs `model`, its name, and `pretrained`"),
        ({"provider": "open_clip", "model": "ViT-B-32", "pretrained": "w", "image_size": 224}, "image_size: only for"),
        ({"model": "m", "std": [0.2, 0, 0.2]}, "no channel may be 0"),
        ({"model": "m", "batch_size": 0}, "greater than or equal to 1"),
    ],
)
def test_models_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SimilarityOptions.model_validate(options)


def test_paths_are_no_settings() -> None:
    here = SimilarityOptions.model_validate({"model": "a", "batch_size": 8})
    there = SimilarityOptions.model_validate(
        {"image_encoder": "/b/i.onnx", "text_encoder": "/b/t.onnx", "tokenizer": "/b/t.json", "batch_size": 8}
    )
    assert here.settings() == there.settings()
    assert here.settings() != SimilarityOptions.model_validate({"model": "a", "batch_size": 9}).settings()
    named = {"provider": "open_clip", "pretrained": "w.pt"}
    of = [SimilarityOptions.model_validate({**named, "model": model}).settings() for model in ("ViT-B-32", "ViT-L-14")]
    assert of[0] != of[1], "an architecture's name is a setting"


@pytest.mark.parametrize("name", presets.names())
def test_a_rule_that_stands_beside_a_preset_is_on(name: str) -> None:
    order = AltTextOptions(preset=name).order
    beside = AltTextOptions.model_validate({"preset": name, "min_similarity": {"default": 0.2}, "max_rows_per_text": 3})
    assert {"low_similarity", "text_too_frequent"} <= set(beside.order)
    if name != "webli":
        assert beside.order[: len(order)] == order, "those of the preset come first, as they stood"
        assert set(beside.order) - set(order) <= {"low_similarity", "text_too_frequent"}
    assert AltTextOptions.model_validate({"preset": name, "max_rows_per_text": None}).order == order
    own = {"preset": name, "order": ["empty"], "min_similarity": {"default": 0.2}}
    assert AltTextOptions.model_validate(own).order == ("empty",), "an order of one's own is the last word"


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=300))
def test_quantiles_are_those_of_the_scores_to_the_thousandth(tenthousandths: list[int]) -> None:
    scores = np.array(tenthousandths, np.float64) / 10_000
    counts = similarity.histogram(pa.array([*scores.tolist(), None], pa.float32()))
    assert sum(counts.values()) == len(scores)
    ordered = sorted(scores.tolist())
    for share, value in similarity.quantiles(counts).items():
        rank = max(1, int(np.ceil(float(share) * len(ordered) - 1e-9)))
        assert abs(value - ordered[rank - 1]) <= 0.0005 + 1e-6
