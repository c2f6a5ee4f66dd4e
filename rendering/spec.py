"""`RenderSpec`: everything that decides which pixels a text becomes, but the font's glyphs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .font import Font

MAX_SIDE = 16384
MAX_PIXELS = 1 << 26
_PRESETS: dict[str, dict[str, Any]] = {"clippo": {}}


@dataclass(frozen=True, kw_only=True)
class RenderSpec:
    """How texts are drawn. The defaults are CLIPPO's (big_vision, `render_unifont`), which is also the preset "clippo".

    Attributes:
        width: pixels, 1 to 16,384. A text whose widest glyph is as wide or wider is an error when it is rendered.
        height: pixels, 1 to 16,384; width x height at most 2**26.
        font_size: pixels of a glyph's cell, 1 to 256. Other than 16 the glyphs are resampled by area before they are
            trimmed, as CLIPPO does: slower and grey.
        max_chars: code points kept of each text, 0 for all of them.
        background: grey level 0 to 255.
        text: grey level 0 to 255 of the ink.
        lower: lower-case A-Z, and no other letter, first.
        monospace: every glyph takes the whole cell; else it is trimmed to its ink.
        spacing: blank columns that trimming leaves before the ink, 0 to 256; 0 loses the last column of ink, as in CLIPPO.
        min_width: columns that a trimmed glyph keeps at least, 0 to 256, up to the cell's end.
        font: paths of `.hex` fonts for `load_font`; empty for the bundled Unifont. Not part of the digest, since the font's own
            hash is.

    Raises:
        ValueError: a value is out of its bounds. TypeError: it is of another type.
    """

    width: int = 224
    height: int = 224
    font_size: int = 16
    max_chars: int = 768
    background: int = 127
    text: int = 0
    lower: bool = True
    monospace: bool = False
    spacing: int = 1
    min_width: int = 4
    font: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"RenderSpec.{name} must be an int, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"RenderSpec.{name} must be from {low} to {high}, not {value}")
        for name in ("lower", "monospace"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"RenderSpec.{name} must be true or false, not {getattr(self, name)!r}")
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(f"RenderSpec: {self.width} x {self.height} is more than {MAX_PIXELS} pixels")
        paths = (self.font,) if isinstance(self.font, str) else tuple(self.font)
        if not all(isinstance(path, str) for path in paths):
            raise TypeError(f"RenderSpec.font must be paths as strings, not {self.font!r}")
        object.__setattr__(self, "font", paths)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> RenderSpec:
        """A named spec ("clippo"), with `changes` to single fields. ValueError for an unknown name."""
        if name not in _PRESETS:
            raise ValueError(f"no preset {name!r}; there is {', '.join(sorted(_PRESETS))}")
        return cls.from_dict({**_PRESETS[name], **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RenderSpec:
        """The inverse of `to_dict`; missing keys take their defaults, unknown ones are a ValueError."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"RenderSpec has no field {', '.join(map(repr, unknown))}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and YAML; `font` as a list."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["font"] = list(self.font)
        return values

    def digest(self, font: Font) -> str:
        """Hex sha256 that names the pixels: canonical JSON of the fields (but `font`'s paths) and the font's own sha256."""
        values = {name: value for name, value in self.to_dict().items() if name != "font"}
        values["font_sha256"] = font.sha256
        return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_BOUNDS = {
    "width": (1, MAX_SIDE),
    "height": (1, MAX_SIDE),
    "font_size": (1, 256),
    "max_chars": (0, 2**31 - 1),
    "background": (0, 255),
    "text": (0, 255),
    "spacing": (0, 256),
    "min_width": (0, 256),
}
