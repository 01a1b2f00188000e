"""Sites: where in a denoiser something can be read or replaced, in the order they run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.inside.devices import evaluating
from kledit_lite.inside.hookable import check_hookable
from kledit_lite.inside.hooks import read

Kind = Literal["cross-attention", "self-attention", "feed-forward", "resnet", "block"]
KINDS: tuple[Kind, ...] = ("cross-attention", "self-attention", "feed-forward", "resnet", "block")

_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("cross-attention", re.compile(r"transformer_blocks\.\d+\.attn2$")),
    ("self-attention", re.compile(r"transformer_blocks\.\d+\.attn1$")),
    ("feed-forward", re.compile(r"transformer_blocks\.\d+\.ff$")),
    ("resnet", re.compile(r"resnets\.\d+$")),
    ("block", re.compile(r"^(down_blocks\.\d+|mid_block|up_blocks\.\d+)$")),
)


@dataclass(frozen=True)
class Site:
    """A module of the denoiser.

    Attributes:
        name: Its dotted path below the UNet.
        kind: What it does.
        index: Its place in execution order among the sites asked for, from 0.
    """

    name: str
    kind: Kind
    index: int

    @property
    def part(self) -> str:
        """``"down"``, ``"mid"`` or ``"up"``."""
        return self.name.split("_", 1)[0]

    @property
    def short(self) -> str:
        """A label for figures with the block and the position in it, e.g. ``"up 1.2"``."""
        numbers = re.findall(r"\.(\d+)", self.name)
        return " ".join([self.part, ".".join(numbers[:2])]).strip()


def probe_inputs(unet: Any) -> dict[str, Any]:
    """The smallest inputs the UNet accepts: one row, 8 x 8 latents, two text tokens, zeros."""
    config, like = unet.config, {"device": unet.device, "dtype": unet.dtype}
    width = config.cross_attention_dim
    width = width if isinstance(width, int) else width[0]
    inputs: dict[str, Any] = {
        "sample": torch.zeros(1, config.in_channels, 8, 8, **like),
        "timestep": torch.zeros((), device=unet.device, dtype=torch.long),
        "encoder_hidden_states": torch.zeros(1, 2, width, **like),
    }
    kind = getattr(config, "addition_embed_type", None)
    if kind == "text_time":  # SDXL
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        inputs["added_cond_kwargs"] = {
            "text_embeds": torch.zeros(1, pooled, **like),
            "time_ids": torch.zeros(1, 6, **like),
        }
    elif kind is not None or getattr(config, "class_embed_type", None) is not None:
        raise KleditError(
            f"This UNet wants an extra input (addition_embed_type={kind!r}, class_embed_type="
            f"{getattr(config, 'class_embed_type', None)!r}); supported are plain Stable Diffusion "
            "and SDXL UNets."
        )
    return inputs


def discover(unet: Any, kinds: Kind | Iterable[Kind] = KINDS) -> list[Site]:
    """The sites of a UNet in **execution order**, found by one probe forward.

    ``named_modules()`` lists the middle block last and sorting names puts ``.10`` before ``.2``,
    so neither may be trusted; what runs is asked instead. Works on the meta device, where nothing
    is computed.

    Args:
        unet: A diffusers `UNet2DConditionModel`.
        kinds: Which kinds of module to list.

    Returns:
        Sites numbered from 0 in the order in which they start.

    Raises:
        UnknownNameError: not a kind.
        KleditError: not a UNet, or one that would not notice a hook (see `check_unet`).

    Cost: one forward of one 8 x 8 latent.

    Example:
        >>> from kledit_lite.zoo.paint import build_unet
        >>> len(discover(build_unet(), "cross-attention"))
        16
    """
    wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    check_known("kind of site", wanted, KINDS)
    check_unet(unet)
    kinds_of: dict[str, Kind] = {}
    for name, _ in unet.named_modules():
        found = [kind for kind, pattern in _PATTERNS if pattern.search(name)]
        if found and found[0] in wanted:
            kinds_of[name] = found[0]
    with (
        evaluating(unet),
        torch.no_grad(),
        read(unet, kinds_of, at="input", take=lambda _: None) as seen,
    ):
        unet(**probe_inputs(unet))
    return [Site(name, kinds_of[name], i) for i, name in enumerate(seen.order)]


def cross_attention_sites(unet: Any) -> list[Site]:
    """The cross-attention layers in execution order: 16 in SD-1.x and 2.x, 70 in SDXL."""
    return discover(unet, "cross-attention")


def check_unet(unet: Any) -> None:
    """Refuse anything but a UNet of diffusers that lets hooks run.

    Raises:
        KleditError: as `check_hookable`.
    """
    check_hookable(unet)
    if not hasattr(unet, "config") or not hasattr(unet.config, "cross_attention_dim"):
        raise KleditError(
            f"Expected a diffusers UNet2DConditionModel, got {type(unet).__name__}; pass "
            "pipeline.unet."
        )


def layer_indices(sites: Sequence[Site], chosen: Iterable[int]) -> list[int]:
    """Check layer numbers against the sites there are.

    Raises:
        KleditError: a number outside ``0 .. len(sites) - 1``, or one twice.
    """
    layers = list(chosen)
    wrong = [x for x in layers if not 0 <= x < len(sites)]
    if wrong:
        raise KleditError(
            f"Layers {wrong} do not exist: the model has {len(sites)} cross-attention layers, "
            f"numbered 0 to {len(sites) - 1}."
        )
    if len(set(layers)) != len(layers):
        raise KleditError(f"Each layer may be named once, got {layers}.")
    return layers
