"""Batches decoded ahead of time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.train.reference.decode import Batch, Decoder
from pipelines.train.reference.plan import Plan
from pipelines.train.reference.version import Sample


class Batches:
    """Decodes the batches of a plan ahead of time, in a thread, and counts how long the trainer waits for them.

    Args:
        decoder: Decodes.
        plan: Says what.
        samples: Kind -> training samples.
        rights: Kind -> for each training sample the position of the one whose right side it gets; the control with shuffled
            pairs. Default: its own.
        ahead: Batches kept ready. Default: 4.

    Attributes:
        waited: Seconds that `__next__` has waited so far.
    """

    def __init__(
        self,
        decoder: Decoder,
        plan: Plan,
        samples: Mapping[str, Sequence[Sample]],
        *,
        rights: Mapping[str, npt.NDArray[np.int64]] | None = None,
        ahead: int = 4,
    ) -> None:
        self.waited = 0.0
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(decoder, plan, samples, rights), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - began
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue

    def _work(self, decoder: Decoder, plan: Plan, samples: Any, rights: Any) -> None:
        try:
            for kind, positions in plan:
                lefts = [samples[kind][p] for p in positions]
                others = None if rights is None else [samples[kind][p] for p in rights[kind][positions]]
                batch = decoder.batch(kind, lefts, others)
                while not self._stop.is_set():
                    try:
                        self._ready.put(batch, timeout=0.1)
                        break
                    except queue.Full:
                        continue
                if self._stop.is_set():
                    return
        except BaseException as error:
            self._ready.put(error)
