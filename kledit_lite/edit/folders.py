"""The pictures in a folder of an edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8


def pictures(
    folder: Path,
    prompts: Sequence[str],
    images: dict[str, UInt8[np.ndarray, "N H W 3"]],
    title: str,
) -> None:
    """Write one sheet for each set of pictures, and ``figure.png`` with all of them.

    Args:
        folder: Where to write; it must exist.
        prompts: N prompts, which label the pictures.
        images: Name of each set to its pictures, (N, H, W, 3) uint8.
        title: Title of ``figure.png``.
    """
    from kledit_lite import viz

    for name, shots in images.items():
        sheet = viz.contact_sheet(shots, prompts)
        (folder / f"{name}.png").write_bytes(viz.png(sheet))
    every = np.concatenate(list(images.values()))
    words = list(prompts) * len(images)
    figure = viz.contact_sheet(every, words, rows=list(images), title=title)
    (folder / "figure.png").write_bytes(viz.png(figure))
