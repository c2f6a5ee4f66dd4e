"""Models of ONNX files against the same models in NumPy: inputs of other types and names, pictures of every mode, wrong files."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pairs.similarity import SimilarityOptions
from pipelines.similarity import files as model_files
from pipelines.similarity.model import ModelError, SimilarityModel, cosines, load
from pipelines.similarity.pictures import PictureError, decode
from tests.pipelines.similarity import models

TEXTS = ["a red house", "Ein rotes Haus", "赤 い 家", "дом и вода", "", "a blue tree " * 20, "unseen words here"]


@pytest.fixture(autouse=True)
def _installed() -> None:
    for name in ("onnx", "onnxruntime", "tokenizers"):
        pytest.importorskip(name)


def opened(folder: Path, **options: Any) -> SimilarityModel:
    chosen = SimilarityOptions.model_validate({"model": str(folder), "context_length": models.LENGTH, **options})
    return load(chosen, model_files.find(chosen, str), gpu=False)


def picture(number: int, size: tuple[int, int] = (57, 40)) -> Image.Image:
    coarse = np.random.default_rng(number).integers(0, 255, (5, 7, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def embed(model: SimilarityModel, pictures: list[Image.Image]) -> np.ndarray:
    return model.images([model.prepare(one) for one in pictures])


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"batch": 1},
        {"batch": 4},
        {"ids": "INT32"},
        {"hidden_first": True},
        {"mask": False},
        {"ids": "INT32", "batch": 3},
    ],
    ids=str,
)
def test_embeddings_are_those_of_numpy(tmp_path: Path, kind: dict[str, Any]) -> None:
    made = models.export(tmp_path, **kind)
    model = opened(tmp_path, batch_size=3)
    pictures = [
        picture(at, size) for at, size in enumerate([(57, 40), (32, 32), (33, 90), (500, 300), (8, 300), (31, 32)])
    ]
    # The embedding of a picture of more than 8:1 is that of its middle alone.
    wanted = [models.numpy_image(made, one) for one in pictures if max(one.size) <= 8 * min(one.size)]
    found = embed(model, pictures)
    np.testing.assert_allclose(found[[0, 1, 2, 3, 5]], wanted, rtol=1e-4, atol=1e-4)
    assert np.isfinite(found).all()
    wanted = [models.numpy_text(made, text, mask=kind.get("mask", True)) for text in TEXTS]
    np.testing.assert_allclose(model.texts(TEXTS), wanted, rtol=1e-4, atol=1e-4)


def test_one_file_of_both_encoders(tmp_path: Path) -> None:
    made = models.export_whole(tmp_path)
    model = opened(tmp_path, batch_size=4)
    np.testing.assert_allclose(
        embed(model, [picture(1)])[0], models.numpy_image(made, picture(1)), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(model.texts(TEXTS)[0], models.numpy_text(made, TEXTS[0]), rtol=1e-4, atol=1e-4)


def test_neighbours_and_batches_do_not_change_a_score(tmp_path: Path) -> None:
    models.export(tmp_path)
    pictures = [picture(at) for at in range(11)]
    texts = [TEXTS[at % len(TEXTS)] for at in range(11)]
    order = np.random.default_rng(0).permutation(11)
    whole = opened(tmp_path, batch_size=16)
    base = whole.images([whole.prepare(one) for one in pictures]), whole.texts(texts)
    mixed = embed(whole, [pictures[at] for at in order]), whole.texts([texts[at] for at in order])
    assert (mixed[0] == base[0][order]).all()
    assert (mixed[1] == base[1][order]).all(), "to the bit, with other neighbours"
    scores = cosines(*base)
    for size in (1, 2, 5, 64):
        model = opened(tmp_path, batch_size=size)
        assert (cosines(embed(model, pictures), model.texts(texts)) == scores).all(), "rounded, with other batches"


def test_cosines_are_rounded_bounded_and_say_where_there_is_none() -> None:
    a = np.array([[3, 4], [1, 0], [1, 1], [0, 0], [np.nan, 1], [1e-30, 0], [0, 1]], np.float32)
    b = np.array([[3, 4], [-2, 0], [1, 0], [1, 0], [1, 1], [1e30, 0], [-1, 0]], np.float32)
    found = cosines(a, b)
    np.testing.assert_array_equal(found, np.array([1, -1, 0.7071, np.nan, np.nan, 1, 0], np.float32))
    assert not np.signbit(found[-1]), "one zero alone"


def test_preprocessing_comes_from_the_recipe_then_the_file_then_clip(tmp_path: Path) -> None:
    models.export(tmp_path)
    pic = picture(5)
    told = opened(tmp_path).prepare(pic)
    flat = opened(tmp_path, mean=[0, 0, 0], std=[1, 1, 1]).prepare(pic)
    mean, std = np.reshape([0.5, 0.4, 0.3], (3, 1, 1)), np.reshape([0.2, 0.25, 0.3], (3, 1, 1))
    np.testing.assert_allclose(told, (flat - mean) / std, atol=1e-5)
    squashed = np.asarray(pic.resize((models.SIDE, models.SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    asked = opened(tmp_path, mean=[0, 0, 0], std=[1, 1, 1], resize="squash", interpolation="bilinear").prepare(pic)
    np.testing.assert_allclose(asked, squashed.transpose(2, 0, 1), atol=1e-6)
    siglip = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(siglip))
    np.testing.assert_allclose(opened(tmp_path).prepare(pic), squashed.transpose(2, 0, 1) * 2 - 1, atol=1e-5)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 40, "crop_size": 32}))
    cropped = opened(tmp_path, mean=[0, 0, 0], std=[1, 1, 1]).prepare(pic)  # 57 x 40: nothing to resize
    np.testing.assert_allclose(cropped, np.asarray(pic, np.float32)[4:36, 12:44].transpose(2, 0, 1) / 255, atol=1e-6)
    (tmp_path / "preprocessor_config.json").unlink()
    clip = (flat - np.reshape([0.48145466, 0.4578275, 0.40821073], (3, 1, 1))) / np.reshape(
        [0.26862954, 0.26130258, 0.27577711], (3, 1, 1)
    )
    np.testing.assert_allclose(opened(tmp_path).prepare(pic), clip, atol=1e-5)


def _written(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_pictures_of_every_mode_are_rgb_on_white() -> None:
    grey = Image.linear_gradient("L").resize((20, 20))
    clear = Image.new("RGBA", (20, 20), (200, 0, 0, 0))
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    deep = Image.fromarray(np.full((20, 20), 0x8040, np.uint16))
    for image, kind, options, wanted in [
        (clear, "PNG", {}, (255, 255, 255)),
        (palette, "PNG", {}, (10, 20, 30)),
        (palette, "PNG", {"transparency": 1}, (255, 255, 255)),
        (deep, "PNG", {}, (0x80, 0x80, 0x80)),
        (Image.new("LA", (20, 20), (0, 255)), "PNG", {}, (0, 0, 0)),
        (Image.new("1", (20, 20), 1), "PNG", {}, (255, 255, 255)),
        (Image.new("CMYK", (20, 20), (0, 0, 0, 255)), "JPEG", {"quality": 95}, (0, 0, 0)),
        (Image.new("RGB", (20, 20), (9, 9, 9)), "WEBP", {"lossless": True}, (9, 9, 9)),
    ]:
        found = decode(_written(image, kind, **options))
        assert (found.mode, found.getpixel((10, 10))) == ("RGB", wanted), image.mode
    assert decode(_written(grey, "JPEG")).mode == "RGB"


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "huge"])
def test_what_is_no_picture_is_said_so(damage: str) -> None:
    data = _written(picture(1, (200, 200)), "PNG")
    data = {"cut": data[: len(data) // 2], "empty": b"", "text": b"<html>", "huge": _huge()}[damage]
    with pytest.raises(PictureError):
        decode(data)


def _huge() -> bytes:
    return _written(Image.new("1", (20_000, 20_000)), "PNG")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "image_encoder.onnx").unlink(), "image_encoder: .* holds none of image_encoder.onnx"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer: .* holds none of tokenizer.json"),
        (lambda f: shutil.rmtree(f), "model: .* is no folder"),
        (lambda f: (f / "image_encoder.onnx").write_bytes(b"no model"), "image_encoder.onnx: is no ONNX model"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json: is no tokenizer.json"),
        (lambda f: (f / "preprocessor_config.json").write_text("["), "preprocessor_config.json: cannot be read as JSON"),
        (lambda f: (f / "preprocessor_config.json").write_text('{"size": 64}'), "reads pictures of 32 x 32 px, image_size is 64"),
        (lambda f: (f / "preprocessor_config.json").write_text('{"resample": 1}'), "preprocessor_config.json: resample 1"),
        (lambda f: shutil.copy(f / "text_encoder.onnx", f / "image_encoder.onnx"), "no input takes pictures"),
        (lambda f: shutil.copy(f / "image_encoder.onnx", f / "text_encoder.onnx"), "text_encoder.onnx: no input takes tokens"),
        (lambda f: models.export(f, text_size=8), "embeddings are of different sizes"),
    ],
)  # fmt: skip
def test_wrong_files_are_named(tmp_path: Path, spoil: Any, words: str) -> None:
    folder = tmp_path / "model"
    models.export(folder)
    spoil(folder)
    with pytest.raises(ModelError, match=words):
        opened(folder)


def test_the_context_length_is_asked_for_where_nothing_tells_it(tmp_path: Path) -> None:
    models.export(tmp_path)
    with pytest.raises(ModelError, match="context_length"):
        opened(tmp_path, context_length=None)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 12, "pad_token": {"content": "<pad>"}}')
    found = opened(tmp_path, context_length=None).texts(TEXTS)
    assert (found == opened(tmp_path).texts(TEXTS)).all()


def test_files_are_found_by_their_usual_names_and_count_with_their_weights(tmp_path: Path) -> None:
    for name in (
        "onnx/vision_model.onnx",
        "onnx/text_model.onnx",
        "onnx/text_model.onnx_data",
        "tokenizer.json",
        "mine.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    options = SimilarityOptions.model_validate({"model": "m", "preprocessor": "mine.json"})
    found = model_files.find(options, lambda path: str(tmp_path / path.replace("m", "", path == "m")))
    shown = {role: str(Path(path).relative_to(tmp_path)) for role, path in model_files.contents(found).items()}
    assert shown == {
        "image_encoder": "onnx/vision_model.onnx",
        "text_encoder": "onnx/text_model.onnx",
        "text_encoder_data": "onnx/text_model.onnx_data",
        "tokenizer": "tokenizer.json",
        "preprocessor": "mine.json",
    }


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models.export(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"pip install 'pixelpairs\[similarity\]'"):
        opened(tmp_path)
