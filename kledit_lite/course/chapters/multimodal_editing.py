"""Exercises: a trace's blind spot, contributions that sum, an edit that keeps, a trace's peak."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import call, compare, read_as, want_function


def reachable(clean: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    """Tokens from the first one that differs on."""
    differs = (clean != corrupted).any(axis=1)
    return np.arange(len(clean)) >= differs.argmax()


@exercise("multimodal-editing-a")
def check_reachable(answer: Any, rng: np.random.Generator) -> None:
    """Random rows; marking only the changed tokens is the usual mistake."""
    cases = []
    for _ in range(6):
        clean = rng.normal(size=(9, 4))
        corrupted = clean.copy()
        first = int(rng.integers(2, 6))
        corrupted[first, int(rng.integers(4))] += 1
        corrupted[first + 2] += 1
        cases.append((clean, corrupted))

    def differs(c: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (c != x).any(axis=1)

    compare(answer, reachable, cases, "the tokens", {
        "those are the tokens that differ; what stands behind them has read them, too": differs,
        "that is the other way round: a causal model looks back, so what comes later can change":
            lambda c, x: np.arange(len(c)) <= len(c) - 1 - differs(c, x)[::-1].argmax(),
        "the first token that differs can have an effect, too":
            lambda c, x: np.arange(len(c)) > differs(c, x).argmax(),
        "a token differs if any of its numbers does, not all":
            lambda c, x: np.arange(len(c)) >= (c != x).all(axis=1).argmax(),
        "those are the tokens without any effect": lambda c, x: ~reachable(c, x),
    })  # fmt: skip


def contributions(x: np.ndarray, weights: np.ndarray, wv: np.ndarray, wo: np.ndarray) -> np.ndarray:
    """a (T, T, d): what token j gives token i, summed over query heads."""
    shared = len(weights) // len(wv)
    return sum(
        weights[h][:, :, None] * (x @ wv[h // shared] @ wo[h])[None] for h in range(len(weights))
    )


@exercise("multimodal-editing-b")
def check_contributions(answer: Any, rng: np.random.Generator) -> None:
    """Random heads; wrong sharing and swapped tokens are the usual mistakes."""
    cases = []
    for _ in range(4):
        logits = rng.normal(size=(4, 5, 5)) + np.where(np.tril(np.ones((5, 5))) > 0, 0, -np.inf)
        weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        x, v = rng.normal(size=(5, 6)), rng.normal(size=(2, 6, 3))
        cases.append((x, weights, v, rng.normal(size=(4, 3, 6))))

    compare(answer, contributions, cases, "the contributions", {
        "entry [i, j] is what j gives i; yours has the two the other way round":
            lambda x, w, v, o: contributions(x, w, v, o).swapaxes(0, 1),
        "query heads 0 and 1 share value head 0, not 0 and 2: use h // (H // G)":
            lambda x, w, v, o: contributions(x, w, v[np.arange(len(w)) % len(v)], o),
        "sum over all query heads, also those that share a value head":
            lambda x, w, v, o: contributions(x, w[: len(v)], v, o),
        "the sum over heads, not their mean":
            lambda x, w, v, o: contributions(x, w, v, o) / len(w),
    }, why=lambda x, w, v, o: {
        (5, 6): "that is the sum over tokens j; keep them apart",
        (5, 5): "those are lengths; a contribution is a vector",
        (4, 5, 5, 6): "sum over the heads",
    })  # fmt: skip


def rewritten(
    w: np.ndarray, keys: np.ndarray, values: np.ndarray, keep: np.ndarray, strength: float
) -> np.ndarray:
    """The matrix nearest to w that sends keys to values and keep where it went."""
    inputs = np.concatenate([keys, keep])
    wanted = np.concatenate([values, keep @ w.T])
    system = inputs.T @ inputs + strength * np.eye(w.shape[1])
    return (wanted.T @ inputs + strength * w) @ np.linalg.inv(system)


@exercise("multimodal-editing-c")
def check_rewritten(answer: Any, rng: np.random.Generator) -> None:
    """Random matrices; a shrinking matrix and a forgotten keep are the usual mistakes."""
    cases = [(*(rng.normal(size=shape) for shape in ((3, 6), (2, 6), (2, 3), (4, 6))),
              float(rng.uniform(0.1, 2))) for _ in range(5)]  # fmt: skip

    def shrunk(w: Any, k: Any, v: Any, c: Any, s: float) -> np.ndarray:
        x, y = np.concatenate([k, c]), np.concatenate([v, c @ w.T])
        return y.T @ x @ np.linalg.inv(x.T @ x + s * np.eye(w.shape[1]))

    def alone(w: Any, k: Any, v: Any, c: Any, s: float) -> np.ndarray:
        return rewritten(w, k, v, c[:0], s)

    compare(answer, rewritten, cases, "the matrix", {
        "that clings to zero, not to w: add strength * w on the right-hand side": shrunk,
        "keep is not in there: its rows are inputs whose values must stay": alone,
        "that sends keep to zero; it should go where w sends it":
            lambda w, k, v, c, s: rewritten(
                w, np.concatenate([k, c]), np.concatenate([v, 0 * c @ w.T]), c[:0], s),
        "that is the change; return w plus it": lambda *a: rewritten(*a) - a[0],
        "return (out, d), as w is": lambda *a: rewritten(*a).T,
    })  # fmt: skip


@lru_cache(maxsize=1)
def _scenario() -> Any:
    """docent-tiny, its towns and questions, whatever the profile."""
    from kledit_lite.models import scenarios
    from kledit_lite.models.multimodal import open_seer

    return scenarios.asking(open_seer("docent-tiny"))


def _effects(model: Any, clean: Any, corrupted: Any) -> dict[tuple[int, str], float]:
    """Effect of restoring each layer's MLP at each role, one forward pass per site."""
    import torch

    from kledit_lite.inside.hooks import edit, read
    from kledit_lite.inside.multimodal import decoder, module_of

    start, stop = clean.spans[0]
    seen = int(clean.image.sum())
    end = len(clean) - 1
    at = {
        "image": range(seen), "before": range(seen, start), "constraint": range(start, stop - 1),
        "last constraint": [stop - 1], "after": range(stop, end), "last": [end],
    }  # fmt: skip
    mlps = [module_of(model, i, "mlp") for i in range(len(decoder(model).layers))]

    def p(reading: Any) -> float:
        with torch.no_grad():
            logits = model(inputs_embeds=reading.embeds[None]).logits[0, -1]
        return float(logits.softmax(0)[clean.answer[0]])

    with read(model, mlps) as kept:
        p(clean)
    base, found = p(corrupted), {}
    for i, mlp in enumerate(mlps):
        for role, where in at.items():

            def put(out: Any, rows: Any = tuple(where), stored: Any = kept[mlp]) -> Any:
                new = out.clone()
                new[:, list(rows)] = stored[:, list(rows)]
                return new

            with edit(model, {mlp: put}):
                found[i, role] = p(corrupted) - base
    return found


@exercise("multimodal-editing-d")
def check_strongest(answer: Any, rng: np.random.Generator) -> None:
    """Two questions of docent-tiny; naming the attention or the weakest are usual mistakes."""
    want_function(answer)
    scenario = _scenario()
    thing = scenario.things[int(rng.integers(len(scenario.things)))]
    relation = scenario.relations[0]
    (clean,) = scenario.read(relation, [thing])
    for how in ("replacement", "image swap"):
        (corrupted,) = scenario.read(relation, [thing], how=how)
        truth = _effects(scenario.model, clean, corrupted)
        said = call(answer, scenario.model, clean, corrupted)
        form = 'return a layer and a role, such as (5, "last")'
        layer, role = read_as(lambda pair: (int(pair[0]), str(pair[1])), said, form)
        if (layer, role) not in truth:
            raise Wrong(f"there is no layer {layer} at {role!r} among the sites of MLPs")
        if truth[layer, role] < max(truth.values()) - 1e-4:
            raise Wrong(
                f"by {how}, layer {layer} at {role!r} brings back {truth[layer, role]:.2f}, and "
                f"another MLP more than that; take the largest effect over all layers and roles"
            )
