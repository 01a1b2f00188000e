"""Several encoders carried into a CLIP's space, and those whose features serve best as a source."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Num, UInt8

from kledit_lite.align.affine import AffineMap
from kledit_lite.align.evaluate import r2
from kledit_lite.align.linear import fit_aligner
from kledit_lite.core.arrays import as_features, check_same_rows
from kledit_lite.core.errors import KleditError, check_known

STRENGTHS = (1e-6, 1e-4, 1e-3, 1e-2)
"""Ridges to try, counted in the squared length that N rows of the source spread over a feature."""
BESIDE = " + "
"""Between the names of two encoders that look side by side."""


def fit_with_validation(
    source: Num[Any, "N d_s"], target: Num[Any, "N d_t"], strengths: Sequence[float] = STRENGTHS
) -> tuple[AffineMap, float]:
    """The aligner whose ridge does best on the last fifth of the rows, fitted on all of them.

    Args:
        source: (N, d_s).
        target: (N, d_t), of the same pictures.
        strengths: ridges to try, in units of N times the mean variance of the source's features,
            so that they mean the same to every encoder.

    Returns:
        The aligner, and the R2 that its ridge reached on the last fifth.

    Raises:
        KleditError: fewer than ten rows, no strengths, or a fault of `fit_aligner`.

    Cost: one `fit_aligner` per strength, and one more.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> round(fit_with_validation(x, x[:, :2])[1], 3)
        1.0
    """
    x, y = as_features("source", source, min_rows=10), as_features("target", target)
    check_same_rows(source=x, target=y)
    if not len(strengths):
        raise KleditError("strengths is empty: give ridges to try.")
    cut = 4 * len(x) // 5
    unit = cut * x[:cut].var(axis=0).mean()
    trials = (fit_aligner(x[:cut], y[:cut], ridge=s * unit) for s in strengths)
    scores = [float(r2(trial, x[cut:], y[cut:])) for trial in trials]
    best = int(np.argmax(scores))
    return fit_aligner(x, y, ridge=strengths[best] * unit), scores[best]


@dataclass(frozen=True, eq=False)
class Translation:
    """Encoders with an aligner each, and the one, or the two side by side, that serve as source.

    Attributes:
        encoders: name -> encoder.
        aligners: name -> aligner, of every encoder and of the source.
        features: name -> (N, d) of the pictures that the aligners were fitted on.
        source: a name of `aligners`; two encoders are joined by `BESIDE`.
    """

    encoders: Mapping[str, Any]
    aligners: Mapping[str, AffineMap]
    features: Mapping[str, Float[np.ndarray, "N _"]]
    source: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The encoders that the source is made of."""
        return tuple(_parts((self.source,)))

    def encode(
        self, images: UInt8[Any, "M H W 3"], names: Collection[str] = ()
    ) -> dict[str, Float[np.ndarray, "M _"]]:
        """Features of pictures, each encoder asked once.

        Args:
            images: (M, H, W, 3) uint8.
            names: of `aligners`; all of them if none is given.

        Raises:
            UnknownNameError: a name without an aligner.
        """
        names = names or tuple(self.aligners)
        check_known("aligned encoder", names, self.aligners)
        single = {n: self.encoders[n].encode(images) for n in _parts(names)}
        return {name: _beside(single, name) for name in names}

    def read(self, images: UInt8[Any, "M H W 3"]) -> Float[np.ndarray, "M d_t"]:
        """Pictures as the source sees them, in the target's space."""
        return self.aligners[self.source](self.encode(images, (self.source,))[self.source])


def translate(
    encoders: Mapping[str, Any],
    images: UInt8[Any, "N H W 3"],
    target: Num[Any, "N d_t"],
    *,
    control: str,
    prefer: Collection[str] = (),
) -> Translation:
    """Fit an aligner for every encoder, and choose the source without a single label.

    The source is whatever has the best R2 on the last fifth of the pictures: one encoder, or two
    whose features stand side by side in one long row.

    Args:
        encoders: name -> encoder with ``encode``, the control among them.
        images: (N, H, W, 3) uint8, to fit on.
        target: (N, d_t), the target model's features of the same pictures.
        control: name of the encoder that is never the source, nor a part of it.
        prefer: if any are given, the source is one of these.

    Raises:
        UnknownNameError: a control or a preferred name that is no encoder.

    Cost: each encoder once, and `fit_with_validation` for each of them and each pair.

    Example:
        >>> class Halves:
        ...     def __init__(self, keep): self.keep = keep
        ...     def encode(self, images): return images.reshape(len(images), -1)[:, self.keep] / 255
        >>> seen = np.random.default_rng(0).integers(0, 255, (40, 1, 2, 3)).astype(np.uint8)
        >>> eyes = {"left": Halves([0, 1, 2]), "right": Halves([3, 4, 5]), "none": Halves([0])}
        >>> translate(eyes, seen, seen.reshape(40, 6) / 255.0, control="none").source
        'left + right'
    """
    check_known("encoder", (control, *prefer), encoders)
    features = {name: e.encode(images) for name, e in encoders.items()}
    pairs = combinations((name for name in encoders if name != control), 2)
    features |= {name: _beside(features, name) for name in map(BESIDE.join, pairs)}
    fitted = {name: fit_with_validation(x, target) for name, x in features.items()}
    candidates = list(prefer) or [name for name in fitted if name != control]
    source = max(candidates, key=lambda name: fitted[name][1])
    kept = dict.fromkeys([*encoders, source])
    aligners = {name: fitted[name][0] for name in kept}
    return Translation(encoders, aligners, {name: features[name] for name in kept}, source)


def _parts(names: Collection[str]) -> list[str]:
    """The single encoders among names, once each."""
    return list(dict.fromkeys(part for name in names for part in name.split(BESIDE)))


def _beside(features: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The features of the encoders that a name joins, in one row per picture."""
    return np.hstack([features[part] for part in name.split(BESIDE)])
