"""What a run writes down as it goes: a line of JSON a step, and TensorBoard's event files."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

METRICS: Final[str] = "metrics.jsonl"


def read_metrics(path: Path, *, last_step: int | None = None) -> list[dict[str, Any]]:
    """The lines of a run, those of a step above `last_step` left out; a torn last line is no line."""
    rows = []
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and (last_step is None or row.get("step", 0) <= last_step):
            rows.append(row)
    return rows


def _flat(found: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Numbers of nested mappings by path: `evaluation/retrieval_by_kind/image_alt/gap`."""
    numbers: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, Mapping):
            numbers |= _flat(value, f"{prefix}/{name}")
        elif isinstance(value, int | float):
            numbers[f"{prefix}/{name}"] = float(value)
    return numbers


class Metrics:
    """Writes `metrics.jsonl` and an event file beside it.

    Args:
        folder: Of the run.
        after: A resumed run goes on after this step: later lines, which it will write again, are removed. 0: all lines are.

    Attributes:
        rows: What earlier parts of the run wrote.
    """

    def __init__(self, folder: Path, *, after: int) -> None:
        path = folder / METRICS
        self.rows = read_metrics(path, last_step=after) if after else []
        part = path.with_name(METRICS + ".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        part.replace(path)
        if not after:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
        self._lines = path.open("a", encoding="utf-8")
        self._events = EventFile(folder)

    def write(self, row: Mapping[str, Any]) -> None:
        """Writes a step; `step` must be among its values."""
        self._lines.write(json.dumps(dict(row)) + "\n")
        kind = row.get("kind", "")
        numbers = {name: float(v) for name, v in row.items() if isinstance(v, int | float) and name != "step"}
        named = {f"loss/{k}": v for k, v in row.get("losses", {}).items()} or {f"loss/{kind}": numbers.get("loss", 0.0)}
        self._events.scalars(int(row["step"]), {**numbers, **named, **_flat(row.get("evaluation") or {}, "evaluation")})

    def flush(self) -> None:
        """Makes what was written visible, and safe from a crash of the process."""
        self._lines.flush()
        self._events.flush()

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._events.close()


class EventFile:
    """TensorBoard's format, written by hand: it is a length, two checksums and a small protobuf a record.

    `tensorflow/core/lib/io/record_writer.h` and `tensorflow/core/util/event.proto`: Event {1: double wall_time, 2: int64 step,
    3: string file_version, 5: Summary {1: Value {1: string tag, 2: float simple_value}}}.
    """

    def __init__(self, folder: Path) -> None:
        """Args: folder: where the file goes, under the name that TensorBoard looks for."""
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns() % 10**6}"
        self._file = (folder / name).open("wb")
        self._record(_double(1, now) + _bytes(3, b"brain.Event:2"))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers of a step."""
        summary = b"".join(_bytes(1, _bytes(1, name.encode()) + _float(2, value)) for name, value in values.items())
        self._record(_double(1, time.time()) + _varint(2 << 3) + _varint(step) + _bytes(5, summary))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _record(self, data: bytes) -> None:
        length = struct.pack("<Q", len(data))
        self._file.write(length + _masked_crc(length) + data + _masked_crc(data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, reversed
        table.append(byte)
    return table


_CRC: Final[list[int]] = _table()


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
