"""What a figure was measured on."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import kledit_lite
from kledit_lite.core import machine, slots


def test_context_loads_nothing_heavy():
    code = (
        "import sys; from kledit_lite.core.machine import context; context()\n"
        "heavy = {'torch', 'numpy', 'timm', 'open_clip', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_context_names_the_profile_in_force(monkeypatch):
    monkeypatch.setattr(slots, "_chosen", "laptop")
    assert machine.context()["profile"] == "laptop"
    assert machine.context("gpu")["profile"] == "gpu"


def test_versions_are_those_installed(monkeypatch):
    monkeypatch.setattr(machine, "LIBRARIES", (*machine.LIBRARIES, "no-such-library"))
    found = machine.versions()
    assert found["kledit-lite"] == kledit_lite.__version__
    assert found["numpy"] == metadata.version("numpy") and "no-such-library" not in found


def test_the_device_is_torchs(monkeypatch):
    import torch

    for here, best, said in ((False, "cpu", "cpu: "), (True, "cuda", "cuda: a card")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "a card")
        assert machine.best_device() == best
        assert machine.device().startswith(said)


def test_memory_is_this_processs():
    block = bytearray(64 << 20)
    before = machine.peak_mb()
    more = bytearray(256 << 20)
    more[:: 1 << 12] = bytes(len(more) >> 12)  # touch every page
    assert len(block) and machine.peak_mb() >= max(before, 256)
