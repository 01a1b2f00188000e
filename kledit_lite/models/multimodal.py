"""Opening a language model that sees: docent-tiny, a folder of transformers, or a miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError, in_short
from kledit_lite.core.machine import best_device
from kledit_lite.inside.multimodal import decoder
from kledit_lite.models import miniatures
from kledit_lite.models.opening import dtype_of
from kledit_lite.models.seers import DocentSeer, FolderSeer, Seer


def picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of a file, (H, W, 3) uint8.

    Raises:
        KleditError: not a readable picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise KleditError(f"{path} is not a readable picture: {error}.") from None


def open_seer(source: str, device: str | None = None, dtype: str | None = None) -> Seer:
    """Open a language model that sees.

    Args:
        source: ``docent-tiny``, ``miniature:llava-1.5-7b``, ``miniature:smolvlm-256m``, or a
            folder of transformers; any other name is a hub id, which downloads.
        device: Where to put a folder's model; default the one there is.
        dtype: float32, float16 or bfloat16.

    Raises:
        KleditError: no such folder, or a model that does not see.
    """
    name = source.removeprefix("zoo:")
    if name == "docent-tiny":
        return DocentSeer(zoo.load_docent(), zoo.load_clip().model)
    if small := miniatures.name_of(source, miniatures.SEERS):
        from kledit_lite.models.miniatures.multimodal import build

        return build(small)
    return _open_transformers(source, device, dtype)


def _open_transformers(folder: str, device: str | None, dtype: str | None) -> FolderSeer:
    here = Path(folder)
    if (here.is_dir() or here.is_absolute()) and not (here / "config.json").is_file():
        raise KleditError(
            f"{folder} is not a model's folder: it has no config.json; expected docent-tiny, a "
            "miniature, or a folder as model.save_pretrained(folder) writes it."
        )
    from transformers import AutoModelForImageTextToText, AutoProcessor

    device = device or best_device()
    kind = dtype_of(dtype, "bfloat16" if device.startswith("cuda") else "float32")
    try:
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=kind)
        processor = AutoProcessor.from_pretrained(folder)
    except (OSError, ValueError, ImportError) as error:
        raise KleditError(
            f"{folder} holds no model that sees and its processor: {in_short(error)}."
        ) from None
    seer = FolderSeer(model.to(device).eval(), processor, str(folder))
    decoder(seer.model)
    return seer
