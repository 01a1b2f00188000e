"""Benchmarks are the files ``benchmarks/NAME.py`` of a checkout with ``run(quick) -> Results``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from kledit_lite.errors import KleditError, unknown
from kledit_lite.results import Results


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

    Example:
        >>> run(find_root(), "align", quick=True).met  # doctest: +SKIP
        True
    """
    valid = names(root)
    if name not in valid:
        raise unknown("benchmark", name, valid)
    path = root / "benchmarks" / f"{name}.py"
    module_name = f"kledit_benchmark_{name}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # for dataclasses and for pickling to worker processes
    try:
        spec.loader.exec_module(module)
        function = getattr(module, "run", None)
        if not callable(function):
            raise KleditError(f"{path} has no function run(quick); add one that returns Results.")
        results = function(quick=quick)
    finally:
        sys.modules.pop(module_name, None)
    if not isinstance(results, Results):
        raise KleditError(
            f"{path}: run() returned {type(results).__name__}; expected a Results."
        )
    return results
