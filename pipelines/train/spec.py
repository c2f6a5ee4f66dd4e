"""What is started on a published version: the trainer's spec, and how its words are filled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from pipelines.manifest import digest_of
from pipelines.train.options import Backend, KubeRayOptions, Name, Options, RayJobOptions, SlurmOptions
from pipelines.train.steps import CLIPPO_STEPS

FIELDS = (
    "dataset", "manifest_sha256", "mix", "out", "python", "samples", "shards", "steps", "upsampling",
    "validation", "validation_samples",
)  # fmt: skip
"""What a command's words may name in braces."""

_NAMED = re.compile(r"\{([^\W\d]\w*)\}")
_SECRET = re.compile(
    r"(?:.*_)?(?:PASSWORD|PASSWD|SECRET|API_KEY|ACCESS_KEY|PRIVATE_KEY|(?:AUTH|ACCESS|API|HF|HUB|GH|GITHUB|BEARER)_TOKEN)",
    re.IGNORECASE,
)
_IMAGE = re.compile(
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d+(?=/))?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?"
)


class Resources(Options):
    """What a trainer needs on each node that it runs on."""

    cpus: int = Field(default=1, ge=1, le=4096, description="CPU cores a node")
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs a node")
    memory_gib: float | None = Field(
        default=None, gt=0, le=65_536, allow_inf_nan=False, description="GiB a node; null: the cluster's default"
    )
    processes: int = Field(
        default=1, ge=1, le=1024, description="processes a node; more than one are started by torchrun"
    )
    nodes: int = Field(
        default=1, ge=1, le=4096, description="nodes; more than one only on slurm, where torchrun spans them"
    )


class Resume(Options):
    """How a run goes on that was interrupted."""

    checkpoint: str = Field(
        min_length=1, description="file below {out} that is there once something can be taken up; may hold * and ?"
    )
    argv: list[str] = Field(min_length=1, description="words added to the command where the checkpoint is there")
    attempts: int = Field(default=1, ge=1, le=100, description="how often a run that failed is started, all told")

    @field_validator("checkpoint")
    @classmethod
    def _below_out(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/") or "\0" in value or "://" in value:
            raise ValueError("a path below {out}: relative, without ..")
        return value


class TrainerSpec(Options):
    """A training command and where it runs.

    Words of `argv` may hold, in braces: `dataset` (the version's folder), `out` (where results go), `manifest_sha256`, `mix`
    (`kind=weight,…`), `steps`, `shards` and `upsampling` (webdataset patterns and a factor for each, joined by `::`, as open_clip
    reads them), `samples` (of the kinds with weight), `validation` and `validation_samples` (the same of the shards that the build
    held out) and `python` (the interpreter); any other name in braces is an
    error. No shell reads them, on any backend.
    """

    backend: Backend = Field(
        default="local", description="where it runs: local process, Ray job, KubeRay RayJob, Slurm"
    )
    argv: list[str] = Field(min_length=1, description="program and arguments; never through a shell")
    env: dict[Name, str] = Field(
        default_factory=dict, description="added to the environment; no secrets: they would be shown"
    )
    secret_env: dict[Name, str] = Field(
        default_factory=dict,
        description="variable -> where its value is: a variable of the submitter's (local, slurm), secret/key (kuberay)",
    )
    resources: Resources = Field(
        default=Resources(), description="what a cluster must give it; a local process has what the machine has"
    )
    image: str | None = Field(
        default=None, description="kuberay: the container image, with a tag other than latest or a digest"
    )
    mix: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="kind -> weight in place of the version's mix; kinds not named are left out"
    )
    steps: int | None = Field(
        default=None, ge=1, description="training steps; null: base_steps / (1 - share of text pairs)"
    )
    base_steps: int = Field(
        default=CLIPPO_STEPS, ge=1, description="steps of a mix without text pairs; CLIPPO's are 250,000"
    )
    resume: Resume | None = Field(default=None, description="how an interrupted run goes on; null: from the start")
    timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="longer than that, once it runs, is a failure; null: no bound",
    )
    start_timeout_seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="longer than that in a queue is a failure; null: no bound"
    )
    ray_job: RayJobOptions | None = Field(default=None, description="of backend ray_job; null: the defaults")
    kuberay: KubeRayOptions | None = Field(default=None, description="of backend kuberay; null: the defaults")
    slurm: SlurmOptions | None = Field(default=None, description="of backend slurm; null: the defaults")

    @field_validator("argv")
    @classmethod
    def _can_be_filled(cls, value: list[str]) -> list[str]:
        return _checked(value)

    @field_validator("resume")
    @classmethod
    def _resume_can_be_filled(cls, value: Resume | None) -> Resume | None:
        if value is not None:
            _checked(value.argv)
        return value

    @field_validator("env")
    @classmethod
    def _no_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if "\0" in text:
                raise ValueError(f"the value of {name} cannot be in an environment: it holds NUL")
            if _SECRET.fullmatch(name):
                raise ValueError(
                    f"{name} looks like a secret, and env is written into plans and logs: put it under secret_env"
                )
        return value

    @field_validator("image")
    @classmethod
    def _pinned(cls, value: str | None) -> str | None:
        if value is not None:
            found = _IMAGE.fullmatch(value)
            if found is None:
                raise ValueError(f"{value!r} is no image reference (registry/name:tag)")
            if not found["digest"] and found["tag"] in (None, "latest"):
                raise ValueError(f"{value}: name a tag other than latest, or a digest, so that a run can be repeated")
        return value

    @model_validator(mode="after")
    def _fits_its_backend(self) -> TrainerSpec:
        for name in ("ray_job", "kuberay", "slurm"):
            if getattr(self, name) is not None and name != self.backend:
                raise ValueError(f"{name} is set, but the backend is {self.backend}")
        if self.backend == "kuberay" and self.image is None:
            raise ValueError("kuberay needs an image")
        if self.image is not None and self.backend != "kuberay":
            raise ValueError(f"an image is of use to kuberay alone, the backend is {self.backend}")
        if self.resources.nodes > 1 and self.backend != "slurm":
            raise ValueError(
                f"{self.resources.nodes} nodes: only slurm starts a command on several; see kuberay.workers"
            )
        if self.secret_env and self.backend == "ray_job":
            raise ValueError(
                "a Ray job's environment is shown by its dashboard: secret_env is refused; mount secrets on the nodes"
            )
        for name, place in self.secret_env.items():
            if name in self.env:
                raise ValueError(f"{name} stands in env and in secret_env")
            shape = r"[a-z0-9][a-z0-9.-]*/[A-Za-z0-9._-]+" if self.backend == "kuberay" else r"[A-Za-z_][A-Za-z0-9_]*"
            if not re.fullmatch(shape, place):
                wanted = "secret/key" if self.backend == "kuberay" else "the name of a variable"
                raise ValueError(f"secret_env.{name} = {place!r}: should be {wanted}")
        return self

    def job_id(self, manifest_sha256: str) -> str:
        """What names the job: 16 hex digits of the version and what is trained, not of where it queues or how long it may take."""
        counts = {"argv", "backend", "base_steps", "env", "image", "mix", "steps"}
        content = self.model_dump(mode="json", include=counts)
        content["resources"] = {"nodes": self.resources.nodes, "processes": self.resources.processes}
        return digest_of([manifest_sha256, content])[:16]


def _checked(words: list[str]) -> list[str]:
    fill(words, dict.fromkeys(FIELDS, ""))
    if any("\0" in word for word in words):
        raise ValueError("a word of a command cannot hold NUL")
    return words


def named(words: Iterable[str]) -> set[str]:
    """The fields that a command's words name."""
    return {name for word in words for name in _NAMED.findall(word)}


def fill(words: list[str], fields: Mapping[str, Any]) -> list[str]:
    """Puts the fields into a command's words.

    Raises:
        ValueError: A word names a field that there is not.
    """

    def put(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise ValueError(f"trainer argv: no field {match[0]}; there are {', '.join(sorted(fields))}")
        return str(fields[match[1]])

    # In one pass: a value that itself holds braces, such as a folder's name, is not read again.
    return [_NAMED.sub(put, word) for word in words]
