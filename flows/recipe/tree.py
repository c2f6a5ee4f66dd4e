"""YAML as plain data, bounded: text, numbers, true and false, null, lists and mappings, and nothing that YAML hides."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from typing import Any

import yaml

from flows.recipe.errors import RecipeError

_MAX_NODES = 20_000  # values of a recipe, those that aliases repeat counted each time


class _Loader(yaml.SafeLoader):
    """Plain data alone: text, numbers, true and false, null, lists and mappings.

    Refuses what plain YAML lets pass: a key that comes twice (the last one would win), a key that is not text, merge keys, numbers
    that are none. Dates stay text.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise refused("merge keys (<<) are not read: write the keys out", key_node)
            key = key_node.value
            if key_node.tag != "tag:yaml.org,2002:str":
                what = f"{key!r}" if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                raise refused(f"a key must be text, and YAML does not read {what} as text: quote it", key_node)
            if key in seen:
                raise refused(f"{key!r} stands twice in one mapping, first on line {seen[key]}", key_node)
            seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_plain_int(self, node: yaml.ScalarNode) -> int:
        """A number of at most 30 digits: Python itself gives up at some thousand."""
        try:
            if len(node.value) <= 30:
                return int(self.construct_yaml_int(node))
        except ValueError:
            pass
        raise refused(f"{short(node.value)} is not a number that can be used", node)

    def construct_plain_float(self, node: yaml.ScalarNode) -> float:
        """A finite number."""
        try:
            value = float(self.construct_yaml_float(node))
            if math.isfinite(value):
                return value
        except ValueError:
            pass
        raise refused(f"{short(node.value)} is not a number that can be used", node)


def refused(words: str, node: yaml.Node) -> yaml.MarkedYAMLError:
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


def read_yaml(text: str, name: str) -> tuple[yaml.Node | None, Any]:
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
            raise refused("a value that holds itself", node)
        if id(node) not in sizes:
            children: list[yaml.Node] = []
            if isinstance(node, yaml.MappingNode):
                children = [child for pair in node.value for child in pair]
            elif isinstance(node, yaml.SequenceNode):
                children = node.value
            sizes[id(node)] = 1 + sum(size(child, above | {id(node)}) for child in children)
            if sizes[id(node)] > _MAX_NODES:
                raise refused(f"more than {_MAX_NODES:,} values: not a recipe", node)
        return sizes[id(node)]

    size(root, frozenset())


def short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, bool | None) else repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
