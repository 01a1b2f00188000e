from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.core.sweep import sweep


def squares(rows: range) -> dict[str, np.ndarray]:
    return {"x": np.array(rows) ** 2.0, "pair": np.stack([np.array(rows)] * 2, 1)}


def test_rows_come_back_in_order(tmp_path):
    out = sweep(11, squares, block=4, folder=tmp_path)
    assert out["x"].tolist() == [i**2.0 for i in range(11)] and out["pair"].shape == (11, 2)
    assert not list(tmp_path.glob("*partial*"))


def test_a_killed_sweep_goes_on_to_the_same_result(tmp_path):
    calls = []

    def dies(rows: range) -> dict[str, np.ndarray]:
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return squares(rows)

    with pytest.raises(KeyboardInterrupt):
        sweep(11, dies, block=2, folder=tmp_path)
    seen = []

    def counts(rows: range) -> dict[str, np.ndarray]:
        seen.append(rows)
        return squares(rows)

    out = sweep(11, counts, block=2, folder=tmp_path)
    assert len(seen) == 4  # two of six blocks were kept
    assert np.array_equal(out["x"], sweep(11, squares, block=2)["x"])


def test_another_sweeps_folder_is_refused(tmp_path):
    sweep(3, squares, block=2, folder=tmp_path, config={"model": "a"})
    with pytest.raises(KleditError, match="another sweep"):
        sweep(3, squares, block=2, folder=tmp_path, config={"model": "b"})


def test_a_block_of_the_wrong_length():
    with pytest.raises(KleditError, match="2 rows a block"):
        sweep(2, lambda rows: {"x": np.zeros(3)}, block=2)


def test_several_processes_need_a_folder(monkeypatch):
    monkeypatch.setattr("kledit_lite.core.sweep.process", lambda: (0, 2))
    with pytest.raises(KleditError, match="needs a folder"):
        sweep(2, squares, block=1)


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from kledit_lite.core.sweep import process, sweep

folder = Path(sys.argv[1])
def compute(rows):
    (folder / f"by-{process()[0]}-{rows.start}").touch()
    return {"x": np.sin(np.array(rows, float))}
out = sweep(21, compute, block=2, folder=folder)
if process()[0] == 0:
    np.save(folder / "whole.npy", out["x"])
"""


@pytest.mark.slow
def test_two_processes_give_the_one_process_result(tmp_path: Path):
    script = tmp_path / "work.py"
    script.write_text(SCRIPT)
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, n in ((one, 1), (two, 2)):
        folder.mkdir()
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            str(n),
            str(script),
            str(folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    assert np.array_equal(np.load(one / "whole.npy"), np.load(two / "whole.npy"))
    by = {p.name.split("-")[1] for p in two.glob("by-*")}
    assert by == {"0", "1"}  # both did some of it


def test_another_block_goes_on_in_the_blocks_of_the_folder(tmp_path):
    first = sweep(11, squares, block=2, folder=tmp_path)
    again = sweep(11, lambda rows: pytest.fail("done again"), block=5, folder=tmp_path)
    assert np.array_equal(first["x"], again["x"])


def test_the_refusal_says_what_differs(tmp_path):
    sweep(3, squares, block=2, folder=tmp_path, config={"model": "a", "score": 1})
    with pytest.raises(KleditError, match=r"another sweep \(other items, model\)"):
        sweep(4, squares, block=2, folder=tmp_path, config={"model": "b", "score": 1})
    (tmp_path / "sweep.json").write_text('{"items": 3}')
    with pytest.raises(KleditError, match="not what a sweep of this version writes"):
        sweep(3, squares, block=2, folder=tmp_path)


def test_two_processes_of_one_number_do_not_share_a_partial_file(tmp_path, monkeypatch):
    from kledit_lite.core import sweep as module

    names, original = [], np.savez

    def savez(file, **arrays):
        names.append(Path(file).name)
        original(file, **arrays)

    monkeypatch.setattr(module.np, "savez", savez)
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in two containers
    for _ in range(2):
        sweep(2, squares, block=2, folder=tmp_path)
        (tmp_path / "block-00000.npz").unlink()
    assert len(set(names)) == 2 and not list(tmp_path.glob("*partial*"))
