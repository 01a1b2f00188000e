"""The final representation of a vision transformer as an exact sum of what its parts wrote into it.

Every block of a pre-norm transformer adds to a residual stream; the final norm and the pooling are
linear once the norm's own statistics are taken as observed. So the representation is a sum over
the stem, every attention head, every MLP and the biases (RepDecompose: thesis, chapter 7, equation
7.1 and algorithm 3; for CLIP Gandelsman et al. 2024). One forward pass gives all of them.

Known blocks: timm's ViTs (DeiT, DINO, CLIP towers; class token or mean pooling, LayerScale,
RMSNorm), open_clip's own ViTs, timm's Swin. Anything else is refused rather than summed wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.swin import swin_parts
from kledit_lite.inside.vit import families, open_vit, tower_head

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

TOLERANCE = 1e-4
"""Largest relative error of the sum in float32 before the parts are refused."""


@dataclass(frozen=True)
class Parts:
    """What each part of a model wrote into the representation of each picture.

    Attributes:
        values: (K, N, D) float; their sum over K is the representation.
        names: K names: ``stem``, ``0.head.2`` (block and head), ``0.mlp``, ``bias``.
        error: Largest relative error of the sum over the pictures.
    """

    values: Float[torch.Tensor, "K N D"]
    names: tuple[str, ...]
    error: float

    @property
    def total(self) -> Float[torch.Tensor, "N D"]:
        """The representation, (N, D)."""
        return self.values.sum(0)

    def rows(self, kind: str) -> list[int]:
        """Rows of one kind: ``stem``, ``head``, ``mlp`` or ``bias``."""
        return [i for i, name in enumerate(self.names) if kind in name.split(".")]

    def layer(self, row: int) -> int:
        """The block of a row; -1 for the stem and the biases."""
        first = self.names[row].split(".")[0]
        return int(first) if first.isdigit() else -1


def vision_parts(model: Any, images: Float[torch.Tensor, "N 3 H W"]) -> Parts:
    """Decompose the representation that `model` gives of some pictures. No gradient is kept.

    ``z = sum_k c_k`` with, for head h of block l, ``c = P N (A_h V_h W_O^h)``: N the final norm
    with the statistics that this picture had, P the pooling and, for CLIP, the projection.

    Args:
        model: A timm ViT or Swin without classifier (``num_classes=0``), an open_clip image tower,
            in eval mode.
        images: (N, 3, H, W), normalised as the model wants them.

    Returns:
        K = 1 + blocks x (heads + 1) + 1 rows; D is the width of ``model(images)``. One forward
        pass and K products of (N, D).

    Raises:
        KleditError: blocks that are not known; a sum that is not the representation.

    Example:
        >>> import torch
        >>> from kledit_lite import zoo
        >>> trunk = zoo.load_encoder("vit-tiny").trunk
        >>> parts = vision_parts(trunk, torch.zeros(2, 3, 64, 64))
        >>> parts.names[:4], parts.error < 1e-5
        (('stem', '0.head.0', '0.head.1', '0.head.2'), True)
    """
    import torch

    family = _family(model)
    with torch.no_grad():
        found, whole = family(model, images)
        names = tuple(found)
        values = torch.stack([found[name] for name in names])
        error = ((values.sum(0) - whole).norm(dim=1) / whole.norm(dim=1).clamp(min=1e-12)).max()
    if not float(error) <= TOLERANCE:
        raise KleditError(
            f"The parts of {type(model).__name__} sum to its representation up to "
            f"{float(error):.1e} only ({TOLERANCE:g} wanted); use float32 and eval mode, or the "
            "model has a path that is not known."
        )
    return Parts(values, names, float(error))


Found = dict[str, Any]


def _family(model: Any) -> Callable[[Any, Any], tuple[Found, Any]]:
    """The function that decomposes models of this class."""
    kinds = families(model)
    if kinds.get("TimmModel") == "open_clip":
        return _tower
    if "VisionTransformer" in kinds:
        return _plain
    if kinds.get("SwinTransformer") == "timm":
        return swin_parts
    raise KleditError(
        f"{type(model).__name__} is not a vision transformer whose parts are known: timm's "
        "VisionTransformer and SwinTransformer, and the image towers of open_clip, are."
    )


def _tower(model: Any, images: Any) -> tuple[Found, Any]:
    linear, bias = tower_head(model)
    found, whole = _family(model.trunk)(model.trunk, images)
    if linear is not None:
        found = {n: v @ linear for n, v in found.items()}
        whole = whole @ linear
    if bias is not None:
        found["bias"] = found["bias"] + bias
        whole = whole + bias
    return found, whole


def _plain(model: Any, images: Any) -> tuple[Found, Any]:
    opened = open_vit(model, images)
    through = opened.frozen
    found, bias = {"stem": through(opened.stem)}, through.shift
    for i, b in enumerate(opened.blocks):
        for h in range(b.weight.shape[1]):
            pooled = through.pool(b.mixed[:, :, h])  # (N, d): pooling commutes with the product
            found[f"{i}.head.{h}"] = through.scale((pooled @ b.weight[:, h].T) * b.rate)
        found[f"{i}.mlp"] = through(b.mlp)
        bias = bias + through(b.bias.expand_as(opened.stem))
    found["bias"] = bias
    if opened.project is not None:
        found = {n: v @ opened.project for n, v in found.items()}
    return found, opened.whole
