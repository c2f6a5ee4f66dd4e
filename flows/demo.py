"""`pixelpairs demo`: makes the quickstart's input, builds it, draws a sheet, and says where everything is."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "quickstart"


def run_demo(root: Path, *, train: bool, pictures: int | None, build: Callable[..., None], out: Console) -> None:
    """Runs the example from its input to its trainer.

    Args:
        root: Where input, stages and data set go.
        train: Whether to train; needs PyTorch.
        pictures: How many pictures to draw; None: the example's own number.
        build: Runs a recipe.
        out: Is told what happens.

    Raises:
        typer.Exit: With code 2 where the example or PyTorch is not there.
    """
    if not EXAMPLE.is_dir():
        out.print(f"error: {EXAMPLE} is missing: the demo runs from a checkout", markup=False)
        raise typer.Exit(2)
    if train and importlib.util.find_spec("torch") is None:
        out.print(
            "error: training needs PyTorch: pip install torch==2.13.0 (or: pixelpairs demo --no-train)", markup=False
        )
        raise typer.Exit(2)
    root = root.resolve()
    data = root / "data"
    if not (data / "expected.json").exists():
        out.print("making the input …")
        words = [sys.executable, str(EXAMPLE / "make_input.py"), str(data)]
        subprocess.run([*words, *(["--pictures", str(pictures)] if pictures else [])], check=True)
    recipe = root / "recipe.yaml"
    shutil.copyfile(EXAMPLE / "recipe.yaml", recipe)
    build(str(recipe), str(root), train=train, workers=None)
    version = _champion(root)
    from flows.inspection import draw_samples
    from pipelines.dataset import load

    draw_samples(str(version), load(str(version)), root / "sheet.png", 6, 0, out)  # the build has said the counts
    command = Path(sys.argv[0]).absolute()
    out.print(f"try: {command} verify {version}", markup=False, highlight=False, soft_wrap=True)
    if not train:
        install = f"{sys.executable} -m pip install torch==2.13.0"
        hint = f"to train on it: make demo (or: {install} && {command} demo --root {root})"
        out.print(hint, markup=False, highlight=False, soft_wrap=True)


def _champion(root: Path) -> Any:
    import json

    folder = next(root.glob("datasets/*/champion.json")).parent
    return folder / json.loads((folder / "champion.json").read_text())["version"]
