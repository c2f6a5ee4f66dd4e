"""Small random image-text models: exported to ONNX, and the same models in NumPy, written apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 32
LENGTH = 12
VOCABULARY = ("<s>", "</s>", "<pad>", "<unk>", "a", "red", "blue", "green", "house", "water", "tree", "ein", "rotes", "haus", "赤",
              "い", "家", "дом", "и", "вода")  # fmt: skip
PAD = VOCABULARY.index("<pad>")


@dataclass(frozen=True)
class Made:
    """A model's folder and weights."""

    folder: Path
    kernel: np.ndarray  # (8, 3, 8, 8)
    image_head: np.ndarray  # (8, d)
    table: np.ndarray  # (tokens, 8)
    text_head: np.ndarray  # (8, d)


def _node(*words: Any, **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(*words, **attributes)


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, np.ndarray]) -> None:
    import onnx
    from onnx import helper, numpy_helper

    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, held), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def tokenizer(path: Path) -> None:
    """Whole words, with marks at both ends, as tokenizer.json."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(VOCABULARY)}, unk_token="<unk>"))  # noqa: S106
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    made.save(str(path))


def export(
    folder: Path,
    *,
    size: int = 16,
    seed: int = 0,
    batch: int | str = "batch",
    mask: bool = True,
    ids: str = "INT64",
    hidden_first: bool = False,
    text_size: int | None = None,
) -> Made:
    """Writes image_encoder.onnx, text_encoder.onnx, tokenizer.json and preprocessor_config.json.

    Args:
        folder: Made if need be.
        size: Of an embedding.
        seed: Of the weights.
        batch: A fixed batch, or its name.
        mask: Whether the text encoder has an attention mask.
        ids: Type of the tokens: INT64 or INT32.
        hidden_first: Whether each token's state is an output before the embedding, which then has a name of no note.
        text_size: Of a text's embedding, where it is to be another.
    """
    from onnx import TensorProto, helper

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    made = Made(
        folder,
        rng.normal(size=(8, 3, 8, 8)).astype(np.float32) / 14,
        rng.normal(size=(8, size)).astype(np.float32),
        rng.normal(size=(len(VOCABULARY), 8)).astype(np.float32),
        rng.normal(size=(8, text_size or size)).astype(np.float32),
    )
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])
    embeds = helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, [batch, size])
    _save(
        folder / "image_encoder.onnx",
        [
            _node("Conv", ["pixel_values", "kernel"], ["c"], strides=[8, 8]),
            _node("Relu", ["c"], ["r"]),
            _node("GlobalAveragePool", ["r"], ["p"]),
            _node("Flatten", ["p"], ["f"], axis=1),
            _node("MatMul", ["f", "head"], ["image_embeds"]),
        ],
        [pixels],
        [embeds],
        {"kernel": made.kernel, "head": made.image_head},
    )
    kind = getattr(TensorProto, ids)
    inputs = [helper.make_tensor_value_info("input_ids", kind, [batch, "tokens"])]
    name = "sentence" if hidden_first else "text_embeds"
    states = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [batch, "tokens", 8])
    text = helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, text_size or size])
    nodes = [_node("Gather", ["table", "input_ids"], ["last_hidden_state"], axis=0)]
    weights = {
        "table": made.table,
        "head": made.text_head,
        "two": np.array([2], np.int64),
        "one": np.array([1], np.int64),
    }
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", kind, [batch, "tokens"]))
        nodes += [
            _node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
            _node("Unsqueeze", ["m", "two"], ["m3"]),
            _node("Mul", ["last_hidden_state", "m3"], ["x"]),
        ]
    else:
        nodes.append(_node("Identity", ["last_hidden_state"], ["x"]))
    nodes += [_node("ReduceSum", ["x", "one"], ["s"], keepdims=0), _node("MatMul", ["s", "head"], [name])]
    _save(folder / "text_encoder.onnx", nodes, inputs, [states, text] if hidden_first else [text], weights)
    tokenizer(folder / "tokenizer.json")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": True,
                    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "resample": 3})
    )  # fmt: skip
    return made


def export_whole(folder: Path) -> Made:
    """Both encoders of `export` in one model.onnx, whose inputs are all asked for, as Optimum writes CLIP."""
    import onnx
    from onnx import compose

    made = export(folder)
    parts = [onnx.load(str(folder / f"{side}_encoder.onnx")) for side in ("image", "text")]
    kept = {"pixel_values": "pixel_values", "input_ids": "input_ids", "attention_mask": "attention_mask"}
    whole = compose.merge_models(
        compose.add_prefix(parts[0], "i_", rename_inputs=False, rename_outputs=False),
        compose.add_prefix(parts[1], "t_", rename_inputs=False, rename_outputs=False),
        io_map=[],
    )
    assert {node.name for node in whole.graph.input} == set(kept)
    onnx.save(whole, str(folder / "model.onnx"))
    for side in ("image", "text"):
        (folder / f"{side}_encoder.onnx").unlink()
    return made


def numpy_image(made: Made, picture: Image.Image) -> np.ndarray:
    """The image encoder in NumPy, (d,) float64."""
    width, height = picture.size
    short = min(width, height)
    resized = picture.resize((SIDE * width // short, SIDE * height // short), Image.Resampling.BICUBIC)
    left, top = (resized.width - SIDE) // 2, (resized.height - SIDE) // 2
    pixels = np.asarray(resized, np.float64)[top : top + SIDE, left : left + SIDE] / 255
    pixels = (pixels - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.3]
    total = np.zeros(8)
    for y in range(0, SIDE, 8):
        for x in range(0, SIDE, 8):
            patch = pixels[y : y + 8, x : x + 8].transpose(2, 0, 1)
            total += np.maximum(0, (made.kernel * patch).sum(axis=(1, 2, 3)))
    return total / (SIDE // 8) ** 2 @ made.image_head.astype(np.float64)


def numpy_text(made: Made, text: str, *, mask: bool = True) -> np.ndarray:
    """The text encoder in NumPy, (d,) float64; words apart by spaces."""
    words = [VOCABULARY.index(word) if word in VOCABULARY else 3 for word in text.lower().split()]
    ids = [0, *words[: LENGTH - 2], 1]
    if not mask:
        ids += [PAD] * (LENGTH - len(ids))
    return made.table[ids].astype(np.float64).sum(axis=0) @ made.text_head.astype(np.float64)


def numpy_score(made: Made, picture: Image.Image, text: str) -> float:
    """The cosine of both, not rounded."""
    a, b = numpy_image(made, picture), numpy_text(made, text)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
