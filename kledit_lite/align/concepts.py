r"""Text-to-concept: words as vectors that aligned image features can be compared with.

A concept vector is the mean of the normalised text embeddings of a phrase in several sentence
templates, normalised again (prospectus, section 3.3.1). Its cosine with an aligned feature says
how much of the concept is in the image; taking the largest over class names is zero-shot
classification (section 3.3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int, Num

from kledit_lite.core.arrays import as_features, as_labels, as_names, as_vector, unit_rows
from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.zoo.head import LinearHead

EncodeText = Callable[[list[str]], np.ndarray]

TEMPLATES: tuple[str, ...] = (
    "{}",
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a painting of {}",
    "a scene with {}",
)
"""General sentences for any concept. Give your own where the text encoder has its own grammar."""


def fill_templates(
    phrases: str | Sequence[str],
    templates: Sequence[str] = TEMPLATES,
    classes: Sequence[str] | None = None,
) -> list[str]:
    """Every sentence that stands for a concept: templates x phrases, or x classes as well.

    With ``classes``, a phrase that describes a setting or an attribute follows each class name,
    "{template} {class name} in a tree" (section 3.3.1).

    Args:
        phrases: one or several that name the concept.
        templates: sentences with one ``{}`` each.
        classes: names that each phrase follows, or None.

    Raises:
        KleditError: no phrase, no template, or a template without exactly one ``{}``.

    Example:
        >>> fill_templates("in a tree", ["a photo of {}"], classes=["a cat", "a bird"])
        ['a photo of a cat in a tree', 'a photo of a bird in a tree']
    """
    words = [phrases] if isinstance(phrases, str) else list(phrases)
    if not words or not all(w.strip() for w in words):
        raise KleditError("A concept needs at least one phrase, and no phrase may be empty.")
    templates = [templates] if isinstance(templates, str) else list(templates)
    bad = [t for t in templates if t.count("{}") != 1]
    if bad or not templates:
        raise KleditError(f"Templates need exactly one {{}} each for the phrase; got {bad}.")
    if classes is not None:
        if not classes:
            raise KleditError("classes is empty: give class names, or None for the bare phrase.")
        words = [f"{c} {w}" for c in classes for w in words]
    return [t.replace("{}", w) for t in templates for w in words]


def embed(
    encode_text: EncodeText, texts: list[str], *, kind: str = "sentences", dim: int | None = None
) -> Float64[np.ndarray, "T d"]:
    """Unit rows (T, d) of texts, checked.

    Args:
        encode_text: list of T texts -> (T, d).
        texts: to encode.
        kind: what they are called in an error.
        dim: the width there must be, if that is known.

    Raises:
        KleditError: not one row for each text, another width, NaN or infinity.

    Example:
        >>> embed(lambda texts: np.full((len(texts), 1), 3), ["a cat"]).tolist()
        [[1.0]]
    """
    vectors = as_features("text embeddings", encode_text(texts), dim=dim)
    if len(vectors) != len(texts):
        raise KleditError(
            f"The text encoder returned {vectors.shape} for {len(texts)} {kind}, expected one "
            "row each."
        )
    return unit_rows(vectors.astype(np.float64))


def _mean_direction(name: str, vectors: np.ndarray) -> np.ndarray:
    mean = vectors.mean(axis=0)
    length = np.linalg.norm(mean)
    if length < 1e-12:
        raise KleditError(f"The sentences of {name} have embeddings that cancel to a zero vector.")
    return mean / length


def concept_vector(
    encode_text: EncodeText,
    phrases: str | Sequence[str],
    templates: Sequence[str] = TEMPLATES,
    classes: Sequence[str] | None = None,
) -> Float[np.ndarray, " d"]:
    r"""The unit vector (d,) float64 of a concept in the text encoder's space.

    :math:`c = \bar v / \|\bar v\|,\ \bar v = \frac1T \sum_t v_t / \|v_t\|` with :math:`v_t` the
    embedding of the t-th sentence (prospectus, section 3.3.1).

    Args:
        encode_text: list of T sentences -> (T, d).
        phrases: one phrase, or several that mean the same.
        templates: sentences with one ``{}``.
        classes: class names to average over; see `fill_templates`.

    Raises:
        KleditError: bad phrases or templates, or embeddings that cancel out.

    Cost: encoding len(templates) x phrases (x classes) sentences.

    Example:
        >>> concept_vector(lambda texts: np.ones((len(texts), 4)), "a cat").tolist()
        [0.5, 0.5, 0.5, 0.5]
    """
    sentences = fill_templates(phrases, templates, classes)
    return _mean_direction(repr(phrases), embed(encode_text, sentences))


def asked_once(encode_text: EncodeText) -> EncodeText:
    """A text encoder that is asked only once for each text, for searches that repeat themselves.

    Args:
        encode_text: list of T texts -> (T, d).

    Example:
        >>> asked = []
        >>> encode = asked_once(lambda texts: asked.extend(texts) or np.ones((len(texts), 2)))
        >>> len(encode(["a cat", "a boat", "a cat"])), len(encode(["a boat"])), asked
        (3, 1, ['a cat', 'a boat'])
    """
    known: dict[str, np.ndarray] = {}

    def remember(texts: list[str]) -> np.ndarray:
        fresh = list(dict.fromkeys(t for t in texts if t not in known))
        if fresh:
            known.update(zip(fresh, encode_text(fresh), strict=True))
        return np.stack([known[t] for t in texts])

    return remember


@dataclass(frozen=True, eq=False)
class ConceptBank:
    """Named concept vectors: ``names`` (C) and unit ``vectors`` (C, d).

    Example:
        >>> bank = ConceptBank(("up", "right"), np.array([[0.0, 2.0], [3.0, 0.0]]))
        >>> bank.similarity([[0.0, 7.0]]).tolist()
        [[1.0, 0.0]]
    """

    names: tuple[str, ...]
    vectors: Float[np.ndarray, "C d"]

    def __post_init__(self) -> None:
        vectors = as_features("concept vectors", self.vectors)
        if not np.linalg.norm(vectors, axis=1).all():
            raise KleditError(f"A concept vector of {vectors.shape} is zero: it has no direction.")
        object.__setattr__(self, "vectors", unit_rows(vectors))
        object.__setattr__(self, "names", as_names("concepts", self.names, len(vectors)))

    @classmethod
    def build(
        cls,
        encode_text: EncodeText,
        concepts: Sequence[str] | Mapping[str, str | Sequence[str]],
        templates: Sequence[str] = TEMPLATES,
        classes: Sequence[str] | None = None,
    ) -> ConceptBank:
        """Encode many concepts in one call of the text encoder; see `concept_vector`.

        Args:
            encode_text: list of n texts -> (n, d), such as a CLIP's ``encode_text``.
            concepts: phrases that name themselves, or name -> phrase or phrases.
            templates: as in `concept_vector`.
            classes: as in `concept_vector`.

        Example:
            >>> one_hot = lambda texts: np.eye(9)[[len(t) % 9 for t in texts]]
            >>> ConceptBank.build(one_hot, {"red": "red", "cat": ["a cat", "cats"]}).names
            ('red', 'cat')
        """
        table = concepts if isinstance(concepts, Mapping) else {c: c for c in concepts}
        if not table:
            raise KleditError("No concepts were given: name at least one.")
        sentences = {name: fill_templates(p, templates, classes) for name, p in table.items()}
        edges = np.cumsum([len(group) for group in sentences.values()])[:-1]
        parts = np.split(embed(encode_text, list(chain(*sentences.values()))), edges)
        vectors = [_mean_direction(n, p) for n, p in zip(sentences, parts, strict=True)]
        return cls(tuple(table), np.stack(vectors))

    @classmethod
    def joined(cls, banks: Mapping[str, ConceptBank]) -> tuple[ConceptBank, dict[str, str]]:
        """One bank of several, in their order, and which of them each concept came from.

        Args:
            banks: group, such as a factor -> its bank; no name twice.

        Example:
            >>> one = {"vertical": ConceptBank(("up",), np.array([[0.0, 1.0]]))}
            >>> ConceptBank.joined(one)[1]
            {'up': 'vertical'}
        """
        group_of = {name: group for group, bank in banks.items() for name in bank.names}
        names = tuple(name for bank in banks.values() for name in bank.names)
        return cls(names, np.concatenate([b.vectors for b in banks.values()])), group_of

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a concept. Raises UnknownNameError with the names there are."""
        check_known("concept", [name], self.names)
        return self.names.index(name)

    def subset(self, names: Sequence[str]) -> ConceptBank:
        """The bank of some of its concepts, in the order given."""
        rows = [self.index(n) for n in names]
        return ConceptBank(tuple(names), self.vectors[rows])

    def similarity(self, features: Num[Any, "N d"]) -> Float[np.ndarray, "N C"]:
        r"""Cosine of every image with every concept, (N, C) in [-1, 1].

        Args:
            features: (N, d) in the text encoder's space: CLIP's own, or aligned to it.

        Raises:
            KleditError: another width than the bank's, NaN or infinity.

        Cost O(N d C).
        """
        x = as_features("features", features, dim=self.vectors.shape[1])
        return unit_rows(x) @ self.vectors.T.astype(x.dtype, copy=False)

    def head(self) -> LinearHead:
        """Zero-shot classification as a linear head: weights = concept vectors, bias 0.

        An image's length scales all of its cosines alike, so the argmax of this head on raw
        features is the argmax of `similarity`. This is how CLIP gets a head to be an alignment
        target with.
        """
        return LinearHead(self.vectors, np.zeros(len(self)), self.names)


def zero_shot(features: Num[Any, "N d"], bank: ConceptBank) -> Int[np.ndarray, " N"]:
    """Index (N,) int64 of the most similar concept of every image (section 3.3.2).

    Example:
        >>> zero_shot([[0.0, 1.0]], ConceptBank(("right", "up"), np.eye(2))).tolist()
        [1]
    """
    return bank.similarity(features).argmax(axis=1)


def zero_shot_accuracy(
    features: Num[Any, "N d"], bank: ConceptBank, labels: Int[Any, " N"]
) -> float:
    """Share of images whose most similar concept is their label, in [0, 1].

    Args:
        features: (N, d), in the text encoder's space.
        bank: one concept a class, in the order that labels count.
        labels: (N,) int.

    Example:
        >>> zero_shot_accuracy(np.eye(2), ConceptBank(("right", "up"), np.eye(2)), [0, 0])
        0.5
    """
    predicted = zero_shot(features, bank)
    truth = as_labels("labels", labels, len(predicted), classes=len(bank))
    return float((predicted == truth).mean())


def top_images(
    similarity: Num[Any, " N"], k: int, *, largest: bool = True
) -> Int[np.ndarray, " n"]:
    """Rows with the k largest (or smallest) similarities, best first, ties by row.

    Args:
        similarity: (N,), one column of `ConceptBank.similarity`.
        k: how many; all of them if N < k.
        largest: False takes the smallest, smallest first.

    Example:
        >>> top_images([0.1, 0.9, 0.5], 2).tolist()
        [1, 2]
    """
    s = as_vector("similarity", similarity)
    if k < 1:
        raise KleditError(f"k is {k}, expected at least 1 image.")
    return np.argsort(-s if largest else s, kind="stable")[:k]


def rank_classes(
    similarity: Num[Any, " N"], labels: Int[Any, " N"]
) -> tuple[Int[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Classes by their mean similarity to a concept, highest first (Fig. 3.2).

    Returns:
        Class indices that occur, and their mean similarities, both sorted.

    Example:
        >>> order, mean = rank_classes([0.0, 0.5, 1.0], [0, 1, 1])
        >>> order.tolist(), mean.tolist()
        ([1, 0], [0.75, 0.0])
    """
    s = as_vector("similarity", similarity)
    truth = as_labels("labels", labels, len(s))
    present, inverse = np.unique(truth, return_inverse=True)
    mean = np.bincount(inverse, weights=s) / np.bincount(inverse)
    order = np.argsort(-mean, kind="stable")
    return present[order], mean[order]
