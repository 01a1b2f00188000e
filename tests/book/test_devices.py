"""Chapters whose models lie on another device run to their ends: no cell mixes devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CHAPTERS = ("alignment", "influence", "restor")
"""They align encoders with a CLIP, train heads and train a language model."""


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_rehearsal_mixes_no_devices(chapter, tmp_path):
    notebooks = TESTS.parent / "notebooks"
    (source,) = notebooks.glob(f"*-{chapter}.md")
    more = {
        "KLEDIT_PROFILE": "rehearsal",
        "KLEDIT_RESULTS_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent))),
    }
    done = subprocess.run(
        [sys.executable, TESTS / "far_chapter.py", source],
        cwd=notebooks,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0 and "ran to its end" in done.stdout, done.stdout[-3000:]
