"""What a stage leaves behind: the list of its parts with their hashes, written last, and the digest that names the whole."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines import storage
from pipelines.ledger import Step

NAME = "MANIFEST.json"


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: the form that digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: Any) -> str:
    """Hex sha256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Part(BaseModel):
    """One file of a stage's output."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="relative to the stage's folder")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rows: int = Field(ge=0, description="rows of a table, samples of a shard, 0 for a blob")
    role: str = Field(default="table", description="table | validation | blob | shard | errors | balance")
    facts: dict[str, Any] = Field(default_factory=dict, description="first_key, last_key and counts of this part")


class StageManifest(BaseModel):
    """A finished stage. Holds no time, host or absolute path: equal inputs give an equal manifest."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    key: str
    config: dict[str, Any]
    inputs: dict[str, str] = Field(description="name of the input -> its digest")
    code: str = Field(description="recipe version of the code that ran")
    parts: list[Part]
    ledger: list[Step]
    facts: dict[str, Any] = Field(default_factory=dict, description="language counts, examples of dropped rows, …")

    @property
    def digest(self) -> str:
        """Hex sha256 that changes with anything above."""
        return digest_of(self.model_dump())

    @property
    def folder(self) -> str:
        """The stage's folder, relative to the root."""
        return f"stages/{self.stage}-{self.key}"

    def tables(self, split: str = "train") -> list[Part]:
        """The Parquet parts, in order: those of training, or those held out (`validation`)."""
        role = "table" if split == "train" else split
        return [part for part in self.parts if part.role == role]

    def shards(self) -> list[Part]:
        """The tar parts, in order."""
        return [part for part in self.parts if part.role == "shard"]

    @property
    def rows(self) -> int:
        """Rows of all table and shard parts, of all splits."""
        return sum(part.rows for part in self.parts if part.role in ("table", "validation", "shard"))


def read(folder: str) -> StageManifest | None:
    """The manifest in a stage's folder, or None where there is none (or only a broken one, which counts as none)."""
    url = storage.join(folder, NAME)
    if not storage.exists(url):
        return None
    try:
        return StageManifest.model_validate_json(storage.read_bytes(url))
    except ValueError:
        return None


def write(folder: str, manifest: StageManifest) -> None:
    """Writes the manifest, which makes the stage finished."""
    storage.write_bytes(storage.join(folder, NAME), canonical_json(manifest.model_dump()) + b"\n")


def whole(folder: str, manifest: StageManifest, *, content: bool = False) -> bool:
    """Tells whether every part is there with its size, and, with `content`, with its sha256."""
    for part in manifest.parts:
        url = storage.join(folder, part.path)
        if not storage.exists(url) or storage.size(url) != part.bytes:
            return False
        if content and storage.sha256_of(url) != part.sha256:
            return False
    return True
