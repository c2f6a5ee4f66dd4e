"""Where a build runs: changes the time, never a byte of the output."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Beam(Model):
    """Where Beam jobs run."""

    runner: str = Field(
        default="FnApiRunner", pattern="^[A-Za-z]+Runner$", description="FnApiRunner, FlinkRunner, DataflowRunner, …"
    )
    options: list[str] = Field(default_factory=list, description="the runner's options, as --name=value")
    bytes_per_process: int = Field(
        default=32 << 20,
        ge=1,
        description="FnApiRunner: a stage gets another process for each so many bytes, up to `workers`",
    )


class Ray(Model):
    """Where rendering runs."""

    address: str = Field(
        default="local",
        description="local: a Ray of the build's own; auto or ray://…: a cluster that the build drives; http://head:8265: one that "
        "jobs are submitted to, which go on without the build and end with it",
    )
    python: str = Field(
        default="python", min_length=1, description="of submitted jobs: the cluster's interpreter that has pixelpairs"
    )
    actors: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="processes that hold the similarity model, each with a GPU where Ray has any; null: one a GPU, else one a CPU",
    )


class Runtime(Model):
    """Where work runs and on how many workers: changes the time, never a byte of the output."""

    workers: int | None = Field(default=None, ge=1, le=4096, description="null: the CPUs of this machine")
    lease_seconds: float = Field(
        default=60.0,
        ge=1.0,
        le=86_400.0,
        description="a build that is silent for longer has lost the stage that it was at to the next one that wants it",
    )
    beam: Beam = Beam()
    ray: Ray = Ray()

    def worker_count(self) -> int:
        """Workers to use."""
        return (
            self.workers or len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else self.workers or os.cpu_count() or 1
        )
