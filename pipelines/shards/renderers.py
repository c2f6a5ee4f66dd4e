"""One renderer a spec and process: workers draw many shards, and a font is loaded once."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rendering import Renderer, RenderSpec, load_font


def renderer_of(spec: Mapping[str, Any], fonts: Sequence[str]) -> Renderer:
    """The renderer of a spec's dict and its font files (none: the bundled one), kept for the next call.

    Raises:
        ValueError: A value of the spec is impossible, or a font cannot be read (FontError).
    """
    return _renderer(json.dumps(spec, sort_keys=True), tuple(fonts))


@functools.lru_cache(maxsize=8)
def _renderer(spec: str, fonts: tuple[str, ...]) -> Renderer:
    return Renderer(RenderSpec.from_dict(json.loads(spec)), font=load_font(*fonts))
