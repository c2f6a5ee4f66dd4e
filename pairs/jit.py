"""`jit`: numba, compiled once and kept on disk where the disk can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compiles a function at its first call, without the GIL; later processes load it from the cache.

    The cache lies beside the module, or, where that folder cannot be written, in the user's (`NUMBA_CACHE_DIR`, else
    `~/.cache/numba`). Where neither can be, numba raises here, and every process compiles for itself. The cache looks at the date
    of the function's own file alone: a compiled function calls none of another file.
    """
    try:
        return cast(F, numba.njit(function, cache=True, nogil=True))
    except RuntimeError:
        return cast(F, numba.njit(function, nogil=True))
