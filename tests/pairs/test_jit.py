"""Compiled functions and numba's cache."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pairs import jit

FILES = sorted(Path(jit.__file__).parent.rglob("*.py"))


def compiled(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "jit" for mark in node.decorator_list)
    }


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
COMPILED = {path: compiled(tree) for path, tree in TREES.items()}


@pytest.mark.parametrize("path", [path for path in FILES if COMPILED[path]], ids=lambda path: path.stem)
def test_compiled_functions_call_those_of_their_own_file_alone(path: Path) -> None:
    """numba's cache looks at the date of one file: a function of another one would be called as it was when this was compiled."""
    elsewhere = {name for other, found in COMPILED.items() if other != path for name in found}
    imported = {
        alias.asname or alias.name
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in elsewhere
    }
    for name, function in COMPILED[path].items():
        used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        assert not used & imported, f"{name} calls {used & imported}"
