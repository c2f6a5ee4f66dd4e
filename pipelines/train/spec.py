"""What is started on a published version: the trainer's spec and what a launcher must do with it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

FIELDS = ("dataset", "manifest_sha256", "mix", "out", "python")
"""What a command's words may name in braces."""


class Resources(BaseModel):
    """What a trainer needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0)
    memory_gib: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class TrainerSpec(BaseModel):
    """A training command.

    Words of `argv` may hold `{dataset}` (the version's folder), `{out}` (where results go), `{manifest_sha256}`, `{mix}`
    (`kind=weight,…`) and `{python}` (this interpreter); any other name in braces is an error. No shell reads them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Literal["local"] = Field(default="local", description="where it runs: local process")
    argv: list[str] = Field(min_length=1, description="program and arguments; never through a shell")
    env: dict[str, str] = Field(default_factory=dict, description="added to the environment")
    resources: Resources = Field(
        default=Resources(), description="what a cluster must give it; the local backend has what the machine has"
    )
    timeout_seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="longer than that is a failure; null: no bound"
    )

    @field_validator("argv")
    @classmethod
    def _can_be_filled(cls, value: list[str]) -> list[str]:
        fill(value, dict.fromkeys(FIELDS, ""))
        if any("\0" in word for word in value):
            raise ValueError("a word of a command cannot hold NUL")
        return value

    @field_validator("env")
    @classmethod
    def _can_be_set(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not name or "=" in name or "\0" in name + text:
                raise ValueError(f"{name!r} cannot be a variable of the environment: no =, no NUL, not empty")
        return value


class State(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Launcher(Protocol):
    """What runs trainers: a local process now, cluster jobs by the same four words."""

    def submit(self, spec: TrainerSpec, fields: dict[str, str], job_id: str) -> str:
        """Starts the command unless a job of this id is already there; returns its handle."""

    def status(self, handle: str) -> State:
        """Where the job stands."""

    def logs(self, handle: str) -> str:
        """What it has printed so far (the last part of it)."""

    def cancel(self, handle: str) -> None:
        """Stops it."""


def fill(words: list[str], fields: dict[str, Any]) -> list[str]:
    """Puts the fields into a command's words.

    Raises:
        ValueError: A word names a field that there is not.
    """

    def put(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise ValueError(f"trainer argv: no field {match[0]}; there are {', '.join(sorted(fields))}")
        return str(fields[match[1]])

    # In one pass: a value that itself holds braces, such as a folder's name, is not read again.
    return [re.sub(r"\{([^\W\d]\w*)\}", put, word) for word in words]
