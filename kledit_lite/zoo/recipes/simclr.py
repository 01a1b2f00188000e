"""Self-supervision by SimCLR: two random views of each picture must find each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


def random_views(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One augmented view per picture: random crop and zoom, flip, brightness, contrast, saturation.

    Args:
        x: (N, 3, H, W) normalised pictures.
        rng: Source of the randomness.

    Returns:
        (N, 3, H, W). O(N H W).
    """
    n = len(x)

    def draw(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32)).to(
            x.device
        )

    zoom = draw(0.55, 1.0).view(n)
    theta = torch.zeros(n, 2, 3, device=x.device)
    theta[:, 0, 0] = zoom * (draw(-1, 1).view(n) > 0).float().mul(2).sub(1)
    theta[:, 1, 1] = zoom
    theta[:, 0, 2] = draw(-1, 1).view(n) * (1 - zoom)
    theta[:, 1, 2] = draw(-1, 1).view(n) * (1 - zoom)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * draw(0.6, 1.4)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * draw(0.7, 1.3) + draw(-0.4, 0.4)


def simclr_loss(
    model: Any, x: torch.Tensor, rng: np.random.Generator, temperature: float = 0.2
) -> torch.Tensor:
    """NT-Xent (Chen et al. 2020, equation 1) over two views of each picture.

    ``l(i, j) = -log( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) )``, s the cosine similarity of
    projections, averaged over all 2N rows.

    Args:
        model: Children ``trunk`` and ``projector``.
        x: (N, 3, H, W) pictures.
        rng: Source of the augmentations.
        temperature: t.
    """
    views = torch.cat([random_views(x, rng), random_views(x, rng)])
    z = F.normalize(model["projector"](model["trunk"](views)), dim=-1)  # (2N, p)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(float("-inf"))
    n = len(x)
    partner = torch.arange(2 * n, device=x.device).roll(n)
    return F.cross_entropy(logits, partner)


def projector(width: int) -> torch.nn.Module:
    """What stands between the trunk's features (N, width) and the loss, and is thrown away."""
    return torch.nn.Sequential(
        torch.nn.Linear(width, 192), torch.nn.ReLU(), torch.nn.Linear(192, 64)
    )


def fit_probe(model: Any, images: np.ndarray, labels: torch.Tensor, rows: int = 20_000) -> None:
    """Fill ``model.head`` with a logistic regression on frozen features of `rows` pictures.

    Args:
        model: Has ``trunk`` and ``head``; the head changes.
        images: (N, 64, 64, 3) uint8.
        labels: (N,) classes; pictures with a negative one are left out.
        rows: Most pictures to fit on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from kledit_lite.zoo.pixels import encode_images

    model.eval().cpu()
    known = np.flatnonzero(labels.cpu().numpy() >= 0)[:rows]
    features = encode_images(model.trunk, images[known], 512)
    scaler = StandardScaler().fit(features)
    probe = LogisticRegression(max_iter=300).fit(
        scaler.transform(features), labels[known].cpu().numpy()
    )
    weight = probe.coef_ / scaler.scale_
    bias = probe.intercept_ - weight @ scaler.mean_
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weight).float())
        model.head.bias.copy_(torch.from_numpy(bias).float())
