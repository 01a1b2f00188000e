"""Exercises: indirect effects, the threshold for causal states, lanes, and a planted detour."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, blame, call, close, compare, read_as, want_function
from kledit_lite.course.studio import studio

if TYPE_CHECKING:
    from kledit_lite.models.scenarios import Painting


def effects(restored: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    """Site by site, the mean rise over the corrupted score."""
    n, sites = restored.shape
    return np.array([sum(restored[i, s] - corrupted[i] for i in range(n)) / n
                     for s in range(sites)])  # fmt: skip


@exercise("causal-tracing-a")
def check_effects(answer: Any, rng: np.random.Generator) -> None:
    """As many prompts as sites in one case, so that a missing axis is no shape error."""
    cases = [(rng.normal(25, 4, (n, s)), rng.normal(18, 4, n)) for n, s in ((6, 9), (5, 5))]
    compare(answer, effects, cases, "the effects", {
        "the sign is turned round: restored minus corrupted":
            lambda r, c: -(r - c[:, None]).mean(0),
        "that is the mean restored score; subtract the corrupted one": lambda r, c: r.mean(0),
        "that is the sum over prompts; divide by how many there are":
            lambda r, c: (r - c[:, None]).sum(0),
        "corrupted belongs to the prompts, which are the rows: use corrupted[:, None]":
            lambda r, c: np.abs(r - c).mean(0),
    }, why=lambda r, c: {
        (len(r),): "that is one effect a prompt; average over the prompts, axis 0",
        r.shape: "average over the prompts, axis 0",
        (): "average over the prompts only, and keep one effect a site",
    })  # fmt: skip


def threshold(score: np.ndarray, faithful: np.ndarray) -> float:
    """Lowest mean score among the sites that are faithful for every prompt."""
    means = [score[:, s].mean() for s in range(score.shape[1]) if all(faithful[:, s])]
    return min(means, default=float("inf"))


@exercise("causal-tracing-b")
def check_threshold(answer: Any, rng: np.random.Generator) -> None:
    """Random sites, some faithful throughout; and once none."""
    for case in range(6):
        score = rng.normal(25, 4, (4, 12))
        faithful = rng.random((4, 12)) < 0.6
        faithful[:, :3] = True
        if case == 5:
            faithful[0] = False
        expected = threshold(score, faithful)
        got = call(answer, score, faithful)
        if case == 5:
            if got is None or np.shape(got) != () or not np.isinf(got):
                raise Wrong('where no site is causal, return float("inf"): nothing reaches it')
            continue
        value = float(array_of(got, (), "the threshold"))
        if abs(value - expected) < 1e-9:
            continue
        wrong = {
            "a site must be faithful for all prompts, not for some":
                threshold(score, faithful | faithful.any(0)),
            "take the lowest of the causal sites, not the highest":
                score.mean(0)[faithful.all(0)].max(),
            "take the mean score of each site first, then the lowest of these":
                score[:, faithful.all(0)].min(),
            "that is the lowest over all sites; look at the causal ones": score.mean(0).min(),
            "that is the mean of the causal sites; take the lowest":
                score.mean(0)[faithful.all(0)].mean(),
        }  # fmt: skip
        blame({sentence: abs(value - float(w)) < 1e-9 for sentence, w in wrong.items()})
        raise Wrong(f"the threshold should be {expected:.3f} on fresh data, got {value:.3f}")


def patched(h: np.ndarray, lane: int) -> np.ndarray:
    """Row 0 into row lane, in either half."""
    rows, n = [row.copy() for row in h], len(h) // 2
    rows[lane] = h[0]
    rows[n + lane] = h[n]
    return np.stack(rows)


@exercise("causal-tracing-c")
def check_patch(answer: Any, rng: np.random.Generator) -> None:
    """Some batches of some lanes; a mistake is which row it puts where."""

    def copied(h: np.ndarray, rows: dict[int, int]) -> np.ndarray:
        new = h.copy()
        new[list(rows)] = h[list(rows.values())]
        return new

    for _ in range(5):
        n = int(rng.integers(3, 7))
        h = rng.normal(size=(2 * n, 4))
        lane = int(rng.integers(1, n))
        expected = patched(h, lane)
        value = array_of(call(answer, h, lane), h.shape, "the batch", {
            (4,): "return the whole batch, not one row", (n, 4): "return both halves",
        })  # fmt: skip
        if close(value, expected):
            continue
        wrong = {
            "nothing was copied": {},
            "the conditional half is missing: lane i is also row n + i": {lane: 0},
            "the unconditional half is missing: equation 5.5 restores both": {n + lane: n},
            "the conditional row must come from the conditional clean row, h[n]":
                {lane: 0, n + lane: 0},
            "that copies the lane into the clean one; copy the other way": {0: lane, n: n + lane},
        }  # fmt: skip
        blame({sentence: close(value, copied(h, rows)) for sentence, rows in wrong.items()})
        raise Wrong(f"with n = {n} lanes, rows {lane} and {n + lane} should equal rows 0 and {n}, "
                    "and no other row should change")  # fmt: skip


KINDS = ("self-attn", "mlp")


def detoured(layer: int, kind: str) -> Painting:
    """The studio with a text encoder in which painters' names pass one module only.

    The names are blanked where the first layer reads them. One module of one layer adds what the
    encoder as shipped would have in the hidden state by then, so that all that follows, and every
    picture, is as it was; but nothing before that module knows a painter.

    Args:
        layer: whose module, from 0.
        kind: which of `KINDS`.
    """
    import copy
    from dataclasses import replace

    import torch

    from kledit_lite.inside.blocks import blocks, hidden_of
    from kledit_lite.inside.hooks import read

    p = studio()
    pipe = copy.copy(p.pipe)
    pipe.text_encoder = copy.deepcopy(p.pipe.text_encoder)
    shipped, rewired = blocks(copy.deepcopy(p.pipe.text_encoder)), blocks(pipe.text_encoder)
    words = pipe.tokenizer(list(p.painters), add_special_tokens=False)["input_ids"]
    names = torch.tensor(sorted({i for ids in words for i in ids}))
    state: dict[str, Any] = {}
    table = pipe.text_encoder.get_input_embeddings()
    one, attends = rewired[layer], kind == "self-attn"
    norm, module = (one.layer_norm1, one.self_attn) if attends else (one.layer_norm2, one.mlp)

    def embed(ids: Any, plain: Callable[..., Any] = table.forward) -> Any:
        state["named"] = torch.isin(ids, names)
        return plain(ids)

    def enter(h: Any, *args: Any, plain: Callable[..., Any] = rewired[0].forward, **kw: Any) -> Any:
        x = h
        with read(shipped[layer], [shipped[layer].layer_norm2], at="input") as seen:
            for block in shipped[: layer + 1]:
                x = hidden_of(block(x, *args, **kw))
        state["whole"] = seen[shipped[layer].layer_norm2] if attends else x
        return plain(torch.where(state["named"][..., None], torch.zeros_like(h), h), *args, **kw)

    def note(x: Any, plain: Callable[..., Any] = norm.forward) -> Any:
        state["stream"] = x
        return plain(x)

    def add(*args: Any, plain: Callable[..., Any] = module.forward, **kw: Any) -> Any:
        out, new = plain(*args, **kw), state["whole"] - state["stream"]
        return (new, *out[1:]) if isinstance(out, tuple) else new

    table.forward, rewired[0].forward, norm.forward, module.forward = embed, enter, note, add
    return replace(p, pipe=pipe)


@exercise("causal-tracing-d")
def check_detour(answer: Any, rng: np.random.Generator) -> None:
    """Two encoders, each with a detour through a module that the checker chose."""
    want_function(answer)
    p = studio()
    depth = p.pipe.text_encoder.config.num_hidden_layers
    places = [(i, k) for i in range(depth) for k in KINDS if (i, k) != (0, KINDS[0])]
    for at in rng.permutation(len(places))[:2]:
        layer, kind = places[at]
        prompts = p.ask.trace("style", 4, seed=int(rng.integers(1 << 20)))
        said = call(answer, detoured(layer, kind), prompts)
        form = 'return a layer and a kind, such as (3, "mlp")'
        i, k = read_as(lambda pair: (int(pair[0]), str(pair[1])), said, form)
        blame({
            f"there is no {k!r} in layer {i}: layers run from 0 to {depth - 1}, kinds are "
            f"{' and '.join(KINDS)}": not 0 <= i < depth or k not in KINDS,
            "the first self-attention is where the encoder as shipped passes a name on; this one "
            "was rewired, so trace it": (i, k) == (0, KINDS[0]),
            f"the layer is right, its {k} is not: which of its modules brings back more?":
                i == layer and k != kind,
            f"restoring the {k} of layer {i} changes nothing: the name has not come in yet, which "
            "you see where restored pictures equal the corrupted ones": i < layer,
            f"the name came in before layer {i}; restore what a module adds, not the hidden state, "
            "and look for the first module that brings everything back": i > layer,
        })  # fmt: skip
