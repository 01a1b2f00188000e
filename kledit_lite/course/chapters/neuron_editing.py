"""Exercises: z-scores, dropped neurons, how many are enough, and one painter's own neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, blame, call, close, compare, read_as, want_function
from kledit_lite.course.studio import exam, first, sampling, studio
from kledit_lite.metrics.verdicts import verdict


def z_scores(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Neuron by neuron, from the definition."""
    out = []
    for a, b in zip(x.T, y.T, strict=True):
        va = sum((v - a.mean()) ** 2 for v in a) / (len(a) - 1)
        vb = sum((v - b.mean()) ** 2 for v in b) / (len(b) - 1)
        out.append(abs(a.mean() - b.mean()) / (va / len(a) + vb / len(b)) ** 0.5)
    return np.array(out)


@exercise("neuron-editing-a")
def check_z_scores(answer: Any, rng: np.random.Generator) -> None:
    """Few prompts, unequal numbers of them, unequal spreads."""
    cases = []
    for n1, n2 in ((5, 9), (8, 4), (6, 6)):
        x = rng.normal(size=(n1, 6)) * rng.uniform(0.5, 2, 6) + rng.normal(size=6)
        cases.append((x, rng.normal(size=(n2, 6)) * rng.uniform(0.5, 2, 6)))
    gap = lambda x, y: np.abs(x.mean(0) - y.mean(0))  # noqa: E731
    compare(answer, z_scores, cases, "the z-scores", {
        "take the absolute value: a neuron that falls silent tells as much": lambda x, y:
            (x.mean(0) - y.mean(0)) / gap(x, y) * z_scores(x, y),
        "unbiased variances divide by N - 1: use ddof=1": lambda x, y:
            gap(x, y) / np.sqrt(x.var(0) / len(x) + y.var(0) / len(y)),
        "divide each variance by its number of prompts": lambda x, y:
            gap(x, y) / np.sqrt(x.var(0, ddof=1) + y.var(0, ddof=1)),
        "those are standard deviations under the root; square them": lambda x, y:
            gap(x, y) / np.sqrt(x.std(0, ddof=1) / len(x) + y.std(0, ddof=1) / len(y)),
        "divide by the root of the sum, not by the sum": lambda x, y:
            gap(x, y) / (x.var(0, ddof=1) / len(x) + y.var(0, ddof=1) / len(y)),
        "that is the difference of the means; divide by its standard error": gap,
    }, why=lambda x, y: {
        (): "keep one score a neuron: average over prompts only, axis 0",
        (len(x),): "average over prompts, axis 0, not over neurons",
    })  # fmt: skip


def dropped(out: np.ndarray, chosen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Entry by entry, in the conditional half."""
    new = out.copy()
    for row in range(len(out) // 2, len(out)):
        for token in range(out.shape[1]):
            for neuron in chosen:
                new[row, token, neuron] = mean[neuron]
    return new


@exercise("neuron-editing-b")
def check_hold(answer: Any, rng: np.random.Generator) -> None:
    """Some shapes; as many tokens as neurons in one, so that a wrong axis is no error."""
    for b, t, n in ((2, 5, 7), (3, 6, 6), (1, 4, 9)):
        out, mean = rng.normal(size=(2 * b, t, n)), rng.normal(size=n)
        chosen = rng.permutation(min(t, n))[:3]
        value = array_of(call(answer, out, chosen, mean), out.shape, "the outputs", {
            (b, t, n): "return both halves, the unconditional one as it was",
            (2 * b, t, 3): "return all neurons, not the chosen ones alone",
        })  # fmt: skip
        if close(value, dropped(out, chosen, mean)):
            continue
        everywhere, zero, first, tokens = (out.copy() for _ in range(4))
        everywhere[:, :, chosen] = mean[chosen]
        zero[b:, :, chosen] = 0
        first[:b, :, chosen] = mean[chosen]
        tokens[b:, chosen] = mean
        blame({
            "nothing was changed": close(value, out),
            "leave the unconditional half alone: start at row B": close(value, everywhere),
            "that is zero; hold the neurons at their mean": close(value, zero),
            "that is the unconditional half; the conditional one comes second": close(value, first),
            "those are tokens; neurons are the last axis": close(value, tokens),
            "only the chosen neurons of the conditional half should change, to mean[chosen]": True,
        })  # fmt: skip


def fewest(counts: np.ndarray, removed: np.ndarray, kept: np.ndarray, least: float) -> int:
    """Smallest count with both shares high enough, else -1."""
    both = zip(counts, removed, kept, strict=True)
    return min((int(c) for c, r, k in both if r >= least and k >= least), default=-1)


@exercise("neuron-editing-c")
def check_fewest(answer: Any, rng: np.random.Generator) -> None:
    """Shuffled counts, shares that sit on the bound, and a case without an answer."""
    cases: list[tuple[Any, ...]] = []
    for _ in range(4):
        order = rng.permutation(6)
        counts = np.array([0, 5, 10, 20, 40, 80])[order]
        removed = np.array([0.0, 0.5, 0.8, 0.9, 0.9, 1.0])[order]
        kept = np.array([1.0, 0.95, 0.7, 0.8, 0.85, 0.82])[order]
        cases.append((counts, removed, kept, 0.8))
    cases.append((counts, removed * 0.5, kept, 0.8))
    best = lambda fine, c: min(c[fine], default=-1)  # noqa: E731
    compare(answer, fewest, cases, "the number", {
        "something must be kept, too": lambda c, r, k, x: best(r >= x, c),
        "at least means >=, not >": lambda c, r, k, x: best((r > x) & (k > x), c),
        "the smallest is asked for": lambda c, r, k, x:
            max(c[(r >= x) & (k >= x)], default=-1),
        "return the number of neurons, not its place in the list": lambda c, r, k, x:
            int(np.flatnonzero((r >= x) & (k >= x)).min()) if ((r >= x) & (k >= x)).any() else -1,
        "the counts are in no order: take the smallest, not the first": lambda c, r, k, x:
            int(c[(r >= x) & (k >= x)][0]) if ((r >= x) & (k >= x)).any() else -1,
    })  # fmt: skip


OWN, EACH, SHARE = 12, 3, 4
"""New pictures by the painter who is to go and by each other; one neuron in SHARE may be held."""
PAINTERS = ("seurat", "mondrian", "durer", "tiffany")
"""Whom the chapter's own neurons remove from most pictures; it fails for the two others."""


def _matrices() -> dict[str, Any]:
    """The modules of keys and values by the names of their weights."""
    from kledit_lite import inside

    unet = studio().pipe.unet
    sites = inside.cross_attention_sites(unet)
    names = [f"{site.name}.{p}" for site in sites for p in ("to_k", "to_v")]
    return {f"unet.{name}.weight": unet.get_submodule(name) for name in names}


def _chosen(said: Any) -> dict[str, np.ndarray]:
    """The neurons that an answer names, by matrix.

    Raises:
        Wrong: not a choice of at most one in `SHARE` of the neurons of each matrix.
    """
    if not isinstance(said, Mapping):
        raise Wrong(
            "return a dictionary from the name of a matrix to its neurons, as scores.top(k) does; "
            f"this is a {type(said).__name__}"
        )
    matrices, found = _matrices(), {}
    for name, neurons in said.items():
        if name not in matrices:
            raise Wrong(f"{str(name)[:60]!r} is no key or value matrix of a cross-attention layer")
        numbers = read_as(lambda n: np.asarray(n, float).ravel(), neurons, "neurons are numbers")
        there = len(matrices[name].weight)
        if not np.isin(numbers, np.arange(there)).all():
            raise Wrong(f"the neurons of {name} are numbered 0 to {there - 1}")
        different = np.unique(numbers.astype(int))
        if len(different) > there // SHARE:
            raise Wrong(
                f"you hold {len(different)} of the {there} neurons of {name}; at most a quarter, "
                f"{there // SHARE}"
            )
        if len(different):
            found[name] = different
    if not found:
        raise Wrong("you named no neurons")
    return found


def _means(painter: str, names: list[str]) -> dict[str, Any]:
    """What each neuron says on average at the end token of photos, by matrix."""
    import torch

    from kledit_lite import inside

    p, matrices = studio(), _matrices()
    photos = list(p.ask.probe("style", painter, 40, seed=300).targets)
    with torch.no_grad():
        hidden = inside.encode_prompts(p.pipe, photos).hidden
        ends = [inside.end_position(p.pipe.tokenizer, text) for text in photos]
        x = hidden[range(len(photos)), ends]
        return {name: matrices[name](x).mean(dim=0) for name in names}


def _readings(painter: str, rng: np.random.Generator, held: dict[str, np.ndarray]) -> Any:
    """What the judge reads in new pictures, his and then the others', before and with the hold."""
    import torch

    from kledit_lite import inside
    from kledit_lite.inside.hooks import edit

    p, matrices, means = studio(), _matrices(), _means(painter, list(held))
    others = (s for s in p.painters if s != painter)
    prompts, seeds = exam([painter, *others], OWN, EACH, rng)

    def hold(name: str) -> Callable[[Any], Any]:
        def conditional(out: Any) -> Any:
            new, at = out.clone(), torch.from_numpy(held[name])
            new[len(out) // 2 :, :, at] = means[name][at]
            return new

        return conditional

    before = p.judge.read(inside.paint(p.pipe, prompts, seeds, sampling()))
    with edit(p.pipe.unet, {matrices[name]: hold(name) for name in held}):
        after = p.judge.read(inside.paint(p.pipe, prompts, seeds, sampling()))
    return before, after


@exercise("neuron-editing-d")
def check_choose(answer: Any, rng: np.random.Generator) -> str | None:
    """A painter, drawn; who is left in new pictures while the chosen neurons are held."""
    want_function(answer)
    p = studio()
    painter = str(rng.choice(PAINTERS))
    others = tuple(s for s in p.painters if s != painter)
    held = _chosen(call(answer, p, painter, others))
    before, after = _readings(painter, rng, held)
    went, photo = p.code("style", painter), p.code("style", "photo")
    own = verdict(first(before, OWN), first(after, OWN), "style", went, photo, must_show=False)
    n, kept = own.removed.n, own.kept.k
    left = n - own.removed.k
    spared = int((after["style"] == before["style"])[OWN:].sum())
    near = EACH * len(others)
    blame({
        f"{left} of {n} new pictures still show {painter}: these neurons, or their layers, do not "
        "carry him; styles are read at both ends of the network": 2 * left > n,
        f"{painter} is gone, and so are others: {spared} of their {near} new pictures keep the "
        "style; a neuron that tells a painter from a photo may tell them all, so compare its score "
        "with that for other painters": 5 * spared < 4 * near,
        f"object and place are as before in {kept} of {OWN} new pictures only": 3 * kept < 2 * OWN,
    })  # fmt: skip
    return (
        f"right: {painter} removed from {n - left} of {n} new pictures, object and place kept in "
        f"{kept} of {OWN}, the others' style in {spared} of {near}"
    )
