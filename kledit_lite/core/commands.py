"""Commands from dataclasses: an option's name, type, default and words stand there, and only there.

A ``command.py`` has a frozen dataclass for each command, a function that takes one, and both in
``COMMANDS``::

    @dataclass(frozen=True, kw_only=True)
    class Count:
        '''Which words to count.

        Attributes:
            source: a text
            most: lines to read
        '''

        source: Annotated[Path, BARE, "FILE"]
        most: Positive = 100


    def run(options: Count) -> Results: ...


    COMMANDS = (Command("count", "count the words of a text", Count, run),)

gives ``kledit count [--most N] [--json] FILE``. A field is an ``int``, ``float``, ``str``, ``Path``
or ``Literal`` (choices), a ``tuple[X, ...]`` of one of them (one value or more), one of these or
None, or a ``bool`` (a switch). ``Annotated`` adds `BARE` (no dashes), a name for the value, or a
function that reads it.

At its top a ``command.py`` imports nothing heavy: `glimpse` reads it without its package.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import ModuleType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from kledit_lite.core.results import Results


def whole(text: str) -> int:
    """A whole number from the command line."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def positive(text: str) -> int:
    """A whole number of at least 1, from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def number(text: str) -> float:
    """A number from the command line."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


BARE = object()
"""In ``Annotated``, the value stands by itself, without ``--name`` before it."""
Positive = Annotated[int, positive]
File = Annotated[Path, "FILE"]
Folder = Annotated[Path, "DIR"]
Name = Annotated[str, "NAME"]


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Nothing to choose but ``--json``."""


READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    int: (whole, "N"),
    float: (number, "X"),
    str: (str, "TEXT"),
    Path: (Path, "PATH"),
}


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: such as ``trace``, or ``zoo list``.
        words: what it does, as in the list of commands.
        options: frozen dataclass of its options.
        run: takes one of `options`; raises `KleditError` on bad input.
        show: prints its results for people, without ``--json``.
    """

    name: str
    words: str
    options: type
    run: Callable[[Any], Results]
    show: Callable[[Results], None] = Results.print


class Parser(argparse.ArgumentParser):
    """A parser that answers bad grammar with one sentence and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Leave with the sentence."""
        self.exit(2, f"kledit: {message[:1].upper()}{message[1:]}; see `{self.prog} --help`.\n")


def words(options: type) -> dict[str, str]:
    """Field -> its words, from "Attributes:" of the dataclass and of those that it extends.

    Example:
        >>> sorted(words(Command))
        ['name', 'options', 'run', 'show', 'words']
    """
    found: dict[str, str] = {}
    for each in reversed(options.__mro__):
        text = inspect.cleandoc(each.__doc__ or "")
        listed = re.search(r"^Attributes:\n((?: {4}.*\n?)*)", text, re.MULTILINE)
        entries = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", listed[1] if listed else "", re.M)
        found |= {name: re.sub(r"(?<!\.)\.$", "", " ".join(said.split())) for name, said in entries}
    return found


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """An argument for each field of a dataclass, and ``--json``.

    Raises:
        TypeError: a field without words.
    """
    hints, said = get_type_hints(options, include_extras=True), words(options)
    for field in fields(options):
        if not said.get(field.name):
            raise TypeError(f'{options.__name__}.{field.name} has no words under "Attributes:".')
        _add(parser, field.name, hints[field.name], field.default, said[field.name])
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add(
    parser: argparse.ArgumentParser, name: str, hint: object, default: object, said: str
) -> None:
    kind, extras, many = _parts(hint)
    how: dict[str, Any] = {"default": argparse.SUPPRESS}
    how["help"] = said.replace("%", "%%") + _default(default)
    if kind is bool:
        how["action"] = "store_true"
    elif get_origin(kind) is Literal:
        how["choices"] = get_args(kind)
    else:
        read, value = READERS[kind]
        how["type"] = next((e for e in extras if callable(e)), read)
        how["metavar"] = next((e for e in extras if isinstance(e, str)), value)
    if many:
        how |= {"nargs": "+", "action": "extend"}
    if BARE in extras:
        if default is not MISSING:
            how["nargs"] = "*" if many else "?"
        parser.add_argument(name, **how)
        return
    said_name = name.rstrip("_").replace("_", "-")  # `for_` is --for, a word that Python keeps
    flags = [f"-{name}"] * (len(name) == 1) + [f"--{said_name}"]
    parser.add_argument(*flags, dest=name, required=default is MISSING, **how)


def _parts(hint: Any) -> tuple[Any, list[Any], bool]:
    """The type of a value, what ``Annotated`` adds to it, and whether there may be several."""
    extras: list[Any] = []
    many = False
    while (origin := get_origin(hint)) not in (None, Literal):
        inside = get_args(hint)
        if origin is Annotated:
            extras += inside[1:]
        many |= origin is tuple
        if origin in (Union, UnionType):
            inside = tuple(a for a in inside if a is not type(None))
        hint = inside[0]
    return hint, extras, many


def _default(value: object) -> str:
    """``(default: 20)``; nothing for None, an empty value or a switch, which say it in words."""
    if value is MISSING or value is None or value is False or value in ("", ()):
        return ""
    several = value if isinstance(value, tuple) else (value,)
    return f" (default: {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in several)})"


def glimpse(path: Path, name: str) -> ModuleType:
    """A module alone, without its package, whose ``__init__`` may load torch.

    Args:
        path: of the module, which imports nothing heavy.
        name: of the module. If it is loaded already, that one is returned; otherwise a copy of it,
            good for reading options from, and another import of `name` is not affected.
    """
    other = f"{name} (options)"
    return sys.modules.get(name) or sys.modules.get(other) or load_file(path, other)


def load_file(path: Path, name: str) -> ModuleType:
    """A file as a module, which stands in ``sys.modules``, where dataclasses and pickle look.

    Args:
        path: of the file.
        name: of the module that it becomes.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has both
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def register(top: Any, paths: Iterable[tuple[Path, str]]) -> None:
    """Add the commands of modules to a parser's subcommands.

    Args:
        top: what ``ArgumentParser.add_subparsers`` gives.
        paths: path and name of each module; ``GROUP`` in it says what "zoo" is for the commands
            "zoo list" and "zoo eval".
    """
    groups: dict[str, Any] = {}
    for path, name in paths:
        module = glimpse(path, name)
        for command in module.COMMANDS:
            *group, last = command.name.split()
            where = top
            for word in group:
                if word not in groups:
                    made = _described(top, word, module.GROUP)
                    groups[word] = made.add_subparsers(required=True, metavar="ACTION")
                where = groups[word]
            parser = _described(where, last, command.words)
            add_options(parser, command.options)
            parser.set_defaults(of_module=name, of_command=command.name)


def _described(where: Any, name: str, said: str) -> argparse.ArgumentParser:
    return where.add_parser(name, help=said, description=f"{said[0].upper()}{said[1:]}.")


def execute(chosen: argparse.Namespace) -> int:
    """Run the command that was chosen and print its results; returns the exit status.

    Raises:
        KleditError: bad input.
    """
    module = importlib.import_module(chosen.of_module)
    command = next(c for c in module.COMMANDS if c.name == chosen.of_command)
    given = {f.name: vars(chosen)[f.name] for f in fields(command.options) if f.name in chosen}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    results = command.run(command.options(**given))
    if chosen.json:
        results.print(json=True)
    else:
        command.show(results)
    return results.exit_code
