"""The wheel that the site carries is enough for a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


@pytest.mark.slow
def test_a_notebook_runs_from_the_wheel_alone(tmp_path):
    """An assignment with its solutions, in a folder of its own, with the library from the wheel."""
    from kledit_lite.course.assignments import assignments
    from kledit_lite.course.packages import build

    wheel = make(ROOT, tmp_path / "wheels")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert any("zoo/weights/resnet-tiny" in n for n in names)
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
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]
    assert f"ran with {place}" in done.stdout and done.stdout.count("right") == 4


def test_a_site_carries_the_wheel_once_and_the_pairs(checkout, add, monkeypatch):
    import kledit_lite.book.wheel as module

    add("01-one", "# One\n")
    (checkout / "notebooks" / "01-one.ipynb").write_text("{}")
    (checkout / "kledit_lite").mkdir()
    (checkout / "kledit_lite" / "a.py").write_text("x = 1\n")
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
    (checkout / "kledit_lite" / "a.py").write_text("x = 2\n")
    carry(checkout, html, lambda text: None)
    assert len(made) == 2


def test_a_wheel_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[build-system\n")
    with pytest.raises(KleditError, match="The wheel could not be made"):
        make(tmp_path, tmp_path / "out")
