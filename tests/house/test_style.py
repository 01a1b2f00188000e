"""The sources are formatted, linted and spelt as `make lint` wants them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest


def run(tool: str, *given: str, cwd: Path) -> tuple[int, str]:
    """Exit status of a tool of this environment, and what it said."""
    command = [str(Path(sys.executable).parent / tool), *given]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


CHECKS = {
    "lint": (("ruff", "check", "--no-cache"), "import os\n"),
    "format": (("ruff", "format", "--check", "--no-cache"), "x = {  'a':1 }\n"),
    "spelling": (("codespell",), "# it occur" + "ed to nobody\n"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_sources_pass(root, name):
    command, _ = CHECKS[name]
    where = ["."] if name != "spelling" else []
    status, said = run(*command, *where, cwd=root)
    assert status == 0, said[-2000:]


@pytest.mark.parametrize("name", CHECKS)
def test_a_planted_fault_is_seen(tmp_path, name):
    command, text = CHECKS[name]
    (tmp_path / "planted.py").write_text(text)
    assert run(*command, "planted.py", cwd=tmp_path)[0] != 0


def laid_out_by_hand(source: str) -> list[int]:
    """Lines that keep a layout of their own although they are no table.

    A table is a statement with eight numbers, or a literal over three lines with twelve constants.
    """
    marked = [i for i, s in enumerate(source.split("\n"), 1) if s.endswith("# fmt: skip")]
    tables = set()
    for node in ast.walk(ast.parse(source)) if marked else ():
        if isinstance(node, ast.stmt) and node.end_lineno in marked:
            inside = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            literal = isinstance(
                getattr(node, "value", None), ast.Dict | ast.Tuple | ast.List | ast.Set
            )
            if sum(type(v) in (int, float) for v in inside) >= 8 or (literal and len(inside) >= 12):
                tables.add(node.end_lineno)
    return [i for i in marked if i not in tables]


def test_only_tables_have_a_layout_of_their_own(root):
    """An exercise's mistakes, a message and a line of code each, are a table, too."""
    found = []
    for folder in ("kledit_lite", "tests", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            if "course/chapters" not in path.as_posix():
                lines = laid_out_by_hand(path.read_text(encoding="utf-8"))
                found += [f"{path.relative_to(root)}:{i}" for i in lines]
    assert found == []


def test_a_planted_layout_is_seen():
    assert laid_out_by_hand("x = f(1,\n      2)  # fmt: " + "skip\n") == [2]
    assert laid_out_by_hand("x = (1, 2, 3, 4,\n     5, 6, 7, 8)  # fmt: " + "skip\n") == []
