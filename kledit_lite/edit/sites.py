"""The matrices that edits may change, their names, and the shape of an architecture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch

from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.inside import Site, cross_attention_sites
from kledit_lite.inside.multimodal import decoder
from kledit_lite.inside.sites import check_unet, layer_indices

ENCODERS = ("text_encoder", "text_encoder_2")
PROJECTIONS = ("to_k", "to_v")
_KEY_VALUE = re.compile(r"\.attn2\.(to_k|to_v)\.weight$")
_OUT = re.compile(r"(?:^|\.)encoder\.layers\.(\d+)\.self_attn\.out_proj\.weight$")

Shapes = dict[str, tuple[int, ...]]


def encoders(pipe: Any) -> list[str]:
    """Names of the pipeline's CLIP text encoders: one, or two in SDXL.

    Raises:
        KleditError: it has none; T5, for one, is of another kind.
    """
    there = {name: getattr(pipe, name, None) for name in ENCODERS}
    found = [
        name
        for name, module in there.items()
        if module is not None and any(_OUT.search(n) for n, _ in module.named_parameters())
    ]
    if not found:
        kinds = [type(module).__name__ for module in there.values()]
        raise KleditError(
            f"The pipeline has no CLIP text encoder ({' and '.join(kinds)}); edit the "
            "cross-attention layers instead."
        )
    return found


def fingerprint(pipe: Any) -> Shapes:
    """Which matrices an edit may change, and their shapes: what makes two architectures one.

    Returns:
        Name to shape, of every cross-attention ``to_k`` and ``to_v`` of the UNet and every
        self-attention ``out_proj`` of the text encoders; of a language model, which is a module
        and no pipeline, of every ``mlp.down_proj``. The names do not depend on the version of
        transformers.
    """
    if isinstance(pipe, torch.nn.Module):
        return {n: tuple(w.shape) for n, w in down_projections(pipe).items()}
    shapes: Shapes = {}
    for part in ("unet", *ENCODERS):
        module = getattr(pipe, part, None)
        if not isinstance(module, torch.nn.Module):
            continue
        _check_plain(part, module)
        pattern = _KEY_VALUE if part == "unet" else _OUT
        for name, weight in module.named_parameters():
            if pattern.search(name):
                shapes[f"{part}.{name.removeprefix('text_model.')}"] = tuple(weight.shape)
    if not shapes:
        raise KleditError(
            f"Found no cross-attention in {type(pipe).__name__}; expected a Stable Diffusion or "
            "SDXL pipeline with a `unet` and a `text_encoder`."
        )
    return shapes


def down_projections(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The last matrix of each layer's MLP in a language model, first layer to last.

    Raises:
        KleditError: a model without such layers or matrices, or one that hooks do not reach.
    """
    whole = decoder(model)
    names = {id(m): n for n, m in model.named_modules()}
    found = {}
    for layer in whole.layers:
        matrix = getattr(layer.mlp, "down_proj", None)
        if matrix is None:
            raise KleditError(
                f"{type(layer.mlp).__name__} has no down_proj; edits of this kind are for models "
                "whose MLP is gated as Llama's."
            )
        found[f"{names[id(matrix)]}.weight"] = matrix.weight
    return found


def check_same(expected: Mapping[str, Sequence[int]], pipe: Any, what: str = "edit") -> None:
    """Raise unless the pipeline has exactly the expected matrices.

    Args:
        expected: Name to shape of every matrix, as from `fingerprint`.
        pipe: The pipeline to check.
        what: What the message calls the file that expects them.

    Raises:
        KleditError: another architecture; names the first difference.
    """
    found = fingerprint(pipe)
    for name in (*expected, *found):
        theirs, ours = expected.get(name), found.get(name)
        if theirs is None or ours is None or tuple(theirs) != ours:
            theirs_said = "no such matrix" if theirs is None else f"shape {tuple(theirs)}"
            ours_said = "none" if ours is None else f"one of shape {ours}"
            raise KleditError(
                f"This {what} is for another architecture: at {name} it expects {theirs_said}, the "
                f"pipeline has {ours_said}; use the model family the {what} was made with."
            )


def parameter(pipe: Any, name: str) -> torch.nn.Parameter:
    """The pipeline's parameter of a name as in `fingerprint`.

    Raises:
        KleditError: not there, not a plain floating-point matrix, or not loaded.
    """
    part, rest = name.split(".", 1)
    module = getattr(pipe, part, None)
    owner, leaf = rest.rsplit(".", 1)
    for path in (owner, f"text_model.{owner}"):
        try:
            holder = module.get_submodule(path) if module is not None else None
        except AttributeError:
            continue
        found: Any = getattr(holder, leaf, None)
        plain = isinstance(found, torch.nn.Parameter) and (
            isinstance(holder, torch.nn.Linear) or found.ndim < 2
        )
        if not plain:
            raise KleditError(
                f"{name} belongs to a {type(holder).__name__}, expected a plain torch.nn.Linear; "
                "merge or unload adapters and load the model unquantised."
            )
        if found.is_meta or not found.is_floating_point():
            state = "on the meta device" if found.is_meta else f"of {found.dtype}"
            raise KleditError(
                f"{name} is {state}, so it cannot be edited; load the weights in a floating-point "
                "type and without offloading."
            )
        return found
    raise KleditError(f"The pipeline has no parameter {name}; was it made for another model?")


_SITES: WeakKeyDictionary[Any, list[Site]] = WeakKeyDictionary()


def key_value_sites(pipe: Any) -> list[Site]:
    """The UNet's cross-attention layers in execution order, found once for each UNet.

    Raises:
        KleditError: a UNet whose layers hooks or edits would not reach.
    """
    check_unet(pipe.unet)
    if pipe.unet not in _SITES:
        _SITES[pipe.unet] = cross_attention_sites(pipe.unet)
    return list(_SITES[pipe.unet])


def key_value_names(
    pipe: Any, layers: Iterable[int] | None, projections: Sequence[str] = PROJECTIONS
) -> list[str]:
    """Names of ``to_k`` and ``to_v`` of cross-attention layers.

    Args:
        pipe: The pipeline.
        layers: Numbers in execution order; None for all.
        projections: ``to_k``, ``to_v`` or both.

    Raises:
        KleditError: a layer that does not exist, none, or a UNet that hides hooks.
        UnknownNameError: another projection.
    """
    check_known("projection", projections, PROJECTIONS)
    sites = key_value_sites(pipe)
    chosen = range(len(sites)) if layers is None else layer_indices(sites, layers)
    if not len(chosen) or not projections:
        raise KleditError("No layers to edit; name at least one, e.g. layers=[8, 9].")
    return [f"unet.{sites[i].name}.{p}.weight" for i in chosen for p in projections]


def out_names(pipe: Any, encoder: str, layers: Iterable[int]) -> list[str]:
    """Names of the self-attention output matrices of chosen layers of a text encoder.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        encoder: ``text_encoder`` or ``text_encoder_2``.
        layers: Numbers of the layers, from 0.

    Raises:
        KleditError: a layer that does not exist, or none.
    """
    found = [n for n in fingerprint(pipe) if n.startswith(f"{encoder}.")]
    chosen = list(layers)
    wrong = [i for i in chosen if i not in range(len(found))]
    if wrong or not chosen:
        raise KleditError(
            f"Text encoder layers {chosen} do not exist: {encoder} has {len(found)}, numbered 0 to "
            f"{len(found) - 1}."
        )
    return [found[i] for i in chosen]


def short(name: str) -> str:
    """A label for tables and figures.

    Example:
        >>> short("unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight")
        'up 1.0 K'
        >>> short("text_encoder.encoder.layers.0.self_attn.out_proj.weight")
        'text_encoder 0 out'
    """
    if name.startswith("unet."):
        inside = name.removeprefix("unet.")
        matrix = re.search(r"\.attn2\.(\w+)(?:\.0)?\.(weight|bias)$", inside)
        ends = {"to_k": "K", "to_v": "V", "to_q": "Q", "to_out": "out"}
        end = ends.get(matrix[1], matrix[1]) if matrix else inside.rsplit(".", 1)[-1]
        block = Site(inside, "cross-attention", 0).short
        number = re.search(r"transformer_blocks\.(\d+)", inside)
        if number and number[1] != "0":
            block = f"{block}.{number[1]}"
        return f"{block} {end}" + (" bias" if inside.endswith("bias") else "")
    layer = re.search(r"layers\.(\d+)", name)
    return f"{name.split('.', 1)[0]} {layer[1] if layer else '?'} out"


def check_editable(pipe: Any, names: Iterable[str]) -> dict[str, torch.nn.Parameter]:
    """The parameters of the names; refuses compiled or fused modules, where edits do nothing."""
    names = list(names)
    if any(n.startswith("unet.") for n in names):
        check_unet(pipe.unet)
    return {name: parameter(pipe, name) for name in names}


def _check_plain(part: str, module: torch.nn.Module) -> None:
    """A compiled module would run on with weights it has captured."""
    if type(module).__name__ == "OptimizedModule" or module._compiled_call_impl is not None:
        raise KleditError(
            f"The {part} is compiled, so an edit could go unnoticed; load the pipeline again and "
            "do not compile it."
        )
