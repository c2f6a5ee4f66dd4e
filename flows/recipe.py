"""The build recipe: what a data set is made of, checked before anything runs.

YAML by safe_load rules (no tags, no objects, no duplicate keys) into pydantic models. Each error names the key, the value, the
line and what would be right.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pairs.alt_text import AltTextOptions, on_preset
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


_MAX_BYTES = 1 << 18
_MAX_NODES = 20_000  # values of a recipe, those that aliases repeat counted each time
_MAX_FAULTS = 20


class RecipeError(Exception):
    """A recipe that cannot be used. The message has one line a fault."""


class _PlacedError(ValueError):
    """A fault that a validator of a whole model found in one of its keys."""

    def __init__(self, place: tuple[str, ...], words: str) -> None:
        super().__init__(words)
        self.place = place


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
        try:
            self.spec()
        except (TypeError, ValueError) as error:
            name, _, words = str(error).removeprefix("RenderSpec.").partition(" ")
            if name in type(self).model_fields:
                raise _PlacedError((name,), words) from error
            raise _PlacedError((), str(error)) from error
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
    actors: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="processes that hold the similarity model, each with a GPU where Ray has any; null: one a GPU, else one a CPU",
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
            raise _PlacedError(("pairs",), f"make at least one of {', '.join(MADE)}")
        needs = {"image_alt": "image_text", "sentences": "documents", "translations": "bitext"}
        types = {source.type for source in self.sources.values()}
        for kind, type_ in needs.items():
            if kind in wanted and type_ not in types:
                raise _PlacedError(("pairs", kind), f"needs a source of type {type_}; there is none")
            if type_ in types and kind not in wanted:
                named = next(name for name, source in self.sources.items() if source.type == type_)
                raise _PlacedError(("sources", named), f"would be read for nothing: add pairs.{kind}, or remove it")
        alt = self.pairs.image_alt
        if alt is not None and alt.min_similarity is not None and alt.similarity is None:
            for name, source in self.sources.items():
                if isinstance(source, ImageTextSource) and source.columns.similarity is None:
                    place = ("pairs", "image_alt", "min_similarity")
                    words = f"needs scores: add a model (pairs.image_alt.similarity), or name sources.{name}.columns.similarity"
                    raise _PlacedError(place, words)
        if "word_drop" in wanted and "sentences" not in wanted:
            raise _PlacedError(("pairs", "word_drop"), "is made from sentences: add pairs.sentences")
        of_kinds: list[tuple[tuple[str, ...], Mapping[Kind, Any]]] = [
            (("mix",), self.mix),
            (("shards", "per_kind"), self.shards.per_kind),
            (("gate", "min_samples"), self.gate.min_samples),
            (("gate", "min_kept"), self.gate.min_kept),
        ]
        for place, kinds in of_kinds:
            for kind in kinds:
                if kind not in wanted:
                    raise _PlacedError((*place, kind), f"that kind is not made; pairs makes {', '.join(wanted)}")
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
    """Plain data alone: text, numbers, true and false, null, lists and mappings.

    Refuses what plain YAML lets pass: a key that comes twice (the last one would win), a key that is not text, merge keys, numbers
    that are none. Dates stay text.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _refused("merge keys (<<) are not read: write the keys out", key_node)
            key = key_node.value
            if key_node.tag != "tag:yaml.org,2002:str":
                what = f"{key!r}" if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                raise _refused(f"a key must be text, and YAML does not read {what} as text: quote it", key_node)
            if key in seen:
                raise _refused(f"{key!r} stands twice in one mapping, first on line {seen[key]}", key_node)
            seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_plain_int(self, node: yaml.ScalarNode) -> int:
        """A number of at most 30 digits: Python itself gives up at some thousand."""
        try:
            if len(node.value) <= 30:
                return int(self.construct_yaml_int(node))
        except ValueError:
            pass
        raise _refused(f"{_short(node.value)} is not a number that can be used", node)

    def construct_plain_float(self, node: yaml.ScalarNode) -> float:
        """A finite number."""
        try:
            value = float(self.construct_yaml_float(node))
            if math.isfinite(value):
                return value
        except ValueError:
            pass
        raise _refused(f"{_short(node.value)} is not a number that can be used", node)


def _refused(words: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=words, problem_mark=node.start_mark)


_PLAIN = ("null", "bool", "str", "seq", "map")
_Loader.yaml_constructors = {
    **{f"tag:yaml.org,2002:{name}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{name}"] for name in _PLAIN},
    "tag:yaml.org,2002:int": _Loader.construct_plain_int,
    "tag:yaml.org,2002:float": _Loader.construct_plain_float,
    None: yaml.SafeLoader.yaml_constructors[None],
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(path: str | Path) -> Loaded:
    """Reads a recipe file.

    Raises:
        RecipeError: It is missing, not YAML, or holds what it must not.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"recipe {file}: cannot be read: {error.strerror or error}") from error
    if len(data) > _MAX_BYTES:
        raise RecipeError(f"recipe {file}: has more than {_MAX_BYTES:,} bytes: not a recipe")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{file}, line {line}: not UTF-8: {error.reason}") from error
    folder = str(file.resolve().parent)
    return Loaded(parse(text, name=str(file), folder=folder), folder)


def parse(text: str, *, name: str = "recipe", folder: str = ".") -> Recipe:
    """Reads a recipe's text.

    Args:
        text: YAML.
        name: What errors call it.
        folder: Where the files that it includes (presets of rules) are looked for.

    Raises:
        RecipeError: One line a fault: the key, the value, the line, and what would be right.
    """
    node, value = _read_yaml(text, name)
    if not isinstance(value, dict):
        what = "the file is empty" if value is None else f"the file holds {_short(value)}"
        raise RecipeError(f"{name}, line 1: {what}; a mapping is wanted with the keys {', '.join(Recipe.model_fields)}")
    _include_preset(value, folder, name)
    try:
        # As JSON: strict about types ("5" and true are no numbers), yet a list may stand for a tuple.
        return Recipe.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        lines = _faults(error, node)
        if len(lines) > _MAX_FAULTS:
            lines = [*lines[:_MAX_FAULTS], (lines[_MAX_FAULTS][0], f"and {len(lines) - _MAX_FAULTS} faults more")]
        raise RecipeError("\n".join(f"{name}, line {line}: {words}" for line, words in lines)) from error


def _include_preset(value: dict[str, Any], folder: str, name: str) -> None:
    """Puts a preset that is a file of the user's in the place of its name, so that the recipe holds all that it means."""
    pairs = value.get("pairs")
    options = pairs.get("image_alt") if isinstance(pairs, dict) else None
    path = options.get("preset") if isinstance(options, dict) else None
    if not isinstance(path, str) or not path.endswith((".yaml", ".yml")):
        return
    try:
        preset = preset_file(Path(folder) / path)
    except RecipeError as error:
        raise RecipeError(f"{name}: pairs.image_alt.preset = {_short(path)}: {error}") from error
    given = {key: item for key, item in options.items() if key != "preset"}
    value["pairs"] = {**pairs, "image_alt": on_preset(preset, given)}


def preset_file(file: Path) -> dict[str, Any]:
    """The alt-text options of a YAML file, checked.

    Raises:
        RecipeError: It cannot be read, or its options are wrong.
    """
    try:
        data = file.read_bytes()[: _MAX_BYTES + 1]
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read: {error}") from error
    if len(data) > _MAX_BYTES:
        raise RecipeError(f"{file}: has more than {_MAX_BYTES:,} bytes: not a preset")
    _, preset = _read_yaml(text, str(file))
    if not isinstance(preset, dict):
        raise RecipeError(f"{file}, line 1: a mapping of alt-text options is wanted")
    try:
        AltTextOptions.model_validate_json(json.dumps(preset), strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise RecipeError("\n".join(f"{file}: {fault}" for fault in faults[:_MAX_FAULTS])) from error
    return preset


def _read_yaml(text: str, name: str) -> tuple[yaml.Node | None, Any]:
    """The tree, for line numbers, and the value."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, None
            _measure(node)
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        words = str(error.problem)
        if words.startswith("could not determine a constructor"):
            words = f"{words.rpartition(' ')[2]}: tags other than YAML's plain types are not read"
        raise RecipeError(f"{name}, line {line}: {words}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        within = (
            f" ({error.context}, line {error.context_mark.line + 1})" if error.context and error.context_mark else ""
        )
        raise RecipeError(f"{name}, line {line}: not YAML: {error.problem or error.context}{within}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(f"{name}, line {line}: not YAML: the character {error.character!r} is not allowed") from error
    except RecursionError as error:
        raise RecipeError(f"{name}: nested too deeply") from error


def _measure(root: yaml.Node) -> None:
    """Refuses a value that holds itself, and aliases that repeat so much that the whole would be enormous."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, above: frozenset[int]) -> int:
        if id(node) in above:
            raise _refused("a value that holds itself", node)
        if id(node) not in sizes:
            children: list[yaml.Node] = []
            if isinstance(node, yaml.MappingNode):
                children = [child for pair in node.value for child in pair]
            elif isinstance(node, yaml.SequenceNode):
                children = node.value
            sizes[id(node)] = 1 + sum(size(child, above | {id(node)}) for child in children)
            if sizes[id(node)] > _MAX_NODES:
                raise _refused(f"more than {_MAX_NODES:,} values: not a recipe", node)
        return sizes[id(node)]

    size(root, frozenset())


def _faults(error: ValidationError, root: yaml.Node | None) -> list[tuple[int, str]]:
    """Line and words of each fault, sorted. Of a value that may be of several types, the faults are one."""
    found = [(*_walk(fault, root), fault) for fault in error.errors(include_url=False)]
    deeper = {tuple(steps[:count]) for steps, _, _ in found for count in range(len(steps))}
    merged: dict[tuple[int, str], list[str]] = {}
    for steps, line, fault in found:
        # `path: [a, 1]` is no text (of no interest) and holds, as a list, a number (what is wrong with it).
        if fault["type"] == "string_type" and tuple(steps) in deeper:
            continue
        head, words = _said(fault, steps)
        known = merged.setdefault((line, head), [])
        if words not in known:
            known.append(words)
    return sorted((line, f"{head}: {', or: '.join(words)}") for (line, head), words in merged.items())


def _said(fault: Any, steps: list[str]) -> tuple[str, str]:
    """Key (with its value) and words of one of pydantic's faults."""
    key = ".".join(step if step.isprintable() else ascii(step) for step in steps) or "the recipe"
    value, kind, context = fault.get("input"), fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted({name for model in _models_at(fault["loc"][:-1]) for name in model.model_fields})
        return key, f"unknown key{_near(steps[-1], known) or ('; known keys: ' + ', '.join(known) if known else '')}"
    if kind == "missing":
        fields = [model.model_fields.get(steps[-1]) for model in _models_at(fault["loc"][:-1])]
        wanted = next((field.description for field in fields if field is not None and field.description), None)
        return key, "is missing" + (f" ({wanted})" if wanted else "")
    if kind == "union_tag_not_found":
        return key, f"is missing; it is one of {', '.join(_SOURCE_TYPES)}"
    if kind == "union_tag_invalid":
        words = f"a source is of type {', '.join(_SOURCE_TYPES)}{_near(str(context['tag']), _SOURCE_TYPES)}"
        return f"{key} = {_short(context['tag'])}", words
    words = str(fault["msg"]).removeprefix("Value error, ")
    if isinstance(context.get("error"), _PlacedError):
        for step in context["error"].place:
            value = value.get(step) if isinstance(value, dict) else None
        return key if value is None or isinstance(value, dict | list) else f"{key} = {_short(value)}", words
    if kind == "literal_error" and isinstance(value, str):
        words += _near(value, re.findall(r"'([^']*)'", str(context.get("expected"))))
    if kind == "string_type" and isinstance(value, bool):
        words += " (YAML reads yes, no, on and off as true and false: quote them)"
    return f"{key} = {_short(value)}", words


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, bool | None) else repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _walk(fault: Any, root: yaml.Node | None) -> tuple[list[str], int]:
    """Follows a fault's place through the YAML tree, to its keys and its line, without the names that pydantic adds for unions."""
    node, steps = root, list[str]()
    line = root.start_mark.line + 1 if root is not None else 1
    loc = list(fault["loc"])
    if isinstance(error := fault.get("ctx", {}).get("error"), _PlacedError):
        loc += error.place
    if fault["type"].startswith("union_tag"):
        loc.append("type")
    for index, step in enumerate(loc):
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if entry is not None:
                line, node = entry[0].start_mark.line + 1, entry[1]
                steps.append(str(step))
            elif index == len(loc) - 1 and fault["type"] in ("missing", "union_tag_not_found"):
                steps.append(str(step))
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
            steps.append(str(step))
    return steps, line


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _models_at(loc: Sequence[Any]) -> list[type[BaseModel]]:
    """The models of which one stands at a fault's place."""
    models: list[type[BaseModel]] = [Recipe]
    for step in loc:
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        if fields:
            models = [inner for field in fields for inner in _models(field.annotation)]
        elif tagged := [model for model in models if str(step) in _tags(model)]:
            models = tagged
    return models


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field is not None else ()


_SOURCE_TYPES = [tag for model in _models(Source) for tag in _tags(model)]


def schema() -> Mapping[str, Any]:
    """JSON schema of a recipe, for editors."""
    return Recipe.model_json_schema()


__all__ = ["KINDS", "MADE", "Loaded", "Recipe", "RecipeError", "load", "parse", "schema"]
