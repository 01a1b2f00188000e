"""The sources are formatted, linted and spelt as `make lint` wants them."""

from __future__ import annotations

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
