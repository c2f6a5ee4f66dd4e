"""`jit`: numba, compiled once and kept on disk where the disk can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compiles a function at its first call, without the GIL; later processes load it from the cache.

    On a read-only disk numba finds no place for a cache and raises; then every process compiles for itself.
    """
    try:
        return cast(F, numba.njit(function, cache=True, nogil=True))
    except RuntimeError:
        return cast(F, numba.njit(function, nogil=True))
