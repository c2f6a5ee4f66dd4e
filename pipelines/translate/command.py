"""A program that translates lines: started as a list of words, spoken to over pipes, held to the lines that it was given.

Counting lines is not enough. Apertium was seen to carry words over a line's end (`I see the red` / `house` came back as `Veo la
casa` / `roja`) and, told to flush at NUL bytes, to lose the marks themselves. So each sentence is followed by a fence, lines that
must come out as they went in, and a batch in which one does not is an error.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO, Any, Final

from pipelines.translate.spec import CommandEngine
from pipelines.translate.translator import EngineError, TranslatorError

_STDERR_BYTES: Final = 2000
_SHOWN_CHARS: Final = 200
_PIECE: Final = 1 << 16
_POLL_SECONDS: Final = 0.2
_SLACK_BYTES: Final = 1 << 20
_GROWTH: Final = 64
"""A translation may be so many times as long as what went in, and a mebibyte; an engine that writes on is ended."""


class CommandTranslator:
    """Runs the program: a process for each batch, or one for all of them where it streams."""

    def __init__(self, engine: CommandEngine, paths: dict[str, str]) -> None:
        """Starts nothing yet.

        Args:
            engine: The recipe's words.
            paths: Name -> path of its files.
        """
        self._engine = engine
        self._words = engine.words(paths)
        self._fence = [line.encode() for line in engine.fence]
        self._running: subprocess.Popen[bytes] | None = None
        self._said = b""

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """See `Translator`."""
        tail = b"".join(line + b"\n" for line in self._fence)
        data = b"".join(_line(sentence) + b"\n" + tail for sentence in sentences)
        wanted = len(sentences) * (1 + len(self._fence))
        deadline = time.monotonic() + self._engine.start_seconds + self._engine.sentence_seconds * len(sentences)
        process = self._running if self._running is not None else self._start()
        whole = False
        try:
            lines = self._exchange(process, data, wanted, deadline)
            texts = self._checked(lines, len(sentences))
            whole = True
            return texts
        finally:
            if not whole or not self._engine.stream:
                self._running = None
                _end(process)

    def close(self) -> None:
        """Ends the program."""
        if self._running is not None:
            _end(self._running)
            self._running = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._said = b""
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")},
                start_new_session=True,  # a group of its own: a script's children end with it
            )
        except (OSError, ValueError) as error:
            raise TranslatorError(f"{self._words[0]!r} cannot be started: {error}") from error
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        if self._engine.stream:
            self._running = process
        return process

    def _exchange(self, process: subprocess.Popen[bytes], data: bytes, wanted: int, deadline: float) -> list[bytes]:
        """Writes all, reads all: to `wanted` lines of a program that streams, else to the end of its output."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        got = bytearray()
        lines, waiting, most = 0, memoryview(data), _SLACK_BYTES + _GROWTH * len(data)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            ended = False
            while not ended and not (self._engine.stream and lines >= wanted and not waiting):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise EngineError("engine_hung", self._with_stderr(f"{lines} of {wanted} lines in the time it has"))
                for key, _ in selector.select(min(left, _POLL_SECONDS)):
                    if key.fileobj is process.stdin:
                        waiting = self._write(selector, process.stdin, waiting)
                        continue
                    piece = _read(key.fileobj)
                    if piece is None:
                        continue
                    if key.fileobj is process.stderr:
                        self._said = (self._said + piece)[-_STDERR_BYTES:]
                    else:
                        got += piece
                        lines += piece.count(b"\n")
                        ended = not piece
                    if not piece:
                        selector.unregister(key.fileobj)
                if len(got) > most:
                    raise EngineError("too_much", f"{len(data):,} bytes went in, more than {most:,} came out")
        if ended:
            self._check_end(process, deadline)
        found = bytes(got).split(b"\n")
        return found[:-1] if not found[-1] else found

    def _write(self, selector: Any, pipe: IO[bytes], waiting: memoryview) -> memoryview:
        """Writes what the pipe takes; at the end, and where the program reads no more, it is left alone."""
        try:
            waiting = waiting[os.write(pipe.fileno(), waiting[:_PIECE]) :] if waiting else waiting
        except BlockingIOError:
            return waiting
        except OSError:  # it has ended: what it wrote, and its code, tell
            selector.unregister(pipe)
            return memoryview(b"")
        if not waiting:
            selector.unregister(pipe)
            if not self._engine.stream:
                pipe.close()
        return waiting

    def _check_end(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        """A program that has closed its output must end, and well; one that streams must not end at all."""
        try:
            code = process.wait(timeout=max(1.0, min(10.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired as error:
            raise EngineError("engine_hung", self._with_stderr("it closed its output and did not end")) from error
        with contextlib.suppress(OSError):
            while piece := _read(process.stderr):
                self._said = (self._said + piece)[-_STDERR_BYTES:]
        if code or self._engine.stream:
            what = f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"
            raise EngineError("engine_crashed", self._with_stderr(what))

    def _checked(self, lines: list[bytes], sentences: int) -> list[str]:
        """The translations, once count and fences say that each stands where its sentence stood."""
        step = 1 + len(self._fence)
        if len(lines) != sentences * step:
            raise EngineError(
                "line_count", self._with_stderr(f"{sentences * step} lines went in, {len(lines)} came out")
            )
        for number, line in enumerate(self._fence, 1):
            for at in range(number, len(lines), step):
                if lines[at].strip() != line.strip():
                    shown = lines[at][:80].decode("utf-8", "replace")
                    raise EngineError("line_shift", f"line {at + 1}, a fence, came back as {shown!r}")
        try:
            return [lines[at].decode("utf-8").strip() for at in range(0, len(lines), step)]
        except UnicodeDecodeError as error:
            raise EngineError("not_text", f"its output is not UTF-8: {error.reason}") from error

    def _with_stderr(self, words: str) -> str:
        said = " ".join(self._said.decode("utf-8", "replace").split())
        # The whole command: one program serves many pairs of languages.
        command = shlex.join(self._words)[:_SHOWN_CHARS]
        return f"{command}: {words}" + (f"; it said: {said}" if said else "")


def _line(sentence: str) -> bytes:
    """One line, whatever ends lines or output made a space."""
    return " ".join("".join(" " if c < " " or c in "\x7f\x85\u2028\u2029" else c for c in sentence).split()).encode(
        "utf-8", "replace"
    )


def _read(pipe: Any) -> bytes | None:
    try:
        return os.read(pipe.fileno(), _PIECE)
    except BlockingIOError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
