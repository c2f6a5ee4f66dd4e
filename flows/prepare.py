"""From a recipe's file and a root to a build that is ready to run: every fault that a user can mend is told here, at once."""

from __future__ import annotations

import dataclasses

from flows.recipe import load
from flows.stages import Build
from pipelines import storage
from pipelines.similarity import files


def prepare(recipe: str, root: str, workers: int | None = None) -> Build:
    """Reads the recipe and finds its inputs; runs nothing.

    Args:
        recipe: Path of the recipe.
        root: Where stages and data sets live: a folder or an fsspec URL.
        workers: Overrides the recipe's `runtime.workers`.

    Raises:
        RecipeError: The recipe cannot be used.
        SourceError: An input is missing or not what the recipe says.
        ModelError: A file of the similarity model, or an engine that translates, is missing.
        StorageError: No build can live under this root.
    """
    loaded = load(recipe)
    if workers is not None:
        runtime = loaded.recipe.runtime.model_copy(update={"workers": workers})
        loaded = dataclasses.replace(loaded, recipe=loaded.recipe.model_copy(update={"runtime": runtime}))
    if root.startswith("memory://"):
        raise storage.StorageError(
            "memory:// is the memory of one process, and a build has several: name a folder or a store"
        )
    if storage.is_local(root):
        root = str(storage.local_path(root).absolute())
    build = Build(loaded, root)
    for name in loaded.recipe.sources:
        build.inputs(name)
    build.check_lists()
    if build.model is not None:
        files.releases(build.model)
        build.model_files  # noqa: B018  (looked up once, here, where a fault is told before anything runs)
    if build.translates():
        build.routes  # noqa: B018  (likewise)
    return build
