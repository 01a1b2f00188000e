"""The wheel that the site carries is enough for a notebook.

``KLEDIT_STUDENT=all`` runs every chapter's notebook as a student gets it, ``KLEDIT_STUDENT="restor
locogen"`` these; without it, the cheapest that sees, the cheapest that paints and one that reads.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from kledit_lite.book.discover import Chapter, choose, discover
from kledit_lite.book.wheel import WHEEL, carry, make
from kledit_lite.core.errors import KleditError
from kledit_lite.core.launch import WHEELS

ROOT = Path(__file__).parents[2]
RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        done = shell.run_cell("".join(cell["source"]))
        done.raise_error()
import kledit_lite
print("ran with", kledit_lite.__file__)
"""


ALL = discover(ROOT)
NAMES = os.environ.get("KLEDIT_STUDENT", "hard-tasks painted-world qa-circuits").split()
CHOSEN = ALL if NAMES == ["all"] else choose(ALL, NAMES)
LEFT_OUT = re.compile(r".*\.pth|__editable__.*|__pycache__|kledit_lite.*")


def bare(place: Path) -> Path:
    """The Python of a new environment: linked to the packages of this one, but not the library."""
    venv.create(place, symlinks=True)
    (folder,) = place.glob("lib/python*/site-packages")
    for kind in ("purelib", "platlib"):
        for package in Path(sysconfig.get_path(kind)).iterdir():
            link = folder / package.name
            if not LEFT_OUT.fullmatch(package.name) and not link.exists():
                link.symlink_to(package)
    return place / "bin" / "python"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the notebooks where the site has them."""
    html = tmp_path_factory.mktemp("site")
    carry(ROOT, html, lambda text: None)
    return html


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("chapter", CHOSEN, ids=lambda chapter: chapter.slug)
def test_a_students_notebook_runs_to_its_end(chapter: Chapter, site: Path, tmp_path: Path) -> None:
    """Its first cell installs the site's wheel, without an index; no answer is given."""
    notebook = site / "notebooks" / chapter.notebook.name
    asked = re.findall(r'"check\(\\"([\w-]+)\\"', notebook.read_text())
    python = bare(tmp_path / "venv")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1", "KLEDIT_PROFILE": "lite"}
    done = subprocess.run(
        [python, "-c", RUN, notebook],
        cwd=notebook.parent,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"ran with {tmp_path}" in done.stdout
    for id in asked:
        line = next(x for x in done.stdout.splitlines() if f"○ {id} " in x)
        assert "put your answer in place of the dots" in line
    assert asked and not re.search("✓|✗", done.stdout)


@pytest.mark.slow
def test_a_notebook_runs_from_the_wheel_alone(tmp_path):
    """An assignment with its solutions, in a folder of its own, with the library from the wheel."""
    from kledit_lite.course.assignments import assignments
    from kledit_lite.course.packages import build

    wheel = make(ROOT, tmp_path / "wheels")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert any("zoo/weights/resnet-tiny" in n for n in names)
    assert "kledit_lite/course/chapters/alignment.md" in names
    assert {n.split("/")[0] for n in names if not n.startswith("kledit_lite-")} == {"kledit_lite"}
    place = tmp_path / "library"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(place),
    ]
    subprocess.run([*command, str(wheel)], check=True)
    sources = ROOT / "book" / "assignments"
    build(assignments(sources), sources, tmp_path / "out", "plain", 0)
    notebook = tmp_path / "out" / "vision" / "solution.ipynb"
    env = {**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(notebook)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]
    assert f"ran with {place}" in done.stdout and done.stdout.count("right") == 4


def test_a_site_carries_the_wheel_once_and_the_notebooks(checkout, add, monkeypatch):
    import kledit_lite.book.wheel as module

    add("01-one", "# One\n")
    (checkout / "notebooks" / "01-one.ipynb").write_text("{}")
    (checkout / "kledit_lite").mkdir()
    (checkout / "kledit_lite" / "__init__.py").write_text("x = 1\n")
    made = []

    def fake(root, out):
        made.append(root)
        out.mkdir(parents=True, exist_ok=True)
        (out / WHEEL).write_text("wheel")

    monkeypatch.setattr(module, "make", fake)
    html = checkout / "_build" / "html"
    (html / "notebooks").mkdir(parents=True)
    for _ in range(2):
        carry(checkout, html, lambda text: None)
    assert len(made) == 1 and (html / WHEELS / WHEEL).read_text() == "wheel"
    assert json.loads((html / "notebooks" / "01-one.ipynb").read_text()) == {}
    (checkout / "kledit_lite" / "__init__.py").write_text("x = 2\n")
    carry(checkout, html, lambda text: None)
    assert len(made) == 2


def test_a_wheel_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[build-system\n")
    with pytest.raises(KleditError, match="The wheel could not be made"):
        make(tmp_path, tmp_path / "out")
