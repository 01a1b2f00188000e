"""Every example in a docstring of the library runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import re
import types
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


def faults(module):
    """What is wrong with the examples of a module: one text per example, "" where nothing is."""
    found = doctest.DocTestFinder().find(module)
    left = {test.name: idle(test) for test in found if idle(test)}
    said = [f"{name}: examples that execute nothing: {each}" for name, each in left.items()]
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in found:
        runner.run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where an example writes its files
    monkeypatch.setenv("KLEDIT_RESULTS_DIR", str(tmp_path))
    said = faults(importlib.import_module(name))
    assert not said, said


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (">>> 1 + 1\n3", "Expected"),
        (">>> 1 + 1  # doctest: +SKIP\n2", "execute nothing"),
        (">>> # only words", "execute nothing"),
        (">>> 1 + 1\n2", ""),
    ],
)
def test_a_planted_fault_is_seen(example, says):
    module = types.ModuleType("planted", f"Planted.\n\n{example}\n")
    assert says in faults(module) and bool(says) == bool(faults(module))
