"""`jit`: numba with an on-disk cache where there is room for one, and without the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def jit(function: Callable[..., Any]) -> Any:
    """Compiles `function` on its first call; later processes load it from the cache.

    Numba keeps the cache beside the source, or in the user's cache folder if the package is read-only. Where neither can be
    written (a container with a read-only root) it raises while decorating; then the function is compiled in each process.
    No `parallel=True`: a threading layer would not survive a fork, and a data loader forks.
    """
    try:
        return numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # "cannot cache function ...: no locator available"
        return numba.njit(function, nogil=True)
