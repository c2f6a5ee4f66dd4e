"""Text to pixels. Needs NumPy, numba and pyarrow, and imports no engine: usable inside a trainer's data loader."""

from .font import Font, FontError, load_font
from .renderer import Renderer, WidthError, count_code_points
from .spec import RenderSpec

__all__ = ["Font", "FontError", "RenderSpec", "Renderer", "WidthError", "count_code_points", "load_font"]
