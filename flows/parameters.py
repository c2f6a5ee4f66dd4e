"""What each flow is asked for: one flat model a flow, whose fields are the flow's own parameters.

Prefect draws a form from a flow's signature and takes its descriptions from the docstring; `flat` gives it both, from the model.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pairs.schema import Kind

_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")

PARTITION = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_RECIPE = Field(min_length=1, description="path of the recipe, where the flow runs")
_ROOT = Field(min_length=1, description="where stages and data sets live: a folder or an fsspec URL")
_WORKERS = Field(default=None, ge=1, le=4096, description="workers of Beam and Ray; none: the recipe's, else the CPUs")
_PARTITION = Field(
    default=None,
    pattern=PARTITION,
    description="what stands for {partition} in the recipe's paths; the data set's name gets it too",
)


class BuildParameters(_Parameters):
    """Of `build_dataset`."""

    recipe: str = _RECIPE
    root: str = _ROOT
    train_after: bool = Field(
        default=True, description="start the recipe's trainer in this run; off where an automation starts it"
    )
    workers: int | None = _WORKERS
    partition: str | None = _PARTITION


class RenderParameters(_Parameters):
    """Of `render_shards`."""

    recipe: str = _RECIPE
    root: str = _ROOT
    kinds: list[Kind] = Field(default_factory=list, description="kinds of pairs; none: all that the recipe makes")
    first: int = Field(default=0, ge=0, description="number of the first shard of each kind")
    last: int | None = Field(
        default=None, ge=1, description="number of the first shard that is not rendered; none: all"
    )
    workers: int | None = _WORKERS
    partition: str | None = _PARTITION

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.last is not None and self.last <= self.first:
            raise ValueError(f"last = {self.last} is not behind first = {self.first}: there is nothing between")
        return self


class TrainParameters(_Parameters):
    """Of `train_model`."""

    manifest: str = Field(min_length=1, description="path or URI of the version's MANIFEST.json")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="what the manifest must hash to")
    trainer: str | None = Field(
        default=None, description="YAML file of a TrainerSpec; none: the one in the version's own recipe"
    )


class BackfillParameters(_Parameters):
    """Of `backfill`."""

    deployment: str = Field(
        default="build_dataset/on-demand", pattern="^[^/]+/[^/]+$", description="what is started: flow/deployment"
    )
    recipe: str = Field(min_length=1, description="path of the recipe; {partition} in it is filled in")
    root: str = Field(min_length=1, description="a folder or an fsspec URL; {partition} in it is filled in")
    first: date | None = Field(default=None, description="first day of the grid")
    last: date | None = Field(default=None, description="last day of the grid, included")
    step_days: int = Field(default=1, ge=1, le=366, description="days between two builds")
    partitions: list[Annotated[str, Field(pattern=PARTITION)]] = Field(
        default_factory=list, max_length=10_000, description="names in place of days, or beside them: day-name"
    )
    most: int = Field(default=100, ge=1, le=10_000, description="refuse a grid of more builds than this")
    dry_run: bool = Field(default=True, description="list what would be started, start nothing")

    @model_validator(mode="after")
    def _a_grid(self) -> Self:
        if (self.first is None) != (self.last is None):
            raise ValueError("first and last go together")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError(f"last = {self.last} is before first = {self.first}")
        if self.first is None and not self.partitions:
            raise ValueError("name days (first, last), partitions, or both")
        return self


class ReapParameters(_Parameters):
    """Of `reap`."""

    address: str = Field(pattern="^https?://", description="Jobs API of the Ray cluster, http://head:8265")
    stop: bool = Field(default=True, description="stop the jobs that were found; off: list them")


class RetireParameters(_Parameters):
    """Of `retire`."""

    root: str = _ROOT
    keep: int = Field(
        default=3, ge=1, le=10_000, description="newest versions of each data set that stay, beside the champion"
    )
    min_age_hours: float = Field(
        default=24.0,
        ge=0,
        le=24 * 3650,
        allow_inf_nan=False,
        description="nothing younger goes: a build may be about to use it",
    )
    remove: bool = Field(default=False, description="remove what is listed; off: list it")


def flat(model: type[_Model]) -> Callable[[Callable[[_Model], _Result]], Callable[..., _Result]]:
    """Gives a function of one model the model's fields as keyword parameters, with bounds, and describes them in its docstring.

    Args:
        model: Its fields become the parameters.
    """

    def wrap(function: Callable[[_Model], _Result]) -> Callable[..., _Result]:
        @functools.wraps(function)
        def call(**fields: Any) -> _Result:
            return function(model.model_validate(fields))

        parameters, lines = [], []
        for name, field in model.model_fields.items():
            default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
            annotation: Any = field.annotation
            for bound in field.metadata:
                annotation = Annotated[annotation, bound]
            parameters.append(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            )
            lines.append(f"    {name}: {field.description}")
        del call.__wrapped__  # its one parameter is not what callers see
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        call.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *lines])
        return call

    return wrap
