"""A Transformer of a few thousand random weights, and pieces of a few lines, as CTranslate2 and SentencePiece save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

LINES = [
    "the old harbour was quiet that morning",
    "boats lay on the northern pier of the town",
    "he finished this work on his own",
    "a red house beside the blue water",
    "she lives in a small town by the sea",
] * 20
WIDTH, INNER = 16, 32


def _fill(spec: Any, random: np.random.Generator, vocabulary: int) -> None:
    def set_linear(layer: Any, rows: int, columns: int) -> None:
        layer.weight = random.normal(0, 0.6, (rows, columns)).astype(np.float32)
        layer.bias = np.zeros(rows, np.float32)

    def set_norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def set_attention(layer: Any, *, itself: bool) -> None:
        set_norm(layer.layer_norm)
        sizes = (3 * WIDTH, WIDTH) if itself else (WIDTH, 2 * WIDTH, WIDTH)
        for linear, rows in zip(layer.linear, sizes, strict=True):
            set_linear(linear, rows, WIDTH)

    def set_ffn(layer: Any) -> None:
        set_norm(layer.layer_norm)
        set_linear(layer.linear_0, INNER, WIDTH)
        set_linear(layer.linear_1, WIDTH, INNER)

    embeddings = random.normal(0, 0.6, (vocabulary, WIDTH)).astype(np.float32)
    positions = random.normal(0, 0.3, (128, WIDTH)).astype(np.float32)
    spec.encoder.embeddings[0].weight = embeddings
    spec.decoder.embeddings.weight = embeddings
    for side in (spec.encoder, spec.decoder):
        side.position_encodings.encodings = positions
        side.scale_embeddings = True
        set_norm(side.layer_norm)
        for layer in side.layer:
            set_attention(layer.self_attention, itself=True)
            if side is spec.decoder:
                set_attention(layer.attention, itself=False)
            set_ffn(layer.ffn)
    set_linear(spec.decoder.projection, vocabulary, WIDTH)


def make(folder: Path, seed: int = 0) -> dict[str, str]:
    """Writes both; gives the recipe's words for them."""
    import ctranslate2
    import sentencepiece

    folder.mkdir(parents=True)
    (folder / "lines.txt").write_text("\n".join(LINES) + "\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "lines.txt"),
        model_prefix=str(folder / "sp"),
        vocab_size=64,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sp.model"))
    vocabulary = [pieces.id_to_piece(number) for number in range(pieces.get_piece_size())]
    spec = ctranslate2.specs.TransformerSpec.from_config(num_layers=1, num_heads=2)
    _fill(spec, np.random.default_rng(seed), len(vocabulary))
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.validate()
    (folder / "model").mkdir()
    spec.save(str(folder / "model"))
    return {"type": "ctranslate2", "model": str(folder / "model"), "tokenizer": str(folder / "sp.model")}
