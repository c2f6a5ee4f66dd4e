"""The command line's options, made from the fields of `TrainConfig`: one place says what each is and may be."""

from __future__ import annotations

import argparse
import types
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from pipelines.train.reference.config import TrainConfig, make_config, read_recipe

_ALIASES: Final[dict[str, tuple[str, ...]]] = {"learning_rate": ("--lr",)}
USAGE: Final[str] = "%(prog)s --dataset VERSION --out DIR [options; --help lists them]"
"""A page of options would hide the error that stands below it."""
_REQUIRED: Final[tuple[str, ...]] = ("dataset", "out")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each field, and `--recipe`. What is not given is not set, so that a recipe's values stand."""
    add = parser.add_argument
    add(
        "--recipe",
        type=Path,
        metavar="FILE",
        help="YAML with any of the options below, _ for -; the command line goes first",
    )
    for name, field in TrainConfig.model_fields.items():
        words = ["--" + name.replace("_", "-"), *_ALIASES.get(name, ())]
        text = (field.description or "") + _default(field)
        kind = _plain(field.annotation)
        common: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if kind is bool:
            add(*words, action=argparse.BooleanOptionalAction, **common)
        elif get_origin(kind) is Literal:
            add(*words, choices=get_args(kind), **common)
        elif name == "mix":
            add(*words, type=parse_mix, metavar="KIND=W,…", **common)
        else:
            add(*words, type=kind, metavar=getattr(kind, "__name__", "VALUE").upper(), **common)
    add("--keep-repeats", dest="mask_repeats", action="store_false", default=argparse.SUPPRESS,
        help="as --no-mask-repeats")  # fmt: skip


def config_of(given: argparse.Namespace) -> TrainConfig:
    """The config of parsed options, over those of the recipe.

    Raises:
        ValueError: An option is missing, unknown or out of its bounds.
    """
    options = {name: value for name, value in vars(given).items() if name in TrainConfig.model_fields}
    recipe = getattr(given, "recipe", None)
    if recipe is not None:
        options = {**read_recipe(recipe), **options}
    missing = [f"--{name}" for name in _REQUIRED if name not in options]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be given")
    return make_config(options)


def parse_mix(text: str) -> dict[str, float]:
    """`image_alt=0.6,sentences=0.4` -> weights."""
    mix = {}
    for part in filter(None, text.split(",")):
        kind, equals, weight = part.partition("=")
        if kind.strip() in mix:
            raise argparse.ArgumentTypeError(f"{kind.strip()!r} is named twice")
        try:
            mix[kind.strip()] = float(weight)
        except ValueError:
            equals = ""
        if not equals or not mix[kind.strip()] >= 0:
            raise argparse.ArgumentTypeError(f"{part!r} is not KIND=WEIGHT with a weight of 0 or more")
    return mix


def _plain(annotation: Any) -> Any:
    """`X | None` -> X."""
    if get_origin(annotation) is types.UnionType:
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default is None or field.default_factory is not None:
        return ""
    return f" (default: {str(field.default).lower() if isinstance(field.default, bool) else field.default})"
