"""Tars as bytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def tar(*members: tuple[str, bytes]) -> bytes:
    """A tar of files, (name, content) each; a name may come twice."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_of(members: Mapping[str, bytes]) -> bytes:
    """A tar of files, name -> content."""
    return tar(*members.items())
