"""A student's notebook as a session: its cells run elsewhere, its functions are called from here.

    >>> with Session(["def double(x):", "def double(x):\\n    return 2 * x"]) as session:
    ...     session.find("double")(21)
    42

A cell or a call that crashes its process, or does not end, ends that process alone. The next one
starts without the cell that did it, so the rest of the notebook is marked as ever.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import kledit_lite
from kledit_lite.course.checks import Wrong
from kledit_lite.course.sandbox.values import Function, unpack

LIBRARY = Path(kledit_lite.__file__).resolve().parent
LARGEST = 64 << 20
"""Bytes of an answer that are read."""
START_SECONDS = 60.0
CELLS_TIMES = 5
"""All cells together may take this many times what one may."""
PATIENCE = 5
"""Seconds by the clock for a second of a processor; also ends what only sleeps."""


@dataclass(frozen=True)
class Limits:
    """What a student's process may take.

    Attributes:
        seconds: of a processor, for a cell, and for all calls of an exercise together; by the
            clock it may take `PATIENCE` times as long, so a busy machine changes no mark.
        memory_mb: of memory.
    """

    seconds: float = 20.0
    memory_mb: int = 2000


class Ended(Wrong):
    """The process ended, or had to be ended; the message says which."""


class Session:
    """The names that a notebook's cells define, in a process of their own.

    Args:
        cells: sources of the code cells.
        library: whether they may use `kledit_lite`; `kledit_lite.course` they never may.
        limits: what the process may take.
        hidden: folders that it may not see, such as other submissions.
    """

    def __init__(
        self,
        cells: Sequence[str],
        library: bool = False,
        limits: Limits = Limits(),  # noqa: B008
        hidden: Sequence[Path] = (),
    ) -> None:
        self.cells = list(cells)
        self.library = library
        self.limits = limits
        self.hidden = [LIBRARY / "course" if library else LIBRARY, *(p.resolve() for p in hidden)]
        self.isolated = False
        self.troubles: dict[int, str] = {}  # cell -> why its names may be missing
        self._fatal: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0  # by the clock
        self._budget = 0.0  # of the processor, since its process began
        self._home = tempfile.TemporaryDirectory(prefix="kledit-", ignore_cleanup_errors=True)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        """End the process and remove its folder."""
        self._end()
        self._home.cleanup()

    def find(self, name: str) -> Any:
        """What a name stands for; a function becomes one that is called in the process.

        Begins an exercise: its calls have the seconds of the limits together.

        Raises:
            Ended: the process did, or had to be ended.
            Wrong: no such name.
        """
        self._start()
        self._allow(self.limits.seconds)
        answer = self._ask(("find", name))
        if "raised" in answer:
            why = "".join(f"; cell {n} {said}" for n, said in sorted(self.troubles.items())[:2])
            raise Wrong(f"there is no {name} in the notebook{why}")
        return self._remote(answer["ok"], name, None)

    def _remote(self, value: Any, name: str, place: int | None) -> Any:
        """The value itself, or a function here for each that stayed in the process."""
        if isinstance(value, Function):

            def remote(*arguments: Any) -> Any:
                return self.call(name, place, arguments)

            remote.__name__ = str(value.name)
            return remote
        if place is None and isinstance(value, tuple | list):
            parts = [self._remote(v, name, i) for i, v in enumerate(value)]
            return type(value)(parts)
        return value

    def call(self, name: str, place: int | None, arguments: tuple[Any, ...]) -> Any:
        """Call a function of the notebook.

        Args:
            name: the name that holds it.
            place: its place, where the name holds several.
            arguments: copies of these arrive.

        Raises:
            Ended: the process did, or had to be ended.
            Exception: of the name and with the words of what the function raised.
        """
        if self._process is None:
            self._start()
            self._allow(self.limits.seconds)
        answer = self._ask(("call", name, place, arguments))
        if "raised" in answer:
            kind, said = answer["raised"]
            raise type(str(kind), (Exception,), {})(said)
        return answer["ok"]

    def _start(self) -> None:
        """A process with the notebook's names, unless there is one."""
        while self._process is None:
            self._launch()
            left = CELLS_TIMES * self.limits.seconds
            for number, source in enumerate(self.cells, 1):
                if number in self._fatal:
                    continue
                began = self._allow(min(left, self.limits.seconds))
                try:
                    answer = self._ask(("run", number, source))
                    left -= self._spent() - began
                except Ended as ended:
                    self._fatal.add(number)
                    self.troubles[number] = str(ended)
                    break
                if "raised" in answer:
                    kind, said = answer["raised"]
                    self.troubles[number] = f"raised {kind}: {' '.join(str(said).split())[:120]}"

    def _launch(self) -> None:
        take, self._out = os.pipe()
        self._in, give = os.pipe()
        home = self._home.name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kledit_lite.course.sandbox.worker", str(take), str(give)],
            cwd=home,
            env=_environment(home),
            pass_fds=(take, give),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(take)
        os.close(give)
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._allow(START_SECONDS)
        kept = [Path(home).resolve(), Path(sys.prefix).resolve()]
        hidden = [h for h in self.hidden if not any(k.is_relative_to(h) for k in kept)]
        setup = {
            "hidden": [str(h) for h in hidden],
            "library": str(LIBRARY) if self.library else None,
            "root": LIBRARY.parent,
            "memory_mb": self.limits.memory_mb,
        }
        self.isolated = self._ask(setup)["ok"] is True

    def _ask(self, order: Any) -> dict[str, Any]:
        """Send an order and read its answer before the deadline."""
        data = pickle.dumps(order)
        try:
            self._write(struct.pack("<Q", len(data)) + data)
            (size,) = struct.unpack("<Q", self._read(8))
            if size > LARGEST:
                raise Ended(f"returned more than {LARGEST >> 20} MB")
            answer = unpack(self._read(size))
            if not isinstance(answer, dict) or not {"ok", "raised"} & set(answer):
                raise ValueError("no answer")
        except (Ended, OSError, ValueError) as error:
            self._end()
            if isinstance(error, Ended):
                raise
            raise Ended("ended its process") from None
        return answer

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._out, selectors.EVENT_WRITE)
            view = view[os.write(self._out, view[: 1 << 16]) :]

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(self._in, selectors.EVENT_READ)
            more = os.read(self._in, min(size - len(data), 1 << 20))
            if not more:
                raise Ended("ended its process")
            data += more
        return bytes(data)

    def _wait(self, file: int, event: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(file, event)
            while not selector.select(0.2):
                if time.monotonic() > self._deadline or self._spent() > self._budget:
                    raise Ended(f"did not end within {self.limits.seconds:g} seconds")

    def _allow(self, seconds: float) -> float:
        """Give the process this long from now; returns what it has spent so far."""
        spent = self._spent()
        self._deadline = time.monotonic() + PATIENCE * seconds
        self._budget = spent + seconds
        return spent

    def _spent(self) -> float:
        """Seconds that the process and its children have had of a processor."""
        if self._process is None:
            return 0.0
        try:
            top = psutil.Process(self._process.pid)
            times = [p.cpu_times() for p in (top, *top.children(recursive=True))]
        except psutil.Error:
            return 0.0
        return sum(t.user + t.system for t in times)

    def _end(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        os.close(self._in)
        os.close(self._out)


def _environment(home: str) -> dict[str, str]:
    """Little of this process's: no keys, no proxies; one thread, no window."""
    kept = {k: os.environ[k] for k in ("PATH", "LD_LIBRARY_PATH", "LANG") if k in os.environ}
    places = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"), home)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    others = {"MPLBACKEND": "agg", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **places, **threads, **others, "PYTHONPATH": str(LIBRARY.parent)}
