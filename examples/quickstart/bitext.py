"""Line-aligned bitext: gettext catalogues of installed packages, and scenes worded in two languages."""

from __future__ import annotations

import gettext
import random
import re
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from captions import caption
from scenes import Scene, make_scenes

CATALOGUES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "es": (("apprise", "i18n/es/LC_MESSAGES/apprise.mo"), ("humanize", "locale/es_ES/LC_MESSAGES/humanize.mo")),
    "pt": (("apprise", "i18n/pt_BR/LC_MESSAGES/apprise.mo"), ("humanize", "locale/pt_BR/LC_MESSAGES/humanize.mo")),
    "fr": (("humanize", "locale/fr_FR/LC_MESSAGES/humanize.mo"),),
}
"""Target language -> (package, compiled catalogue inside it), in reading order."""

SCENE_LANGUAGES: Final[tuple[str, ...]] = ("de", "es", "fr", "ja", "ru", "zh")


def package_file(package: str, inside: str) -> Path | None:
    """Where a file of an installed package lies, without importing the package; None if either is absent."""
    spec = find_spec(package)
    roots = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return next((Path(root) / inside for root in roots if (Path(root) / inside).is_file()), None)


def catalogue_pairs(target: str) -> Iterator[tuple[str, str]]:
    """Source and translation of every translated message; placeholders stay as they are, line breaks become spaces.

    Messages without a translation, or equal to theirs, are left out; so are repeated pairs. Of plural messages each
    form is a pair of its own, the singular with form 0 and the plural with form 1.

    Args:
        target: A key of `CATALOGUES`.
    """
    seen: set[tuple[str, str]] = set()
    for package, inside in CATALOGUES[target]:
        file = package_file(package, inside)
        if file is None:
            continue
        with file.open("rb") as stream:
            catalogue = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]  # no public way lists the messages
        for message, translation in catalogue.items():
            source = message[0] if isinstance(message, tuple) else message
            if isinstance(message, tuple) and message[1] != 0:
                continue
            source = source.rpartition("\x04")[2]  # the context that may stand before a message
            pair = (_one_line(source), _one_line(translation))
            if all(pair) and pair[0] != pair[1] and pair not in seen:
                seen.add(pair)
                yield pair


def scene_pairs(target: str, count: int, *, seed: int, painted: Collection[Scene] = ()) -> Iterator[tuple[str, str]]:
    """Scenes worded in English and in another language: translations that are right by construction.

    The scenes are drawn from a stream of their own, none of the `painted` ones (a set) among them: no picture's caption stands in
    the bitext, also not that of a picture which a build holds out.
    """
    rng = random.Random(f"{seed}:bitext:{target}")  # noqa: S311 - reproducible, not secret
    for scene in make_scenes(count, seed=seed, stage=f"bitext-{target}", without=painted):
        yield caption(scene, "en", rng), caption(scene, target, rng)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
