"""A tower's weights as a file: safetensors, with all that is needed to use them in its metadata. Nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from pipelines.train.reference.inputs import Inputs
from pipelines.train.reference.model import Tower, TowerConfig

MAX_HEADER_BYTES: Final[int] = 16 << 20


def save_tower(path: Path, tower: Tower) -> None:
    """Writes the weights in the safetensors format (float32), config and inputs in its metadata.

    Args:
        path: The file; replaced if there, and only once all is written.
        tower: On any device.
    """
    inputs = {**dataclasses.asdict(tower.inputs), "render": dict(tower.inputs.render)}
    metadata = {"config": json.dumps(dataclasses.asdict(tower.config)), "inputs": json.dumps(inputs)}
    header: dict[str, Any] = {"__metadata__": metadata}
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


def load_tower(path: str | Path) -> Tower:
    """Reads what `save_tower` wrote, in evaluation mode on the CPU.

    Raises:
        ValueError: The file is no such file, or a weight is missing, surplus or of another shape.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > MAX_HEADER_BYTES:
            raise ValueError("its header is too long")
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        config = TowerConfig(**json.loads(metadata["config"]))
        inputs = Inputs(**json.loads(metadata["inputs"]))
        state = {}
        for name, entry in header.items():
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[start:stop], dtype="<f4").reshape(entry["shape"])
            state[name] = torch.from_numpy(values.copy())
        tower = Tower(config, inputs)
        tower.load_state_dict(state)
    except (struct.error, KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not a tower's weights: {error}") from error
    return tower.eval()
