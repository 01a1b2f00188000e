"""Benchmarks: found in a checkout, and their jobs run in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import kledit_lite
from kledit_lite.core import bench
from kledit_lite.core.errors import KleditError, UnknownNameError

JOB = """
import json, os, sys, trace
import kledit_lite
print("progress")
job = json.loads(sys.argv[1])
found = {"job": job, "threads": os.environ["OMP_NUM_THREADS"], "library": kledit_lite.__file__,
         "python": trace.__file__}
print(json.dumps(found))
sys.exit(job[0] == "fail")
"""


def test_a_job_runs_in_a_process_of_its_own_with_this_library(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(JOB)
    (tmp_path / "trace.py").write_text("raise ImportError('a benchmark of this name')")
    found = bench.in_fresh_process(str(script), ["one", 2], threads=3)
    assert found["job"] == ["one", 2] and found["threads"] == "3"
    assert Path(found["library"]) == Path(kledit_lite.__file__)
    assert Path(found["python"]).name == "trace.py"  # no folder of ours hides Python's own
    with pytest.raises(KleditError, match="fail run ended with status 1"):
        bench.in_fresh_process(str(script), ["fail"], threads=1)


def test_benchmarks_are_files_with_a_run(tmp_path):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "_help.py").touch()
    (folder / "empty.py").touch()
    (folder / "odd.py").write_text("def run(quick):\n    return 1\n")
    (folder / "good.py").write_text(
        "from kledit_lite.core.results import Results\n"
        "def run(quick):\n    return Results('good', {'quick': float(quick)})\n"
    )
    assert bench.names(tmp_path) == ["empty", "good", "odd"]
    assert bench.run(tmp_path, "good", quick=True).figures == {"quick": 1.0}
    for name, error, words in (
        ("none", UnknownNameError, "empty, good, odd"),
        ("empty", KleditError, "no function run"),
        ("odd", KleditError, "returned int"),
    ):
        with pytest.raises(error, match=words):
            bench.run(tmp_path, name)
