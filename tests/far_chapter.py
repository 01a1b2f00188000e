"""Run a chapter's cells with every model on `far.FAR`: ``python far_chapter.py CHAPTER.md``."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import jupytext
import matplotlib
import torch
from far import FAR, Far, Machine
from IPython.core.interactiveshell import InteractiveShell

from kledit_lite.core import machine


def _moving(make: Any) -> Any:
    """torch's makers of tensors do not ask the machine for a device: make here, then move."""

    def made(*args: Any, device: Any = None, **more: Any) -> Any:
        tensor = make(*args, **more)
        return tensor if device is None else tensor.to(device)

    return made


def run(path: Path) -> None:
    """Stop with exit status 1 at the first cell that fails, or if no tensor went to `FAR`."""
    matplotlib.use("agg")
    machine.best_device = lambda: FAR.type
    torch.inference_mode = torch.no_grad  # it hides moves from the machine
    torch.tensor, torch.as_tensor = _moving(torch.tensor), _moving(torch.as_tensor)
    shell = InteractiveShell.instance()
    with Machine():
        for cell in jupytext.read(path).cells:
            if cell.cell_type == "code" and shell.run_cell(cell.source).error_in_exec:
                sys.exit(1)
        if not any(isinstance(thing, Far) for thing in gc.get_objects()):
            sys.exit("no tensor lies on the other device, so nothing was tried")
    print("ran to its end")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
