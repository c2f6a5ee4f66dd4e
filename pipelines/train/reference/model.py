"""One ViT that reads photographs and rendered text alike: big_vision's, module by module, so that its weights fit.

Sources: `big_vision/models/vit.py` and `big_vision/models/proj/clippo/one_tower.py` (shapes, norms, initial values).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipelines.train.reference.inputs import Inputs, photo_tensor, text_tensor
from pipelines.train.reference.patches import choose_patches

INITIAL_TEMPERATURE: Final[float] = 10.0
MAX_TEMPERATURE: Final[float] = 100.0
INITIAL_BIAS: Final[float] = -10.0
NORM_EPS: Final[float] = 1e-6  # flax's; PyTorch's is 1e-5


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Shape of a tower.

    Attributes:
        patch: px a side of a patch; photographs and rendered text must be whole multiples of it.
        width: Channels of a token.
        depth: Encoder blocks.
        heads: Attention heads; they divide `width`.
        rows: Patch rows that the position table holds: those of a rendered text.
        columns: Patch columns that the position table holds.
        stem: How patches become tokens: `patch`, one linear map of a patch's pixels, as in CLIPPO; `conv`, three convolutions that
            overlap patch borders; `glyph`, which reads sooner than both: the half patches that a letter of Unifont fills, mapped,
            mixed with two neighbours on each side, and joined in twos. `conv` and `glyph` need patches of 16 px.
        out_dim: Channels of the embedding, through one last linear map as in CLIPPO; 0: the pooled token itself, of `width`.
        skip_blank: The patch rows below a text's last ink are not looked at. CLIPPO looks at them.
    """

    patch: int = 16
    width: int = 96
    depth: int = 3
    heads: int = 3
    rows: int = 14
    columns: int = 14
    stem: str = "patch"
    out_dim: int = 0
    skip_blank: bool = True


MODELS: Final[dict[str, dict[str, Any]]] = {
    "tiny": {"width": 96, "depth": 2, "heads": 3, "stem": "glyph"},
    "S/16": {"width": 384, "depth": 12, "heads": 6, "out_dim": 384},
    "B/16": {"width": 768, "depth": 12, "heads": 12, "out_dim": 768},
    "L/16": {"width": 1024, "depth": 24, "heads": 16, "out_dim": 1024},
}
"""Names that the command line takes. `tiny` learns on two CPU cores; the others want a GPU."""


def _mlp(width: int) -> nn.Sequential:
    # flax's gelu is the tanh approximation unless told otherwise.
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, then a perceptron four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = _mlp(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens [n, t, width] -> the same shape; `mask`, bool [n, 1, 1, t], is true where a token may be looked at."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).reshape(n, tokens, width))
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
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = _mlp(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens [n, t, width] -> [n, width]; `mask` as in `Block`."""
        n, tokens, width = x.shape
        q = self.query(self.probe).view(1, 1, self.heads, width // self.heads).expand(n, -1, -1, -1).transpose(1, 2)
        k, v = self.key_value(x).view(n, tokens, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        pooled = self.out(seen.transpose(1, 2).reshape(n, width))
        return pooled + self.mlp(self.norm(pooled))


class Tower(nn.Module):
    """The one tower for both sides, with the temperature and the bias that the loss learns.

    Where `skip_blank` is set, tokens of patch rows below a text's last ink are masked, or cut off where no text of a batch has
    ink there, so a text's embedding is the same in any batch. A picture of the position table's width takes the table's first rows;
    one of another width, a photograph at another size, takes the table resampled.

    Attributes:
        config: Its shape.
        inputs: What photographs and texts are turned into for it.
        recompute: Whether blocks are computed again in the backward pass instead of kept (gradient checkpointing).
    """

    def __init__(self, config: TowerConfig, inputs: Inputs | None = None) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs or Inputs(size=config.columns * config.patch)
        self.recompute = False
        self.embed = _stem(config)
        self.positions = nn.Parameter(torch.randn(1, config.width, config.rows, config.columns) * 0.02)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.head = MapHead(config.width, config.heads)
        self.project = nn.Linear(config.width, config.out_dim) if config.out_dim else nn.Identity()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(INITIAL_TEMPERATURE)))
        self.bias = nn.Parameter(torch.tensor(INITIAL_BIAS))
        if config.stem == "patch":
            _initialise(self)

    @property
    def temperature(self) -> Tensor:
        """Factor of the cosines in the loss, a scalar; learned, 100 at most."""
        return self.log_temperature.clamp(max=math.log(MAX_TEMPERATURE)).exp()

    @property
    def channels(self) -> int:
        """Channels of an embedding."""
        return self.config.out_dim or self.config.width

    def forward(
        self, pixels: Tensor, rows: Tensor | None = None, draws: Tensor | None = None, keep: float = 1.0
    ) -> Tensor:
        """Gives a vector for each picture, the dot products of which the loss compares once they are brought to length 1.

        Args:
            pixels: float [n, 3 or 1, height, width] in -1..1, sides multiples of the patch; one channel means grey.
            rows: int64 [n], patch rows of each picture with something on them, from the top; at least 1. Default: all.
            draws: int64 [n], what the kept patches are drawn from. Default: all are kept.
            keep: Share of the patches that are looked at, above 0: those with something on them before the others.

        Returns:
            float [n, channels], of any length.

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
            mask = (torch.arange(down, device=x.device) < rows[:, None]).repeat_interleave(across, dim=1)
        if draws is not None and keep < 1:
            chosen = choose_patches(draws, down * across, keep, mask)
            x = x.gather(1, chosen[:, :, None].expand(-1, -1, x.shape[2]))
            mask = None if mask is None else mask.gather(1, chosen)
        if mask is not None:
            mask = mask[:, None, None]
        for block in self.blocks:
            again = self.recompute and torch.is_grad_enabled()
            x = checkpoint(block, x, mask, use_reentrant=False) if again else block(x, mask)
        return self.project(self.head(self.norm(x), mask))

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Any], batch: int = 64) -> Tensor:
        """Photographs -> float32 [n, channels], rows of length 1.

        Args:
            images: Files' bytes (JPEG, PNG, WebP), paths of such files, or Pillow images.
            batch: How many are embedded at once. Default: 64.

        Raises:
            ValueError, OSError: One cannot be decoded; the message says which.
            TypeError: They are one image and not several, or one is something else.
        """
        listed = _several(images, "images")
        return self._embed(photo_tensor(listed[i : i + batch], self.inputs) for i in range(0, len(listed), batch))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], batch: int = 64) -> Tensor:
        """Texts, rendered as in training -> float32 [n, channels], rows of length 1.

        Args:
            texts: Any texts.
            batch: How many are embedded at once. Default: 64.

        Raises:
            ValueError: The renderer here draws otherwise than the one the tower was trained with.
            TypeError: They are one text and not several, or one is no text.
        """
        listed = _several(texts, "texts")
        for number, text in enumerate(listed):
            if not isinstance(text, str):
                raise TypeError(f"texts[{number}] is a {type(text).__name__}, not a str")
        patch = self.config.patch
        return self._embed(text_tensor(listed[i : i + batch], self.inputs, patch) for i in range(0, len(listed), batch))

    def _embed(self, parts: Iterable[tuple[Tensor, Tensor | None]]) -> Tensor:
        was_training = self.training
        self.eval()
        device, found = self.positions.device, []
        for pixels, rows in parts:
            seen = rows.to(device) if rows is not None and self.config.skip_blank else None
            found.append(functional.normalize(self(pixels.to(device), seen).float(), dim=-1))
        self.train(was_training)
        return torch.cat(found) if found else torch.empty(0, self.channels, device=device)

    def _positions(self, rows: int, columns: int) -> Tensor:
        table: Tensor = self.positions
        if columns != self.config.columns or rows > self.config.rows:
            table = functional.interpolate(table, size=(rows, columns), mode="bilinear", antialias=True)
        return table[:, :, :rows].flatten(2).transpose(1, 2)


def _several(items: Sequence[Any], name: str) -> list[Any]:
    """A list of them. TypeError for a single one: a text is a sequence too, and its letters would be embedded."""
    if isinstance(items, str | bytes | Path) or not isinstance(items, Iterable):
        raise TypeError(f"{name} must be a list of them, not a single {type(items).__name__}")
    return list(items)


def _stem(config: TowerConfig) -> nn.Module:
    """Pictures [n, 3, h, w] -> tokens [n, width, h / patch, w / patch]."""
    if config.stem == "patch":
        return nn.Conv2d(3, config.width, config.patch, config.patch)
    if config.stem not in ("conv", "glyph") or config.patch != 16:
        raise ValueError(f"no stem {config.stem!r} for patches of {config.patch} px")
    if config.stem == "glyph":
        # A word begins in either half of a patch: seen by halves, it is the same word.
        return nn.Sequential(
            nn.Conv2d(3, 64, (16, 8), (16, 8)),
            nn.GELU(approximate="tanh"),
            nn.Conv2d(64, 96, (1, 5), padding=(0, 2)),
            nn.GELU(approximate="tanh"),
            nn.Conv2d(96, config.width, (1, 2), (1, 2)),
        )
    return nn.Sequential(
        nn.Conv2d(3, 8, 8, 4, 2),
        nn.GELU(approximate="tanh"),
        nn.Conv2d(8, 32, 3, 2, 1),
        nn.GELU(approximate="tanh"),
        nn.Conv2d(32, config.width, 3, 2, 1),
    )


@torch.no_grad()
def _initialise(tower: Tower) -> None:
    """big_vision's initial values: Glorot for every kernel, 1/sqrt(width) for positions, LeCun for the patches and the last map."""
    width = tower.config.width
    for module in tower.modules():
        if isinstance(module, nn.Linear):
            # A kernel that holds q, k and v side by side is three kernels of width x width.
            for kernel in (
                module.weight.split(width) if module.out_features in (2 * width, 3 * width) else [module.weight]
            ):
                nn.init.xavier_uniform_(kernel)
            nn.init.zeros_(module.bias)
    for block in [*tower.blocks, tower.head]:
        for layer in (block.mlp[0], block.mlp[2]):
            nn.init.normal_(layer.bias, std=1e-6)
    for layer in (tower.embed, tower.project):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            # flax divides by the deviation that is left of a normal one which is cut at two sigma.
            sigma = layer.weight[0].numel() ** -0.5 / 0.87962566
            nn.init.trunc_normal_(layer.weight, std=sigma, a=-2 * sigma, b=2 * sigma)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    nn.init.normal_(tower.positions, std=width**-0.5)
    bound = (6 / (1 + width)) ** 0.5
    nn.init.uniform_(tower.head.probe, -bound, bound)


def make_tower(
    name: str, *, rows: int, columns: int, patch: int = 16, inputs: Inputs | None = None, **changes: Any
) -> Tower:
    """A tower by name with a position table of `rows` x `columns` patches, weights drawn from torch's global generator.

    Args:
        name: One of `MODELS`.
        rows, columns: Patches of a rendered text.
        patch: px a side.
        inputs: What photographs and texts are turned into. Default: squares of the table's width, CLIPPO's rendering.
        changes: Other fields of `TowerConfig`.

    Raises:
        ValueError: There is no model of that name.
    """
    if name not in MODELS:
        raise ValueError(f"no model {name!r}; there are {', '.join(MODELS)}")
    return Tower(TowerConfig(patch=patch, rows=rows, columns=columns, **{**MODELS[name], **changes}), inputs)


def name_of(config: TowerConfig) -> str:
    """The model that a tower is, or its shape where it is none of `MODELS`: `768x12`."""
    for name, shape in MODELS.items():
        if all(getattr(config, field) == value for field, value in {"out_dim": 0, "stem": "patch", **shape}.items()):
            return name
    return f"{config.width}x{config.depth}"
