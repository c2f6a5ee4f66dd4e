"""The build recipe: what a data set is made of, checked before anything runs.

YAML by safe_load rules (no tags, no objects, no duplicate keys) into pydantic models. Each error names the key, the value, the
line and what would be right.
"""

from __future__ import annotations

from flows.recipe.errors import RecipeError
from flows.recipe.file import Loaded, load, parse, preset_file
from flows.recipe.model import MADE, Recipe, schema
from pairs.schema import KINDS

__all__ = ["KINDS", "MADE", "Loaded", "Recipe", "RecipeError", "load", "parse", "preset_file", "schema"]
