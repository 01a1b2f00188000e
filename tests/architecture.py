"""The library read as a graph: what each module imports and defines, and what uses it.

Everything is read from the syntax of the files; nothing is imported or run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, order=True)
class Edge:
    """`source` imports `target`, both full names of modules.

    Attributes:
        lazy: inside a function or for the type checker alone, so not at import time.
        implied: `target` is a package that runs because a module in it is imported.
    """

    source: str
    target: str
    lazy: bool = False
    implied: bool = False


class Package:
    """The modules of a package, by full name, as trees.

    Args:
        folder: the package's own; its name is the package's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.files = {self._full(p): p for p in sorted(folder.rglob("*.py"))}
        self.trees = {n: ast.parse(p.read_text(encoding="utf-8")) for n, p in self.files.items()}

    def _full(self, path: Path) -> str:
        parts = path.relative_to(self.folder.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def is_package(self, module: str) -> bool:
        """Whether a module is the ``__init__`` of a folder."""
        return self.files[module].name == "__init__.py"

    @cached_property
    def defined(self) -> dict[str, dict[str, ast.stmt]]:
        """Of each module: the names that it binds itself, and the statement that does."""
        return {module: dict(_bound(tree.body)) for module, tree in self.trees.items()}

    @cached_property
    def _exported(self) -> dict[str, set[str]]:
        """Of each module: the names that it binds, by importing names of other modules as well."""
        found = {module: set(names) for module, names in self.defined.items()}
        for module, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    source = self._absolute(node, module)

                    found[module] |= {a.asname or a.name for a in node.names if source != module}
        return found

    @cached_property
    def aliases(self) -> dict[str, dict[str, tuple[str, str | None]]]:
        """Of each module: the names that imports bind outside its definitions; see `imported`."""
        found = {}
        for module, tree in self.trees.items():
            top = [node for node in tree.body if not isinstance(node, Definition)]
            found[module] = self.imported(ast.Module(top, []), module)
        return found

    def imported(self, tree: ast.AST, module: str = "") -> dict[str, tuple[str, str | None]]:
        """Local name -> (module, name in it or None for the module itself), of this package."""
        found: dict[str, tuple[str, str | None]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                source = self._absolute(node, module)
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    if inner in self.files and alias.name not in self._exported[source]:
                        found[alias.asname or alias.name] = inner, None
                    elif source in self.files:
                        found[alias.asname or alias.name] = source, alias.name
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in self.files:
                        whole = alias.name if alias.asname else alias.name.split(".")[0]
                        found[alias.asname or whole] = whole, None
        return found

    def _absolute(self, node: ast.ImportFrom, module: str) -> str:
        if not node.level:
            return node.module or ""
        here = module.split(".") if self.is_package(module) else module.split(".")[:-1]
        base = here[: len(here) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])

    def origin(self, module: str, name: str) -> tuple[str, str | None]:
        """Where a module's `name` is defined, through any number of re-exports."""
        seen = set()
        while name not in self.defined[module] and (module, name) not in seen:
            seen.add((module, name))
            if name not in self.aliases[module] and f"{module}.{name}" in self.files:
                return f"{module}.{name}", None
            module_, name_ = self.aliases[module].get(name, (module, name))
            if name_ is None:
                return module_, None
            module, name = module_, name_
        return module, name

    @cached_property
    def edges(self) -> set[Edge]:
        """Every import of a module of this package by another.

        A name that comes through a package's ``__init__`` counts as an import of the module that
        defines it.
        """
        found = set()
        for module, tree in self.trees.items():
            for node, lazy in _imports(tree):
                for target in self._targets(node, module) - {module}:
                    found.add(Edge(module, target, lazy))
                    found |= {Edge(module, p, lazy, True) for p in self._entered(module, target)}
        return found

    def _targets(self, node: ast.Import | ast.ImportFrom, module: str) -> set[str]:
        if isinstance(node, ast.Import):
            return {alias.name for alias in node.names if alias.name in self.files}
        places = self.imported(node, module).values()
        return {self.origin(place, name)[0] if name else place for place, name in places}

    def _entered(self, source: str, target: str) -> Iterator[str]:
        """The packages around `target` that do not hold `source` as well."""
        parts = target.split(".")
        for n in range(1, len(parts)):
            parent = ".".join(parts[:n])
            if parent in self.files and not f"{source}.".startswith(f"{parent}."):
                yield parent

    def part(self, module: str) -> str:
        """The folder or module directly under the package that a module belongs to."""
        return (module.split(".") + [""])[1]

    def circles(
        self, lazy: bool = False, but: Callable[[Edge], bool] = lambda edge: False
    ) -> list[list[str]]:
        """Groups of modules that import one another, at import time or (`lazy`) at all.

        Args:
            lazy: count lazy imports too.
            but: edges that do not count.
        """
        graph: dict[str, set[str]] = {module: set() for module in self.files}
        for edge in self.edges:
            counts = not edge.implied if lazy else not edge.lazy
            if counts and not but(edge):
                graph[edge.source].add(edge.target)
        return [sorted(group) for group in components(graph) if len(group) > 1]

    def crossings(self) -> set[tuple[str, str]]:
        """(module, part of another name that it imports), lazily or not."""
        return {
            (e.source, self.part(e.target))
            for e in self.edges
            if not e.implied and self.part(e.source) != self.part(e.target)
        }

    def calls(self, *wanted: str) -> set[str]:
        """The modules whose code mentions a dotted name, such as ``os.replace``."""
        return {
            module
            for module, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in wanted
        }

    def unused(self, users: Iterable[ast.Module] = (), named: Iterable[str] = ()) -> set[str]:
        """Public functions and classes that nothing reaches: ``module.name``.

        What modules run at import time is reached, and so are the `users` and whatever is `named`;
        imports, re-exports and ``__all__`` alone reach nothing.

        Args:
            users: further code that uses the package.
            named: full names that something outside Python code uses.
        """
        reached: set[tuple[str, str | None]] = set()
        todo = [self.origin(*n.rsplit(".", 1)) for n in named if n.rsplit(".", 1)[0] in self.files]
        for tree in users:
            todo += self._mentions(tree)
        for module, tree in self.trees.items():
            for node in tree.body:
                if not isinstance(node, Definition) or _runs(node):
                    todo += self._mentions(node, module)
        while todo:
            place = todo.pop()
            if place in reached:
                continue
            reached.add(place)
            module, name = place
            node = self.defined[module].get(name) if name else None
            if isinstance(node, Definition):
                todo += self._mentions(node, module)
        return {
            f"{module}.{name}"
            for module, bound in self.defined.items()
            for name, node in bound.items()
            if isinstance(node, Definition)
            and not name.startswith("_")
            and not _runs(node)
            and (module, name) not in reached
        }

    def _mentions(self, node: ast.AST, module: str = "") -> Iterator[tuple[str, str | None]]:
        """What of this package a piece of code names, each where it is defined."""
        aliases = {**self.aliases.get(module, {}), **self.imported(node, module)}
        if isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node):
            return
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                if inner.id in aliases:
                    source, name = aliases[inner.id]
                    yield self.origin(source, name) if name else (source, None)
                elif module and inner.id in self.defined[module]:
                    yield module, inner.id
            elif isinstance(inner, ast.Attribute):
                yield from self._attribute(inner, aliases)

    def _attribute(
        self, node: ast.Attribute, aliases: Mapping[str, tuple[str, str | None]]
    ) -> Iterator[tuple[str, str | None]]:
        first, *rest = ast.unparse(node).split(".")
        if first not in aliases:
            return
        source, name = aliases[first]
        place = self.origin(source, name) if name else (source, None)
        for part in rest:
            if place[1] is not None:
                break
            place = self.origin(place[0], part)
        yield place


def components(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of a graph (Tarjan), in no order that matters."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in number:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], number[target])
        if low[node] == number[node]:
            cut = stack.index(node)
            found.append(set(stack[cut:]))
            del stack[cut:]

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def chapter_code(text: str) -> ast.Module:
    """A chapter's code as one tree: its cells, and blocks to run elsewhere; magics are left out."""
    cells = re.findall(
        r"^```(?:\{code-cell\}[^\n]*|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    lines = []
    for cell in cells:
        body = re.sub(r"\A(?:---\n.*?\n---\n|(?::[^\n]*\n)*)", "", cell, flags=re.DOTALL)
        lines += [line for line in body.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return ast.parse("\n".join(lines))


def _bound(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Names that statements bind other than by importing, also under ``if`` and ``try``."""
    for node in body:
        if isinstance(node, Definition):
            yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for inner in ast.walk(target):
                    if isinstance(inner, ast.Name):
                        yield inner.id, node
        elif isinstance(node, ast.If | ast.Try):
            yield from _bound([*node.body, *node.orelse])


def _imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import, and whether it is lazy."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child, lazy
                continue
            typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, lazy or typing or function)

    yield from walk(tree, False)


def _runs(node: Definition) -> bool:
    """Whether a definition is used where it stands: registered by a decorator, or a hook."""
    plain = {
        "dataclass",
        "contextmanager",
        "cache",
        "lru_cache",
        "runtime_checkable",
        "overload",
        "njit",
        "jit",
        "total_ordering",
        "wraps",
        "no_grad",
        "inference_mode",
    }
    names = {ast.unparse(d).split("(")[0].split(".")[-1] for d in node.decorator_list}
    dunder = node.name.startswith("__") and node.name.endswith("__")
    return dunder or bool(names - plain)
