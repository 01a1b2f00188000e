"""Docstrings as the API pages show them: every parameter once, no entry that is none."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kledit_lite

napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="Sphinx comes with the extra `book`")
pycode = pytest.importorskip("sphinx.pycode")

LIBRARY = Path(kledit_lite.__file__).parent
SHORT = 2  # a sentence can say what so few parameters are; more have a section
# As `_config.yml` sets it up.
CONFIG = napoleon.Config(
    napoleon_numpy_docstring=False, napoleon_use_ivar=True, napoleon_use_rtype=False
)
# What napoleon may set as a type: a shape, a word, or both, such as "(N,) bool".
TYPE = re.compile(r"(\([^()]*\) ?)?[\w.\[\]]*")


class Sections(napoleon.GoogleDocstring):
    """The entries of each section, (name, type) as napoleon reads them."""

    def __init__(self, obj: Any, what: str, text: str | None = None) -> None:
        self.found: dict[str, list[tuple[str, str]]] = {}
        self._section = ""
        text = inspect.getdoc(obj) or "" if text is None else text
        super().__init__(text, CONFIG, what=what, name="it", obj=obj)

    def _consume_section_header(self) -> str:
        self._section = super()._consume_section_header().lower()
        return self._section

    def _consume_fields(self, *args: Any, **kwargs: Any) -> Any:
        fields = super()._consume_fields(*args, **kwargs)
        self.found.setdefault(self._section, []).extend((n, t) for n, t, _ in fields)
        return fields

    def _consume_returns_section(self, *args: Any, **kwargs: Any) -> Any:
        fields = super()._consume_returns_section(*args, **kwargs)
        self.found.setdefault(self._section, []).extend((n, t) for n, t, _ in fields)
        return fields

    def names(self, section: str) -> list[str]:
        return [n.replace("\\", "").lstrip("*") for n, _ in self.found.get(section, [])]


def faults(obj: Any, what: str) -> Iterator[str]:
    """What is wrong with the docstring of a function, method, class or property."""
    sections = Sections(obj, what)
    if what == "property":
        yield from mistaken("".join(re.findall(r":type: (.*)", str(sections))))
        return
    for section in ("returns", "yields"):
        for _, kind in sections.found.get(section, []):
            yield from mistaken(kind)
    entries, given = sections.names("args"), parameters(obj, what)
    if what == "class":
        attributes = sections.names("attributes")
        yield from (
            f"{n!r} is no name of one attribute" for n in attributes if not n.isidentifier()
        )
        if "__init__" in vars(obj):
            entries += Sections(obj.__init__, "method").names("args")
    else:
        attributes = []
    yield from (f"{n} is no parameter" for n in entries if n not in given)
    if entries or attributes or len(given) > SHORT:
        named = Counter(entries + attributes)
        yield from (f"{n} stands {k} times" for n, k in named.items() if k > 1)
        yield from (f"{n} is missing" for n in given if n not in named)


def mistaken(kind: str) -> Iterator[str]:
    if not TYPE.fullmatch(kind):
        yield f"{kind!r} is taken for a type: write no colon there"


def parameters(obj: Any, what: str) -> list[str]:
    if what == "class":
        if dataclasses.is_dataclass(obj):
            above = {
                n for base in obj.__mro__[1:] for n in Sections(base, "class").names("attributes")
            }
            own = set(vars(obj).get("__annotations__", ())) - above
            names = [f.name for f in dataclasses.fields(obj) if f.init and f.name in own]
        elif "__init__" in vars(obj):
            names = list(inspect.signature(obj.__init__).parameters)
        else:
            names = []
    else:
        names = list(inspect.signature(obj).parameters)
    return [n for n in names if n not in {"self", "cls"} and not n.startswith("_")]


def modules() -> Iterator[str]:
    """Dotted names of the modules that the API pages show."""
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
        hidden = any(p.startswith("_") and p != "__init__" for p in parts)
        exercises = parts[1] == "course" and (parts[-1].startswith("chapter") or len(parts) > 3)
        if not hidden and not exercises:
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def documented(module: Any) -> Iterator[tuple[str, Any, str]]:
    """(name, object, what) of all that is public and defined in a module."""
    for name, obj in vars(module).items():
        if name.startswith("_") or getattr(obj, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(obj):
            yield name, obj, "function"
        if not inspect.isclass(obj):
            continue
        yield name, obj, "class"
        for member, value in vars(obj).items():
            value = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            if member.startswith("_") or not inspect.getdoc(value):
                continue
            if isinstance(value, property):
                yield f"{name}.{member}", value, "property"
            elif inspect.isfunction(value) and value.__code__.co_filename == module.__file__:
                yield f"{name}.{member}", value, "method"


def of_data(module: Any) -> Iterator[tuple[str, str]]:
    """Faults of the docstrings and comments that describe constants and attributes."""
    source = pycode.ModuleAnalyzer.for_module(module.__name__)
    source.analyze()
    for (scope, name), lines in source.attr_docs.items():
        text = str(Sections(None, "data", "\n".join(lines)))
        for fault in mistaken("".join(re.findall(r":type: (.*)", text))):
            yield f"{scope}.{name}".lstrip("."), fault


@pytest.mark.parametrize("name", list(modules()))
def test_every_parameter_stands_once_on_the_api_page(name):
    module = importlib.import_module(name)
    found = [(n, fault) for n, obj, what in documented(module) for fault in faults(obj, what)]
    found += of_data(module)
    said = [f"{n}: {fault}" for n, fault in found]
    assert said == [], "\n".join([name, *said])


def planted(a: int, b: int, c: int) -> int:
    """Three numbers.

    Args:
        a: first. b: second.
        a: again.
        d: no such parameter.

    Returns:
        The sum of three: of a, b and c.
    """
    return a + b + c


@dataclasses.dataclass
class Planted:
    """Two numbers in one entry.

    Attributes:
        low, high: the ends.
    """

    low: int
    high: int

    @property
    def middle(self) -> float:
        """Half way: the mean of both."""
        return (self.low + self.high) / 2


def bare(a: int, b: int, c: int) -> int:
    """No section at all."""
    return a + b + c


def test_planted_faults_are_found():
    assert set(faults(planted, "function")) == {
        "d is no parameter",
        "a stands 2 times",
        "b is missing",
        "c is missing",
        "'The sum of three' is taken for a type: write no colon there",
    }
    assert set(faults(Planted, "class")) == {
        "'low, high' is no name of one attribute",
        "low is missing",
        "high is missing",
    }
    assert list(faults(Planted.middle, "property")) == [
        "'Half way' is taken for a type: write no colon there"
    ]
    assert set(faults(bare, "function")) == {f"{n} is missing" for n in "abc"}
