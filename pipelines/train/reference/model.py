"""One small ViT that reads photographs and rendered text alike."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_TEMPERATURE: Final[float] = 10.0
MAX_TEMPERATURE: Final[float] = 100.0


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Shape of a tower.

    Attributes:
        patch: px a side of a patch; photographs and rendered text must be whole multiples of it.
        width: Channels of a token and of the embedding.
        depth: Encoder blocks.
        heads: Attention heads; they divide `width`.
        rows: Patch rows that the position table holds: those of a rendered text.
        columns: Patch columns that the position table holds.
    """

    patch: int = 16
    width: int = 96
    depth: int = 3
    heads: int = 3
    rows: int = 14
    columns: int = 14


MODELS: Final[dict[str, dict[str, int]]] = {
    "tiny": {"width": 96, "depth": 3, "heads": 3},
    "S/16": {"width": 384, "depth": 12, "heads": 6},
    "B/16": {"width": 768, "depth": 12, "heads": 12},
}
"""Names that the command line takes. `tiny` learns on two CPU cores; the others want a GPU."""


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, then a perceptron four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [n, t, width] -> the same shape."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        x = x + self.out(seen)
        return x + self.mlp(self.norm2(x))


class MapHead(nn.Module):
    """Multi-head attention pooling: one learned query looks at all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [n, t, width] -> [n, width]."""
        pooled, _ = self.attention(self.probe.expand(len(x), -1, -1), x, x, need_weights=False)
        return (pooled + self.mlp(self.norm(pooled)))[:, 0]


class Tower(nn.Module):
    """The one tower for both sides, with the temperature that the loss learns.

    A picture whose height is below the position table's may be a text whose blank rows were cut off: it takes the table's first rows, so
    cutting blank rows changes nothing but which tokens there are. A picture of another width takes the table resampled.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(3 * config.patch**2, config.width)
        self.positions = nn.Parameter(torch.randn(1, config.width, config.rows, config.columns) * 0.02)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = MapHead(config.width, config.heads)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(INITIAL_TEMPERATURE)))

    @property
    def temperature(self) -> Tensor:
        """Factor of the cosines in the loss, a scalar; learned, 100 at most."""
        return self.log_temperature.clamp(max=math.log(MAX_TEMPERATURE)).exp()

    def forward(self, pixels: Tensor) -> Tensor:
        """Embeds pictures.

        Args:
            pixels: float [n, 3 or 1, height, width] in -1..1, sides multiples of the patch; one channel means grey.

        Returns:
            float [n, width], each row of length 1.

        Raises:
            ValueError: A side is no multiple of the patch.
        """
        n, channels, height, width = pixels.shape
        patch = self.config.patch
        if height % patch or width % patch:
            raise ValueError(f"pictures of {width} x {height} px are not made of whole {patch} px patches")
        rows, columns = height // patch, width // patch
        patches = pixels.view(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
        if channels == 1:
            patches = patches.expand(-1, -1, -1, 3, -1, -1)
        x = self.embed(patches.reshape(n, rows * columns, 3 * patch * patch))
        x = x + self._positions(rows, columns)
        for block in self.blocks:
            x = block(x)
        return functional.normalize(self.head(self.norm(x)), dim=-1)

    def _positions(self, rows: int, columns: int) -> Tensor:
        table = self.positions
        if columns != self.config.columns or rows > self.config.rows:
            table = functional.interpolate(table, size=(rows, columns), mode="bilinear", antialias=True)
        return table[:, :, :rows].flatten(2).transpose(1, 2)


def make_tower(name: str, *, rows: int, columns: int, patch: int = 16) -> Tower:
    """A tower by name with a position table of `rows` x `columns` patches, weights drawn from torch's global generator.

    Raises:
        ValueError: There is no model of that name.
    """
    if name not in MODELS:
        raise ValueError(f"no model {name!r}; there are {', '.join(MODELS)}")
    return Tower(TowerConfig(patch=patch, rows=rows, columns=columns, **MODELS[name]))


def save_tower(path: Path, tower: Tower) -> None:
    """Writes the weights in the safetensors format (float32), the config in its metadata. No pickle.

    Args:
        path: The file; replaced if there.
        tower: On any device.
    """
    header: dict[str, Any] = {"__metadata__": {"config": json.dumps(dataclasses.asdict(tower.config))}}
    blobs: list[bytes] = []
    at = 0
    for name, tensor in sorted(tower.state_dict().items()):
        data = tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        blobs.append(data)
        at += len(data)
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(path.name + ".part")
    part.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    part.replace(path)


def load_tower(path: Path) -> Tower:
    """Reads what `save_tower` wrote, in evaluation mode.

    Raises:
        ValueError: The file is no such file, or a weight is missing, surplus or of another shape.
    """
    data = path.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        config = TowerConfig(**json.loads(header.pop("__metadata__")["config"]))
        state = {}
        for name, entry in header.items():
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[start:stop], dtype="<f4").reshape(entry["shape"])
            state[name] = torch.from_numpy(values.copy())
        tower = Tower(config)
        tower.load_state_dict(state)
    except (struct.error, KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not a tower's weights: {error}") from error
    return tower.eval()
