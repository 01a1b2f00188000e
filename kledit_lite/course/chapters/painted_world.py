"""Exercises: scenes, held-out combinations, style in pixels, and a painter that mishears."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, blame, call, close, want_function

WANTED = {"object": "umbrella", "colour": "purple", "place": "city", "style": "seurat", "count": 2}


@exercise("painted-world-a")
def scene(answer: Any, rng: np.random.Generator) -> None:
    """Compare the factors one by one; the seed is free."""
    if isinstance(answer, str):
        raise Wrong("that is a caption; build the scene itself, Scene(object, colour, place, ...)")
    if isinstance(answer, dict):
        raise Wrong("that is a dictionary; pass its entries to Scene, Scene(**factors)")
    if isinstance(answer, type):
        raise Wrong("that is the class; call it, Scene(object, colour, place, ...)")
    if not all(hasattr(answer, f) for f in WANTED):
        raise Wrong(f"expected a Scene, got {type(answer).__name__}")
    off = [f for f, value in WANTED.items() if getattr(answer, f) != value]
    if off == ["count"]:
        raise Wrong("everything is right except how many: look at the first word of the caption")
    if off == ["style"]:
        raise Wrong("everything is right except the style, which is photo if you do not name one")
    if off:
        what = " and ".join([", ".join(off[:-1]), off[-1]] if len(off) > 1 else off)
        raise Wrong(f"the {what} of your scene {'are' if len(off) > 1 else 'is'} not the caption's")
    if getattr(answer, "entity", None) is not None:
        raise Wrong("the caption names no town, so leave entity out")


def count_held_out(possible: Sequence[tuple[str, ...]], seen: Sequence[tuple[str, ...]]) -> int:
    """How many distinct possible combinations never occur among those seen."""
    return sum(one not in seen and one not in possible[:i] for i, one in enumerate(possible))


@exercise("painted-world-b")
def held_out(answer: Any, rng: np.random.Generator) -> None:
    """Try lists with repeats, and training combinations that are not among the possible ones."""
    for repeats, strange in ((0, 0), (9, 0), (5, 3)):
        every = list(product(("cat", "car", "boat"), ("red", "blue"), ("beach", "city", "forest")))
        order = rng.permutation(len(every))
        base = [every[i] for i in order[: rng.choice([7, 8, 10, 11, 12])]]
        seen = base + [base[i] for i in rng.integers(len(base), size=repeats)]
        seen += [("rocket", "red", f"moon {i}") for i in range(strange)]
        truth = count_held_out(every, seen)
        value = call(answer, every, seen)
        if isinstance(value, (set, frozenset, list, tuple)):
            raise Wrong("return how many there are, not the combinations: wrap it in len(...)")
        got = float(array_of(value, (), "the count"))
        if got == truth:
            continue
        different = set(seen)
        blame({
            "training scenes repeat combinations; count each combination once":
                repeats and got == len(every) - len(seen),
            "that counts the combinations seen; the question is how many were not":
                got in (len(different), len(different & set(every))),
            "subtracting the two counts is wrong when training has combinations that are not in "
            "possible; compare the combinations themselves":
                strange and got == len(every) - len(different),
            "^ also counts what only training has; take the difference, with -":
                strange and got == len(set(every) ^ different),
        })  # fmt: skip
        raise Wrong(
            f"expected {truth} for {len(every)} possible and {len(different)} distinct seen "
            f"combinations, got {got:g}"
        )


def confusion(
    train: np.ndarray, train_style: np.ndarray, test: np.ndarray, test_style: np.ndarray
) -> np.ndarray:
    """Share of each true style (row) that its nearest centroid assigns to each style (column)."""
    k = int(train_style.max()) + 1
    a, b = train.reshape(len(train), -1).astype(float), test.reshape(len(test), -1).astype(float)
    centroid = [a[train_style == s].mean(0) for s in range(k)]
    table = np.zeros((k, k))
    for picture, style in zip(b, test_style, strict=True):
        distance = [((picture - c) ** 2).sum() for c in centroid]
        table[style, int(np.argmin(distance))] += 1
    return table / table.sum(1, keepdims=True)


def _noisy(base: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """N noisy copies of base pictures, the later ones more often, and of which each is one."""
    k = len(base)
    p = np.arange(1, k + 1) / np.arange(1, k + 1).sum()
    style = np.r_[np.arange(k), rng.choice(k, n - k, p=p)]
    noisy = base[style] + rng.normal(0, 150, (n, *base.shape[1:]))
    return np.clip(noisy, 0, 255).astype(np.uint8), style


@exercise("painted-world-c")
def style_confusion(answer: Any, rng: np.random.Generator) -> None:
    """Two random sets of pictures, uneven styles, against loops in floating point."""
    for k, size in ((3, 4), (4, 3)):
        base = rng.integers(0, 256, (k, size, size, 3))
        case = (*_noisy(base, 60, rng), *_noisy(base, 240, rng))
        truth = confusion(*case)
        got = array_of(call(answer, *case), (k, k), "the table", {
            (): "return the whole table, one row a true style",
            (240,): "that is one style a picture; now count them in a table",
        })  # fmt: skip
        if close(got, truth):
            continue
        counts = truth * np.bincount(case[3], minlength=k)[:, None]
        shares = got.min() >= 0 and np.allclose(got.sum(1), 1)
        blame({
            "those are counts; divide each row by its sum to get shares": close(got, counts),
            "rows and columns are swapped: rows are the true styles": close(got, truth.T),
            "you divided each column by its sum; shares are of the true style, the row":
                close(got, counts / counts.sum(0)),
            "you divided by all pictures; divide each row by its own sum":
                close(got, counts / len(case[3])),
            "the rows sum to 1 but too few pictures land on their style: uint8 differences wrap "
            "round at 256, so convert to float first":
                shares and np.trace(got) < np.trace(truth) - 0.05,
        })  # fmt: skip
        raise Wrong(
            f"entries are off by up to {np.abs(got - truth).max():.2f}; see that each picture goes "
            f"to the nearest average in squared distance"
        )


_READ = ("object", "colour", "place", "style")
_EACH = 4  # pictures per caption


@lru_cache(maxsize=1)
def _painter() -> Any:
    from kledit_lite.zoo import load_pipeline

    return load_pipeline()


def misheard(rng: np.random.Generator) -> tuple[list[Any], list[Any], int, str]:
    """Four scenes, the scenes of all 16 pictures, which of the four is misheard, and in what.

    In three of its four pictures one word is another: of a style, one that shows colour as well as
    the right one does. Two of the four scenes show no colour.
    """
    from kledit_lite.world import FACTORS, sample_scenes

    drawn = sample_scenes(400, seed=int(rng.integers(1 << 30)), combos="all")
    drawn = [s.with_(count=1) for s in drawn]
    hidden = [s for s in drawn if not s.shows_colour][:2]
    asked = [hidden[0], *(s for s in drawn if s.shows_colour)][:3] + hidden[1:]
    asked = [asked[i] for i in rng.permutation(len(asked))]
    while True:
        k, factor = int(rng.integers(len(asked))), str(rng.choice(_READ))
        if factor != "colour" or asked[k].shows_colour:
            break
    others = [asked[k].with_(**{factor: v}) for v in FACTORS[factor]]
    others = [s for s in others if s.shows_colour == asked[k].shows_colour and s != asked[k]]
    painted = [s for s in asked for _ in range(_EACH)]
    painted[k * _EACH : k * _EACH + 3] = [others[int(rng.integers(len(others)))]] * 3
    return asked, painted, k, factor


@exercise("painted-world-d")
def painter_misheard(answer: Any, rng: np.random.Generator) -> None:
    """Sixteen pictures painted anew; a colour that no style shows misleads a careless reader."""
    from kledit_lite.world import caption
    from kledit_lite.zoo.paint import paint

    want_function(answer)
    asked, painted, k, factor = misheard(rng)
    pictures = paint(_painter(), [caption(s) for s in painted], seed=int(rng.integers(1 << 20)))
    said = call(answer, asked, pictures.reshape(len(asked), _EACH, *pictures.shape[1:]))
    try:
        number, word = said
        number, word = int(number), str(word)
    except (TypeError, ValueError):
        raise Wrong('return a number and a factor, such as (2, "place")') from None
    if not 0 <= number < len(asked):
        raise Wrong(f"scenes are numbered 0 to {len(asked) - 1}, got {number}")
    if word not in _READ:
        raise Wrong(f"there is no factor {word!r}; the factors are {', '.join(_READ)}")
    if (number, word) == (k, factor):
        return
    blame({
        f"{asked[number].style} shows no colour, so what is read there as one means nothing; leave "
        "such colours out": word == "colour" and not asked[number].shows_colour,
        f"that is the scene, but its {word} is painted as asked in most pictures": number == k,
        f"it was a {word}, but of another scene": word == factor,
    })  # fmt: skip
    raise Wrong(f"the {word} of scene {number} is painted as asked; compare shares of wrong ones")
