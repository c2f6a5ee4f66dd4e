"""A recipe's file, and the files of rules that it includes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.recipe.errors import RecipeError
from flows.recipe.faults import faults
from flows.recipe.model import Recipe
from flows.recipe.tree import read_yaml, short
from pairs.alt_text import AltTextOptions, on_preset

MAX_BYTES = 1 << 18
MAX_FAULTS = 20


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


def load(path: str | Path) -> Loaded:
    """Reads a recipe file.

    Raises:
        RecipeError: It is missing, not YAML, or holds what it must not.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"recipe {file}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise RecipeError(f"recipe {file}: has more than {MAX_BYTES:,} bytes: not a recipe")
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
    node, value = read_yaml(text, name)
    if not isinstance(value, dict):
        what = "the file is empty" if value is None else f"the file holds {short(value)}"
        raise RecipeError(f"{name}, line 1: {what}; a mapping is wanted with the keys {', '.join(Recipe.model_fields)}")
    _include_preset(value, folder, name)
    try:
        # As JSON: strict about types ("5" and true are no numbers), yet a list may stand for a tuple.
        return Recipe.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        lines = faults(error, node)
        if len(lines) > MAX_FAULTS:
            lines = [*lines[:MAX_FAULTS], (lines[MAX_FAULTS][0], f"and {len(lines) - MAX_FAULTS} faults more")]
        raise RecipeError("\n".join(f"{name}, line {line}: {words}" for line, words in lines)) from error


def _include_preset(value: dict[str, Any], folder: str, name: str) -> None:
    """Puts a preset that is a file of the user's in the place of its name, so that the recipe holds all that it means."""
    pairs = value.get("pairs")
    if not isinstance(pairs, dict) or not isinstance(options := pairs.get("image_alt"), dict):
        return
    path = options.get("preset")
    if not isinstance(path, str) or not path.endswith((".yaml", ".yml")):
        return
    try:
        preset = preset_file(Path(folder) / path)
    except RecipeError as error:
        raise RecipeError(f"{name}: pairs.image_alt.preset = {short(path)}: {error}") from error
    given = {key: item for key, item in options.items() if key != "preset"}
    value["pairs"] = {**pairs, "image_alt": on_preset(preset, given)}


def preset_file(file: Path) -> dict[str, Any]:
    """The alt-text options of a YAML file, checked.

    Raises:
        RecipeError: It cannot be read, or its options are wrong.
    """
    try:
        data = file.read_bytes()[: MAX_BYTES + 1]
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read: {error}") from error
    if len(data) > MAX_BYTES:
        raise RecipeError(f"{file}: has more than {MAX_BYTES:,} bytes: not a preset")
    _, preset = read_yaml(text, str(file))
    if not isinstance(preset, dict):
        raise RecipeError(f"{file}, line 1: a mapping of alt-text options is wanted")
    try:
        AltTextOptions.model_validate_json(json.dumps(preset), strict=True)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, fault['loc']))}: {str(fault['msg']).removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
        ]
        raise RecipeError("\n".join(f"{file}: {fault}" for fault in wrong[:MAX_FAULTS])) from error
    return preset
