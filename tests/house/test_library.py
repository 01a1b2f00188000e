"""The library as a whole: light to import, typed and documented."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from kledit_lite.world import BRAND, OBJECTS, PLACES, SHIFT_PLACES

LIBRARY = Path(__file__).resolve().parents[2] / "kledit_lite"
HEAVY = {"torch", "torchvision", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "PIL",
         "open_clip", "timm", "transformers", "diffusers", "nbclient", "ipywidgets",
         "jaxtyping", "beartype"}  # fmt: skip
# One function a thing to draw, named for it: the name says all.
DRAWINGS = {n.replace(" ", "_") for n in (*OBJECTS, *PLACES, *SHIFT_PLACES, BRAND.lower())}


def modules() -> list[Path]:
    """Every module of the library."""
    return sorted(p for p in LIBRARY.rglob("*.py") if "__pycache__" not in p.parts)


def name(path: Path) -> str:
    """A short name for a test's id."""
    return path.relative_to(LIBRARY).as_posix()


def test_importing_the_package_loads_nothing_heavy():
    command = [sys.executable, "-X", "importtime", "-c", "import kledit_lite"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "kledit_lite" in loaded
    assert loaded & HEAVY == set()


def test_the_command_line_starts_light():
    code = "import sys; from kledit_lite.cli import parser; parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {m.split(".")[0] for m in loaded} & HEAVY == set()
    assert {"kledit_lite.trace", "kledit_lite.edit"} & loaded == set()
    assert "argparse" in loaded and "(options)" in loaded  # of command.py, without its package


@pytest.mark.parametrize("path", modules(), ids=name)
def test_public_functions_say_what_they_do_and_take(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.stat().st_size:
        assert ast.get_docstring(tree), f"{name(path)} has no docstring"
    for scope, node in public(tree):
        if node.name in DRAWINGS and path.parent.name == "world":
            continue
        where = f"{name(path)}:{node.lineno} {scope}{node.name}"
        assert ast.get_docstring(node), f"{where} has no docstring"
        if isinstance(node, ast.ClassDef):
            continue
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        if given.vararg:
            every.append(given.vararg)
        if given.kwarg:
            every.append(given.kwarg)
        bare = [a.arg for a in every if a.annotation is None and a.arg not in {"self", "cls"}]
        assert bare == [], f"{where}: no type for {', '.join(bare)}"
        assert node.returns is not None, f"{where}: no return type"


Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(tree: ast.Module | ast.ClassDef, scope: str = "") -> Iterator[tuple[str, Node]]:
    """Public functions and classes at the top of a module, and public methods of those classes.

    Left out: overloads and setters, which are documented where they are defined first, and
    methods of a subclass of a torch module that torch defines (``forward``).
    """
    for node in tree.body:
        if not isinstance(node, Node) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(d).split(".")[-1].split("(")[0] for d in node.decorator_list}
        if decorators & {"overload", "setter", "exercise"} or (scope and node.name == "forward"):
            continue
        yield scope, node
        if isinstance(node, ast.ClassDef):
            yield from public(node, f"{scope}{node.name}.")


def hooks_of_its_own(path: Path) -> list[int]:
    """Lines that register a hook on a forward pass themselves."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [i for i, line in enumerate(lines, 1) if "register_forward" in line]


def test_hooks_are_registered_in_one_module(tmp_path):
    found = {name(p) for p in modules() if hooks_of_its_own(p)}
    assert found == {"inside/hooks.py"}
    planted = tmp_path / "planted.py"
    planted.write_text("import torch\nmodule.register_forward_pre_hook(look)\n")
    assert hooks_of_its_own(planted) == [2]


def test_everything_exported_exists():
    for path in LIBRARY.glob("*/__init__.py"):
        module = importlib.import_module(f"kledit_lite.{path.parent.name}")
        for exported in getattr(module, "__all__", ()):
            assert hasattr(module, exported), f"{module.__name__} lacks {exported}"


def test_package_metadata(root):
    import kledit_lite

    found = metadata.metadata("kledit-lite")
    assert found["Version"] == kledit_lite.__version__
    assert {"book", "test", "laptop"} <= set(found.get_all("Provides-Extra"))
    commands = {e.name: e.value for e in metadata.entry_points(group="console_scripts")}
    assert commands["kledit"] == "kledit_lite.cli:main"
    assert (LIBRARY / "py.typed").is_file()
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == kledit_lite.__version__


def test_everything_imported_is_a_declared_requirement(root):
    providers = metadata.packages_distributions()
    project = (root / "pyproject.toml").read_text()
    declared = re.findall(r'^\s+"([\w-]+)[^"]*[=<>~][^"]*",?$', project, flags=re.MULTILINE)
    declared_names = {d.lower().replace("_", "-") for d in declared} | {"kledit-lite"}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for top in {n.split(".")[0] for n in names} - set(sys.stdlib_module_names):
                given_by = {d.lower().replace("_", "-") for d in providers.get(top, [])}
                assert not given_by or given_by & declared_names, f"{name(path)} imports {top}"
