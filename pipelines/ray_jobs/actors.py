"""Actors of a Ray session: processes that live as long as it and keep what they have loaded, such as a model on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_RESTARTS = 3  # of an actor whose process died; the call that it was at is made again


def has_gpu() -> bool:
    """Whether Ray gave this process a GPU."""
    import ray

    return bool(ray.is_initialized() and ray.get_gpu_ids())


class Worker:
    """An actor's process: runs functions, which keep in their own modules what they load."""

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """`function(*arguments)`."""
        return function(*arguments)


class Actors:
    """Starts actors as there is work for them and gives each call to the one that has least to do.

    One a GPU, where Ray has GPUs; else one a CPU, which it is placed by but does not hold, so that tasks beside it are not kept
    waiting by an actor that is idle.
    """

    def __init__(self, ray: Any, resources: dict[str, float], most: int | None) -> None:
        """Starts nothing yet.

        Args:
            ray: The module, connected.
            resources: The cluster's.
            most: Most actors; None: as many as there are GPUs, else CPUs.
        """
        self._ray = ray
        self._gpu = int(resources.get("GPU", 0)) > 0
        there = int(resources.get("GPU" if self._gpu else "CPU", 1))
        self._most = max(1, there if most is None else min(most, there) if self._gpu else most)
        self._waiting: dict[Any, set[Any]] = {}

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Makes a call; gives Ray's reference of its result."""
        least = min(self._waiting, key=lambda actor: len(self._waiting[actor]), default=None)
        if least is None or (self._waiting[least] and len(self._waiting) < self._most):
            least = self._start()
            self._waiting[least] = set()
        reference = least.run.remote(function, arguments)
        self._waiting[least].add(reference)
        return reference

    def _start(self) -> Any:
        asked = {"num_gpus": 1} if self._gpu else {}
        options = {"max_restarts": _RESTARTS, "max_task_retries": _RESTARTS, "scheduling_strategy": "SPREAD", **asked}
        return self._ray.remote(Worker).options(**options).remote()

    def done(self, reference: Any) -> None:
        """Takes a call off its actor's list; a reference of a task is on none."""
        for waiting in self._waiting.values():
            waiting.discard(reference)

    def kill(self, reference: Any) -> None:
        """Ends the actor that has this call, and with it every call that it has."""
        for actor, waiting in self._waiting.items():
            if reference in waiting:
                del self._waiting[actor]
                self._ray.kill(actor, no_restart=True)
                return

    def release(self) -> None:
        """Ends the actors that have no call."""
        for actor in [actor for actor, waiting in self._waiting.items() if not waiting]:
            del self._waiting[actor]
            self._ray.kill(actor, no_restart=True)
