"""How well a device is used: memory, and the share of its arithmetic that the model's own work takes (MFU)."""

from __future__ import annotations

import resource
import sys
from typing import Final

import torch

from pipelines.train.reference.decode import Batch
from pipelines.train.reference.model import TowerConfig
from pipelines.train.reference.step import StepOptions

# Dense bfloat16 (float16 where there is none) operations a second, from NVIDIA's data sheets of each; the first name that a
# device's name contains counts.
PEAKS: Final[tuple[tuple[str, float], ...]] = (
    ("B200", 2250e12),
    ("GH200", 989e12),
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("A800", 312e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("A40", 150e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("RTX 4090", 165e12),
    ("RTX 3090", 71e12),
    ("V100", 125e12),
    ("T4", 65e12),
)


def peak_of(device: torch.device) -> float | None:
    """Operations a second at most, None for a device that is not in the table (CPUs are not)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS if part in name), None)


def peak_memory(device: torch.device) -> int:
    """Bytes: most that tensors held on a GPU, most that the process held on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


_NO_ROOM: Final[tuple[str, ...]] = (
    "DefaultCPUAllocator: ",
    "CUDA error: out of memory",  # of what PyTorch's allocator does not hand out: pinned memory, kernels' stacks
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a tensor, on a GPU or a CPU, or an array found no room."""
    # PyTorch has an error of its own for GPUs only.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(said in str(error) for said in _NO_ROOM)


def flops_per_picture(config: TowerConfig, tokens: float) -> float:
    """Floating-point operations of one forward pass of one picture: two for each multiplication of a matrix product.

    The usual count (PaLM's appendix B, https://arxiv.org/abs/2204.02311): per block 24 t d^2 for its kernels and 4 t^2 d for
    attention, with t tokens and d channels; beside these the patches, the pooling head and the last map. A backward pass costs
    twice as much; what is computed again to save memory does not count as use.
    """
    t, d = tokens, config.width
    blocks = config.depth * (24 * t * d**2 + 4 * t**2 * d)
    head = 4 * t * d**2 + 4 * t * d + 2 * d**2 * (1 + 1 + 8)
    return blocks + head + 2 * t * d * 3 * config.patch**2 + 2 * d * config.out_dim


def training_flops(batch: Batch, config: TowerConfig, options: StepOptions) -> float:
    """Operations of forward and backward of a batch's pictures: three forward passes of each, by the tokens that are looked at.

    Recomputation (GradCache, gradient checkpointing) is not counted, so that saving memory does not look like use.
    """
    columns, all_rows = batch.texts.shape[2] // config.patch, batch.texts.shape[1] // config.patch
    rows = batch.text_rows if config.skip_blank else torch.full_like(batch.text_rows, all_rows)
    total = 0.0
    for count, pictures in zip(*torch.unique(rows, return_counts=True), strict=True):
        total += int(pictures) * flops_per_picture(config, int(count) * columns * options.keep_text)
    side = batch.photos.shape[1] // config.patch
    return 3 * (total + len(batch.photos) * flops_per_picture(config, side * side * options.keep_photo))
