"""Self-supervision by SimCLR: two random views of each picture must find each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kledit_lite.inside.devices import in_bfloat16


def random_views(x: torch.Tensor, rng: np.random.Generator, mixed: bool = False) -> torch.Tensor:
    """One augmented view per picture: a crop, perhaps flipped, in other light.

    Args:
        x: (N, 3, H, W) normalised pictures.
        rng: Source of the randomness.
        mixed: Leave little of the colours: four pictures in five have their channels mixed by three
            random positive directions, three in ten are grey, and all get zero mean and unit
            variance before contrast and brightness. Without it, colours only fade or deepen.

    Returns:
        (N, 3, H, W). O(N H W).
    """
    n = len(x)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(x.device)

    def draw(low: float, high: float) -> torch.Tensor:
        return tensor(rng.uniform(low, high, (n, 1, 1, 1)))

    zoom, side = draw(0.55, 1.0).view(n), (draw(-1, 1).view(n) > 0).float() * 2 - 1
    theta = torch.zeros(n, 2, 3, device=x.device)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * side, zoom
    theta[:, 0, 2] = draw(-1, 1).view(n) * (1 - zoom)
    theta[:, 1, 2] = draw(-1, 1).view(n) * (1 - zoom)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    grey = x.mean(1, keepdim=True)
    if not mixed:
        x = grey + (x - grey) * draw(0.6, 1.4)
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (x - mean) * draw(0.7, 1.3) + draw(-0.4, 0.4)
    mixing = F.normalize(tensor(rng.normal(size=(n, 3, 3))).abs(), dim=-1)
    x = torch.where(draw(0, 1) < 0.2, x, torch.einsum("nij,njhw->nihw", mixing, x))
    x = torch.where(draw(0, 1) < 0.3, grey.expand_as(x), x)
    spread, mean = torch.std_mean(x, (1, 2, 3), keepdim=True)
    return (x - mean) / (spread + 1e-3) * draw(0.6, 1.4) + draw(-0.5, 0.5)


def simclr_loss(
    model: Any, x: torch.Tensor, rng: np.random.Generator, temperature: float = 0.2
) -> torch.Tensor:
    """NT-Xent (Chen et al. 2020, equation 1) over two views of each picture.

    ``l(i, j) = -log( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) )``, s the cosine similarity of
    projections, averaged over all 2N rows. Trunk and projectors run in bfloat16. In half of the
    batches the views have their colours mixed, so that shapes are needed; in the others colours
    tell pictures apart as well. Each kind of batch has a projector of its own (as in Xiao et al.
    2021): with one for both, the trunk forgot its colours.

    Args:
        model: Children ``trunk`` and ``projector``, see `projector`.
        x: (N, 3, H, W) pictures.
        rng: Source of the augmentations.
        temperature: t.
    """
    mixed = rng.random() < 0.5
    views = torch.cat([random_views(x, rng, mixed), random_views(x, rng, mixed)])
    views = views.contiguous(memory_format=torch.channels_last)
    with in_bfloat16():
        z = model["projector"][mixed](model["trunk"](views))
    z = F.normalize(z.float(), dim=-1)  # (2N, p)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(float("-inf"))
    partner = torch.arange(len(z), device=x.device).roll(len(x))
    return F.cross_entropy(logits, partner)


def projector(width: int) -> torch.nn.ModuleList:
    """What stands between the trunk's features (N, width) and the loss, and is thrown away.

    One for views with their colours and one for views with mixed ones.
    """
    return torch.nn.ModuleList(
        torch.nn.Sequential(torch.nn.Linear(width, 192), torch.nn.ReLU(), torch.nn.Linear(192, 64))
        for _ in range(2)
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
    named = labels[known].cpu().numpy()
    probe = LogisticRegression(max_iter=300).fit(scaler.transform(features), named)
    weight = probe.coef_ / scaler.scale_
    bias = probe.intercept_ - weight @ scaler.mean_
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weight).float())
        model.head.bias.copy_(torch.from_numpy(bias).float())
