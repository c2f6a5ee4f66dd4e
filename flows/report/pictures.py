"""Pictures for the page: shrunk, encoded anew (no byte of a stranger's file reaches the browser), within one budget."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from pipelines.publish.sheet import open_picture

SIDE = 224


@dataclass(frozen=True)
class Picture:
    """What an <img> needs; `uri` is empty where there is none, and `reason` says why."""

    uri: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""


def _encoded(image: Image.Image) -> tuple[str, bytes]:
    """PNG where a picture has few colours, as drawn text has; JPEG else."""
    out = io.BytesIO()
    colours = image.getcolors(maxcolors=64)
    if colours is not None:
        image.quantize(len(colours), dither=Image.Dither.NONE).save(out, format="PNG", optimize=True)
        return "image/png", out.getvalue()
    image.save(out, format="JPEG", quality=80, optimize=True)
    return "image/jpeg", out.getvalue()


class Pictures:
    """Hands out pictures as data URIs until the budget is spent.

    Args:
        budget: Characters of data URIs over the whole page; default 1.6 million.
    """

    def __init__(self, budget: int = 1_600_000) -> None:
        self._left = budget

    def take(self, data: bytes) -> Picture:
        """Decodes, shrinks to fit 224 x 224 pixels and encodes; on any fault a Picture that says why."""
        image = open_picture(data, width=SIDE, height=SIDE)
        if isinstance(image, str):
            return Picture(reason=image)
        media, small = _encoded(image)
        uri = f"data:{media};base64,{base64.b64encode(small).decode()}"
        if len(uri) > self._left:
            return Picture(reason="left out to keep this page small")
        self._left -= len(uri)
        return Picture(uri=uri, width=image.width, height=image.height)
