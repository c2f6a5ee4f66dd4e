"""Released CLIPPO weights and back: big_vision's npz layout <-> the reference trainer's tower.

    python -m pipelines.train.convert clippo_b16_yfcc100m.npz clippo.safetensors
    python -m pipelines.train.convert clippo.safetensors clippo.npz

Names and shapes are those that big_vision's `models/proj/clippo/one_tower.py` and `models/vit.py` make: `img/…` one ViT with a MAP
head and a last linear map, `t` the logarithm of the temperature. Nothing is unpickled.
"""

from __future__ import annotations

import argparse
import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
MAX_BYTES: Final[int] = 16 << 30
_ATTENTION: Final[str] = "MultiHeadDotProductAttention_0"
_SUFFIXES: Final[tuple[str, ...]] = (".npz", ".safetensors")


class ConversionError(Exception):
    """Weights are not of the layout; the message names the array and what it should be."""


def read_npz(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Reads a checkpoint's parameters: float32, names without the `params/` in front that newer checkpoints have.

    Raises:
        ConversionError: It is no npz of plain arrays, or above 16 GiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                raise ConversionError(f"{path}: more than {MAX_BYTES >> 30} GiB")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: _floats(file[name]) for name in file.files if not name.startswith(("opt/", "chrono"))}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ConversionError(f"{path}: not an npz of plain arrays: {error}") from error
    if any(name.startswith("params/") for name in arrays):
        arrays = {name[7:]: array for name, array in arrays.items() if name.startswith("params/")}
    return arrays


def from_big_vision(arrays: Arrays, *, size: int | None = None) -> Any:
    """Makes a tower of big_vision's arrays.

    Args:
        arrays: Names as above; blocks by themselves (`encoderblock_0`) or stacked (`encoderblock`), positions and probe where older
            checkpoints have them.
        size: px a side of the pictures that the tower will read: the position table is resampled as big_vision does. Default:
            the size that it was trained at.

    Returns:
        A `Tower` in evaluation mode that looks at blank patches too, and resizes photographs without antialiasing, as in training.

    Raises:
        ConversionError: An array is missing, surplus or of another shape, or `size` is not made of whole patches.
    """
    import torch

    from pipelines.train.reference.inputs import Inputs
    from pipelines.train.reference.model import Tower, TowerConfig

    left = _Left(_modern({name.removeprefix("img/"): np.asarray(array, np.float32) for name, array in arrays.items()}))
    patches = left.take("embedding/kernel", (None, None, 3, None))
    patch, width = patches.shape[0], patches.shape[3]
    positions = left.take("pos_embedding", (1, None, width))[0]
    side = math.isqrt(len(positions))
    if patches.shape[1] != patch or side * side != len(positions):
        raise ConversionError(f"patches of {patches.shape[:2]} px and {len(positions)} positions are no square grid")
    if size is not None and (size < patch or size % patch):
        raise ConversionError(f"{size} px are not made of whole patches of {patch}")
    grid = (size or side * patch) // patch
    heads = left.take("MAPHead_0/" + _ATTENTION + "/query/kernel", (width, None, None), keep=True).shape[1]
    depth = left.depth()
    out_dim = left.take("head/bias", (None,), keep=True).shape[0] if left.has("head/bias") else 0
    state: dict[str, npt.NDArray[np.float32]] = {
        "embed.weight": patches.transpose(3, 2, 0, 1),
        "embed.bias": left.take("embedding/bias", (width,)),
        "positions": resample(positions.reshape(side, side, width), grid).transpose(2, 0, 1)[None],
        "log_temperature": left.take("t", (1,)).reshape(()) if left.has("t") else np.array(math.log(10.0), np.float32),
        "bias": left.take("b", (1,)).reshape(()) if left.has("b") else np.array(-10.0, np.float32),
    }
    for block in range(depth):
        source = f"Transformer/encoderblock_{block}/"
        state |= _norm(left, source + "LayerNorm_0", f"blocks.{block}.norm1", width)
        state |= _norm(left, source + "LayerNorm_1", f"blocks.{block}.norm2", width)
        state |= _mlp(left, source + "MlpBlock_0", f"blocks.{block}.mlp", width)
        state |= _attention(left, source, f"blocks.{block}", width, heads, {"qkv": ("query", "key", "value")})
    state |= _norm(left, "Transformer/encoder_norm", "norm", width)
    state["head.probe"] = left.take("MAPHead_0/probe", (1, 1, width))
    state |= _norm(left, "MAPHead_0/LayerNorm_0", "head.norm", width)
    state |= _mlp(left, "MAPHead_0/MlpBlock_0", "head.mlp", width)
    state |= _attention(left, "MAPHead_0/", "head", width, heads, {"query": ("query",), "key_value": ("key", "value")})
    if out_dim:
        state["project.weight"] = left.take("head/kernel", (width, out_dim)).T
        state["project.bias"] = left.take("head/bias", (out_dim,))
    left.done()
    config = TowerConfig(
        patch=patch, width=width, depth=depth, heads=heads, rows=grid, columns=grid, stem="patch", out_dim=out_dim, skip_blank=False
    )  # fmt: skip
    tower = Tower(
        config, Inputs(size=grid * patch, antialias=False, render={"width": grid * patch, "height": grid * patch})
    )
    tower.load_state_dict({name: torch.from_numpy(np.array(array, np.float32)) for name, array in state.items()})
    return tower.eval()


def to_big_vision(tower: Any) -> dict[str, npt.NDArray[np.float32]]:
    """The arrays of a tower under big_vision's names, the inverse of `from_big_vision`.

    Raises:
        ConversionError: The tower has a stem of convolutions or positions that are no square: big_vision has no names for these.
    """
    config = tower.config
    if config.stem != "patch" or config.rows != config.columns:
        raise ConversionError(
            f"big_vision has no place for a stem {config.stem!r} or positions of {config.rows} x {config.columns}"
        )
    state = {name: tensor.detach().cpu().float().numpy() for name, tensor in tower.state_dict().items()}
    width, heads = config.width, config.heads
    found = {
        "img/embedding/kernel": state["embed.weight"].transpose(2, 3, 1, 0),
        "img/embedding/bias": state["embed.bias"],
        "img/pos_embedding": state["positions"][0].transpose(1, 2, 0).reshape(1, -1, width),
        "img/MAPHead_0/probe": state["head.probe"],
        "t": state["log_temperature"].reshape(1),
    }

    def norm(source: str, target: str) -> None:
        found[f"img/{target}/scale"], found[f"img/{target}/bias"] = state[f"{source}.weight"], state[f"{source}.bias"]

    def mlp(source: str, target: str) -> None:
        for ours, theirs in ((0, "Dense_0"), (2, "Dense_1")):
            found[f"img/{target}/{theirs}/kernel"] = state[f"{source}.{ours}.weight"].T
            found[f"img/{target}/{theirs}/bias"] = state[f"{source}.{ours}.bias"]

    def attention(source: str, target: str, parts: Mapping[str, tuple[str, ...]]) -> None:
        target = f"img/{target}{_ATTENTION}"
        for ours, names in parts.items():
            kernels = np.split(state[f"{source}.{ours}.weight"], len(names))
            biases = np.split(state[f"{source}.{ours}.bias"], len(names))
            for name, kernel, bias in zip(names, kernels, biases, strict=True):
                found[f"{target}/{name}/kernel"] = kernel.T.reshape(width, heads, -1)
                found[f"{target}/{name}/bias"] = bias.reshape(heads, -1)
        found[f"{target}/out/kernel"] = state[f"{source}.out.weight"].T.reshape(heads, -1, width)
        found[f"{target}/out/bias"] = state[f"{source}.out.bias"]

    for block in range(config.depth):
        target = f"Transformer/encoderblock_{block}/"
        norm(f"blocks.{block}.norm1", target + "LayerNorm_0")
        norm(f"blocks.{block}.norm2", target + "LayerNorm_1")
        mlp(f"blocks.{block}.mlp", target + "MlpBlock_0")
        attention(f"blocks.{block}", target, {"qkv": ("query", "key", "value")})
    norm("norm", "Transformer/encoder_norm")
    norm("head.norm", "MAPHead_0/LayerNorm_0")
    mlp("head.mlp", "MAPHead_0/MlpBlock_0")
    attention("head", "MAPHead_0/", {"query": ("query",), "key_value": ("key", "value")})
    if config.out_dim:
        found["img/head/kernel"], found["img/head/bias"] = state["project.weight"].T, state["project.bias"]
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def resample(grid: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Positions [n, n, width] -> [side, side, width], linear from corner to corner: `resample_posemb` of big_vision's ViT."""
    for axis in (0, 1):
        n = grid.shape[axis]
        at = np.arange(side) * ((n - 1) / max(1, side - 1)) if n > 1 else np.zeros(side)
        low = np.minimum(at.astype(np.int64), max(0, n - 2))
        share = (at - low).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(3)])
        grid = grid.take(low, axis) * (1 - share) + grid.take(np.minimum(low + 1, n - 1), axis) * share
    return grid


class _Left:
    """The arrays that are not taken yet."""

    def __init__(self, arrays: dict[str, npt.NDArray[np.float32]]) -> None:
        self._arrays = arrays

    def has(self, name: str) -> bool:
        return name in self._arrays

    def take(self, name: str, shape: tuple[int | None, ...], *, keep: bool = False) -> npt.NDArray[np.float32]:
        if name not in self._arrays:
            near = ", ".join(sorted(self._arrays)[:5])
            raise ConversionError(f"no array {name} (nor img/{name}); there are {near} …: is this a CLIPPO checkpoint?")
        found = self._arrays[name] if keep else self._arrays.pop(name)
        if len(found.shape) != len(shape) or any(w not in (None, s) for s, w in zip(found.shape, shape, strict=True)):
            wanted = " x ".join("any" if side is None else str(side) for side in shape)
            raise ConversionError(f"{name} is of shape {found.shape}, {wanted} was expected")
        return found

    def depth(self) -> int:
        blocks = {name.split("/")[1] for name in self._arrays if name.startswith("Transformer/encoderblock_")}
        if blocks != {f"encoderblock_{i}" for i in range(len(blocks))} or not blocks:
            raise ConversionError(f"encoder blocks are not numbered 0 to n: {', '.join(sorted(blocks)) or 'none'}")
        return len(blocks)

    def done(self) -> None:
        if self._arrays:
            raise ConversionError(
                f"no place for {', '.join(sorted(self._arrays)[:5])}: not a one-tower ViT with a MAP head"
            )


def _modern(arrays: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    """What older and scanned checkpoints call otherwise, as `fix_old_checkpoints` and `scan_to_pyloop` of big_vision's ViT do."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    for name, array in arrays.items():
        if name in ("Transformer/posembed_input/pos_embedding", "Transformer/pos_embedding"):
            found["pos_embedding"] = array
        elif name == "probe" or name.startswith(("MlpBlock_0/", _ATTENTION, "LayerNorm_0/")):
            found[f"MAPHead_0/{name}"] = array
        elif name.startswith("Transformer/encoderblock/"):
            for block, part in enumerate(array):
                found[name.replace("encoderblock/", f"encoderblock_{block}/", 1)] = part
        else:
            found[name] = array
    return found


def _norm(left: _Left, source: str, target: str, width: int) -> dict[str, npt.NDArray[np.float32]]:
    scale, bias = left.take(f"{source}/scale", (width,)), left.take(f"{source}/bias", (width,))
    return {f"{target}.weight": scale, f"{target}.bias": bias}


def _mlp(left: _Left, source: str, target: str, width: int) -> dict[str, npt.NDArray[np.float32]]:
    wide = 4 * width
    return {
        f"{target}.0.weight": left.take(f"{source}/Dense_0/kernel", (width, wide)).T,
        f"{target}.0.bias": left.take(f"{source}/Dense_0/bias", (wide,)),
        f"{target}.2.weight": left.take(f"{source}/Dense_1/kernel", (wide, width)).T,
        f"{target}.2.bias": left.take(f"{source}/Dense_1/bias", (width,)),
    }


def _attention(
    left: _Left, source: str, target: str, width: int, heads: int, parts: Mapping[str, tuple[str, ...]]
) -> dict[str, npt.NDArray[np.float32]]:
    source, per_head = source + _ATTENTION, width // heads
    found = {
        f"{target}.out.weight": left.take(f"{source}/out/kernel", (heads, per_head, width)).reshape(width, width).T,
        f"{target}.out.bias": left.take(f"{source}/out/bias", (width,)),
    }
    for ours, names in parts.items():
        kernels = [left.take(f"{source}/{n}/kernel", (width, heads, per_head)).reshape(width, width).T for n in names]
        biases = [left.take(f"{source}/{n}/bias", (heads, per_head)).reshape(width) for n in names]
        found[f"{target}.{ours}.weight"], found[f"{target}.{ours}.bias"] = (
            np.concatenate(kernels),
            np.concatenate(biases),
        )
    return found


def _floats(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if array.dtype == np.dtype("V2"):  # bfloat16, which NumPy has no name for
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if array.dtype.kind in "fiu" else np.zeros(0, np.float32)


def convert(source: Path, target: Path, *, size: int | None = None) -> str:
    """Converts a file into the other layout, by the endings `.npz` and `.safetensors`.

    Returns:
        What was converted, in a line.

    Raises:
        ConversionError: The files cannot be read or written, their endings are wrong, or the weights are not of the layout.
    """
    from pipelines.train.reference.weights import load_tower, save_tower

    if {source.suffix, target.suffix} != set(_SUFFIXES):
        raise ConversionError(f"{source} and {target}: one must end in .npz and the other in .safetensors")
    try:
        if source.suffix == ".npz":
            tower = from_big_vision(read_npz(source), size=size)
            save_tower(target, tower)
        else:
            tower = load_tower(source)
            arrays = to_big_vision(tower)
            with target.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        raise ConversionError(str(error)) from error
    config = tower.config
    return (
        f"{target}: width {config.width}, {config.depth} blocks, {config.heads} heads, patches of {config.patch} px, "
        f"{config.columns * config.patch} px a side, temperature {tower.temperature.item():.2f}"
    )


def main(argv: list[str] | None = None) -> int:
    """Converts as the arguments say; returns the exit code: 0 done, 1 the weights are not of the layout, 2 the call was wrong."""
    parser = argparse.ArgumentParser(
        "python -m pipelines.train.convert", description="CLIPPO weights, npz <-> safetensors."
    )
    parser.add_argument("source", type=Path, help="big_vision's .npz, or .safetensors of the reference trainer")
    parser.add_argument("target", type=Path, help="the other one")
    parser.add_argument("--size", type=int, help="px a side that the tower will read (default: that of the npz)")
    given = parser.parse_args(argv)
    try:
        print(convert(given.source, given.target, size=given.size))
    except ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
