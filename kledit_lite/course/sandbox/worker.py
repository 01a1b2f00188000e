"""The process in which a student's cells run: it takes orders by one pipe and answers by another.

An order is a pickled tuple, written by the session alone: ``("run", number, source)``,
``("find", name)`` or ``("call", name, place, arguments)``. An answer is what `values.pack` makes of
``{"ok": value}`` or ``{"raised": [type, words]}``.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import types
from pathlib import Path
from typing import Any

from kledit_lite.course.sandbox import fence
from kledit_lite.course.sandbox.values import pack


class _Notebook:
    """What ``get_ipython()`` gives in a cell: magics and shell commands do nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


def _read(file: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(file, size - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def receive(file: int) -> Any:
    """The next order; ends the process where there is none."""
    (size,) = struct.unpack("<Q", _read(file, 8))
    return pickle.loads(_read(file, size))


def send(file: int, answer: Any) -> None:
    """Write an answer."""
    data = pack(answer)
    data = struct.pack("<Q", len(data)) + data
    while data:
        data = data[os.write(file, data) :]


def obey(order: Any, names: dict[str, Any]) -> Any:
    """Do what an order says to the student's names; what that gives."""
    kind, *rest = order
    if kind == "run":
        number, source = rest
        exec(compile(source, f"<cell {number}>", "exec"), names)
        return None
    found = names[rest[0]]
    if kind == "find":
        return found
    _, place, arguments = rest
    function = found if place is None else found[place]
    return function(*arguments)


def main(incoming: int, outgoing: int) -> None:
    """Fence this process in, then obey until there are no more orders."""
    setup = receive(incoming)
    isolated = fence.isolate(setup["hidden"])
    home, library = os.getcwd(), setup["library"]
    fence.limit(setup["memory_mb"], library is not None)
    fence.stand_in("kledit_lite" if library is None else "kledit_lite.course")
    sys.modules["__main__"] = types.ModuleType("__main__")
    names = vars(sys.modules["__main__"])
    names["get_ipython"] = _Notebook
    sys.path[:] = [p for p in sys.path if library or Path(p or ".").resolve() != setup["root"]]
    fence.guard(home, setup["hidden"], library)
    send(outgoing, {"ok": isolated})
    while True:
        order = receive(incoming)
        try:
            send(outgoing, {"ok": obey(order, names)})
        except BaseException as error:  # sys.exit in a cell ends the cell, not the process
            try:
                said = str(error)[:500]
            except BaseException:
                said = ""
            send(outgoing, {"raised": [type(error).__name__, said]})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
