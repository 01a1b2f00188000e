"""A pipeline and the CLIP that scores its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.core.slots import current
from kledit_lite.models import profiles
from kledit_lite.models.external import load_external_clip
from kledit_lite.models.pipelines import check_index, open_pipeline


def open_clip_model(model: str | None = None, pipe: Any = None, size: int | None = None) -> Any:
    """A CLIP to score with: ``clip-tiny``, ``open_clip:ARCH/TAG``, a directory.

    Args:
        model: None for clip-tiny where `pipe` makes its 64-pixel pictures, else what fills the
            slot ``clip`` of the profile in force.
        pipe: The pipeline whose pictures are to be scored.
        size: Side of the pictures in pixels; default the pipeline's own.

    Raises:
        KleditError: no such model, it cannot be had, or it cannot see pictures of that size.
    """
    if size is None and pipe is not None and isinstance(pipe.unet.config.sample_size, int):
        size = pipe.unet.config.sample_size * getattr(pipe, "vae_scale_factor", 8)
    name = _clip_id(model, size)
    if name in zoo.CLIPS:
        return zoo.load_clip(name)
    return load_external_clip(model) if model else profiles.resolve("clip").model


def open_both(
    model: str,
    clip: str | None = None,
    size: int | None = None,
    dtype: str | None = None,
    scheduler: str | None = None,
    config: Path | None = None,
) -> tuple[Any, Any]:
    """A pipeline and the CLIP that scores its pictures, refused before the weights are read.

    Args:
        model: As in `open_pipeline`.
        clip: As in `open_clip_model`.
        size: Side of the pictures in pixels; default the pipeline's own.
        dtype: As in `open_pipeline`.
        scheduler: As in `open_pipeline`.
        config: As in `open_pipeline`.

    Returns:
        The pipeline, and the CLIP.

    Raises:
        KleditError: as both.
    """
    if model not in zoo.PAINTERS and not Path(model).is_file():
        own = check_index(model)
        size = size or own
        if size is not None:
            _clip_id(clip, size)
    pipe = open_pipeline(model, dtype=dtype, scheduler=scheduler, config=config)
    return pipe, open_clip_model(clip, pipe, size)


def _clip_id(model: str | None, size: int | None) -> str:
    """The id of a CLIP that can see pictures of that size."""
    slot_id = model or ("clip-tiny" if size == 64 else current().slot("clip").choices[0])
    name = slot_id.removeprefix("zoo:")
    if name in zoo.CLIPS and size not in (None, 64):
        raise KleditError(
            f"{name} reads 64-pixel painted scenes and cannot score pictures of {size} pixels; "
            "give a real model, e.g. --clip open_clip:ViT-B-16/openai, or a profile that has one, "
            "e.g. KLEDIT_PROFILE=gpu."
        )
    return name
