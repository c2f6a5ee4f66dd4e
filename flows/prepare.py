"""From a recipe's file and a root to a build that is ready to run: every fault that a user can mend is told here, at once."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from flows.recipe import Recipe, RecipeError, load
from flows.stages import Build
from pipelines import storage
from pipelines.similarity import files


def prepare(recipe: str, root: str, workers: int | None = None, partition: str | None = None) -> Build:
    """Reads the recipe and finds its inputs; runs nothing.

    Args:
        recipe: Path of the recipe.
        root: Where stages and data sets live: a folder or an fsspec URL.
        workers: Overrides the recipe's `runtime.workers`.
        partition: Stands for `{partition}` in the paths of the recipe's sources; the data set's name gets it too.

    Raises:
        RecipeError: The recipe cannot be used.
        SourceError: An input is missing or not what the recipe says.
        ModelError: A file of the similarity model, or an engine that translates, or a segmenter is missing.
        StorageError: No build can live under this root.
    """
    loaded = load(recipe)
    loaded = dataclasses.replace(loaded, recipe=at_partition(loaded.recipe, partition, recipe))
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
    build.segmenter_releases("word_drop")
    if build.translates():
        build.routes  # noqa: B018  (likewise)
    return build


_HOLE = "{partition}"
_LONGEST_NAME = 64


def at_partition(recipe: Recipe, partition: str | None, file: str) -> Recipe:
    """The recipe of one partition: one recipe builds a data set a day, a crawl or a language, each under a name of its own.

    Args:
        recipe: With `{partition}` in the paths of some sources, or without.
        partition: What stands for it; None: the recipe has none.
        file: What errors call the recipe.

    Raises:
        RecipeError: A partition is missing, or there is no place for it.
    """
    sources, holes = dict(recipe.sources), 0
    for name, source in recipe.sources.items():
        filled: dict[str, Any] = {}
        for field in ("path", "left", "right"):
            value = getattr(source, field, None)
            paths: list[str] = value if isinstance(value, list) else [value] if isinstance(value, str) else []
            if any(_HOLE in path for path in paths):
                holes += 1
                put = [path.replace(_HOLE, partition or "") for path in paths]
                filled[field] = put if isinstance(value, list) else put[0]
        sources[name] = source.model_copy(update=filled) if filled else source
    if holes and partition is None:
        raise RecipeError(f"recipe {file}: its sources are of a {_HOLE}: say which (--partition)")
    if partition is None:
        return recipe
    if not holes:
        raise RecipeError(
            f"recipe {file}: no source has {_HOLE} in its path, so partition {partition!r} changes nothing"
        )
    name = f"{recipe.name}_{re.sub('[^a-z0-9]+', '_', partition.lower()).strip('_')}"
    if len(name) > _LONGEST_NAME:
        raise RecipeError(f"recipe {file}: the data set would be called {name}: more than {_LONGEST_NAME} characters")
    return recipe.model_copy(update={"sources": sources, "name": name})
