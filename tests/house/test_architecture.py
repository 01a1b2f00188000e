"""How the library is put together: no circle, no side door, no double, nothing that nobody uses.

Each rule is a function of a `Package`; a test holds the library to it, and another test sees it
speak up about a small package in which the rule is broken.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from architecture import Edge, Package, chapter_code

#: From the ground up: each may import those before it, and nothing else may stand below them.
SHARED = ("core", "world", "inside", "zoo", "models", "metrics", "viz")
#: The engine of the book and the exercises, of which no method knows.
ENGINE = ("book", "course")
#: Everything else is above all others.
TOP = ("cli", "__main__")

#: Methods that build on another method: (importer, imported) -> why.
METHOD_ON_METHOD: dict[tuple[str, str], str] = {
    ("capstone", "edit"): "the project removes what it planted by the ridge of closed-form editing",
    ("capstone", "unlearn"): "it plants, and attacks, with the trainer of unlearning",
}

#: Methods that checkers of exercises run: (importer, imported) -> why.
CHECKED_BY_RUNNING: dict[tuple[str, str], str] = {
    ("course", "unlearn"): "restor-d and model-state-arithmetic-d train the model that they judge",
    ("course", "capstone"): "capstone-c plants what is to be found, capstone-d measures again",
}

#: Who may import zoo.recipes from outside it: the command that trains.
RECIPES = {"kledit_lite.zoo.command"}

#: Public, and used by readers rather than by the library: why each is there.
FOR_READERS = {
    "align.estimator.Aligner": "the alignment as a step of a scikit-learn pipeline",
    "course.alone.grade_alone": "the hidden tests that otter-grader and nbgrader run call it",
    "course.checks.hint": "learners call it in their own cells",
    "course.progress.progress": "learners call it in their own cells",
    "influence.nets.net_product": "exact curvature of a net too large for a matrix",
    "influence.solvers.lissa": "the stochastic solver that the fragility study uses",
    "locate.locogen.exhaustive": "README: the search that LocoGen's is compared with",
    "unlearn.judges.embedding_judge": "chapter restor names it: a judge that takes paraphrases",
    "use_profile": "README: the switch, from Python",
    "viz.frames.new_page": "frames on pages of a reader's own",
}
Rule = Callable[[Package], set[str]]


@pytest.fixture(scope="module")
def library(root) -> Package:
    """The library, read once."""
    return Package(root / "kledit_lite")


@pytest.fixture
def plant(tmp_path) -> Callable[[Mapping[str, str]], Package]:
    """Make a package of given files, each with what is in it."""

    def make(files: Mapping[str, str]) -> Package:
        shutil.rmtree(tmp_path / "kledit_lite", ignore_errors=True)
        for path, text in {"__init__.py": "", **files}.items():
            file = tmp_path / "kledit_lite" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(text)
        return Package(tmp_path / "kledit_lite")

    return make


def upward(package: Package) -> set[str]:
    """Imports of a part by one that stands below or beside it: ``module -> part``."""
    parts = {package.part(m) for m in package.files} - {""}
    methods = parts - {*SHARED, *ENGINE, *TOP}
    allowed = {
        **{part: set(SHARED[:i]) for i, part in enumerate(SHARED)},
        **{part: {*SHARED, *(b for a, b in METHOD_ON_METHOD if a == part)} for part in methods},
        **{
            part: {*SHARED, "", *(b for a, b in CHECKED_BY_RUNNING if a == part)} for part in ENGINE
        },  # "" for the folder that the library is in
        **{part: parts | {""} for part in TOP},
        "": {"core"},
    }
    return {f"{m} -> {to}" for m, to in package.crossings() if to not in allowed[package.part(m)]}


def loads_its_work(edge: Edge) -> bool:
    """Whether a ``command.py`` imports a module of its own folder when it runs."""
    folder, _, name = edge.source.rpartition(".")
    return edge.lazy and name == "command" and edge.target.startswith(f"{folder}.")


def recipes_used(package: Package) -> set[str]:
    """Modules outside ``zoo.recipes`` that import it."""
    recipes = f"{package.name}.zoo.recipes"
    return {
        e.source
        for e in package.edges
        if f"{e.target}.".startswith(f"{recipes}.") and not e.source.startswith(recipes)
    }


def renames(package: Package) -> set[str]:
    """Modules that rename a file into its place themselves."""
    found = package.calls("os.replace", "os.rename", "shutil.move")
    for module, tree in package.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                one = len(node.args) == 1 and not node.keywords
                if one and node.func.attr in {"replace", "rename"}:
                    found |= set() if isinstance(node.args[0], ast.Constant) else {module}
    return found


def row_normalisers(package: Package) -> set[str]:
    """Modules that bring the rows of an array to unit length themselves."""
    found = set()
    for module, tree in package.trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).split(".")[-1]
            kept = {k.arg for k in node.keywords} & {"keepdims", "keepdim"}
            if (called in {"norm", "vector_norm"} and kept) or called == "normalize_rows":
                found.add(module)
    return found


def device_choices(package: Package) -> set[str]:
    """Modules that choose between a CUDA device and the CPU themselves."""
    found = set()
    for module, tree in package.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.IfExp) and "cuda.is_available" in ast.unparse(node.test):
                found.add(module)
    return found


def too_long(package: Package, limit: int = 350) -> set[str]:
    """Modules of more lines than one idea takes."""
    lengths = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in package.files.items()}
    return {m for m, lines in lengths.items() if lines > limit}


def test_no_circle_at_import_time(library):
    assert library.circles() == []


def test_no_circle_with_lazy_imports(library):
    """But one: a command loads its work when it runs, and the work reads the command's options."""
    assert library.circles(lazy=True, but=loads_its_work) == []


def test_imports_go_down(library):
    assert upward(library) == set()
    used = {(library.part(m), to) for m, to in library.crossings()}
    assert set(METHOD_ON_METHOD) <= used, "take the others off the list"


def test_recipes_are_for_training_alone(library):
    assert recipes_used(library) == RECIPES


def used_in_texts(root: Path) -> set[str]:
    """Full names of what chapters show with ``literalinclude`` and of the commands' parts."""
    shown = set()
    for chapter in (root / "notebooks").glob("*.md"):
        block = r"literalinclude\} \.\./(kledit_lite/\S+)\.py\n(?:[^`\n]*\n)*?:pyobject: (\w+)"
        for path, name in re.findall(block, chapter.read_text(encoding="utf-8")):
            shown.add(f"{path.replace('/', '.')}.{name}")
    return shown


def unused(package: Package, root: Path, readers: Iterable[str] = ()) -> set[str]:
    """Public definitions that no chapter, benchmark, page or command reaches, nor `readers`."""
    users = [chapter_code(c.read_text(encoding="utf-8")) for c in root.glob("notebooks/*.md")]
    for pattern in ("benchmarks/*.py", "book/_ext/*.py"):
        users += [ast.parse(f.read_text(encoding="utf-8")) for f in root.glob(pattern)]
    commands = {
        f"{module}.{name}"
        for module in package.files
        if module.endswith(".command")
        for name in package.defined[module]
    }
    named = {f"{package.name}.cli.main", *commands, *used_in_texts(root)}
    named |= {f"{package.name}.{name}" for name in readers}
    found = package.unused(users, named)
    return {name.removeprefix(f"{package.name}.") for name in found}


def test_every_public_definition_is_used(library, root):
    assert unused(library, root, FOR_READERS) == set()
    needed = unused(library, root)
    assert set(FOR_READERS) - needed == set(), "used in the library: take them off the list"


def test_files_are_renamed_in_one_place(library):
    assert renames(library) == {"kledit_lite.core.files"}


def test_rows_are_normalised_in_one_place(library):
    assert row_normalisers(library) == {"kledit_lite.core.arrays"}


def test_the_device_is_chosen_in_one_place(library):
    assert device_choices(library) == {"kledit_lite.core.machine"}


def test_modules_are_one_idea_long(library):
    assert too_long(library) == set()


def test_a_circle_is_seen(plant):
    circle = {
        "core/a.py": "from kledit_lite.core import b",
        "core/b.py": "from kledit_lite.core.a import x",
    }
    both = ["kledit_lite.core.a", "kledit_lite.core.b"]
    assert plant(circle).circles() == [both]
    lazy = plant({**circle, "core/a.py": "def f():\n    from kledit_lite.core import b"})
    assert (lazy.circles(), lazy.circles(lazy=True)) == ([], [both])


def test_only_a_commands_circle_with_its_work_is_let_be(plant):
    files = {
        "edit/command.py": "def run():\n    from kledit_lite.edit import work",
        "edit/work.py": "from kledit_lite.edit.command import Options",
    }
    assert plant(files).circles(lazy=True, but=loads_its_work) == []
    files["edit/work.py"] += "\nfrom kledit_lite.edit import other"
    files["edit/other.py"] = "def f():\n    from kledit_lite.edit import work"
    pair = ["kledit_lite.edit.other", "kledit_lite.edit.work"]
    assert plant(files).circles(lazy=True, but=loads_its_work) == [pair]
    files = {
        "edit/command.py": "def run():\n    from kledit_lite.trace import work",
        "trace/work.py": "from kledit_lite.edit.command import Options",
    }
    pair = ["kledit_lite.edit.command", "kledit_lite.trace.work"]
    assert plant(files).circles(lazy=True, but=loads_its_work) == [pair]


def test_a_circle_through_a_package_is_seen(plant):
    """`zoo` runs when anything in it is imported, and it imports the importer."""
    package = plant(
        {
            "models/a.py": "import kledit_lite.zoo.store",
            "zoo/__init__.py": "from kledit_lite.models.a import x",
            "zoo/store.py": "",
        }
    )
    assert package.circles() == [["kledit_lite.models.a", "kledit_lite.zoo"]]


@pytest.mark.parametrize(
    ("files", "arrow"),
    [
        (
            {"core/a.py": "from kledit_lite.world import b", "world/b.py": ""},
            "kledit_lite.core.a -> world",
        ),
        (
            {"edit/a.py": "def f():\n    import kledit_lite.trace.b as b", "trace/b.py": ""},
            "kledit_lite.edit.a -> trace",
        ),
        (
            {
                "edit/a.py": "from kledit_lite.trace import b",
                "trace/__init__.py": "from kledit_lite.trace.c import b",
                "trace/c.py": "b = 1",
            },
            "kledit_lite.edit.a -> trace",
        ),
        ({"edit/a.py": "from .. import trace", "trace/b.py": ""}, "kledit_lite.edit.a -> trace"),
        (
            {"align/a.py": "from kledit_lite import book", "book/b.py": ""},
            "kledit_lite.align.a -> book",
        ),
        (
            {"zoo/a.py": "from kledit_lite import __version__", "__init__.py": "__version__ = '0'"},
            "kledit_lite.zoo.a -> ",
        ),
    ],
)
def test_a_side_door_is_seen(plant, files, arrow):
    assert upward(plant(files)) == {arrow}


def test_imports_that_go_down_are_let_be(plant):
    package = plant(
        {
            "edit/a.py": "from kledit_lite.inside import b\nfrom kledit_lite.edit.c import d",
            "edit/c.py": "d = 1",
            "inside/b.py": "from kledit_lite.core.e import f",
            "core/e.py": "f = 1",
            "cli.py": "from kledit_lite.edit import a",
        }
    )
    assert upward(package) == set()


def test_a_use_of_a_recipe_is_seen(plant):
    files = {
        "zoo/recipes/a.py": "x = 1",
        "zoo/recipes/c.py": "from kledit_lite.zoo.recipes import a",
    }
    assert recipes_used(plant(files)) == set()
    user = {"models/b.py": "def f():\n    from kledit_lite.zoo.recipes.a import x"}
    assert recipes_used(plant({**files, **user})) == {"kledit_lite.models.b"}


def test_dead_definitions_are_seen(plant):
    """Recursion, re-exports, imports and dead callers do not make a definition used."""
    package = plant(
        {
            "align/__init__.py": "from kledit_lite.align.a import dead, used, shown\n"
            "__all__ = ['dead', 'used', 'shown']",
            "align/a.py": "def dead():\n    return dead()\n\ndef used():\n    return _helper()\n\n"
            "def _helper():\n    return deep()\n\ndef deep(): ...\n\ndef shown(): ...\n\n"
            "def caller():\n    return called()\n\ndef called(): ...\n",
            "align/b.py": "from kledit_lite.align import dead, used as u\nX = u()",
        }
    )
    code = "%magic\nfrom kledit_lite import align\nalign.shown()"
    cells = f"```{{code-cell}} ipython3\n:tags: [x]\n\n{code}\n```\n"
    found = package.unused([chapter_code(cells)])
    assert found == {f"kledit_lite.align.a.{name}" for name in ("dead", "caller", "called")}
    kept = package.unused([chapter_code(cells)], ["kledit_lite.align.dead"])
    assert "kledit_lite.align.a.dead" not in kept


@pytest.mark.parametrize(
    ("rule", "broken", "fine"),
    [
        (renames, "import os\nos.replace(a, b)", "text.replace('a', 'b')"),
        (renames, "partial.replace(path)", "replace(card, name='x')"),
        (renames, "partial.rename(path)", "frame.stack().rename('value')"),
        (row_normalisers, "y = x / np.linalg.norm(x, axis=1, keepdims=True)", "np.linalg.norm(v)"),
        (row_normalisers, "y = x / x.norm(dim=-1, keepdim=True)", "x.mean(1, keepdim=True)"),
        (
            device_choices,
            "d = 'cuda' if torch.cuda.is_available() else 'cpu'",
            "if torch.cuda.is_available():\n    sync()",
        ),
        (too_long, "x = 1\n" * 351, "x = 1\n" * 350),
    ],
)
def test_a_double_is_seen(plant, rule, broken, fine):
    package = plant({"edit/broken.py": broken, "edit/fine.py": fine})
    assert rule(package) == {"kledit_lite.edit.broken"}
