"""Exercises: windows of layers, the controlling window, halving, and a search of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import blame, call, compare, read_as, want_function
from kledit_lite.course.studio import sampling, studio, within
from kledit_lite.metrics.verdicts import verdict

if TYPE_CHECKING:
    from kledit_lite.models.probes import Probe


def windows(layers: int, m: int) -> list[tuple[int, ...]]:
    """Every run of m neighbours."""
    return [tuple(range(j, j + m)) for j in range(layers) if j + m <= layers]


@exercise("locogen-a")
def check_windows(answer: Any, rng: np.random.Generator) -> None:
    """Sizes drawn at random, the ends included."""
    for _ in range(6):
        layers = int(rng.integers(3, 20))
        m = int(rng.integers(1, layers + 1))
        got = call(answer, layers, m)
        form, right = "return a list of tuples of layer numbers", windows(layers, m)
        got = read_as(lambda g: [tuple(int(x) for x in w) for w in g], got, form)
        blame({
            f"a window is shorter than m: of {layers} layers, stop at {layers - m}":
                any(len(w) < m for w in got),
            "count layers from 0": [tuple(x - 1 for x in w) for w in got] == right,
            "the last window is missing: range(n) stops before n": got == right[:-1],
            f"windows({layers}, {m}) should be {right[:2]} ..., got {got[:2]}": got != right,
        })  # fmt: skip


def best_set(scores: np.ndarray, attribute: str) -> int:
    """Lowest mean over prompts for a style or an object, highest for a fact."""
    mean = scores.mean(axis=1)
    return int(mean.argmax() if attribute == "fact" else mean.argmin())


@exercise("locogen-b")
def check_best(answer: Any, rng: np.random.Generator) -> None:
    """Random scores whose best prompt-wise window differs from the best on average."""
    kinds = [kind for kind in ("style", "object", "fact") for _ in range(3)]
    cases = [(rng.normal(20, 4, (14, 9)), kind) for kind in kinds]
    compare(answer, best_set, cases, "the window", {
        "for a fact the score is against the target prompt, so higher is better":
            lambda s, a: int(s.mean(1).argmin()),
        "for a style or an object the score is against the source prompt: look for the lowest":
            lambda s, a: int(s.mean(1).argmax()),
        "that is the single best picture; average over the prompts first":
            lambda s, a: int(np.unravel_index(
                s.argmax() if a == "fact" else s.argmin(), s.shape)[0]),
        "average over prompts (axis 1), not over windows":
            lambda s, a: int(s.mean(0).argmax() if a == "fact" else s.mean(0).argmin()),
    })  # fmt: skip


def halve(scores: np.ndarray, keep: int) -> list[int]:
    """The rows with the lowest means, in ascending row order."""
    return sorted(np.argsort(scores.mean(1), kind="stable")[:keep].tolist())


@exercise("locogen-c")
def check_survivors(answer: Any, rng: np.random.Generator) -> None:
    """Scores with ties among the means."""
    for _ in range(6):
        scores = rng.integers(0, 4, (int(rng.integers(6, 15)), 3)).astype(float)
        keep = int(rng.integers(2, 5))
        got, right = call(answer, scores.copy(), keep), halve(scores, keep)
        got = read_as(lambda g: [int(x) for x in g], got, "return a list of window numbers")
        if got == right:
            continue
        blame({
            "those are the right windows; put their numbers in ascending order":
                sorted(got) == right,
            "lower is better here: keep the windows with the lowest means":
                got == halve(-scores, keep),
            f"keep {keep} windows, not {len(got)}": len(got) != keep,
        })  # fmt: skip
        raise Wrong("not the best ones; average over prompts, and on a tie keep the earlier window")


ROWS, MOST, ASKED = 600, 4, 6
"""Rows of the UNet for one search, layers it may name, and new pictures that they are tried on."""


def _probe(factor: str, old: str, new: str, n: int, rng: np.random.Generator) -> Probe:
    """N prompt pairs that differ in one factor, which is `old` in the sources and `new` after."""
    from kledit_lite.models.probes import Probe
    from kledit_lite.world import COLOURS, OBJECTS, PLACES, Scene, caption

    first = int(rng.integers(1 << 20))
    scenes = []
    for i in range(n):
        drawn = {"object": OBJECTS, "colour": COLOURS, "place": PLACES, "style": ["photo"]}
        values = {f: str(rng.choice(list(v))) for f, v in drawn.items()}
        scenes.append(Scene(**{**values, factor: old}, seed=first + i))  # type: ignore[arg-type]
    asked, wanted = map(caption, scenes), (caption(s.with_(**{factor: new})) for s in scenes)
    seeds, shows = range(first, first + n), [(factor, old)] * n
    return Probe("object", tuple(asked), tuple(wanted), tuple(seeds), tuple(shows))


def _swapped(probe: Probe, layers: tuple[int, ...]) -> tuple[Any, Any]:
    """What the judge reads in the sources' pictures, and once some layers read the targets."""
    import torch

    from kledit_lite import inside
    from kledit_lite.inside.swaps import text_at_sites

    pipe, how, n = studio().pipe, sampling(), len(probe)
    sites = inside.cross_attention_sites(pipe.unet)
    text = inside.encode_prompts(pipe, probe.sources)
    targets, empty = (inside.encode_prompts(pipe, t).hidden for t in (probe.targets, [""]))
    bank = torch.cat([text.hidden, targets, empty])
    read = torch.arange(n).repeat(len(sites), 1)  # (L, N)
    read[list(layers)] += n
    rows = torch.cat([torch.full_like(read, 2 * n), read], dim=1)
    z = inside.latents_for(pipe, list(probe.seeds))
    before = inside.sample(pipe, text, z, how)
    with text_at_sites(pipe.unet, sites, bank, rows):
        after = inside.sample(pipe, text, z, how)
    judge = studio().judge
    return judge.read(inside.decode(pipe, before)), judge.read(inside.decode(pipe, after))


def _layers(said: Any, there: int) -> tuple[int, ...]:
    """The layers that an answer names."""
    form = "return a tuple of layer numbers, such as (3, 4, 5, 6)"
    layers = read_as(lambda said: tuple(int(x) for x in said), said, form)
    if not 1 <= len(set(layers)) == len(layers) <= MOST:
        raise Wrong(f"name one to {MOST} different layers, not {len(layers)}")
    if min(layers) < 0 or max(layers) >= there:
        raise Wrong(f"layers are numbered 0 to {there - 1}")
    return layers


@exercise("locogen-d")
def check_find(answer: Any, rng: np.random.Generator) -> str | None:
    """A painter and an object or a place, drawn; what the layers do to new pictures."""
    from kledit_lite.world import OBJECTS, PLACES, STYLES

    want_function(answer)
    p, told = studio(), []
    kinds = {"object": OBJECTS, "place": PLACES}
    other = str(rng.choice(list(kinds)))
    painters = [s for s in STYLES[1:] if s != "van gogh"]  # four layers are too few for him
    drawn = {"style": [str(rng.choice(painters)), "photo"],
             other: [str(v) for v in rng.choice(list(kinds[other]), 2, replace=False)]}  # fmt: skip
    for factor, (old, new) in drawn.items():
        probe = _probe(factor, old, new, 4, rng)
        with within(p.pipe.unet, ROWS) as spent:
            layers = _layers(call(answer, p, probe), 16)
        told.append(f"{old} to {new} by {spent[0]} rows")
        before, after = _swapped(_probe(factor, old, new, ASKED, rng), layers)
        codes = p.code(factor, old), p.code(factor, new)
        left, came = (int((after[factor] == code).sum()) for code in codes)
        rest = tuple(f for f in ("object", "place", "style") if f != factor)
        kept = verdict(before, after, factor, *codes, rest, must_show=False).kept.k
        chosen = f"with layers {', '.join(map(str, sorted(layers)))} {old}"
        more = f"that is not where this model reads the {factor}"
        if factor == "style" and max(layers) - min(layers) < MOST:
            more = "a window of adjacent layers reaches one end at most; try a set with a gap"
        blame({
            f"{chosen} is still there in {left} of {ASKED} new pictures; {more}": left > 2,
            f"{chosen} has left, but {new} arrived in {came} of {ASKED} new pictures only; removed "
            "is not arrived, so score against the target, too": came < 4,
            f"{kept} of {ASKED} new pictures keep the rest, the {' and the '.join(rest)}": kept < 4,
        })  # fmt: skip
    return f"right: {', '.join(told)}"
