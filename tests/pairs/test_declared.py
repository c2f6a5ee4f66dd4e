"""What a table says of pictures that are not there: sizes for the image rules, a similarity, the column a text is from."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from pairs import alt_text
from pairs.alt_text import AltTextOptions
from pairs.language import LanguageIdentifier
from pairs.schema import IMAGE_REF

IMAGE = {"part": "blobs", "offset": 0, "length": 9000, "format": "jpg", "width": 640, "height": 480, "sha256": "ab" * 32,
         "phash": 77}  # fmt: skip
OFF = {"order": ("image_too_small", "image_aspect", "few_pixels", "few_bytes", "image_format")}


def annotated(
    lid: LanguageIdentifier,
    sizes: list[tuple[int | None, int | None]],
    images: list[Any] | None = None,
    **more: pa.Array,
) -> pa.RecordBatch:
    n = len(sizes)
    batch = pa.RecordBatch.from_pydict(
        {
            "origin": pa.array([f"f#{number}" for number in range(n)]),
            "url": pa.array([f"https://example.org/{number}" for number in range(n)]),
            "text": pa.array(["A red house beside the river"] * n),
            "text_role": pa.array(["alt"] * n),
            "lang_hint": pa.nulls(n, pa.string()),
            "image": pa.array(images or [None] * n, IMAGE_REF),
            "declared_width": pa.array([width for width, _ in sizes], pa.int32()),
            "declared_height": pa.array([height for _, height in sizes], pa.int32()),
            **more,
        }
    )
    return alt_text.annotate(batch, lid=lid)


ASPECT = {"image_max_aspect": 3.0, "image_min_side": None}
PIXELS = {"image_min_pixels": 10_000, "image_min_side": None}


@pytest.mark.parametrize(
    ("options", "rule", "kept", "dropped"),
    [
        (
            {"image_min_side": 200},
            "image_too_small",
            [(200, 200), (200, None), (None, 200), (None, None)],
            [(199, 900), (900, 199), (199, None)],
        ),
        (ASPECT, "image_aspect", [(300, 100), (300, None)], [(301, 100), (100, 301)]),
        ({**ASPECT, "image_aspect_below": True}, "image_aspect", [(299, 100)], [(300, 100)]),
        (PIXELS, "few_pixels", [(100, 100), (100, None), (50_000, 60_000)], [(100, 99)]),
    ],
)
def test_image_rules_go_by_the_declared_size(
    lid: LanguageIdentifier, options: dict[str, Any], kept: list[Any], dropped: list[Any], rule: str
) -> None:
    rows = annotated(lid, [*kept, *dropped])
    why = alt_text.select(
        rows, AltTextOptions(image_max_aspect=options.pop("image_max_aspect", None), **options, **OFF)
    )
    assert why.to_pylist() == [None] * len(kept) + [rule] * len(dropped)


def test_what_the_picture_says_goes_before_what_is_declared(lid: LanguageIdentifier) -> None:
    rows = annotated(lid, [(10, 10), (10, 10), (900, 900)], [IMAGE, None, {**IMAGE, "width": 20}])
    why = alt_text.select(rows, AltTextOptions(image_min_side=64, image_max_aspect=None, **OFF))
    assert why.to_pylist() == [None, "image_too_small", "image_too_small"]


def test_bytes_and_format_are_not_asked_of_what_is_not_there(lid: LanguageIdentifier) -> None:
    rows = annotated(lid, [(640, 480)])
    assert alt_text.select(rows, AltTextOptions(image_min_bytes=5000, **OFF)).to_pylist() == [None]


def test_a_batch_without_pictures_or_sizes_passes(lid: LanguageIdentifier) -> None:
    rows = annotated(lid, [(1, 1)]).drop_columns(["image", "declared_width", "declared_height"])
    assert alt_text.select(rows, AltTextOptions(image_min_side=64, **OFF)).to_pylist() == [None]


def test_what_is_declared_is_written_as_declared(lid: LanguageIdentifier) -> None:
    rows = annotated(lid, [(640, None)], similarity=pa.array([0.3125], pa.float32()))
    assert rows.column("similarity").type == pa.float32()
    scores = json.loads(alt_text.to_table(rows, source="s").column("scores")[0].as_py())
    assert {name: scores[name] for name in ("declared_width", "declared_height", "similarity", "text_role")} == {
        "declared_width": 640, "declared_height": None, "similarity": 0.3125, "text_role": "alt",
    }  # fmt: skip
    with_picture = annotated(lid, [(None, None)], [IMAGE], similarity=pa.array([None], pa.float32()))
    scores = json.loads(alt_text.to_pairs(with_picture, source="s").column("scores")[0].as_py())
    assert scores["text_role"] == "alt"
    assert scores["similarity"] is None
    assert "declared_width" not in scores
