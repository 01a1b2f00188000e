"""Where tags come from: ground truth, CLIP with calibrated thresholds, or any tagger you have.

A tag table is ``(names, has)``: T tag names, and (N, T) booleans. `scene_tags` reads them off the
painted world; a `Tagger` guesses them from CLIP's embeddings; `from_words` takes the words that any
other tagger or captioner gives for each image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd

from kledit_lite.core.arrays import as_features, as_names, unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.world import COLOURS, OBJECTS, PLACES, STYLES, Scene, place_phrase
from kledit_lite.world.captions import NUMERALS, PLURALS, article
from kledit_lite.world.planted import PlantedFailure

COUNT_WORDS = ("one", "two", "three")
_VALUES = {"colour": COLOURS, "place": PLACES, "style": STYLES, "count": COUNT_WORDS}
SCENE_GROUPS = {tag: factor for factor, tags in _VALUES.items() for tag in tags}
"""Tag -> its factor; at most one tag of a factor holds."""
SCENE_TAGS = tuple(SCENE_GROUPS)
"""Every tag of the painted world; a colour is a tag only where the style shows it."""

EncodeText = Callable[[list[str]], np.ndarray]


def scene_tags(scenes: Sequence[Scene]) -> tuple[tuple[str, ...], np.ndarray]:
    """Ground truth: the tags that each scene visibly has.

    Returns:
        `SCENE_TAGS` and (N, T) bool. O(N T).

    Example:
        >>> names, has = scene_tags([Scene("cat", "red", "beach", "durer")])
        >>> [n for n, h in zip(names, has[0]) if h]
        ['beach', 'durer', 'one']
    """
    index = {name: i for i, name in enumerate(SCENE_TAGS)}
    has = np.zeros((len(scenes), len(SCENE_TAGS)), bool)
    for row, scene in zip(has, scenes, strict=True):
        row[[index[scene.place], index[scene.style], index[COUNT_WORDS[scene.count - 1]]]] = True
        row[index[scene.colour]] = scene.shows_colour
    return SCENE_TAGS, has


def planted_tags(failure: PlantedFailure) -> tuple[str, ...]:
    """A planted failure's tags by the names of `SCENE_TAGS`, in their order.

    Example:
        >>> planted_tags(PlantedFailure("fish", (("count", "1"), ("style", "durer")), "rare", 0.0))
        ('durer', 'one')
    """
    names = {COUNT_WORDS[int(v) - 1] if factor == "count" else v for factor, v in failure.tags}
    return tuple(t for t in SCENE_TAGS if t in names)


def scene_prompts() -> dict[str, list[str]]:
    """Sentences for each of `SCENE_TAGS`, every object in turn, so that none of them counts.

    Example:
        >>> scene_prompts()["red"][0]
        'a red cat'
    """
    prompts: dict[str, list[str]] = {}
    for colour in COLOURS:
        prompts[colour] = [article(f"{colour} {o}") for o in OBJECTS]
    for place in PLACES:
        prompts[place] = [f"{article(o)} {place_phrase(place)}" for o in OBJECTS]
    for style in STYLES:
        said = "a photo of {}" if style == "photo" else f"{{}} in the style of {style}"
        prompts[style] = [said.format(article(o)) for o in OBJECTS]
    prompts["one"] = [article(o) for o in OBJECTS]
    for count, word in NUMERALS.items():
        prompts[COUNT_WORDS[count - 1]] = [f"{word} {PLURALS.get(o, o + 's')}" for o in OBJECTS]
    return prompts


def from_words(
    words: Sequence[Iterable[str]], at_least: int = 1
) -> tuple[tuple[str, ...], np.ndarray]:
    """Tags from the words that some tagger (RAM, a captioner, a person) gave each image.

    Args:
        words: N collections of words, lower or upper case.
        at_least: Leave out words of fewer images.

    Returns:
        Names in alphabetical order, and (N, T) bool. O(total words).

    Raises:
        KleditError: one string instead of a collection, or no word that is frequent enough.

    Example:
        >>> from_words([["Grass", "dog"], ["dog"]], at_least=2)[0]
        ('dog',)
    """
    sets = []
    for given in words:
        if isinstance(given, str):
            raise KleditError(
                f"Expected a collection of words for each image, got the text {given!r}; split it."
            )
        sets.append({w.strip().lower() for w in given if w.strip()})
    counts = Counter(chain.from_iterable(sets))
    names = tuple(sorted(w for w, n in counts.items() if n >= at_least))
    if not names:
        raise KleditError(f"No word was given to {at_least} images or more; lower at_least.")
    index = {w: i for i, w in enumerate(names)}
    has = np.zeros((len(sets), len(names)), bool)
    for row, each in zip(has, sets, strict=True):
        row[[index[w] for w in each if w in index]] = True
    return names, has


@dataclass(frozen=True, eq=False)
class Tagger:
    """Zero-shot tags from image embeddings: a direction and a threshold for each tag.

    The score of a tag is its cosine with the image. Where tags exclude each other (colours, say),
    name their group: the score is then the lead over the best other tag of the group.

    Attributes:
        names: T tags.
        vectors: (T, d) float, unit norm.
        thresholds: (T,); a tag is given where its score is at least this.
        groups: T group names, or empty. A group of one counts as none.

    Example:
        >>> encode = lambda texts: np.array([[float("sea" in t), float("y" in t)] for t in texts])
        >>> tagger = Tagger.from_text(encode, {"sea": ["the sea"], "city": ["a city"]})
        >>> tagger.calibrate(np.eye(2), np.eye(2, dtype=bool)).tag(np.array([[2.0, 0.1]])).tolist()
        [[True, False]]
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    thresholds: np.ndarray
    groups: tuple[str, ...] = ()

    @classmethod
    def from_text(
        cls,
        encode_text: EncodeText,
        prompts: Mapping[str, Sequence[str]],
        groups: Mapping[str, str] | None = None,
    ) -> Tagger:
        """Directions from text: the mean of each tag's unit sentence embeddings, made unit.

        Args:
            encode_text: list of S sentences -> (S, d).
            prompts: tag -> its sentences.
            groups: tag -> group, of tags that exclude each other.

        Raises:
            KleditError: no tags, or a tag without a sentence.
        """
        if not prompts or not all(prompts.values()):
            raise KleditError("Every tag needs at least one sentence; give prompts {tag: [...]}.")
        texts = [t for sentences in prompts.values() for t in sentences]
        rows = unit_rows(np.asarray(encode_text(texts), np.float64))
        ends = np.cumsum([len(s) for s in prompts.values()])
        vectors = unit_rows(np.stack([part.mean(axis=0) for part in np.split(rows, ends[:-1])]))
        names = as_names("tags", list(prompts))
        of = tuple(groups.get(n, n) for n in names) if groups else ()
        return cls(names, vectors, np.zeros(len(names)), of)

    def score(self, features: np.ndarray) -> np.ndarray:
        """(N, T) scores of image embeddings (N, d), whose length does not matter. O(N T d)."""
        x = as_features("features", features, dim=self.vectors.shape[1])
        scores = unit_rows(x.astype(np.float64)) @ self.vectors.T
        out, groups = scores.copy(), np.array(self.groups)
        for c, group in enumerate(self.groups):
            rivals = groups == group
            rivals[c] = False
            if rivals.any():
                out[:, c] -= scores[:, rivals].max(axis=1)
        return out

    def tag(self, features: np.ndarray) -> np.ndarray:
        """(N, T) bool: which tags each image gets."""
        return self.score(features) >= self.thresholds

    def calibrate(self, features: np.ndarray, truth: np.ndarray) -> Tagger:
        r"""Choose each tag's threshold where :math:`F_1 = 2 P R / (P + R)` is largest on a split.

        Args:
            features: (N, d) embeddings of a split that nothing else is measured on.
            truth: (N, T) bool, what they show.

        Returns:
            The tagger with those thresholds; a tag no image shows is never given.

        Raises:
            KleditError: shapes that differ.

        Cost O(T N log N).
        """
        has = np.asarray(truth, bool)
        scores = self.score(features)
        if has.shape != scores.shape:
            raise KleditError(f"truth has shape {has.shape}, expected {scores.shape}.")
        order = np.argsort(-scores, axis=0, kind="stable")
        ranked = np.take_along_axis(scores, order, axis=0)
        hits = np.take_along_axis(has, order, axis=0).cumsum(axis=0)
        given = np.arange(1, len(scores) + 1)[:, None]
        f1 = 2 * hits / (given + has.sum(axis=0))
        f1[:-1][ranked[:-1] == ranked[1:]] = -1  # no threshold lies between equal scores
        best = f1.argmax(axis=0)
        below = np.vstack([ranked[1:], ranked[-1:] - 1e-9])
        columns = np.arange(len(self.names))
        thresholds = (ranked[best, columns] + below[best, columns]) / 2
        thresholds[~has.any(axis=0)] = np.inf
        return replace(self, thresholds=thresholds)

    def calibrate_blind(self, features: np.ndarray, k: float = 1.0) -> Tagger:
        """Thresholds without ground truth: k standard deviations above each tag's mean score."""
        scores = self.score(features)
        return replace(self, thresholds=scores.mean(axis=0) + k * scores.std(axis=0))

    def report(self, features: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
        """Precision and recall of every tag against ground truth; see `compare_tags`."""
        return compare_tags(self.names, self.tag(features), np.asarray(truth, bool))


def compare_tags(names: Sequence[str], given: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """How well given tags (N, T) agree with the truth (N, T).

    Args:
        names: of the T tags.
        given: (N, T) bool.
        truth: (N, T) bool.

    Returns:
        One row per tag with columns tag, images (that truly show it), precision, recall, f1.
        Precision is NaN for a tag that was never given, recall for one that no image shows.

    Raises:
        KleditError: shapes that differ.

    Example:
        >>> given, truth = np.array([[True], [True]]), np.array([[True], [False]])
        >>> compare_tags(["a"], given, truth)["precision"].tolist()
        [0.5]
    """
    if given.shape != truth.shape or given.shape[1] != len(names):
        raise KleditError(f"Tags {given.shape} and truth {truth.shape} do not fit each other.")
    hits, found, images = (x.sum(axis=0) for x in (given & truth, given, truth))
    table = pd.DataFrame({"tag": list(names), "images": images})
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (found + images)
        return table.assign(precision=hits / found, recall=hits / images, f1=f1)
