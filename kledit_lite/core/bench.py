"""Benchmarks are the files ``benchmarks/NAME.py`` of a checkout with ``run(quick) -> Results``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kledit_lite.core.commands import load_file
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.machine import python_path
from kledit_lite.core.results import Results

RUN = """
import runpy, sys
sys.path[:] = [p for p in sys.path if p]
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script without its folder on the path, since a benchmark may be called as Python's own."""


def names(root: Path) -> list[str]:
    """The benchmarks of a checkout; files whose name begins with ``_`` are not benchmarks."""
    files = sorted((root / "benchmarks").glob("*.py"))
    return [file.stem for file in files if not file.stem.startswith("_")]


def run(root: Path, name: str, quick: bool = False) -> Results:
    """Run one benchmark.

    Args:
        root: the checkout.
        name: of the benchmark.
        quick: measure less, where the benchmark would take over a minute.

    Raises:
        UnknownNameError: no such benchmark; the message lists the valid names.
        KleditError: the file has no ``run``, or it returns something else than `Results`.

    Example::

        run(find_root(), "align", quick=True).met
    """
    valid = names(root)
    if name not in valid:
        raise unknown("benchmark", name, valid)
    path = root / "benchmarks" / f"{name}.py"
    module_name = f"kledit_benchmark_{name}"
    try:
        function = getattr(load_file(path, module_name), "run", None)
        if not callable(function):
            raise KleditError(f"{path} has no function run(quick); add one that returns Results.")
        results = function(quick=quick)
    finally:
        sys.modules.pop(module_name, None)
    if not isinstance(results, Results):
        raise KleditError(f"{path}: run() returned {type(results).__name__}; expected a Results.")
    return results


def timed(call: Callable[[], Any]) -> float:
    """Wall-clock seconds of a call.

    Args:
        call: what is timed, once.

    Example:
        >>> timed(lambda: None) >= 0
        True
    """
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_fresh_process(script: str, job: Sequence[object], threads: int) -> dict[str, Any]:
    """Run ``python script JOB`` with `threads` threads; what it prints last, as data.

    Args:
        script: a benchmark's file, which does the job when it is run by itself.
        job: plain data, passed as one JSON argument.
        threads: of the numerical libraries.

    Raises:
        KleditError: the process failed; its message is on stderr.
    """
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, **dict.fromkeys(counts, str(threads)), "PYTHONPATH": python_path(root)}
    command = [sys.executable, "-c", RUN, script, json.dumps(list(job))]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise KleditError(
            f"The benchmark's {job[0]} run ended with status {done.returncode}; its message is "
            "above (status -9 means that memory ran out)."
        )
    return json.loads(done.stdout.splitlines()[-1])
