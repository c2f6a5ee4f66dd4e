"""A published version: its manifest and its layout. See docs/architecture.md for the files beside it."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines import manifest as manifests
from pipelines import storage
from pipelines.ledger import Step

SCHEMA_VERSION = 1
SPLITS: Final = ("train", "validation")
"""What a version's shards are for: to train on, or held out by the build."""
TABLES: Final = "tables"
"""What the ledger has in place of a kind for alt-texts without photographs, which are filtered into tables."""
CHAMPION = "champion.json"
VERSION_DIGITS = 12


class DatasetError(Exception):
    """A folder that is not a whole published version; the message says what is wrong with it."""


class ShardEntry(BaseModel):
    """One published shard."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        pattern=r"^(train|validation)/[a-z_]+-\d{6}\.tar$", description="relative to the version's folder"
    )
    kind: str
    split: Literal["train", "validation"] = Field(default="train", description="its folder's name")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    samples: int = Field(ge=0)
    first_key: str = Field(pattern="^[0-9a-f]*$")
    last_key: str = Field(pattern="^[0-9a-f]*$")


class TableEntry(BaseModel):
    """One published table: filtered alt-text without photographs."""

    model_config = ConfigDict(extra="forbid")

    path: str
    source: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rows: int = Field(ge=0)


class BalanceEntry(BaseModel):
    """A published table of what was counted of queries: query, count (pairs that hold it), kept (pairs of these that were kept)."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(pattern=r"^balance/[a-z0-9_-]+\.parquet$", description="relative to the version's folder")
    of: str = Field(description="the kind of pairs that was balanced, or the source of a table")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rows: int = Field(ge=0)
    facts: dict[str, Any] = Field(description="the lists, the rule, pairs in, matched and kept, the greatest queries")


FIRST_CARD: Final[str] = "1"
"""The `card_code` of versions whose manifests name none."""


class DatasetManifest(BaseModel):
    """MANIFEST.json of a version. Holds no time, host or absolute path: the same build gives the same bytes."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    name: str
    version: str
    recipe: dict[str, Any] = Field(
        description="the recipe as it was used, defaults filled in; paths as the user wrote them"
    )
    lineage: dict[str, dict[str, Any]] = Field(
        description="stage -> its key, the digests of its inputs, the version of its code"
    )
    render: dict[str, Any] = Field(description="spec: the RenderSpec; font: name and sha256; digest: of both")
    models: dict[str, str] = Field(description="model -> sha256 of its file")
    mix: dict[str, float] = Field(description="kind -> weight for the trainer, summing to 1")
    shards: list[ShardEntry]
    tables: list[TableEntry] = Field(default_factory=list)
    balance: list[BalanceEntry] = Field(default_factory=list)
    ledger: dict[str, list[Step]] = Field(description="kind -> its steps, in the order in which they ran")
    languages: dict[str, dict[str, dict[str, int]]] = Field(
        default_factory=dict, description="kind -> side -> language -> pairs"
    )
    cut: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="kind -> side -> texts that did not fit whole"
    )
    repairs: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="source of alt-texts -> what normalising did -> rows that it changed"
    )
    text_roles: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="source of alt-texts -> column -> rows whose text is from it"
    )
    errors: dict[str, int] = Field(default_factory=dict, description="reason -> records in error")
    gate: dict[str, Any] = Field(default_factory=dict, description="the gate's report")
    card_code: str = Field(
        default=FIRST_CARD, description="version of the code that wrote README.md and croissant.json from all this"
    )

    def files(self) -> list[ShardEntry | TableEntry | BalanceEntry]:
        """The files of the version whose bytes the manifest promises."""
        return [*self.shards, *self.parquet()]

    def parquet(self) -> list[TableEntry | BalanceEntry]:
        """Its files that are no shards."""
        return [*self.tables, *self.balance]

    def samples(self, split: str | None = None) -> dict[str, int]:
        """Kind -> samples, of one split or of both."""
        counts: dict[str, int] = {}
        for shard in self.shards:
            if split in (None, shard.split):
                counts[shard.kind] = counts.get(shard.kind, 0) + shard.samples
        return counts

    def pairs(self) -> dict[str, dict[str, int]]:
        """Kind -> its counts by the names that tables show them under.

        `pairs` are all; where the version holds some out, `to train on` and `held out` are the two parts of them.
        """
        train, held = self.samples("train"), self.samples("validation")
        found: dict[str, dict[str, int]] = {}
        for kind, count in self.samples().items():
            parts = {"to train on": train.get(kind, 0), "held out": held.get(kind, 0)} if held else {}
            found[kind] = {"pairs": count, **parts}
        return found

    def splits(self) -> list[str]:
        """The splits that it has."""
        return [split for split in SPLITS if any(shard.split == split for shard in self.shards)]


def encode(manifest: DatasetManifest) -> bytes:
    """The bytes of MANIFEST.json."""
    return manifests.canonical_json(manifest.model_dump()) + b"\n"


def load(folder: str) -> DatasetManifest:
    """Reads a version's manifest.

    Raises:
        DatasetError: There is none, or it is not one of ours.
    """
    url = storage.join(folder, manifests.NAME)
    if not storage.exists(url):
        raise DatasetError(f"{folder} holds no {manifests.NAME}: not a published version")
    try:
        manifest = DatasetManifest.model_validate_json(storage.read_bytes(url))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{url} cannot be read: {error}") from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise DatasetError(f"{url} is of schema version {manifest.schema_version}; this program reads {SCHEMA_VERSION}")
    return manifest


_KEY = re.compile(r"[0-9a-f]{32}")


def is_key(text: str) -> bool:
    """Tells whether a text has the form of a sample's key."""
    return _KEY.fullmatch(text) is not None
