"""A tower's weights as a file: safetensors, with all that is needed to use them in its metadata. Nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch

from pipelines.train.reference.inputs import Inputs
from pipelines.train.reference.model import Tower, TowerConfig

MAX_HEADER_BYTES: Final[int] = 16 << 20


_BOUNDS: Final[dict[str, int]] = {
    "patch": 1024, "width": 65536, "depth": 1024, "heads": 1024, "rows": 4096, "columns": 4096, "out_dim": 65536,
}  # fmt: skip
"""Most that a field of a tower's shape may be."""
_Fields = TypeVar("_Fields", TowerConfig, Inputs)


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
        ValueError: The file is no such file, or a weight is missing, surplus, of another shape or no finite number.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > MAX_HEADER_BYTES:
            raise ValueError("its header is too long")
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        config = _checked(TowerConfig(**json.loads(metadata["config"])), _BOUNDS)
        inputs = _checked(Inputs(**json.loads(metadata["inputs"])), {"size": 1 << 15})
        state = {}
        for name, entry in header.items():
            if entry["dtype"] != "F32":
                raise ValueError(f"{name} is of type {entry['dtype']}, not F32")
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[start:stop], dtype="<f4").reshape(entry["shape"])
            if not np.isfinite(values).all():
                raise ValueError(f"{name} has values that are no finite numbers")
            state[name] = torch.from_numpy(values.copy())
        with torch.device("meta"):  # what a hostile shape promises takes no memory
            tower = Tower(config, inputs)
        tower.load_state_dict(state, assign=True)
    except (struct.error, KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not a tower's weights: {error}") from error
    return tower.eval()


def _checked(found: _Fields, most: Mapping[str, int]) -> _Fields:
    """What a file says, if each field is of its type and within its bounds. ValueError."""
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        kinds: Any = {"int": int, "str": str, "bool": bool}.get(str(field.type), Mapping)
        least = 0 if field.name == "out_dim" else 1
        if not isinstance(value, kinds) or (kinds is int and not least <= value <= most[field.name]):
            raise ValueError(f"its {field.name} is {value!r}")
    if isinstance(found, TowerConfig) and found.width % found.heads:
        raise ValueError(f"{found.heads} heads do not divide {found.width} channels")
    return found
