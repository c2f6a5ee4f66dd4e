"""big_vision's layout into the tower and back, held against a forward pass in plain NumPy (float64)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, special

from pipelines.train.convert import ConversionError, from_big_vision, main, read_npz, resample
from pipelines.train.reference.weights import load_tower

WIDTH, HEADS, DEPTH, OUT, PATCH, SIDE = 32, 4, 3, 20, 8, 5


def made(seed: int = 0) -> dict[str, np.ndarray]:
    """A checkpoint with the names and shapes of `one_tower` with a ViT, every array random."""
    random = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}

    def put(name: str, *shape: int, scale: float = 0.2, around: float = 0.0) -> None:
        found[name] = (around + random.normal(size=shape) * scale).astype(np.float32)

    def norm(name: str) -> None:
        put(f"{name}/scale", WIDTH, around=1.0)
        put(f"{name}/bias", WIDTH)

    def mlp(name: str) -> None:
        put(f"{name}/Dense_0/kernel", WIDTH, 4 * WIDTH)
        put(f"{name}/Dense_0/bias", 4 * WIDTH)
        put(f"{name}/Dense_1/kernel", 4 * WIDTH, WIDTH)
        put(f"{name}/Dense_1/bias", WIDTH)

    def attention(name: str) -> None:
        for part in ("query", "key", "value"):
            put(f"{name}/{part}/kernel", WIDTH, HEADS, WIDTH // HEADS)
            put(f"{name}/{part}/bias", HEADS, WIDTH // HEADS)
        put(f"{name}/out/kernel", HEADS, WIDTH // HEADS, WIDTH)
        put(f"{name}/out/bias", WIDTH)

    put("img/embedding/kernel", PATCH, PATCH, 3, WIDTH)
    put("img/embedding/bias", WIDTH)
    put("img/pos_embedding", 1, SIDE * SIDE, WIDTH)
    for block in range(DEPTH):
        name = f"img/Transformer/encoderblock_{block}"
        norm(f"{name}/LayerNorm_0")
        attention(f"{name}/MultiHeadDotProductAttention_0")
        norm(f"{name}/LayerNorm_1")
        mlp(f"{name}/MlpBlock_0")
    norm("img/Transformer/encoder_norm")
    put("img/MAPHead_0/probe", 1, 1, WIDTH)
    attention("img/MAPHead_0/MultiHeadDotProductAttention_0")
    norm("img/MAPHead_0/LayerNorm_0")
    mlp("img/MAPHead_0/MlpBlock_0")
    put("img/head/kernel", WIDTH, OUT)
    put("img/head/bias", OUT)
    found["t"] = np.array([math.log(37.0)], np.float32)
    return found


def forward(arrays: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """One picture [h, w, 3] in -1..1 -> [OUT]: the ViT written out, loop by loop where that is plainer."""
    a = {name.removeprefix("img/"): array.astype(np.float64) for name, array in arrays.items()}

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ a[f"{name}/kernel"] + a[f"{name}/bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-6) * a[f"{name}/scale"] + a[f"{name}/bias"]

    def mlp(name: str, x: np.ndarray) -> np.ndarray:
        h = dense(f"{name}/Dense_0", x)
        h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        return dense(f"{name}/Dense_1", h)

    def attention(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        out = np.zeros((len(x), WIDTH))
        for head in range(HEADS):
            q, k, v = (
                source @ a[f"{name}/{part}/kernel"][:, head] + a[f"{name}/{part}/bias"][head]
                for part, source in (("query", x), ("key", y), ("value", y))
            )
            weights = special.softmax(q @ k.T / math.sqrt(WIDTH // HEADS), axis=-1)
            out += weights @ v @ a[f"{name}/out/kernel"][head]
        return out + a[f"{name}/out/bias"]

    rows = []
    for y in range(0, image.shape[0], PATCH):
        for x in range(0, image.shape[1], PATCH):
            part = image[y : y + PATCH, x : x + PATCH].astype(np.float64)
            rows.append(np.tensordot(part, a["embedding/kernel"], axes=3) + a["embedding/bias"])
    x = np.stack(rows) + a["pos_embedding"][0]
    for block in range(DEPTH):
        name = f"Transformer/encoderblock_{block}"
        y = norm(f"{name}/LayerNorm_0", x)
        x = x + attention(f"{name}/MultiHeadDotProductAttention_0", y, y)
        x = x + mlp(f"{name}/MlpBlock_0", norm(f"{name}/LayerNorm_1", x))
    x = norm("Transformer/encoder_norm", x)
    pooled = attention("MAPHead_0/MultiHeadDotProductAttention_0", a["MAPHead_0/probe"][0], x)
    pooled = pooled + mlp("MAPHead_0/MlpBlock_0", norm("MAPHead_0/LayerNorm_0", pooled))
    return dense("head", pooled[0])


def pictures(count: int = 3, side: int = SIDE * PATCH) -> np.ndarray:
    return np.random.default_rng(9).uniform(-1, 1, (count, side, side, 3)).astype(np.float32)


def run(tower, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return tower(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()


def test_a_converted_tower_computes_what_plain_numpy_does():
    arrays, images = made(), pictures()
    tower = from_big_vision(arrays)
    wanted = np.stack([forward(arrays, image) for image in images])
    assert np.allclose(run(tower, images), wanted, atol=2e-4 * np.abs(wanted).max())
    assert tower.temperature.item() == pytest.approx(37.0, rel=1e-5)
    assert not tower.config.skip_blank
    assert not tower.inputs.antialias


def test_there_and_back_gives_the_same_arrays(tmp_path):
    arrays = made()
    np.savez(tmp_path / "a.npz", **arrays)
    assert main([str(tmp_path / "a.npz"), str(tmp_path / "b.safetensors")]) == 0
    assert main([str(tmp_path / "b.safetensors"), str(tmp_path / "c.npz")]) == 0
    again = read_npz(tmp_path / "c.npz")
    assert set(again) == set(arrays)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)
    images = pictures()
    assert np.array_equal(run(load_tower(tmp_path / "b.safetensors"), images), run(from_big_vision(arrays), images))


def test_stacked_blocks_prefixes_bfloat16_and_old_names_are_the_same_weights(tmp_path):
    arrays, images = made(), pictures()
    wanted = run(from_big_vision(arrays), images)
    scanned = {n: v for n, v in arrays.items() if "encoderblock_" not in n}
    for name in [n for n in arrays if "encoderblock_0/" in n]:
        blocks = [arrays[name.replace("_0/", f"_{i}/", 1)] for i in range(DEPTH)]
        scanned[name.replace("encoderblock_0", "encoderblock", 1)] = np.stack(blocks)
    assert np.array_equal(run(from_big_vision(scanned), images), wanted)
    old = {
        n.replace("img/MAPHead_0/", "img/").replace("img/pos_emb", "img/Transformer/pos_emb"): v
        for n, v in arrays.items()
    }
    assert np.array_equal(run(from_big_vision(old), images), wanted)
    halves = {f"params/{n}": (v.view(np.uint32) >> 16).astype(np.uint16).view("V2") for n, v in arrays.items()}
    np.savez(tmp_path / "x.npz", **halves, **{"opt/count": np.zeros(1)})
    found = read_npz(tmp_path / "x.npz")
    assert set(found) == set(arrays)
    assert all(np.allclose(found[n], arrays[n], rtol=2**-7) for n in arrays)


def test_positions_are_resampled_as_big_vision_does(tmp_path):
    arrays = made()
    grid = arrays["img/pos_embedding"].reshape(SIDE, SIDE, WIDTH)
    for side in (2, 5, 8, 14):
        wanted = ndimage.zoom(grid, (side / SIDE, side / SIDE, 1), order=1)
        assert np.allclose(resample(grid, side), wanted, atol=1e-5)
    larger = {**arrays, "img/pos_embedding": resample(grid, 8).reshape(1, 64, WIDTH)}
    images = pictures(2, 64)
    assert np.allclose(run(from_big_vision(arrays, size=64), images), run(from_big_vision(larger), images), atol=1e-5)
    with pytest.raises(ConversionError, match="60 px are not made of whole patches of 8"):
        from_big_vision(arrays, size=60)


def test_other_layouts_are_refused_by_name(tmp_path, capsys):
    arrays = made()
    with pytest.raises(ConversionError, match="no array embedding/kernel"):
        from_big_vision({"txt/Embed_0/embedding": np.zeros((3, 4))})
    with pytest.raises(ConversionError, match=r"no place for cls"):
        from_big_vision({**arrays, "img/cls": np.zeros((1, 1, WIDTH), np.float32)})
    with pytest.raises(ConversionError, match=r"pos_embedding is of shape \(1, 25, 7\), 1 x any x 32 was expected"):
        from_big_vision({**arrays, "img/pos_embedding": np.zeros((1, 25, 7), np.float32)})
    lacking = {n: v for n, v in arrays.items() if "encoderblock_1" not in n}
    with pytest.raises(ConversionError, match="not numbered"):
        from_big_vision(lacking)
    (tmp_path / "x.npz").write_bytes(b"PK\3\4 no archive")
    assert main([str(tmp_path / "x.npz"), str(tmp_path / "y.safetensors")]) == 1
    assert "not an npz of plain arrays" in capsys.readouterr().err
    np.savez(tmp_path / "p.npz", x=np.array([{"a": 1}], dtype=object))
    assert main([str(tmp_path / "p.npz"), str(tmp_path / "y.safetensors")]) == 1, "nothing is unpickled"
    assert main([str(tmp_path / "x.npz"), str(tmp_path / "y.npz")]) == 1
    assert "one must end in .npz" in capsys.readouterr().err
