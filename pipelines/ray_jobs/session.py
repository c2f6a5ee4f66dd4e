"""A Ray session of our own: a local one that ends with this process, or a cluster that is named."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

_OBJECT_STORE_BYTES = 128 << 20  # tasks return small records; pixels never pass through the object store

_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def session(address: str = "local", workers: int | None = None) -> Iterator[Any]:
    """Gives the `ray` module, connected. Threads share one session; the last to leave closes it.

    Args:
        address: `local` starts a Ray of this process's own; `auto` or a URL joins a running cluster.
        workers: CPUs of a local Ray; None takes the machine's.
    """
    global _users
    import ray

    with _lock:
        if _users == 0 and not ray.is_initialized():
            if address == "local":
                ray.init(
                    address="local",
                    num_cpus=workers,
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    configure_logging=False,
                )
            else:
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, configure_logging=False)
        _users += 1
    try:
        yield ray
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                ray.shutdown()
