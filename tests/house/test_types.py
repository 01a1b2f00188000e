"""The library's types hold: mypy, as pyproject.toml sets it up and ``make types`` runs it.

Cost: ten seconds, two where mypy's cache of the last run is there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WRONG = """
from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.results import Results

unit_rows("three words")
Results("name", {"r2": 0.5}).met.upper()
"""


def mypy(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mypy in the checkout with its own settings."""
    command = [sys.executable, "-m", "mypy", "--no-pretty", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_types_hold(root):
    done = mypy(root)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wrong", [True, False])
def test_a_wrong_type_is_seen(root, tmp_path, wrong):
    (tmp_path / "user.py").write_text(WRONG if wrong else WRONG.rsplit("\n\n", 1)[0])
    done = mypy(root, str(tmp_path / "user.py"))
    kinds = [line.rsplit("[", 1)[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert kinds == (["arg-type]", "attr-defined]"] if wrong else []), done.stdout + done.stderr
