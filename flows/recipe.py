"""The build recipe: what a data set is made of, checked before anything runs.

YAML by safe_load rules (no tags, no objects, no duplicate keys) into pydantic models. Each error names the key, the value, the
line and what would be right.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pairs.alt_text import AltTextOptions
from pairs.schema import KINDS, Kind
from pairs.sentences import SentenceOptions
from pairs.translations import TranslationOptions
from pairs.word_drop import WordDropOptions
from pipelines.gate import GateBounds
from pipelines.manifest import digest_of
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource, Name, Source
from pipelines.train.spec import TrainerSpec
from rendering import RenderSpec

MADE: tuple[Kind, ...] = ("image_alt", "sentences", "translations", "word_drop")
"""The kinds that a build can make so far."""


class RecipeError(Exception):
    """A recipe that cannot be used. The message has one line a fault."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pairs(_Model):
    """Which pairs to make, and how. A kind that is left out, or null, is not made."""

    image_alt: AltTextOptions | None = Field(default=None, description="photographs with their alt-texts: the rules")
    sentences: SentenceOptions | None = Field(default=None, description="consecutive sentences of documents")
    translations: TranslationOptions | None = Field(default=None, description="lines of bitext")
    word_drop: WordDropOptions | None = Field(
        default=None, description="sentences with words dropped; made from `sentences`"
    )

    def wanted(self) -> list[Kind]:
        """The kinds to make, in a fixed order."""
        return [kind for kind in MADE if getattr(self, kind) is not None]


class Render(_Model):
    """How text becomes pixels: a preset, and what differs from it."""

    preset: Literal["clippo"] = "clippo"
    width: int | None = Field(default=None, description="px")
    height: int | None = Field(default=None, description="px")
    font_size: int | None = Field(default=None, description="px; 16 draws Unifont as it is")
    max_chars: int | None = Field(default=None, description="code points; 0 = all")
    background: int | None = Field(default=None, description="grey, 0..255")
    text: int | None = Field(default=None, description="grey, 0..255")
    lower: bool | None = None
    monospace: bool | None = None
    spacing: int | None = Field(default=None, description="px")
    min_width: int | None = Field(default=None, description="px")
    fonts: list[str] = Field(
        default_factory=list, description=".hex or .hex.gz files, later ones add; none: the bundled Unifont 15"
    )

    def spec(self) -> RenderSpec:
        """The renderer's spec."""
        changed = {
            name: value for name, value in self.model_dump(exclude={"preset", "fonts"}).items() if value is not None
        }
        return RenderSpec.from_dict({**RenderSpec.preset(self.preset).to_dict(), **changed})

    @model_validator(mode="after")
    def _usable(self) -> Render:
        self.spec()  # its ValueError says which value and why
        return self


class Shards(_Model):
    """How samples are cut into shards."""

    samples: int = Field(default=2000, ge=1, le=1_000_000, description="samples a shard, the last one fewer")
    per_kind: dict[Kind, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict, description="kind -> samples a shard"
    )

    def of(self, kind: str) -> int:
        """Samples a shard of one kind."""
        return self.per_kind.get(kind, self.samples)  # type: ignore[call-overload, no-any-return]


class Beam(_Model):
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


class Ray(_Model):
    """Where rendering runs."""

    address: str = Field(
        default="local", description="local: a Ray of the build's own; auto or a URL: a running cluster"
    )


class Runtime(_Model):
    """Where work runs and on how many workers: changes the time, never a byte of the output."""

    workers: int | None = Field(default=None, ge=1, le=4096, description="null: the CPUs of this machine")
    beam: Beam = Beam()
    ray: Ray = Ray()

    def worker_count(self) -> int:
        """Workers to use."""
        return (
            self.workers or len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else self.workers or os.cpu_count() or 1
        )


class Card(_Model):
    """What the data set's card says beside the figures."""

    title: str | None = None
    description: str | None = None
    license: str = Field(default="other", description="an identifier that Hugging Face knows, or `other`")


class Recipe(_Model):
    """A data set's recipe."""

    name: Name = Field(description="name of the data set: lower case, digits, _")
    seed: int = Field(default=0, ge=0, lt=2**63, description="every random choice is hash(seed, stage, key)")
    sources: dict[Name, Source] = Field(min_length=1)
    pairs: Pairs
    render: Render = Render()
    shards: Shards = Shards()
    mix: dict[Kind, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="kind -> weight in training; none: in proportion to the samples"
    )
    gate: GateBounds = GateBounds()
    train: TrainerSpec | None = Field(default=None, description="what to start on the published version; null: nothing")
    card: Card = Card()
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        wanted = self.pairs.wanted()
        if not wanted:
            raise ValueError(f"pairs: make at least one of {', '.join(MADE)}")
        needs = {"image_alt": "image_text", "sentences": "documents", "translations": "bitext"}
        types = {source.type for source in self.sources.values()}
        for kind, type_ in needs.items():
            if kind in wanted and type_ not in types:
                raise ValueError(f"pairs.{kind} needs a source of type {type_}; there is none")
            if type_ in types and kind not in wanted:
                named = ", ".join(name for name, source in self.sources.items() if source.type == type_)
                raise ValueError(f"sources.{named} would be read for nothing: add pairs.{kind}, or remove it")
        if "word_drop" in wanted and "sentences" not in wanted:
            raise ValueError("pairs.word_drop is made from sentences: add pairs.sentences")
        for kind in self.mix:
            if kind not in wanted:
                raise ValueError(f"mix.{kind}: that kind is not made; pairs makes {', '.join(wanted)}")
        return self

    def of_type(self, type_: str) -> dict[str, ImageTextSource | DocumentsSource | BitextSource]:
        """The sources of one type, by name."""
        return {name: source for name, source in sorted(self.sources.items()) if source.type == type_}

    @property
    def digest(self) -> str:
        """Hash of all that determines the published bytes: everything but `runtime`."""
        return digest_of(self.model_dump(mode="json", exclude={"runtime"}))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe and the folder that its relative paths start from."""

    recipe: Recipe
    folder: str

    def locate(self, path: str) -> str:
        """The absolute form of a path or URL that the recipe names."""
        if "://" in path or Path(path).is_absolute():
            return path
        return str(Path(self.folder) / path)


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, which plain YAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise RecipeError(f"line {key_node.start_mark.line + 1}: {key!r} stands twice in one mapping")
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: str | Path) -> Loaded:
    """Reads a recipe file.

    Raises:
        RecipeError: It is missing, not YAML, or holds what it must not.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {file}: cannot be read: {error}") from error
    return Loaded(parse(text, name=str(file)), str(file.resolve().parent))


def parse(text: str, *, name: str = "recipe") -> Recipe:
    """Reads a recipe's text.

    Raises:
        RecipeError: One line a fault: the key, the value, the line, and what would be right.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise RecipeError(f"{name}, line {line}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{name}: not YAML: {error}") from error
    except RecipeError as error:
        raise RecipeError(f"{name}, {error}") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{name}: a mapping is wanted with the keys {', '.join(Recipe.model_fields)}")
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        lines = sorted({_fault(fault, node) for fault in error.errors(include_url=False)})
        raise RecipeError("\n".join(f"{name}, line {line}: {words}" for line, words in lines)) from error


def _fault(fault: Any, root: yaml.Node | None) -> tuple[int, str]:
    """Line and words of one of pydantic's faults."""
    steps, line = _walk(fault["loc"], root)
    key = ".".join(steps) or "the recipe"
    value = fault.get("input")
    if fault["type"] == "extra_forbidden":
        known = _siblings(fault["loc"])
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else (f"; known keys: {', '.join(known)}" if known else "")
        return line, f"{key}: unknown key{hint}"
    if fault["type"] == "missing":
        return line, f"{key}: is missing"
    words = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "value_error" and not isinstance(value, str | int | float | bool | None):
        return line, f"{key}: {words}" if steps else words
    shown = repr(value)
    return line, f"{key} = {shown if len(shown) <= 80 else shown[:77] + '...'}: {words}"


def _walk(loc: tuple[Any, ...], root: yaml.Node | None) -> tuple[list[str], int]:
    """Follows a fault's place through the YAML tree; leaves out the names that pydantic adds for unions."""
    node, steps, line = root, list[str](), root.start_mark.line + 1 if root is not None else 1
    for index, step in enumerate(loc):
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if getattr(k, "value", None) == str(step)), None)
            if entry is None:
                if index == len(loc) - 1 and not _is_union_tag(step):
                    steps.append(str(step))
                continue
            line, node = entry[0].start_mark.line + 1, entry[1]
            steps.append(str(step))
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
            steps.append(str(step))
    return steps, line


def _is_union_tag(step: Any) -> bool:
    return step in ("image_text", "documents", "bitext") or str(step).startswith(("list[", "dict[", "function-"))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _siblings(loc: tuple[Any, ...]) -> list[str]:
    """The keys that are known where an unknown one stood."""
    models: list[type[BaseModel]] = [Recipe]
    for step in loc[:-1]:
        tagged = [model for model in models if str(step) in _tags(model)]
        if tagged:
            models = tagged
            continue
        found = [
            m for model in models if step in model.model_fields for m in _models(model.model_fields[step].annotation)
        ]
        models = found or models
    return sorted({name for model in models for name in model.model_fields})


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field is not None else ()


def schema() -> Mapping[str, Any]:
    """JSON schema of a recipe, for editors."""
    return Recipe.model_json_schema()


__all__ = ["KINDS", "MADE", "Loaded", "Recipe", "RecipeError", "load", "parse", "schema"]
