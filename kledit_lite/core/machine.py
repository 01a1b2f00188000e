"""The machine that figures are measured on: versions, devices, cores and memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from kledit_lite.core.slots import current

#: Distributions whose versions a result depends on; those not installed are left out.
LIBRARIES = (
    "kledit-lite",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "transformers",
    "diffusers",
    "matplotlib",
    "nbclient",
    "ipykernel",
    "jupyter-book",
)


def context(
    profile: str | None = None, seed: int | None = None, seconds: float | None = None, **more: Any
) -> dict[str, Any]:
    """Where and how a figure was measured: versions, device, profile, seed, seconds.

    Loads none of the libraries it names; ``device`` is a CUDA device only when torch is already
    imported and sees one.

    Args:
        profile: default: the profile in force.
        seed: of the measurement, when it has one.
        seconds: that the measurement took.
        **more: further entries.

    Example:
        >>> sorted(context(profile="lite", seed=0, seconds=1.5))
        ['cpus', 'device', 'platform', 'profile', 'seconds', 'seed', 'versions']
    """
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "device": device(),
        "cpus": cpus(),
        "profile": profile or current().name,
        "seed": seed,
        "seconds": seconds,
        **more,
    }


def versions() -> dict[str, str]:
    """Python, and the `LIBRARIES` that are installed: name -> version."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device() -> str:
    """``"cuda: <name>"`` when torch is loaded and has one, else ``"cpu: <machine>"``."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name(0)}"
    return f"cpu: {platform.machine()}"


def best_device() -> str:
    """``"cuda"`` when torch has one, else ``"cpu"``; imports torch."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def python_path(*folders: Path) -> str:
    """``PYTHONPATH`` with these folders before what it names already, for another process.

    Args:
        folders: what that process imports from first.
    """
    names = [*map(str, folders), os.environ.get("PYTHONPATH")]
    return os.pathsep.join(dict.fromkeys(filter(None, names)))


def cpus() -> int:
    """The number of CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_mb() -> float:
    """Largest resident size of this process so far, MiB."""
    status = Path("/proc/self/status")
    text = status.read_text(encoding="utf-8") if status.exists() else ""
    if found := re.search(r"^VmHWM:\s*(\d+)", text, re.MULTILINE):
        return int(found[1]) / 1024
    import resource

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
