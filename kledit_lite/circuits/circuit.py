"""Small circuits: the fewest parts that carry an answer, held against every set of that size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from kledit_lite.circuits.direct import Patching
from kledit_lite.core.errors import KleditError

Candidates = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Circuit:
    """Some candidates, and what their joint removal takes away.

    Attributes:
        names: Of the candidates, the strongest first.
        rows: Parts of all of them together.
        score: Joint score, of `Patching.score`.
        path: Joint score of the first candidate, the first two, and so on.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    score: float
    path: tuple[float, ...]


def smallest(patching: Patching, candidates: Candidates, level: float = 0.8) -> Circuit:
    """The fewest candidates, taken in the order of their single scores, that reach a joint score.

    Args:
        patching: Of `kledit_lite.circuits.direct.patching`.
        candidates: Name -> parts; heads one by one, or whole layers.
        level: Joint score to reach; if all candidates together do not, all are returned.

    Raises:
        KleditError: no candidates, or candidates that share a part.

    Cost: one unembedding for each candidate, and one for each step.
    """
    names = _checked(candidates)
    single = patching.score([candidates[n] for n in names])
    ordered = [names[i] for i in np.argsort(-single, kind="stable")]
    sets = [_union(candidates, ordered[: k + 1]) for k in range(len(ordered))]
    path = patching.score(sets)
    reached = np.flatnonzero(path >= level)
    k = int(reached[0]) if len(reached) else len(sets) - 1
    return Circuit(tuple(ordered[: k + 1]), sets[k], float(path[k]), tuple(map(float, path)))


def best_of_size(
    patching: Patching, candidates: Candidates, size: int, limit: int = 200_000
) -> Circuit:
    """The set of so many candidates that takes away most: every such set is tried.

    Args:
        patching: Of `kledit_lite.circuits.direct.patching`.
        candidates: Name -> parts.
        size: How many candidates.
        limit: Largest number of sets to try.

    Raises:
        KleditError: more sets than `limit`, or a size that there is not.
    """
    names = _checked(candidates)
    if not 1 <= size <= len(names):
        raise KleditError(f"A circuit has 1 to {len(names)} parts here; got {size}.")
    if comb(len(names), size) > limit:
        raise KleditError(
            f"There are {comb(len(names), size):,} sets of {size} of {len(names)} candidates, more "
            f"than {limit:,}; take fewer."
        )
    every = list(combinations(names, size))
    found = patching.score([_union(candidates, s) for s in every])
    best = every[int(found.argmax())]
    return Circuit(best, _union(candidates, best), float(found.max()), (float(found.max()),))


def kept(patching: Patching, rows: Sequence[int]) -> float:
    """What is left of the answers' probability when everything but these parts is patched.

    Beside `Patching.score`, which removes the parts: a circuit may be needed without being enough.
    """
    rest = sorted(set(range(len(patching.names))) - set(rows))
    return float(patching.probability([rest]).mean() / patching.before.mean())


def random_circuits(
    patching: Patching, candidates: Candidates, size: int, draws: int = 100, seed: int = 0
) -> np.ndarray:
    """Joint scores of circuits drawn at random: the control of every circuit that is found.

    Args:
        patching: Of `kledit_lite.circuits.direct.patching`.
        candidates: Name -> parts.
        size: Candidates in each.
        draws: How many circuits.
        seed: Of the draw.
    """
    names, rng = _checked(candidates), np.random.default_rng(seed)
    sets = [
        _union(candidates, rng.choice(names, size, replace=False).tolist()) for _ in range(draws)
    ]
    return patching.score(sets)


def heads(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Every head by itself, as candidates.

    Example:
        >>> heads(("embed", "0.head.0", "0.head.1", "0.mlp"))
        {'0.head.0': (1,), '0.head.1': (2,)}
    """
    return {n: (i,) for i, n in enumerate(names) if ".head." in n}


def _checked(candidates: Candidates) -> list[str]:
    every = [i for rows in candidates.values() for i in rows]
    if not candidates or len(every) != len(set(every)):
        raise KleditError("A circuit needs candidates, and no two of them may share a part.")
    return list(candidates)


def _union(candidates: Candidates, names: Sequence[str]) -> tuple[int, ...]:
    return tuple(i for n in names for i in candidates[n])
