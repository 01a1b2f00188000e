"""Real kernels: figures, seconds, memory, environment, failures, several at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kledit_lite.book import execute as engine
from kledit_lite.book.discover import discover
from kledit_lite.book.execute import PeakMemory, execute

MEASURED = """# A chapter that looks around

```{code-cell} ipython3
import os, time
from kledit_lite.book import record
block = bytearray(64 * 2**20)
start = time.time()
time.sleep(1)
lite = os.environ["KLEDIT_PROFILE"] == "lite"
here = os.path.basename(os.getcwd()) == "notebooks"
record("NN", {"lite": lite, "threads": int(os.environ["OMP_NUM_THREADS"]), "here": here,
              "start": start, "end": time.time()})
```
"""

WIDGET = """# Widgets

```{code-cell} ipython3
import ipywidgets as w
slider, stack = w.IntSlider(max=1), w.Stack([w.HTML("a"), w.HTML("b")], selected_index=0)
w.jslink((slider, "value"), (stack, "selected_index"))
w.VBox([slider, stack])
```
"""


def silent(message: str) -> None:
    del message


def test_one_fails_and_the_others_run_side_by_side(checkout, add, text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    add("00-failing", text.FAILING)
    add("01-here", MEASURED.replace("NN", "here"))
    add("02-there", MEASURED.replace("NN", "there"))
    said: list[str] = []
    failed, *ran = execute(discover(checkout), "lite", jobs=3, say=said.append)

    assert all(run.ok for run in ran)
    for run in ran:
        assert run.figures["lite"] == run.figures["here"] == 1
        assert run.figures["threads"] == 3
        assert run.seconds > 1 and run.peak_mb > 64
    one, two = (run.figures for run in ran)
    assert max(one["start"], two["start"]) < min(one["end"], two["end"])  # they overlapped
    assert any("01-here: cell 2 of 2" in line for line in said)

    assert not failed.ok and failed.figures == {}
    message = failed.failure.describe(discover(checkout)[0])
    assert message.startswith("00-failing.md, cell 4 failed: def divide(by):")
    assert "ZeroDivisionError" in message and "divide(0)" in message and "\x1b" not in message
    cells = json.loads(failed.notebook)["cells"]
    assert cells[3]["outputs"][0]["ename"] == "ZeroDivisionError"


def test_a_kernel_that_dies_is_a_failure(checkout, add):
    add("01-dies", "# x\n\n```{code-cell} ipython3\nimport os; os._exit(1)\n```\n")
    (run,) = execute(discover(checkout), "lite", say=silent)
    assert not run.ok and run.failure.cell == 2 and "kernel died" in run.failure.traceback


def test_the_state_of_widgets_is_kept(checkout, add):
    add("01-widget", WIDGET)
    (run,) = execute(discover(checkout), "lite", say=silent)
    assert run.ok, run.failure
    state = json.loads(run.notebook)["metadata"]["widgets"]
    models = state["application/vnd.jupyter.widget-state+json"]["state"].values()
    kinds = {model["model_name"] for model in models}
    assert {"IntSliderModel", "StackModel", "LinkModel"} <= kinds


@pytest.mark.parametrize("end", ["", "1 / 0"])
def test_a_run_that_ends_before_a_poll_is_weighed(checkout, add, monkeypatch, end):
    monkeypatch.setattr(engine, "POLL_SECONDS", 600)
    cells = ("block = bytearray(64 * 2**20)", end, "")
    add("01-quick", "# x\n" + "".join(f"\n```{{code-cell}} ipython3\n{c}\n```\n" for c in cells))
    (run,) = execute(discover(checkout), "lite", say=silent)
    assert run.ok == (not end) and run.peak_mb > 64


def test_nothing_to_run_is_nothing(checkout):
    assert execute([], "lite", say=silent) == []


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no smaps_rollup here")
def test_peak_memory_counts_shared_pages_once():
    forks = (
        "import os, time\nx = b'x' * (100 * 2**20)\n"
        "pids = [os.fork() for _ in range(2)]\nprint(flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", forks], stdout=subprocess.PIPE)
    family = [psutil.Process(process.pid)]
    try:
        assert process.stdout is not None
        for _ in range(4):  # itself, two children and a grandchild
            process.stdout.readline()
        family += family[0].children(recursive=True)
        resident = sum(p.memory_info().rss for p in family) / 2**20
        memory = PeakMemory()
        memory.sample(process.pid)
        assert len(family) == 4 and resident > 390
        assert 100 < memory.mb < 180
    finally:
        for each in family:
            each.kill()
        process.wait()
        process.stdout.close()


def test_peak_memory_counts_children():
    child = "x = bytearray(80 * 2**20); import time; time.sleep(30)"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])",
        ]
    )
    try:
        memory = PeakMemory()
        for _ in range(200):
            memory.sample(process.pid)
            if memory.mb > 80:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        assert memory.mb > 80
    finally:
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.kill()
        process.wait()
    memory = PeakMemory()
    memory.sample(process.pid)
    assert memory.mb == 0


def test_an_interrupt_ends_the_kernels_too(checkout, add):
    add(
        "01-long",
        "# x\n\n```{code-cell} ipython3\nimport os, time\n"
        "open('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n```\n",
    )
    command = [sys.executable, "-m", "kledit_lite", "run", "01"]
    pid = checkout / "notebooks" / "pid"
    with subprocess.Popen(
        command,
        cwd=checkout,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that starts the tests in the background has them ignore the interrupt
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 60
        while not (pid.is_file() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "kledit: interrupted"
    assert not psutil.pid_exists(int(pid.read_text()))
