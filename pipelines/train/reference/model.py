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
        stem: How patches become tokens: `patch`, one linear map of a patch's pixels, as in CLIPPO; `conv`, three convolutions that
            overlap patch borders, which learn to read sooner. `conv` needs patches of 16 px.
    """

    patch: int = 16
    width: int = 96
    depth: int = 3
    heads: int = 3
    rows: int = 14
    columns: int = 14
    stem: str = "patch"


MODELS: Final[dict[str, dict[str, Any]]] = {
    "tiny": {"width": 96, "depth": 2, "heads": 3, "stem": "conv"},
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

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens [n, t, width] -> the same shape; `mask`, bool [n, 1, 1, t], is true where a token may be looked at."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = (
            functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, tokens, width)
        )
        x = x + self.out(seen)
        return x + self.mlp(self.norm2(x))


class MapHead(nn.Module):
    """Multi-head attention pooling: one learned query looks at all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.probe = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens [n, t, width] -> [n, width]; `mask` as in `Block`."""
        n, tokens, width = x.shape
        q = self.query(self.probe).view(1, 1, self.heads, width // self.heads).expand(n, -1, -1, -1).transpose(1, 2)
        k, v = self.key_value(x).view(n, tokens, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        pooled = self.out(
            functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, width)
        )
        return pooled + self.mlp(self.norm(pooled))


class Tower(nn.Module):
    """The one tower for both sides, with the temperature that the loss learns.

    The patch rows below a text's last ink are not looked at: their tokens are masked, or cut off where no text of a batch has
    ink, so a text's embedding is the same in any batch. A picture of the position table's width takes the table's first rows; one
    of another width, a photograph at another size, takes the table resampled.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = _stem(config)
        self.positions = nn.Parameter(torch.randn(1, config.width, config.rows, config.columns) * 0.02)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = MapHead(config.width, config.heads)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(INITIAL_TEMPERATURE)))

    @property
    def temperature(self) -> Tensor:
        """Factor of the cosines in the loss, a scalar; learned, 100 at most."""
        return self.log_temperature.clamp(max=math.log(MAX_TEMPERATURE)).exp()

    def forward(self, pixels: Tensor, rows: Tensor | None = None) -> Tensor:
        """Gives a vector for each picture, the dot products of which the loss compares once they are brought to length 1.

        Args:
            pixels: float [n, 3 or 1, height, width] in -1..1, sides multiples of the patch; one channel means grey.
            rows: int64 [n], patch rows of each picture that are looked at, from the top; at least 1. Default: all.

        Returns:
            float [n, width], of any length.

        Raises:
            ValueError: A side is no multiple of the patch.
        """
        _, channels, height, width = pixels.shape
        patch = self.config.patch
        if height % patch or width % patch:
            raise ValueError(f"pictures of {width} x {height} px are not made of whole {patch} px patches")
        down, across = height // patch, width // patch
        if channels == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        x = self.embed(pixels).flatten(2).transpose(1, 2) + self._positions(down, across)
        mask = None
        if rows is not None:
            seen = torch.arange(down, device=x.device) < rows[:, None]
            mask = seen.repeat_interleave(across, dim=1)[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x), mask)

    def _positions(self, rows: int, columns: int) -> Tensor:
        table = self.positions
        if columns != self.config.columns or rows > self.config.rows:
            table = functional.interpolate(table, size=(rows, columns), mode="bilinear", antialias=True)
        return table[:, :, :rows].flatten(2).transpose(1, 2)


def _stem(config: TowerConfig) -> nn.Module:
    """Pictures [n, 3, h, w] -> tokens [n, width, h / patch, w / patch]."""
    if config.stem == "patch":
        return nn.Conv2d(3, config.width, config.patch, config.patch)
    if config.stem != "conv" or config.patch != 16:
        raise ValueError(f"no stem {config.stem!r} for patches of {config.patch} px")
    return nn.Sequential(
        nn.Conv2d(3, 8, 8, 4, 2),
        nn.GELU(approximate="tanh"),
        nn.Conv2d(8, 32, 3, 2, 1),
        nn.GELU(approximate="tanh"),
        nn.Conv2d(32, config.width, 3, 2, 1),
    )


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
