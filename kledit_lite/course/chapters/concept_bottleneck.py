"""Exercises: contributions to a logit, changed shares, a negation, a head put to words."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.course import oracle, pictures
from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, blame, call, close, compare, want_function


def contributions(
    weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, similarity: np.ndarray, label: int
) -> np.ndarray:
    """weight[label, c] (similarity[c] - mean[c]) / sd[c], concept by concept."""
    score = [(s - m) / d for s, m, d in zip(similarity, mean, sd, strict=True)]
    return np.array([weight[label][c] * score[c] for c in range(len(score))])


@exercise("concept-bottleneck-a")
def logit_contributions(answer: Any, rng: np.random.Generator) -> None:
    """Random heads with negative weights, and as many concepts as classes once."""
    cases = []
    for k, c in ((4, 7), (5, 5)):
        weight, mean = rng.normal(size=(k, c)), rng.uniform(0.1, 0.3, c)
        sd, similarity = rng.uniform(0.02, 0.2, c), rng.uniform(0, 0.5, c)
        cases.append((weight, mean, sd, similarity, int(rng.integers(1, k))))
    compare(answer, contributions, cases, "the contributions", {
        "standardise the similarities first: subtract the mean, divide by sd":
            lambda w, m, d, s, k: w[k] * s,
        "the mean is subtracted, but not divided by sd": lambda w, m, d, s, k: w[k] * (s - m),
        "subtract the mean before you divide by sd": lambda w, m, d, s, k: w[k] * s / d,
        "keep the signs: a concept can speak against a class":
            lambda w, m, d, s, k: np.abs(w[k] * (s - m) / d),
        "do not scale them to sum to 1; they sum to the logit minus the bias":
            lambda w, m, d, s, k: (x := w[k] * (s - m) / d) / x.sum(),
        "that is a softmax; the terms themselves are asked for":
            lambda w, m, d, s, k: (x := np.exp(w[k] * (s - m) / d)) / x.sum(),
        "the weights of the class are a row of weight, weight[label], not a column":
            lambda w, m, d, s, k: w[:, k] * (s - m) / d,
        "those are the scores; multiply them by the weights of the class":
            lambda w, m, d, s, k: (s - m) / d,
        "those are the weights; multiply them by the scores": lambda w, m, d, s, k: w[k],
        "that is class 0; take the row of the label given":
            lambda w, m, d, s, k: w[0] * (s - m) / d,
    }, why=lambda w, m, d, s, k: {
        (): "that is their sum; return the terms",
        (len(w),): "that is one number a class; return one a concept",
        w.shape: "that is every class; return the row of the label",
    })  # fmt: skip


def share_changes(old: np.ndarray, new: np.ndarray, groups: list[str]) -> np.ndarray:
    """New share less old of the pictures in which a concept is the nearest of its group."""
    found = np.zeros(len(groups))
    for album, sign in ((new, 1.0), (old, -1.0)):
        for row in album:
            for group in set(groups):
                members = [c for c in range(len(groups)) if groups[c] == group]
                found[max(members, key=lambda c: row[c])] += sign / len(album)
    return found


@exercise("concept-bottleneck-b")
def changes_of_shares(answer: Any, rng: np.random.Generator) -> None:
    """Cosines with an offset each, groups that are mixed up, albums of different sizes."""
    cases = []
    for (n, m), groups in (((14, 21), list("abab")), ((60, 45), list("aabcbac"))):
        level = rng.uniform(-0.3, 0.3, len(groups))
        order = [groups[i] for i in rng.permutation(len(groups))]
        old = rng.normal(level, 0.2, (n, len(order)))
        cases.append((old, rng.normal(level[::-1], 0.2, (m, len(order))), order))
    compare(answer, share_changes, cases, "the change of each share", {
        "that is old less new; a concept that became more frequent should count up":
            lambda o, n, g: -share_changes(o, n, g),
        "those are sizes of changes; keep the signs":
            lambda o, n, g: np.abs(share_changes(o, n, g)),
        "present is the nearest of its group, not the nearest of all concepts":
            lambda o, n, g: share_changes(o, n, ["all"] * len(g)),
        "that is how the mean cosines changed; ask which concept is the nearest":
            lambda o, n, g: n.mean(axis=0) - o.mean(axis=0),
        "those are numbers of pictures, and the albums differ in size; divide by it":
            lambda o, n, g: _counts(n, g) - _counts(o, g),
        "that is in per cent; return shares": lambda o, n, g: 100 * share_changes(o, n, g),
        "those are the shares of the new album; take those of the old one off":
            lambda o, n, g: _counts(n, g) / len(n),
        "those are the shares of the old album": lambda o, n, g: _counts(o, g) / len(o),
    }, why=lambda o, n, g: {
        (len(set(g)),): "that is one number a group; return one a concept",
        o.shape: "that is one value a picture; average over pictures",
    })  # fmt: skip


def _counts(album: np.ndarray, groups: list[str]) -> np.ndarray:
    """In how many pictures each concept is the nearest of its group."""
    found = np.zeros(len(groups))
    for group in set(groups):
        members = np.array([c for c in range(len(groups)) if groups[c] == group])
        np.add.at(found, members[album[:, members].argmax(axis=1)], 1)
    return found


def retrieval_world(rng: np.random.Generator, n: int = 3000) -> tuple[np.ndarray, ...]:
    """Pictures with and without two concepts, and similarities as a text encoder gives them.

    Each concept has an offset and a scale of its own. The composite prompt ("a without b")
    hears both names and no negation: its similarity rises with either concept.
    """
    wanted, unwanted = rng.random(n) < 0.2, rng.random(n) < 0.3
    a = 0.16 + 0.10 * wanted + rng.normal(0, 0.02, n)
    b = 0.45 + 0.05 * unwanted + rng.normal(0, 0.01, n)
    composite = 0.2 + 0.05 * wanted + 0.04 * unwanted + rng.normal(0, 0.015, n)
    return a, b, composite, wanted, unwanted


@exercise("concept-bottleneck-c")
def negation(answer: Any, rng: np.random.Generator) -> str | None:
    """Precision and recall on fresh pictures, against as many from the composite prompt."""
    margins = []
    for _ in range(3):
        a, b, composite, wanted, unwanted = retrieval_world(rng)
        truth, n = wanted & ~unwanted, len(a)
        mask = _mask(call(answer, a, b), n)
        kept = int(mask.sum())
        right, both, other = (
            float(mask[g].mean()) for g in (truth, wanted & unwanted, ~wanted & unwanted)
        )
        blame({
            "your query keeps no picture; lower a threshold (smaller k)": kept == 0,
            "your query keeps every picture; raise a threshold (larger k)": kept == n,
            "it keeps pictures that show the unwanted concept and drops the others: the negation "
            "is turned round": both > 0.5 and both > 2 * right,
            "the two arguments are swapped: the first is the one to show":
                right < 0.5 and other > 0.5,
            f"it keeps {both:.0%} of the pictures that show both concepts: the unwanted one is not "
            "excluded yet": right > 0.5 and both > 0.5,
            f"it finds {right:.0%} of the right pictures, and half are asked for; a threshold is "
            "too strict, or one fixed number serves two concepts": right < 0.5,
        })  # fmt: skip
        precision = float(truth[mask].mean())
        prompt = float(truth[np.argsort(-composite)[:kept]].mean())
        if precision <= prompt:
            raise Wrong(
                f"its precision is {precision:.2f}, the single prompt's {prompt:.2f} for as many "
                f"pictures; be stricter on the wanted concept"
            )
        margins.append((precision, prompt))
    own, prompts = np.mean(margins, 0)
    shifted = _mask(call(answer, a * 2 + 1, b * 3 - 1), n)
    if not close(shifted.astype(float), mask.astype(float)):
        raise Wrong(
            "it works here, but changes when similarities are shifted and stretched: use each "
            "concept's own mean and deviation instead of fixed numbers"
        )
    return f"right, precision {own:.2f} where the single prompt has {prompts:.2f}"


def _mask(value: Any, n: int) -> np.ndarray:
    a = np.asarray([] if value is None else value, object)
    numbers = a.ndim == 1 and a.size and not isinstance(a[0], bool | np.bool_)
    if numbers and len(a) != n:
        raise Wrong(f"those are positions; return a mask of {n} True and False values")
    mask = array_of(value, (n,), "the mask")
    if not np.isin(mask, (0, 1)).all():
        raise Wrong("those are numbers; compare them with a threshold to get True and False")
    return mask.astype(bool)


_SEEN, _LEAST = 260, 0.75


def head_to_name(rng: np.random.Generator, name: str) -> tuple[tuple[Any, ...], np.ndarray]:
    """What the student is given, a head's rows and words in a drawn order; the answers."""
    from kledit_lite.world import OBJECTS
    from kledit_lite.zoo import load_encoder

    head, order = load_encoder(name).head, rng.permutation(len(OBJECTS))
    assert head is not None  # both were trained to name pairs
    rows, seen = rng.permutation(len(head.weight)), rng.permutation(pictures.N)[:_SEEN]
    words = [OBJECTS[i] for i in order]
    truth = np.array([words.index(head.label_names[r].split(" ")[0]) for r in rows])
    x, y = pictures.features(name)[seen], pictures.features("clip-tiny")[seen]
    weight = np.asarray(head.weight, float)[rows]
    return (pictures.clip().encode_text, weight, x, y, words), truth


def _rows_as_features(case: tuple[Any, ...]) -> np.ndarray:
    """The words nearest to the rows themselves, translated as if they were features."""
    encode_text, weight, x, y, words = case
    scale = 10.0 * np.eye(x.shape[1])
    centred = x - x.mean(axis=0)
    w = np.linalg.solve(centred.T @ centred + scale, centred.T @ (y - y.mean(axis=0)))
    vectors = unit_rows(encode_text([f"an image of a {word}" for word in words]))
    return (((weight - x.mean(axis=0)) @ w + y.mean(axis=0)) @ vectors.T).argmax(axis=1)


@exercise("concept-bottleneck-d")
def put_head_to_words(answer: Any, rng: np.random.Generator) -> str | None:
    """The heads of a ResNet and of a ViT, whose plain rows say little."""
    want_function(answer)
    shares = []
    for name in ("resnet-tiny", "vit-tiny"):
        case, truth = head_to_name(rng, name)
        said = call(answer, *case)
        numbers = oracle.word_numbers(said, len(truth), len(case[4]), "row of the head")
        share = float((numbers == truth).mean())
        shares.append(share)
        if share >= _LEAST:
            continue
        way = f"{share:.0%} of the rows of {name} are named rightly"
        blame({
            f"{way}: every row gets the same word, as happens where a row is sent through the "
            "aligner as it is; a row is not a feature, decode align.class_patterns":
                (numbers == numbers[0]).all(),
            f"{way}: a row is not a feature, it is what features are multiplied with; decode how "
            "the features move with its logit, align.class_patterns":
                (numbers == _rows_as_features(case)).mean() > 0.7,
            "count the words in the order in which they are given; you sorted them":
                (numbers == oracle.as_if_sorted(case[4], truth)).mean() > _LEAST,
            f"{way}, and guessing gets {1 / len(case[4]):.0%}": share < 0.2,
        })  # fmt: skip
        raise Wrong(f"{way}, and {_LEAST:.0%} are asked for; see to the ridge and to the contrast")
    return f"right, {shares[0]:.0%} and {shares[1]:.0%} of the rows are named rightly"
