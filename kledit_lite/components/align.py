"""CompAlign: near-orthogonal maps that carry each part of a vision model into CLIP's space.

There texts can say what a part knows, although the model never saw a text (thesis, chapter 7,
equation 7.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from kledit_lite.core.errors import KleditError, unknown

if TYPE_CHECKING:
    import torch

Penalty = Literal["part", "space"]
PENALTIES: tuple[Penalty, ...] = ("part", "space")


@dataclass(frozen=True)
class PartMaps:
    """One linear map per part.

    Attributes:
        weight: (K, D, E) float32, or (1, D, E) where one map serves all parts.
        shift: (E,) float32, added once to the sum.
        distance: Mean cosine distance of the mapped sum from CLIP on the pictures of the fit.
    """

    weight: np.ndarray
    shift: np.ndarray
    distance: float

    def __call__(self, parts: np.ndarray) -> np.ndarray:
        """Parts (K, N, D) in CLIP's space, (K, N, E); `shift` belongs to their sum."""
        return np.matmul(parts.astype(np.float32), self.weight)


def align_parts(
    parts: np.ndarray,
    clip: np.ndarray,
    lam: float = 1e-3,
    penalty: Penalty = "part",
    one_map: bool = False,
    epochs: int = 30,
    lr: float = 3e-3,
    batch: int = 128,
    seed: int = 0,
) -> PartMaps:
    """Fit the maps: ``E[1 - cos(sum_k f_k(c_k), z_clip)] + lam sum_k |f_k^T f_k - I|_F``.

    Where the part's space is wider than CLIP's (Swin: 1024 to 768), ``f^T f = I`` is impossible
    in the part's space; the public code penalises ``W W^T - I`` in CLIP's space by its mean
    square times the width instead. Both are offered by name.

    Args:
        parts: (K, N, D) contributions of `kledit_lite.inside.vision.vision_parts`.
        clip: (N, E) CLIP's embeddings of the same pictures.
        lam: Weight of the penalty; 0 for free maps.
        penalty: ``"part"``, equation 7.2; ``"space"``, the public code's.
        one_map: The same map for all parts: the baseline that ordinary alignment is.
        epochs: Passes over the pictures.
        lr: Of Adam, falling to zero by a cosine.
        batch: Pictures per step.
        seed: Of the start and the batches.

    Returns:
        The maps. O(epochs N K D E).

    Raises:
        KleditError: shapes that do not fit; a negative `lam`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> parts = rng.normal(size=(2, 64, 4))
        >>> maps = align_parts(parts, parts.sum(0), lam=0.0, epochs=200, lr=0.02)
        >>> maps.distance < 0.01
        True
    """
    import torch

    if penalty not in PENALTIES:
        raise unknown("penalty", penalty, PENALTIES)
    if parts.ndim != 3 or clip.ndim != 2 or parts.shape[1] != len(clip):
        raise KleditError(
            f"Parts (K, N, D) and CLIP's embeddings (N, E) must be of the same pictures; got "
            f"{parts.shape} and {clip.shape}."
        )
    if lam < 0:
        raise KleditError(f"The penalty's weight must not be negative; got {lam}.")
    k, n, d = parts.shape
    e = clip.shape[1]
    source = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(np.ascontiguousarray(parts.transpose(1, 0, 2), np.float32))  # (N, K, D)
    goal = torch.nn.functional.normalize(torch.from_numpy(clip.astype(np.float32)), dim=-1)
    start = torch.randn(1 if one_map else k, d, e, generator=source) / d**0.5
    weight, shift = start.requires_grad_(), torch.zeros(e, requires_grad=True)
    steps = epochs * -(-n // batch)
    optimiser = torch.optim.Adam([weight, shift], lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for rows in torch.randperm(n, generator=source).split(batch):
            loss = _distance(x[rows], goal[rows], weight, shift).mean()
            if lam:
                loss = loss + lam * _penalty(weight, penalty)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        distance = float(_distance(x, goal, weight, shift).mean())
    return PartMaps(weight.detach().numpy(), shift.detach().numpy(), distance)


def _distance(
    x: torch.Tensor, goal: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """One minus the cosine of each picture: parts (N, K, D), unit goals (N, E) to (N,)."""
    import torch

    if len(weight) == 1:
        mapped = x.sum(1) @ weight[0]
    else:
        mapped = x.flatten(1) @ weight.flatten(0, 1)  # (N, K D) @ (K D, E)
    return 1 - (torch.nn.functional.normalize(mapped + shift, dim=-1) * goal).sum(-1)


def _penalty(weight: torch.Tensor, kind: Penalty) -> torch.Tensor:
    """How far the maps are from orthogonal, summed over them; weight (K, D, E)."""
    import torch

    if kind == "part":
        product = weight @ weight.transpose(1, 2)  # (K, D, D): f^T f for f(c) = c W
        return torch.linalg.matrix_norm(product - torch.eye(product.shape[-1])).sum()
    product = weight.transpose(1, 2) @ weight  # (K, E, E)
    return ((product - torch.eye(product.shape[-1])) ** 2).mean((1, 2)).sum() * weight.shape[2]
