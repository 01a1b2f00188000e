"""What a comparison of encoders needs: pictures to fit and test on, heads, labels, a ridge.

In every profile the same four steps: `load_pictures`, encode them, `target_head` for each model,
then `kledit_lite.align.pair_table`. Pictures are the painted world, or a folder of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Num, UInt8

from kledit_lite.align.checks import as_paired
from kledit_lite.align.evaluate import r2
from kledit_lite.align.linear import fit_aligner
from kledit_lite.core.arrays import as_features, as_labels
from kledit_lite.core.errors import KleditError
from kledit_lite.zoo.head import LinearHead

if TYPE_CHECKING:
    from kledit_lite.models.image_folder import FolderImages
    from kledit_lite.world import SceneSet

FOLDER_TEMPLATES = ("a photo of a {}.", "a picture of a {}.", "an image of a {}.")
"""Zero-shot templates for the class names of an image folder."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures to fit aligners on and others to test them on.

    Attributes:
        fit: (N, H, W, 3) uint8; of a folder, read when indexed.
        test: (M, H, W, 3) uint8, likewise.
        fit_labels: (N,) int64, indices into ``names``.
        test_labels: (M,) int64, likewise.
        names: of the classes: the world's objects, or the folder's classes.
        fit_scenes: the full ground truth of ``fit``, None for a folder of images.
        test_scenes: that of ``test``.
    """

    fit: UInt8[np.ndarray, "N H W 3"] | FolderImages
    test: UInt8[np.ndarray, "M H W 3"] | FolderImages
    fit_labels: Int[np.ndarray, " N"]
    test_labels: Int[np.ndarray, " M"]
    names: tuple[str, ...]
    fit_scenes: SceneSet | None = None
    test_scenes: SceneSet | None = None


def load_pictures(
    n_fit: int, n_test: int, seed: int = 0, folder: Path | str | None = None, processes: int = 1
) -> Pictures:
    """Paint or read the pictures of a comparison.

    In the painted world the test pictures show combinations of factors that the fitted ones (and
    every shipped model's training) never showed. A folder's pictures are split at random.

    Args:
        n_fit, n_test: how many of each.
        seed: of the draw.
        folder: images, one sub-folder a class; None paints.
        processes: workers for painting; the pictures do not depend on it.

    Raises:
        KleditError: fewer than two pictures of either kind, or a folder with too few images.

    Cost: O(n_fit + n_test) pictures.

    Example:
        >>> load_pictures(2, 2).test.shape
        (2, 64, 64, 3)
    """
    if min(n_fit, n_test) < 2:
        raise KleditError(f"n_fit={n_fit} and n_test={n_test}; both must be at least 2.")
    if folder is None:
        from kledit_lite.world import OBJECTS, balanced, held_out

        fit = balanced(n_fit, seed, processes=processes)
        test = held_out(n_test, seed + 1, processes=processes)
        labels = fit.factor("object"), test.factor("object")
        return Pictures(fit.images, test.images, *labels, OBJECTS, fit, test)
    from kledit_lite.models.image_folder import load_image_folder

    sample = load_image_folder(folder, n_fit + n_test, seed)
    if len(sample) < n_fit + n_test:
        raise KleditError(
            f"{folder} has {len(sample)} images, expected {n_fit + n_test}: lower n_fit and n_test."
        )
    order = np.random.default_rng(seed).permutation(len(sample))
    a, b = order[:n_fit], order[n_fit:]
    images, labels = sample.images, (sample.labels[a], sample.labels[b])
    return Pictures(images.select(a), images.select(b), *labels, sample.names)


def encode(
    model: Any, images: UInt8[np.ndarray, "N H W 3"] | FolderImages, batch: int = 256
) -> Float[np.ndarray, "N d"]:
    """Image features (N, d) float32 of an encoder or a CLIP, not normalised.

    A `FolderImages` is read ``batch`` images at a time, so a folder of any size fits.

    Args:
        model: with ``encode``, or a CLIP with ``encode_image``.
        images: uint8 (N, H, W, 3), or a folder's.
        batch: images per forward pass.

    Cost: N forward passes.
    """
    forward = model.encode_image if hasattr(model, "encode_image") else model.encode
    if not hasattr(images, "select"):
        return forward(images)
    starts = range(0, len(images), batch)
    return np.concatenate([forward(images[start : start + batch]) for start in starts])


def probe(
    features: Num[Any, "N d"], labels: Int[Any, " N"], names: Sequence[str], ridge: float = 1.0
) -> LinearHead:
    """A linear classifier by least squares on one-hot labels, for a model without a head.

    Args:
        features: (N, d).
        labels: (N,) indices into ``names``.
        ridge: as in `fit_aligner`.
        names: of the C classes.

    Raises:
        KleditError: labels that are no classes, or a fault of `fit_aligner`.

    Cost O(N d^2 + d^3).

    Example:
        >>> probe([[0.0], [1.0], [0.1], [0.9]], [0, 1, 0, 1], ["low", "high"], 0.0).weight.shape
        (2, 1)
    """
    x = as_features("features", features, min_rows=2)
    y = as_labels("labels", labels, len(x), classes=len(names))
    fitted = fit_aligner(x, np.eye(len(names))[y], ridge, allow_rank_deficient=True)
    return LinearHead(fitted.weight.T, fitted.bias, tuple(names))


def target_head(
    model: Any, pictures: Pictures, fit_features: Float[np.ndarray, "N d"]
) -> tuple[LinearHead, Int[np.ndarray, " M"], str]:
    """The head that reads a model's space, the test labels in its own classes, and its kind.

    A CLIP gets its zero-shot head. An encoder keeps its own head where the pictures have labels
    for it (a zoo model on the painted world, an ImageNet model on an ImageNet folder); otherwise
    a `probe` is fitted on ``fit_features``. A self-supervised model of the zoo ships with a probe
    that was fitted afterwards, and it is called one.

    Args:
        model: an encoder or a CLIP.
        pictures: from `load_pictures`.
        fit_features: (N, d), of ``pictures.fit``.

    Returns:
        ``(head, labels (M,), kind)`` with kind ``"zero-shot"``, ``"own head"`` or ``"probe"``.

    Raises:
        KleditError: a fault of `probe`.
    """
    painted, labels = pictures.test_scenes, pictures.test_labels
    if hasattr(model, "encode_text"):
        if painted is not None:
            from kledit_lite.zoo.measure import factor_head

            rows = factor_head(model, "object")
        else:
            rows = model.head(pictures.names, FOLDER_TEMPLATES)
        return LinearHead(rows, np.zeros(len(rows)), pictures.names), labels, "zero-shot"
    head = model.head
    if painted is not None and head is not None and hasattr(model, "labels"):
        kind = "probe" if getattr(model, "supervision", "") == "self-supervised" else "own head"
        return head, model.labels(painted), kind
    if painted is None and head is not None and tuple(head.label_names) == pictures.names:
        return head, labels, "own head"
    return probe(fit_features, pictures.fit_labels, pictures.names), labels, "probe"


def choose_ridge(
    source: Num[Any, "N d_s"],
    target: Num[Any, "N d_t"],
    grid: Sequence[float] = (0.0, 1.0, 10.0, 100.0, 1000.0),
    share: float = 0.2,
    seed: int = 0,
) -> float:
    """The ridge of ``grid`` with the best R2 on a share of the rows kept apart.

    Needed where there are few pictures for many features; with plenty of pictures the choice
    hardly matters.

    Args:
        source: (N, d_s).
        target: (N, d_t).
        grid: values to try.
        share: of the rows kept apart, in (0, 1).
        seed: of the split.

    Raises:
        KleditError: an empty grid, a share outside (0, 1), or a fault of `fit_aligner`.

    Cost: one `fit_aligner` a value.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 40))
        >>> choose_ridge(x, x[:, :2] + np.random.default_rng(1).normal(size=(60, 2)), [0, 30])
        30
    """
    x, y = as_paired(source, target, min_rows=5)
    if not len(grid) or not 0 < share < 1:
        raise KleditError(f"grid is {list(grid)} and share {share}; expected values and 0 to 1.")
    order = np.random.default_rng(seed).permutation(len(x))
    cut = max(2, round(share * len(x)))
    apart, rest = order[:cut], order[cut:]

    def score(ridge: float) -> float:
        fitted = fit_aligner(x[rest], y[rest], ridge, allow_rank_deficient=True)
        return float(r2(fitted, x[apart], y[apart]))

    return max(grid, key=score)
