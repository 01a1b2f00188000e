"""Where in a picture the parts of a vision transformer found what they wrote, in one direction.

A map holds one number per part and token instead of a vector, so a picture of ViT-L costs 0.4 MB
instead of 405: the direction is pulled back through projection, norm and output weights first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.vit import open_vit

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TokenMaps:
    """How much each token gave to a direction of the representation, through each part.

    Attributes:
        values: (K, N, T) float; tokens of the prefix (class, registers) first.
        names: K names, as those of `vision_parts` but for ``bias``.
        prefix: How many tokens stand before the patches.
    """

    values: Float[torch.Tensor, "K N T"]
    names: tuple[str, ...]
    prefix: int

    def grid(self, rows: list[int] | None = None) -> Float[np.ndarray, "N side side"]:
        """The sum of some parts (default all) over the square of patches, (N, side, side)."""
        chosen = self.values if rows is None else self.values[rows]
        patches = chosen.sum(0)[:, self.prefix :].cpu().numpy()
        side = round(patches.shape[1] ** 0.5)
        return patches.reshape(len(patches), side, side)


def token_maps(
    model: Any, images: Float[torch.Tensor, "N 3 H W"], direction: Float[torch.Tensor, " E"]
) -> TokenMaps:
    """Split ``<c_k, u>`` of every part over the tokens that it came from.

    A head's share of token t is ``sum_q w_q A_qt <V_t W_O, u>``, with w the pooling weights: what
    the head read there (thesis, chapter 7; Gandelsman et al. 2024). The stem's and the MLPs' share
    is what they wrote at t. Over tokens the shares sum to the part's product with u.

    Args:
        model: A plain ViT, see `kledit_lite.inside.vit.open_vit`.
        images: (N, 3, H, W), normalised as the model wants them.
        direction: (E,), in the space of the representation, on any device.

    Returns:
        Maps of 1 + blocks x (heads + 1) parts. One forward pass and the attention of one block at
        a time, (N, H, T, T).

    Raises:
        KleditError: a direction of another width; as `open_vit`.

    Example:
        >>> import torch
        >>> from kledit_lite import zoo
        >>> maps = token_maps(zoo.load_encoder("vit-tiny").trunk, torch.zeros(1, 3, 64, 64),
        ...                   torch.ones(96))
        >>> maps.grid().shape
        (1, 8, 8)
    """
    import torch

    with torch.no_grad():
        opened = open_vit(model, images)
        if direction.shape != opened.whole.shape[1:]:
            raise KleditError(
                f"The direction must be ({opened.whole.shape[1]},), as wide as the "
                f"representation; got {tuple(direction.shape)}."
            )
        u = direction.to(opened.whole)
        u = u if opened.project is None else opened.project @ u
        u = u * opened.frozen.weight
        u = u - u.mean() if opened.frozen.centre else u  # centring is its own transpose
        weights = opened.frozen.weights  # (N, T)
        found = {"stem": weights * (opened.stem @ u)}
        for i, b in enumerate(opened.blocks):
            logits = b.queries @ b.keys.transpose(-1, -2) * b.temper  # (N, H, T, T)
            read_at = torch.einsum("nq,nhqt->nht", weights, logits.softmax(-1))
            back = torch.einsum("dhe,d->he", b.weight, u * b.rate)  # (H, d)
            given = torch.einsum("nhte,he->nht", b.values, back) * read_at
            for h in range(given.shape[1]):
                found[f"{i}.head.{h}"] = given[:, h]
            found[f"{i}.mlp"] = weights * (b.mlp @ u)
    return TokenMaps(torch.stack(list(found.values())), tuple(found), opened.prefix)
