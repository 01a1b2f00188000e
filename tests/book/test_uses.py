"""What a chapter uses is what its processes opened: real kernels, a copied library, workers."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kledit_lite
from kledit_lite.book.build import run_chapters
from kledit_lite.book.cache import Cache
from kledit_lite.book.discover import discover
from kledit_lite.book.sync import read_source
from kledit_lite.core import uses

ROOT = Path(__file__).resolve().parents[2]

BRUSH = """def paint(scene):
    from kledit_lite.world import pigment  # loaded in the workers alone
    return pigment.NAME + scene
"""

PAINTER = """# A painter

```{code-cell} ipython3
import sys
from joblib import Parallel, delayed
from kledit_lite.book import record
from kledit_lite.world import Scene, render
from kledit_lite.world.brush import paint
render(Scene("boat", "red", "beach"))
painted = Parallel(2)(delayed(paint)(s) for s in ("boat", "cat"))
alone = "kledit_lite.world.pigment" not in sys.modules
record("painter", {"painted": len(painted), "alone": alone})
```
"""

WRITER = """# A writer

```{code-cell} ipython3
from importlib.resources import files
from kledit_lite.book import record
from kledit_lite.unlearn import tiny
from kledit_lite.world.people import facts
card = (files("kledit_lite") / "zoo" / "weights" / "pen" / "card.json").read_text()
said = (files("kledit_lite") / "recorded" / "writer-run.json").read_text()
record("writer", {"x": tiny.X})
```
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A checkout of two chapters with a library of its own, both executed once: the cache."""
    root = tmp_path_factory.mktemp("checkout")
    library = root / "kledit_lite"
    source = Path(kledit_lite.__file__).parent
    shutil.copytree(source, library, ignore=shutil.ignore_patterns("weights", "albums", "*.pyc"))
    shutil.rmtree(library / "unlearn")
    front = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n\n"
    for path, text in {
        "pyproject.toml": "",
        "notebooks/00-painter.md": front + PAINTER,
        "notebooks/01-writer.md": front + WRITER,
        "notebooks/contracts/painter.yml": "bounds: {alone: {min: 1}}\n",
        "notebooks/contracts/writer.yml": "bounds: {x: {min: 1}}\n",
        "kledit_lite/recorded/writer-run.json": "{}",
        "kledit_lite/world/brush.py": BRUSH,
        "kledit_lite/world/pigment.py": "NAME = 'blue '\n",
        "kledit_lite/unlearn/__init__.py": "",
        "kledit_lite/unlearn/tiny.py": "X = 1\n",
        "kledit_lite/zoo/weights/pen/card.json": "{}",
        "kledit_lite/zoo/weights/pen/model.safetensors": "ink",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    runs = run_chapters(Cache(root, "lite", library), discover(root), say=lambda message: None)
    for run in runs.values():
        assert run.ok, run.failure
    assert [run.figures for run in runs.values()] == [{"painted": 2, "alone": 1}, {"x": 1}]
    return root, library


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("kledit_lite/unlearn/tiny.py", {"writer"}),
        ("kledit_lite/zoo/weights/pen/model.safetensors", {"writer"}),
        ("kledit_lite/recorded/writer-run.json", {"writer"}),
        ("kledit_lite/world/brush.py", {"painter"}),
        ("kledit_lite/world/pigment.py", {"painter"}),  # by a worker
        ("kledit_lite/world/renderer.py", {"painter"}),  # the writer's people are not drawn
        ("kledit_lite/world/people.py", {"writer"}),
        ("kledit_lite/world/scene.py", {"painter", "writer"}),
        ("kledit_lite/core/uses.py", {"painter", "writer"}),
        ("kledit_lite/__init__.py", {"painter", "writer"}),
        ("kledit_lite/book/record.py", {"painter", "writer"}),
        ("kledit_lite/cli.py", set()),
        ("kledit_lite/book/execute.py", set()),
        ("kledit_lite/failures/search.py", set()),
        ("notebooks/contracts/writer.yml", set()),
    ],
)
def test_a_change_runs_the_chapters_that_used_the_file_and_no_others(ran, changed, again):
    root, library = ran
    path = root / changed
    before = path.read_text()
    words = path.suffix == ".py"
    try:
        for text, stale in (("\n# Words.\n", set()), ("\nPLANTED = 1\n", again)):
            if stale or words:
                path.write_text(before + text)
                cache = Cache(root, "lite", library)
                assert {c.slug for c in discover(root) if cache.get(c) is None} == stale
    finally:
        path.write_text(before)
    cache = Cache(root, "lite", library)
    assert all(cache.get(c) is not None for c in discover(root))


def test_what_was_loaded_before_and_what_is_written_to(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    for name in ("read", "written", "both"):
        (root / name).touch()
    code = (
        f"import os, kledit_lite.cli\nos.chdir({str(root)!r})\nopen('read').close()\n"
        "open('both').close()\nopen('written', 'w').close()\nopen('both', 'w').close()\n"
        f"open({str(tmp_path / 'elsewhere')!r}, 'w').close()\n"
        "try: open('missing')\nexcept OSError: pass\n"
        "if os.fork() == 0: open(b'forked', 'x').close(); open(b'forked').close()\n"
        "else: os.wait()"
    )
    library = Path(kledit_lite.__file__).resolve().parent
    environment = {
        "PYTHONPATH": str(library.parent),
        uses.NOTES: str(tmp_path / "notes"),
        uses.ROOTS: f"{root}:{library}",
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    found = uses.noted(tmp_path / "notes")
    assert {p.name for p in found if p.parent == root} == {"read", "both", "missing", "forked"}
    modules = {p.relative_to(library).as_posix() for p in found if p.parent != root}
    assert {"__init__.py", "core/uses.py", "core/__init__.py", "cli.py"} <= modules
    assert not any("unlearn" in m or "__pycache__" in m for m in modules)


def modules() -> dict[str, Path]:
    """Every module of the library by its name."""
    found = {}
    for path in (ROOT / "kledit_lite").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(text: str, known: dict[str, Path]) -> set[str]:
    """The modules that a text imports anywhere, with the packages around them."""
    named = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            named |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    parts = [name.split(".") for name in named]
    return {".".join(p[:i]) for p in parts for i in range(1, len(p) + 1)} & set(known)


def closure(chapter) -> set[str]:
    """All that a chapter could load: its imports, and theirs, those inside functions included."""
    known = modules()
    cells = [c.source for c in read_source(chapter).cells if c.cell_type == "code"]
    todo = set().union(*(imports(source, known) for source in cells))
    done: set[str] = set()
    while todo:
        name = todo.pop()
        done.add(name)
        todo |= imports(known[name].read_text(encoding="utf-8"), known) - done
    return done


METHODS = {"align", "failures", "trace", "locate", "edit", "unlearn"}


@pytest.mark.parametrize(
    ("slug", "methods"),
    [
        ("painted-world", set()),
        ("alignment", {"align"}),
        ("text-to-concept", {"align"}),
        ("concept-bottleneck", {"align"}),
        ("failure-modes", {"failures"}),
        ("causal-tracing", {"trace", "locate", "edit"}),
        ("locogen", {"locate"}),
        ("neuron-editing", {"locate", "edit"}),
        ("restor", {"unlearn"}),
        ("model-state-arithmetic", {"unlearn"}),
    ],
)
def test_a_chapter_can_load_the_methods_that_it_is_about_and_no_others(slug, methods):
    (chapter,) = (c for c in discover(ROOT) if c.slug == slug)
    loaded = closure(chapter)
    assert {m.split(".")[1] for m in loaded if "." in m} & METHODS == methods
    assert "kledit_lite.world.renderer" in loaded and "kledit_lite.cli" not in loaded
