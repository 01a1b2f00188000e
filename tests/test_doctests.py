"""Every example in a docstring of the library runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import kledit_lite

LIBRARY = Path(kledit_lite.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    """Dotted names of the modules with at least one example."""
    for path in sorted(LIBRARY.rglob("*.py")):
        if ">>>" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def idle(test):
    """Examples that execute nothing: skipped, or a mere comment (which doctest drops)."""
    skipped = [e.source for e in test.examples if e.options.get(doctest.SKIP, False)]
    return skipped + re.findall(r"^\s*>>> *#.*", test.docstring, re.M)


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where an example writes its files
    monkeypatch.setenv("KLEDIT_RESULTS_DIR", str(tmp_path))
    found = doctest.DocTestFinder().find(importlib.import_module(name))
    left = {test.name: idle(test) for test in found if idle(test)}
    assert not left, "examples that execute nothing; let them run or remove them"
    said = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in found:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
