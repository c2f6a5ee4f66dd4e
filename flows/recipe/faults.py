"""What pydantic finds wrong with a recipe, as lines that name the key, the value, the line and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flows.recipe.errors import PlacedError
from flows.recipe.model import Recipe
from flows.recipe.tree import short
from pipelines.sources.spec import Language, Name, Source


def _pattern(annotated: Any) -> str:
    """The pattern of a text's type."""
    return next(str(held.pattern) for held in get_args(annotated)[1].metadata if hasattr(held, "pattern"))


_PATTERNS = {
    _pattern(Language): "is no language tag (BCP 47) such as de or pt-BR",
    _pattern(Name): "lower-case letters, digits and _ are wanted, 64 at most, no _ at the front",
}
_TWO_LANGUAGES = "languages are two: of left and right, such as [de, en]"


def faults(error: ValidationError, root: yaml.Node | None) -> list[tuple[int, str]]:
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
        return key, f"unknown key{near(steps[-1], known) or ('; known keys: ' + ', '.join(known) if known else '')}"
    if _is_languages(fault):
        return ".".join(steps[: steps.index("languages") + 1]), _TWO_LANGUAGES
    if kind == "missing":
        fields = [model.model_fields.get(steps[-1]) for model in _models_at(fault["loc"][:-1])]
        wanted = next((field.description for field in fields if field is not None and field.description), None)
        return key, "is missing" + (f" ({wanted})" if wanted else "")
    if kind == "union_tag_not_found":
        return key, f"is missing; it is one of {', '.join(_SOURCE_TYPES)}"
    if kind == "union_tag_invalid":
        words = f"a source is of type {', '.join(_SOURCE_TYPES)}{near(str(context['tag']), _SOURCE_TYPES)}"
        return f"{key} = {short(context['tag'])}", words
    words = str(fault["msg"]).removeprefix("Value error, ")
    if isinstance(context.get("error"), PlacedError):
        for step in context["error"].place:
            value = value.get(step) if isinstance(value, dict) else None
        return key if value is None or isinstance(value, dict | list) else f"{key} = {short(value)}", words
    if kind == "literal_error" and isinstance(value, str):
        words += near(value, re.findall(r"'([^']*)'", str(context.get("expected"))))
    if kind == "string_pattern_mismatch":
        words = _PATTERNS.get(str(context.get("pattern")), words)
    if kind == "string_type" and isinstance(value, bool):
        words += " (YAML reads yes, no, on and off as true and false: quote them)"
    return f"{key} = {short(value)}", words


def _is_languages(fault: Any) -> bool:
    """Whether `languages` are not two, or no list."""
    of_list = fault["type"] in ("too_long", "too_short", "list_type", "tuple_type") and fault["loc"][-1] == "languages"
    return of_list or (fault["type"] == "missing" and len(fault["loc"]) > 1 and fault["loc"][-2] == "languages")


def near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _walk(fault: Any, root: yaml.Node | None) -> tuple[list[str], int]:
    """Follows a fault's place through the YAML tree, to its keys and its line, without the names that pydantic adds for unions."""
    node, steps = root, list[str]()
    line = root.start_mark.line + 1 if root is not None else 1
    loc = list(fault["loc"])
    if isinstance(error := fault.get("ctx", {}).get("error"), PlacedError):
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
