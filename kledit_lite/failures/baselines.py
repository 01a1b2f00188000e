"""Other ways to find hard subpopulations, each a `Group`, so that one table can compare all.

Two of them cluster a latent space first and look for words afterwards; the third looks for words
first, but one at a time. (The fourth, SliceLine's score, is in `sliceline`.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.failures.evaluate import Group, drop_of, prime_groups
from kledit_lite.failures.search import find_modes
from kledit_lite.failures.table import TagTable

Texts = Mapping[str, tuple[Sequence[str], np.ndarray]]
"""Class -> candidate descriptions and their unit embeddings (S, d)."""


@dataclass(frozen=True, eq=False)
class Data:
    """What a latent method sees of a data set.

    Attributes:
        table: Labels and verdicts (its tags are not looked at).
        features: (N, d) image embeddings in the space of the texts.
        probabilities: (N, C) the classifier's, or (N, 1) of the true class.
    """

    table: TagTable
    features: np.ndarray
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.table) == len(self.features) == len(self.probabilities):
            raise KleditError(
                f"{len(self.table)} rows, {len(self.features)} embeddings and "
                f"{len(self.probabilities)} probabilities; expected as many of each."
            )

    def unit(self) -> np.ndarray:
        """(N, d) float64 embeddings of length 1."""
        return unit_rows(self.features.astype(np.float64))


def single_tags(
    table: TagTable,
    unseen: TagTable,
    s: float = 30,
    a: float = 0.30,
    phrase: Callable[[str, Sequence[str]], str] | None = None,
) -> list[Group]:
    """One word at a time, as Bias-to-Text does (Kim et al., 2023): the search with l = 1.

    Args:
        table: to search in.
        unseen: to find the same groups in.
        s: as in `find_modes`.
        a: as in `find_modes`.
        phrase: class and tags to a description; see `prime_groups`.
    """
    return prime_groups(find_modes(table, 1, s, a).table, table, unseen, phrase)


def best_text(direction: np.ndarray, texts: tuple[Sequence[str], np.ndarray]) -> str:
    """The candidate whose embedding has the largest dot product with a direction (d,)."""
    return texts[0][int(np.argmax(texts[1] @ direction))]


def failure_directions(
    seen: Data, unseen: Data, texts: Texts, s: int = 30, strength: float = 0.1
) -> list[Group]:
    """A linear boundary between right and wrong images of each class (Jain et al., 2023).

    A support vector machine per class separates the embeddings of images the model got right from
    those it got wrong; its negative side is the group, and the text farthest along its normal the
    description.

    Args:
        seen, unseen: The data to fit on, and the data to find the group again in.
        texts: Candidate descriptions of each class.
        s: Leave out classes with fewer errors, and groups with fewer images.
        strength: C of the machine; the smaller, the smoother.

    Returns:
        At most one group per class, the largest drop first.
    """
    from sklearn.svm import LinearSVC

    groups = []
    x, x_unseen = seen.unit(), unseen.unit()
    for label, name in enumerate(seen.table.classes):
        rows, others = seen.table.members(label), unseen.table.members(label)
        correct = seen.table.correct[rows]
        if min((~correct).sum(), correct.sum()) < s:
            continue
        machine = LinearSVC(C=strength, class_weight="balanced", random_state=0, max_iter=10_000)
        machine.fit(x[rows], correct)
        hard = rows[machine.decision_function(x[rows]) < 0]
        found = others[machine.decision_function(x_unseen[others]) < 0] if len(others) else others
        if len(hard) >= s:
            groups.append(Group(name, best_text(-machine.coef_[0], texts[name]), hard, found))
    return _hardest(groups, seen.table)


def domino(
    seen: Data,
    unseen: Data,
    texts: Texts,
    slices: int = 8,
    s: int = 30,
    dims: int = 32,
    gamma: float = 10.0,
    steps: int = 100,
    seed: int = 0,
) -> list[Group]:
    r"""DOMINO's error-aware mixture with text naming (Eyuboglu et al., 2022), class by class.

    Slice k has the likelihood :math:`\mathcal N(z; \mu_k, \mathrm{diag}\,\sigma^2_k)\,
    \bigl(\prod_c \pi_{kc}^{\hat p_c}\bigr)^{\gamma}`: a Gaussian over the leading principal
    components of the embedding, and a categorical over what the classifier predicts (the label is
    the same for a whole class). Every image belongs to its likeliest slice. A slice is named by the
    text with the largest dot product with its mean embedding minus that of the class.

    Args:
        seen, unseen: The data to fit on, and the data to find the slices again in.
        texts: Candidate descriptions of each class.
        slices: Slices per class.
        s: leave out slices with fewer images.
        dims: Principal components, at most; a small class has fewer.
        gamma: Weight of the predictions against the embedding.
        steps: Of expectation and maximisation.
        seed: of the k-means start.

    Returns:
        Every slice with a drop above 0, the largest drop first.
    """
    groups = []
    x, x_unseen = seen.unit(), unseen.unit()
    for label, name in enumerate(seen.table.classes):
        rows, others = seen.table.members(label), unseen.table.members(label)
        if len(rows) < max(2 * slices, s):
            continue
        mean = x[rows].mean(axis=0)
        _, _, axes = np.linalg.svd(x[rows] - mean, full_matrices=False)
        axes = axes[: min(dims, len(rows) - 1)]
        z = (x[rows] - mean) @ axes.T
        mixture = _Mixture.fit(z, seen.probabilities[rows], slices, gamma, steps, seed)
        own = mixture.assign(z, seen.probabilities[rows])
        new = mixture.assign((x_unseen[others] - mean) @ axes.T, unseen.probabilities[others])
        for k in range(slices):
            inside = rows[own == k]
            if len(inside) >= s:
                text = best_text(x[inside].mean(axis=0) - mean, texts[name])
                groups.append(Group(name, text, inside, others[new == k]))
    return _hardest(groups, seen.table)


def _hardest(groups: list[Group], table: TagTable) -> list[Group]:
    drops = [(drop_of(table, g.label, g.rows), g) for g in groups]
    return [g for drop, g in sorted(drops, key=lambda pair: -pair[0]) if drop > 0]


@dataclass(frozen=True, eq=False)
class _Mixture:
    weights: np.ndarray  # (K,)
    means: np.ndarray  # (K, d)
    variances: np.ndarray  # (K, d)
    predictions: np.ndarray  # (K, C), the categorical over predictions
    gamma: float

    @classmethod
    def fit(
        cls, z: np.ndarray, p: np.ndarray, slices: int, gamma: float, steps: int, seed: int
    ) -> _Mixture:
        from sklearn.cluster import KMeans

        start = KMeans(slices, n_init=3, random_state=seed).fit_predict(np.hstack([z, p]))
        share = np.eye(slices)[start]
        before = -np.inf
        for _ in range(steps):
            model = cls._maximise(z, p, share, gamma)
            joint = model._joint(z, p)
            top = joint.max(axis=1, keepdims=True)
            total = np.log(np.exp(joint - top).sum(axis=1, keepdims=True)) + top
            share = np.exp(joint - total)
            now = float(total.mean())
            if abs(now - before) < 1e-6:
                break
            before = now
        return model

    @classmethod
    def _maximise(cls, z: np.ndarray, p: np.ndarray, share: np.ndarray, gamma: float) -> _Mixture:
        size = share.sum(axis=0) + 1e-9
        means = share.T @ z / size[:, None]
        variances = np.maximum(share.T @ z**2 / size[:, None] - means**2, 0) + 1e-4
        # every image that predicts at all spreads one vote; one vote in a thousand is prior
        predictions = share.T @ _full(p) + 1e-3
        predictions /= predictions.sum(axis=1, keepdims=True)
        return cls(size / size.sum(), means, variances, predictions, gamma)

    def _joint(self, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        gap = (z[:, None] - self.means) ** 2 / self.variances
        gauss = -0.5 * (gap + np.log(2 * np.pi * self.variances)).sum(axis=2)
        votes = _full(p) @ np.log(self.predictions).T
        return np.log(self.weights) + gauss + self.gamma * votes

    def assign(self, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        return self._joint(z, p).argmax(axis=1) if len(z) else np.zeros(0, int)


def _full(p: np.ndarray) -> np.ndarray:
    """Probabilities that sum to one: (N, 1) of the true class becomes (N, 2)."""
    return np.hstack([p, 1 - p]) if p.shape[1] == 1 else p
