"""Any text-to-image pipeline: shipped, a folder, one file or on the hub."""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError, in_short, unknown
from kledit_lite.core.machine import best_device
from kledit_lite.models import miniatures
from kledit_lite.models.opening import dtype_of

SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "pndm": "PNDMScheduler",
}
"""Schedulers that draw no noise, by the names that the command line takes."""

_WEIGHTS = re.compile(r"diffusion_pytorch_model(?:\.(\w+))?(?:-\d+-of-\d+)?\.(safetensors|bin)$")


def open_pipeline(
    model: str,
    device: str | None = None,
    dtype: str | None = None,
    scheduler: str | None = None,
    config: Path | None = None,
) -> Any:
    """A diffusers pipeline by name, directory, file or hub id.

    Args:
        model: ``paint-tiny``, ``miniature:sd-1.5`` and the like, a directory in diffusers' layout,
            a checkpoint of one file, or a hub id, which downloads. Of a directory with nothing
            but half-precision files (``*.fp16.safetensors``) those are read.
        device: Default: a GPU where there is one.
        dtype: One of `opening.DTYPES`; default float16 on a GPU, but float32 on a CPU, for what
            is shipped and for miniatures, whose rehearsals ask for equality to the pixel.
        scheduler: One of `SCHEDULERS`, in place of the pipeline's own and with its settings.
        config: Of one file: a directory in diffusers' layout with the same architecture, whose
            weights are not read; without it the hub is asked.

    Returns:
        The pipeline on its device, without progress bars.

    Raises:
        UnknownNameError: no such dtype or scheduler.
        KleditError: no such model; a directory without ``model_index.json``; a pipeline that does
            not paint with a UNet from text alone, which is told before its weights are read.

    Example:
        >>> open_pipeline("paint-tiny").unet.config.cross_attention_dim
        128
    """
    import torch

    import kledit_lite.zoo.autoencoder  # noqa: F401  (saved painters name its class)
    from kledit_lite.inside.painters import check_paints_from_text

    if scheduler is not None and scheduler not in SCHEDULERS:
        raise unknown("scheduler", scheduler, SCHEDULERS)
    device = device or best_device()
    small = miniatures.name_of(model, miniatures.PAINTERS)
    half = device.startswith("cuda") and model not in zoo.PAINTERS and not small
    kind = dtype_of(dtype, "float16" if half else "float32")
    if model in zoo.PAINTERS:
        pipe: Any = zoo.load_pipeline(model)
    elif small:
        from kledit_lite.models.miniatures.painters import build

        pipe = build(small)
    else:
        one_file = Path(model).is_file()
        if not one_file:
            check_index(model)
        with _told(model):
            pipe = _from_file(model, kind, config) if one_file else _from_pretrained(model, kind)
    check_paints_from_text(pipe, model)
    if scheduler is not None:
        import diffusers

        more = {"skip_prk_steps": True} if scheduler == "pndm" else {}  # as in Stable Diffusion
        pipe.scheduler = getattr(diffusers, SCHEDULERS[scheduler]).from_config(
            pipe.scheduler.config, **more
        )
    pipe.set_progress_bar_config(disable=True)
    parts = [m for m in pipe.components.values() if isinstance(m, torch.nn.Module)]
    if all(part.dtype == kind for part in parts):
        return pipe.to(device)  # a cast that changes nothing would still warn
    return pipe.to(device, kind)


def check_index(model: str) -> int | None:
    """Refuse by its small configuration files what `open_pipeline` could not use.

    Returns:
        The side of its pictures in pixels, if the files say.

    Raises:
        KleditError: as `open_pipeline`.
    """
    from kledit_lite.inside.painters import check_channels, no_unet

    if miniatures.name_of(model, miniatures.PAINTERS):
        from kledit_lite.models.miniatures.painters import SIDE

        return 8 * SIDE
    folder = Path(model)
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise KleditError(
            f"{model} has no model_index.json; expected a pipeline's folder, as "
            "pipeline.save_pretrained(folder) writes it."
        )
    index = _json(model, "model_index.json")
    parts = {k: v[1] for k, v in index.items() if isinstance(v, list | tuple) and len(v) == 2}
    if parts.get("unet") is None or parts.get("text_encoder") is None:
        raise no_unet(model, str(index.get("_class_name")))
    unet, vae = (_json(model, f"{part}/config.json") for part in ("unet", "vae"))
    check_channels(model, unet, vae)
    side, widths = unet.get("sample_size"), vae.get("block_out_channels")
    return side * 2 ** (len(widths) - 1) if isinstance(side, int) and widths else None


@contextmanager
def _told(model: str) -> Iterator[None]:
    """Says of what goes wrong inside that this pipeline cannot be loaded, and why."""
    try:
        with warnings.catch_warnings():  # newer versions of diffusers call torch_dtype dtype
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except KleditError:
        raise
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        more = ", with --config its architecture's folder" if Path(model).is_file() else ""
        raise KleditError(
            f"Cannot load the pipeline {model!r}: {in_short(error)}. Give a shipped name "
            f"({', '.join(zoo.PAINTERS)}), a pipeline's directory, one file{more}, or a hub id."
        ) from error


def _json(model: str, name: str) -> dict[str, Any]:
    """A small file of a folder, or of the hub, which then downloads no other."""
    from huggingface_hub import hf_hub_download

    with _told(model):
        file = Path(model) / name
        if not Path(model).is_dir():
            file = Path(hf_hub_download(model, name))
        return json.loads(file.read_text(encoding="utf-8"))


def _from_pretrained(model: str, dtype: Any) -> Any:
    from diffusers import DiffusionPipeline

    load = functools.partial(DiffusionPipeline.from_pretrained, model, torch_dtype=dtype)
    files = [_WEIGHTS.match(f.name) for f in sorted(Path(model).glob("unet/*"))]
    variants = [m[1] for m in files if m]
    if variants and None not in variants:
        return load(variant="fp16" if "fp16" in variants else variants[0])
    try:
        return load()
    except OSError as error:
        if Path(model).is_dir() or "no file named" not in str(error):
            raise
        return load(variant="fp16")


def _from_file(path: str, dtype: Any, config: Path | None) -> Any:
    import diffusers
    from diffusers.loaders import single_file_utils as files

    kind = str(files.infer_diffusers_model_type(files.load_single_file_checkpoint(path)))
    if "inpaint" in kind or not kind.startswith(("v1", "v2", "xl", "playground")):
        raise KleditError(
            f"{path} is a checkpoint of the kind {kind!r}; expected plain text-to-image of Stable "
            "Diffusion 1, 2 or XL."
        )
    name = "StableDiffusionPipeline" if kind[0] == "v" else "StableDiffusionXLPipeline"
    more = {} if config is None else {"config": str(config)}
    return getattr(diffusers, name).from_single_file(path, torch_dtype=dtype, **more)
