"""Batches decoded ahead of time, in a thread or in worker processes, and never more of them than are asked for."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pipelines.train.reference.decode import Batch, Decoder
from pipelines.train.reference.plan import Plan, Planned, PlanState
from pipelines.train.reference.stopping import outlive_the_wish
from pipelines.train.reference.version import DataError


class Loader:
    """Decodes the batches of a plan ahead of time and counts how long the trainer waits for them.

    Args:
        decoder: Decodes.
        plan: Says what. The loader moves it on, ahead of what it gives.
        steps: How many batches there are.
        workers: Processes that decode; 0 decodes in one thread of this process (photographs with the decoder's threads), which is
            enough for text and for as many photographs as Pillow, which frees the GIL, decodes on the cores of one process.
        ahead: Batches kept ready by the thread, or by each process. Default: 4.
        pin: Whether batches lie in pinned memory.

    Attributes:
        waited: Seconds that `__next__` has waited so far.
        state: Where the plan stood after the last batch that was given: what a checkpoint holds.
    """

    def __init__(
        self, decoder: Decoder, plan: Plan, steps: int, *, workers: int = 0, ahead: int = 4, pin: bool = False
    ) -> None:
        self.waited = 0.0
        self.state = plan.state.copy()
        self._states: dict[int, PlanState] = {}
        self._close: Callable[[], None] = lambda: None
        self._batches: Iterator[Any]
        self._workers = workers
        planned = self._plan(plan, steps)
        if workers:
            # A kept library: it bounds its queues, keeps their order, and notices a worker that died.
            self._batches = iter(
                DataLoader(
                    _Decoded(decoder, plan.kinds),
                    batch_size=None,
                    sampler=planned,
                    num_workers=workers,
                    prefetch_factor=ahead,
                    pin_memory=pin,
                    worker_init_fn=outlive_the_wish,
                )
            )
        else:
            thread = _Thread(decoder, plan.kinds, planned, ahead, pin)
            self._batches, self._close = iter(thread), thread.close

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        try:
            found = next(self._batches)
        except (RuntimeError, EOFError, OSError) as error:
            # Tensors are fetched from the process that made them, by a socket that dies with it.
            if not is_lost_process(error) and not (self._workers and isinstance(error, EOFError | OSError)):
                raise
            raise lost_process(error) from error
        self.waited += time.perf_counter() - began
        if isinstance(found, DataError):
            raise found
        self.state = self._states.pop(found.step)
        return found

    def close(self) -> None:
        """Ends the thread or the processes."""
        self._close()
        self._batches = iter(())

    def _plan(self, plan: Plan, steps: int) -> _Endless:
        def planned() -> Iterator[Planned]:
            for _ in range(steps):
                found = plan.next()
                self._states[found.step] = plan.state.copy()
                yield found

        return _Endless(planned)


def is_lost_process(error: BaseException) -> bool:
    """Whether an error is DataLoader's word of a process that died. It comes wherever the main thread is at that moment."""
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


def lost_process(error: BaseException) -> DataError:
    """The same as an error of ours."""
    return DataError(
        f"a process that decodes batches died ({str(error) or type(error).__name__}); was it out of memory?"
    )


class _Endless:
    """A sampler for DataLoader: iterated once, of a length that it need not know."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Planned]:
        return iter(self._make())


class _Decoded(Dataset[Any]):
    """What a worker process holds. Errors come back as values: DataLoader would bury their message in a traceback."""

    def __init__(self, decoder: Decoder, names: tuple[str, ...]) -> None:
        self._decoder, self._names = decoder, names

    def __getitem__(self, planned: Planned) -> Any:
        torch.set_num_threads(1)
        try:
            return self._decoder.planned(planned, self._names).contiguous()
        except DataError as error:
            return error


class _Thread:
    """One thread that decodes into a bounded queue."""

    def __init__(self, decoder: Decoder, names: tuple[str, ...], planned: _Endless, ahead: int, pin: bool) -> None:
        self._ready: queue.Queue[Any] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._work_on = (decoder, names, planned, pin)
        self._thread = threading.Thread(target=self._work, name=f"loader-{os.getpid()}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            item = self._ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        decoder, names, planned, pin = self._work_on
        try:
            for plan in planned:
                batch = decoder.planned(plan, names)
                if not self._put(batch.pin_memory() if pin else batch):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: Any) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
