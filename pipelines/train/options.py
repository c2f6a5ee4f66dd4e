"""What each cluster must be told beside the command: one group of settings a backend."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Backend = Literal["local", "ray_job", "kuberay", "slurm"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
"""A variable of the environment, as every shell and every scheduler can hold it."""

DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""A name of Kubernetes (RFC 1123)."""

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,:@+-]*$", max_length=200)]
"""A name of Slurm's: what may stand in a directive line as it is."""

_SBATCH_OPTION = re.compile(r"--[a-z][a-z0-9-]*(=[^\0\n]*)?")
_OURS = (
    "job-name",
    "output",
    "error",
    "export",
    "export-file",
    "parsable",
    "wrap",
    "chdir",
    "wait",
    "test-only",
    "array",
    "dependency",
)


class Options(BaseModel):
    """Shared by the groups: unknown keys are errors, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RayJobOptions(Options):
    """A running Ray cluster, by its Jobs API (the dashboard's address)."""

    address: str = Field(
        default="http://127.0.0.1:8265",
        pattern=r"^https?://[^\s/@]+(/[^\s@]*)?$",
        description="of the cluster's dashboard; no user or password in it",
    )
    token_env: Name = Field(
        default="RAY_AUTH_TOKEN", description="variable of the submitter's environment that holds the cluster's token"
    )
    token_file: str | None = Field(
        default=None,
        min_length=1,
        description="file that holds the token, such as a mounted secret; null: token_env, else where Ray's own tools look",
    )


class KubeRayOptions(Options):
    """A Kubernetes cluster with the KubeRay operator (1.6 or later), by kubectl."""

    namespace: DnsLabel = Field(default="default", description="where the RayJob is made")
    context: str | None = Field(
        default=None,
        pattern=r"^[^\s-][^\s]*$",
        description="of the kubeconfig; null: the current one, or the pod's own account",
    )
    service_account: DnsLabel | None = Field(
        default=None, description="of the pods; null: the namespace's default, without its token"
    )
    claims: dict[DnsLabel, Annotated[str, Field(pattern=r"^/[^\x00:]+$")]] = Field(
        default_factory=dict,
        description="PersistentVolumeClaim -> where it is mounted; the version and the results must lie on one, or in a store",
    )
    node_selector: dict[str, str] = Field(default_factory=dict, description="labels that the nodes must have")
    image_pull_secrets: list[DnsLabel] = Field(default_factory=list, description="secrets for a private registry")
    ray_token_secret: DnsLabel | None = Field(
        default=None, description="secret with the key auth_token; null: the operator makes one for each job's cluster"
    )
    ray_version: str = Field(
        default="2.60.0",
        pattern=r"^\d+\.\d+\.\d+$",
        description="of the image; the operator must know it to wire the token",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Ray workers beside the head, for trainers that spread themselves with Ray; each has the resources",
    )
    keep_seconds: int = Field(
        default=600, ge=0, le=604_800, description="how long the pods stay after the end, for their logs"
    )
    run_as_user: int = Field(default=1000, ge=1, description="numeric user of the image; never root")


class SlurmOptions(Options):
    """A Slurm cluster, by sbatch on this machine; the version must lie on a file system that the nodes share."""

    partition: Word | None = Field(default=None, description="null: the cluster's default")
    account: Word | None = Field(default=None, description="who pays")
    qos: Word | None = Field(default=None, description="quality of service")
    constraint: Word | None = Field(default=None, description="features that the nodes must have")
    options: list[str] = Field(
        default_factory=list, description="more options of sbatch, as --name=value words, such as --exclusive"
    )
    folder: str | None = Field(
        default=None,
        pattern=r"^/[^\x00\n]*$",
        description="shared folder for scripts and logs; null: beside the results, if they lie on a file system",
    )

    @field_validator("options")
    @classmethod
    def _options_of_sbatch(cls, value: list[str]) -> list[str]:
        for word in value:
            if not _SBATCH_OPTION.fullmatch(word):
                raise ValueError(f"{word!r} is no --name=value option of sbatch")
            if word[2:].partition("=")[0] in _OURS:
                raise ValueError(f"{word.partition('=')[0]} is set by the launcher: leave it out")
        return value


__all__ = ["Backend", "DnsLabel", "KubeRayOptions", "Name", "Options", "RayJobOptions", "SlurmOptions", "Word"]
