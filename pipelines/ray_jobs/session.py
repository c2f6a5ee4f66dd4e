"""A Ray session of our own: a local one that ends with its user, or a cluster that is named.

All calls to Ray come from one thread. Ray gives every thread of a driver a context of its own, and two stages that submitted
side by side from the orchestrator's threads were seen to make the same object id twice, which ends the process.
"""

from __future__ import annotations

import logging
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from pipelines.ray_jobs.actors import Actors

_OBJECT_STORE_BYTES = 128 << 20  # tasks return small records; pixels never pass through the object store
_RETRIES = 3  # of a worker that died; an exception is not retried, it would come again
_IN_FLIGHT_PER_WORKER = 2
_WAIT_SECONDS = 0.05
_LONGEST_FOLDER = 20  # characters; a Unix socket's path has 107
_TIDY_SECONDS = 5
_END_SECONDS = 10


@dataclass(slots=True)
class _Call:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    on_actor: bool = False
    future: Future[Any] = field(default_factory=Future)


_RELEASE = _Call(print, ())
"""In the queue of calls: no call, but the word to end idle actors."""


class Session:
    """Runs functions as Ray tasks. Starts Ray at the first call; `close` ends it.

    Safe to use from several threads. Work in flight is bounded over all of them, so that nothing grows with the number of calls.
    """

    def __init__(self, address: str = "local", workers: int | None = None, actors: int | None = None) -> None:
        """Connects to nothing yet.

        Args:
            address: `local` starts a Ray of this process's own; `auto` or a URL joins a running cluster.
            workers: CPUs of a local Ray; None takes the machine's.
            actors: Most actors; None: one a GPU, where Ray has any, else one a CPU.
        """
        self._address = address
        self._workers = workers
        self._most_actors = actors
        self._actors: Actors | None = None
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._cancelled: queue.SimpleQueue[tuple[Future[Any], bool]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._folder: str | None = None
        self.limit = _IN_FLIGHT_PER_WORKER

    def call(self, function: Callable[..., Any], *arguments: Any, on_actor: bool = False) -> Future[Any]:
        """Runs `function(*arguments)` on a worker; the function must be importable there.

        A future that is cancelled before it runs is not run; see `cancel` for one that does.

        Args:
            function: What to run.
            arguments: What it is given.
            on_actor: Run it on one of the session's actors (see `Actors`) instead of as a task.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the Ray session is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ray-session", daemon=True)
                self._thread.start()
        call = _Call(function, arguments, on_actor)
        self._calls.put(call)
        return call.future

    def cancel(self, futures: list[Future[Any]]) -> None:
        """Ends calls, running ones too.

        A running call is interrupted and has some seconds to put its half-written file away; then its worker is ended.
        """
        running = [future for future in futures if not future.cancel()]
        for force, seconds in ((False, _TIDY_SECONDS), (True, _END_SECONDS)):
            running = [future for future in running if not future.done()]
            for future in running:
                self._cancelled.put((future, force))
            if running:
                wait(running, timeout=seconds)

    @property
    def closed(self) -> bool:
        """Whether no call can be made any more: it was closed, or its Ray is lost."""
        return self._closed

    def release_actors(self) -> None:
        """Ends the actors that have nothing to do, and frees the memory and the GPU of what they hold; a call starts new ones."""
        if self._thread is not None:
            self._calls.put(_RELEASE)

    def close(self) -> None:
        """Ends Ray if this session started it. No call can follow."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._calls.put(None)
            thread.join()

    def _run(self) -> None:
        import ray

        flying: dict[Any, _Call] = {}
        try:
            self._connect(ray)
            self._serve(ray, flying)
        except BaseException as error:
            self._fail_all(flying, error)
        finally:
            ray.shutdown()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self, ray: Any) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": False}
        if self._address == "local":
            # Ray keeps a folder of logs and sockets a session for ever; ours goes with it. A socket's path has little room.
            if len(tempfile.gettempdir()) <= _LONGEST_FOLDER:
                self._folder = tempfile.mkdtemp(prefix="pixelpairs-ray-")
            ray.init(
                address="local",
                _temp_dir=self._folder,
                num_cpus=self._workers,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **quiet,
            )
        else:
            ray.init(address=self._address, **quiet)
        resources = ray.cluster_resources()
        self.limit = _IN_FLIGHT_PER_WORKER * max(1, int(resources.get("CPU", 1)))
        self._actors = Actors(ray, resources, self._most_actors)

    def _serve(self, ray: Any, flying: dict[Any, _Call]) -> None:
        assert self._actors is not None
        tasks: dict[Callable[..., Any], Any] = {}
        closing = False
        while True:
            # Calls on actors are bounded by their callers, who wait for them: counted here, they could keep each other out.
            while not closing and sum(not call.on_actor for call in flying.values()) < self.limit:
                try:
                    call = self._calls.get(block=not flying)
                except queue.Empty:
                    break
                if call is None:
                    closing = True
                elif call is _RELEASE:
                    self._actors.release()
                elif call.future.set_running_or_notify_cancel():
                    flying[self._submit(ray, call, tasks)] = call
            if not flying and closing:
                return
            self._cancel_asked(ray, flying)
            if flying:
                ready, _ = ray.wait(list(flying), num_returns=1, timeout=_WAIT_SECONDS)
                for reference in ready:
                    self._actors.done(reference)
                    _settle(ray, reference, flying.pop(reference).future)

    def _submit(self, ray: Any, call: _Call, tasks: dict[Callable[..., Any], Any]) -> Any:
        if call.on_actor:
            assert self._actors is not None
            return self._actors.submit(call.function, call.arguments)
        task = tasks.get(call.function)
        if task is None:
            # Over all nodes from the start: Ray's default fills one first, and a task here is worth a node's start-up.
            options = {"num_cpus": 1, "max_retries": _RETRIES, "scheduling_strategy": "SPREAD"}
            task = tasks[call.function] = ray.remote(call.function).options(**options)
        return task.remote(*call.arguments)

    def _cancel_asked(self, ray: Any, flying: dict[Any, _Call]) -> None:
        while True:
            try:
                future, force = self._cancelled.get_nowait()
            except queue.Empty:
                return
            for reference, call in flying.items():
                if call.future is not future:
                    continue
                if force and call.on_actor:
                    assert self._actors is not None
                    self._actors.kill(reference)  # Ray ends no single call of an actor by force
                else:
                    ray.cancel(reference, force=force)

    def _fail_all(self, flying: dict[Any, _Call], error: BaseException) -> None:
        with self._lock:
            self._closed = True
        waiting = list(flying.values())
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is not None and call.future.set_running_or_notify_cancel():
                waiting.append(call)
        for call in waiting:
            call.future.set_exception(error)


def _settle(ray: Any, reference: Any, future: Future[Any]) -> None:
    try:
        future.set_result(ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", None)
        future.set_exception(cause if isinstance(cause, BaseException) else error)
    except BaseException as error:
        future.set_exception(error)
