"""Opening a vision encoder by its id: from a package, a hub's cache or download, or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.models import miniatures, sources

if TYPE_CHECKING:
    import torch


DTYPES = ("float32", "float16", "bfloat16")
"""Types of numbers in which models can be opened."""


class Unreachable(KleditError, OSError):
    """Weights that are not on this machine, on a machine that cannot fetch them."""


def open_encoder(source_id: str) -> tuple[Any, str, Any, Sequence[str] | None]:
    """A model by its id: model, supervision, preprocess or None, label names or None."""
    scheme, _, name = source_id.partition(":")
    if scheme in {"timm", "dino", "torchvision"}:
        at_hand(source_id)
    if small := miniatures.name_of(source_id, miniatures.ENCODERS):
        from kledit_lite.models.miniatures.vision import build_encoder

        return *build_encoder(small), None, None
    if scheme == "package":
        return _from_package(name), sources.carried_by(name).supervision, None, None
    try:
        if scheme == "dino":
            return _from_dino(name), "self-supervised", None, None
        if scheme == "timm":
            return _timm_model(name, pretrained=True), _supervision(name), None, None
        if scheme == "torchvision":
            weights = sources.torchvision_weights(name)
            from torchvision.models import get_model

            model = get_model(name.partition("/")[0], weights=weights)
            return model, "supervised", weights.transforms(), weights.meta.get("categories")
    except OSError as error:
        raise unreachable(source_id, str(error).splitlines()[0]) from None
    if Path(source_id).is_dir():
        return _from_directory(Path(source_id)), "unknown", None, None
    raise KleditError(
        f"No encoder {source_id!r}; expected package:NAME, timm:NAME, torchvision:NAME, dino:ARCH, "
        "a directory, or a torch.nn.Module with a preprocess."
    )


def at_hand(source_id: str) -> None:
    """Raise at once where weights are neither cached nor to be downloaded."""
    missing = sources.why_missing(source_id, reach_out=True)
    if missing is not None:
        raise unreachable(source_id, missing)


def unreachable(source_id: str, reason: str) -> Unreachable:
    """The error for weights that cannot be had, with what to do about it."""
    way = "; connect to the network once, or give a directory that holds the model"
    return Unreachable(f"{source_id} cannot be loaded: {reason}{way if 'hub' in reason else ''}.")


def dtype_of(name: str | None, default: str) -> torch.dtype:
    """torch's type of numbers by its name.

    Args:
        name: One of `DTYPES`, or None for the default.
        default: Another.

    Raises:
        UnknownNameError: no such dtype.
    """
    import torch

    if name is not None and name not in DTYPES:
        raise unknown("dtype", name, DTYPES)
    return getattr(torch, name or default)


def load_by_order(model: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Copy tensors into a model whose own are the same in order and shape, under other names.

    Raises:
        KleditError: another number of tensors, or a shape that differs; the model is unchanged.

    Cost: O(number of parameters).
    """
    own = model.state_dict()
    if len(own) != len(tensors):
        raise KleditError(f"Expected {len(own)} tensors, got {len(tensors)}; weights do not fit.")
    for (name, mine), (theirs, value) in zip(own.items(), tensors.items(), strict=True):
        if mine.shape != value.shape:
            raise KleditError(
                f"Tensor {theirs} has shape {tuple(value.shape)}; {name} expects "
                f"{tuple(mine.shape)}, so the weights do not fit."
            )
    model.load_state_dict(dict(zip(own, tensors.values(), strict=True)))


def _timm_model(name: str, **options: Any) -> Any:
    import timm

    return timm.create_model(name, **options)


def _from_package(name: str) -> Any:
    import torch

    carried, path = sources.carried_by(name), sources.package_file(name)
    model = _timm_model(carried.architecture)
    load_by_order(model, torch.load(path, map_location="cpu", weights_only=True))
    return model


def _from_dino(name: str) -> Any:
    import torch

    model = _timm_model(name, num_classes=0)
    state = torch.hub.load_state_dict_from_url(
        sources.DINO[name], map_location="cpu", progress=False, weights_only=True
    )
    model.load_state_dict(state)
    return model


def _from_directory(folder: Path) -> Any:
    if not (folder / "config.json").is_file():
        raise KleditError(
            f"{folder} has no config.json; expected a directory in timm's layout, with "
            "config.json and model.safetensors."
        )
    return _timm_model(f"local-dir:{folder}", pretrained=True)


def _supervision(name: str) -> str:
    """By the tag of a timm name: ``vit_small_patch16_224.dino`` is self-supervised."""
    tag = name.partition(".")[2]
    if "clip" in name:
        return "language"
    return "self-supervised" if "dino" in tag or tag.startswith("mae") else "supervised"
