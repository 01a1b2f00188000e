"""What an edit did to pictures: is the source removed, has the target arrived, is the rest kept?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kledit_lite.core.arrays import as_labels, check_same_rows
from kledit_lite.core.errors import KleditError, unknown

_Z = 1.959963984540054  # the 97.5% quantile of the normal distribution


@dataclass(frozen=True)
class Share:
    """`k` of `n`, with the 95% interval of Wilson (1927), which stays within 0 and 1.

    Attributes:
        k: cases counted.
        n: cases there are.
        low: lower end of the interval.
        high: upper end.

    Example:
        >>> print(Share.of(8, 8))
        8 of 8 (68% to 100%)
    """

    k: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, k: int, n: int) -> Share:
        r"""The share and its interval, :math:`(\hat p + z^2/2n \pm z
        \sqrt{\hat p(1-\hat p)/n + z^2/4n^2}) / (1 + z^2/n)` with :math:`z = 1.96`.

        Raises:
            KleditError: no cases, or `k` outside 0 to `n`.

        Example:
            >>> s = Share.of(5, 10)
            >>> round(s.low, 3), s.value, round(s.high, 3)
            (0.237, 0.5, 0.763)
        """
        if n < 1 or not 0 <= k <= n:
            raise KleditError(f"{k} of {n} is not a share: expected n >= 1 and 0 <= k <= n.")
        p, a = k / n, _Z**2 / n
        middle, half = (p + a / 2) / (1 + a), _Z * np.sqrt(p * (1 - p) / n + a / (4 * n)) / (1 + a)
        low = 0.0 if k == 0 else float(middle - half)  # exact, where rounding would leave 1e-17
        return cls(k, n, low, 1.0 if k == n else float(middle + half))

    @classmethod
    def counted(cls, k: int, n: int) -> Share:
        """As `of`, and of no cases a share that may be anything: its `value` is not a number.

        Example:
            >>> print(Share.counted(0, 0))
            0 of 0
        """
        return cls.of(k, n) if k or n else cls(0, 0, 0.0, 1.0)

    @classmethod
    def among(cls, flags: object) -> Share:
        """The share of (N,) flags that are set, as `counted`.

        Example:
            >>> print(Share.among([True, False, True, True]))
            3 of 4 (30% to 95%)
        """
        x = np.asarray(flags, bool).ravel()
        return cls.counted(int(x.sum()), len(x))

    @property
    def value(self) -> float:
        """`k / n`; not a number where there are no cases."""
        return self.k / self.n if self.n else float("nan")

    def __str__(self) -> str:
        if not self.n:
            return "0 of 0"
        return f"{self.k} of {self.n} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True)
class Verdict:
    """Three shares of the same pictures before and after an edit; see `verdict`.

    Attributes:
        removed: pictures that no longer show what they showed.
        arrived: pictures that show the target.
        kept: pictures that keep all else.
    """

    removed: Share
    arrived: Share
    kept: Share


def verdict(
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    factor: str,
    source: int | str,
    target: int | str,
    keep: Sequence[str] = ("object", "place"),
    must_show: bool = True,
) -> Verdict:
    """Was `source` removed, did `target` arrive, and is the rest of each picture as it was?

    Removed is not arrived: an erased painter may become another painter. Both are counted over
    the pictures that showed `source` before the edit; `kept` over all pictures, as the share in
    which *every* factor of `keep` is read as it was before.

    Args:
        before: The judge's readings of the pictures before, factor -> (N,) ints, as `Judge.read`.
        after: The same of the pictures after, from the same prompts and noise.
        factor: What was edited, e.g. "style".
        source: The value that should go: an index, or its name in the painted world.
        target: The value that should come in its place.
        keep: Factors that should stay as they were; not `factor`.
        must_show: Whether at least one picture must have shown `source`; without, `removed` and
            `arrived` may be shares of no pictures, see `Share.counted`.

    Raises:
        KleditError: no picture showed `source` though one must, a factor was not read, unequal
            lengths, the same source and target, or `factor` among those to keep.

    Example:
        >>> before = {"style": np.array([3, 3, 3, 1]), "place": np.array([0, 1, 2, 3])}
        >>> after = {"style": np.array([0, 0, 5, 1]), "place": np.array([0, 1, 2, 0])}
        >>> v = verdict(before, after, "style", 3, 0, keep=["place"])
        >>> v.removed.value, f"{v.arrived.k} of {v.arrived.n}", v.kept.value
        (1.0, '2 of 3', 0.75)
    """
    if isinstance(keep, str):
        keep = (keep,)
    if factor in keep:
        raise KleditError(f"{factor!r} is the factor that was edited; leave it out of `keep`.")
    rows = np.size(before.get(factor, ()))
    was = {f: _read(before, f, "before", rows) for f in (factor, *keep)}
    now = {f: _read(after, f, "after", rows) for f in was}
    old, new = _index(factor, source), _index(factor, target)
    if old == new:
        raise KleditError(f"source and target are both {source!r}; nothing could be removed.")
    had = was[factor] == old
    if must_show and not had.any():
        raise KleditError(
            f"None of the {rows} pictures showed {factor} {source!r} before the edit, so that "
            "nothing can be said of its removal; paint prompts that name it, or check the model."
        )
    then = now[factor][had]
    same = np.logical_and.reduce([np.ones(rows, bool), *(now[f] == was[f] for f in keep)])
    removed, arrived = Share.among(then != old), Share.among(then == new)
    return Verdict(removed, arrived, kept=Share.of(int(same.sum()), rows))


def summary(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Mean and minimum over several concepts, as ``removed_mean``, ``arrived_min`` and so on.

    Each concept counts once, however many pictures it has, and not at all where it has none;
    a share that no concept has is not a number.

    Raises:
        KleditError: no verdicts.

    Example:
        >>> one = Verdict(Share.of(4, 4), Share.of(1, 4), Share.of(4, 4))
        >>> two = Verdict(Share.of(2, 4), Share.of(2, 4), Share.of(4, 4))
        >>> {k: v for k, v in summary([one, two]).items() if "arrived" in k}
        {'arrived_mean': 0.375, 'arrived_min': 0.25}
    """
    given = list(verdicts)
    if not given:
        raise KleditError("Expected at least one verdict to summarise, got none.")
    shares = {f: [getattr(v, f).value for v in given] for f in ("removed", "arrived", "kept")}
    told = {f: [v for v in x if v == v] or [np.nan] for f, x in shares.items()}
    return {
        f"{f}_{name}": float(of(x))
        for f, x in told.items()
        for name, of in (("mean", np.mean), ("min", np.min))
    }


def measured(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that are numbers; one that rests on no picture is left out.

    Example:
        >>> measured({"removed": Share.counted(0, 0).value, "kept": 1.0})
        {'kept': 1.0}
    """
    return {key: value for key, value in figures.items() if np.isfinite(value)}


def difference(first: object, second: object) -> tuple[float, float, float]:
    r"""Share of `first` minus share of `second` over the same N pictures, with its 95% interval.

    Newcombe (1998), method 10: the interval is wide where N is small even if no two pictures
    differ, where a bootstrap would have no width. With Wilson's ends :math:`l, u` of the shares
    :math:`p_1, p_2` and their correlation :math:`\varphi` (reduced by N/2 in the cross product),
    the lower end is :math:`p_1 - p_2 - \sqrt{a^2 - 2 \varphi a b + b^2}` with
    :math:`a = p_1 - l_1, b = u_2 - p_2`; the upper end likewise.

    Args:
        first: (N,) bool.
        second: (N,) bool, of the same pictures.

    Returns:
        The difference, and the lower and upper end of its interval. Over no pictures it is not a
        number, and the interval is all there is, -1 to 1.

    Raises:
        KleditError: unequal lengths.

    Example:
        >>> [round(x, 2) for x in difference([True] * 8, [False] * 8)]
        [1.0, 0.54, 1.0]
    """
    x, y = np.asarray(first, bool).ravel(), np.asarray(second, bool).ravel()
    check_same_rows(first=x, second=y)
    n = len(x)
    if not n:
        return float("nan"), -1.0, 1.0
    one, two = Share.among(x), Share.among(y)
    both, neither = int((x & y).sum()), int((~x & ~y).sum())
    cross: float = both * neither - int((x & ~y).sum()) * int((~x & y).sum())
    cross = max(cross - n / 2, 0) if cross > 0 else cross
    scale = one.k * (n - one.k) * two.k * (n - two.k)
    phi = cross / np.sqrt(scale) if scale else 0.0

    def reach(a: float, b: float) -> float:
        return float(np.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0)))

    d = one.value - two.value
    low = d - reach(one.value - one.low, two.high - two.value)
    return d, low, d + reach(one.high - one.value, two.value - two.low)


def _read(readings: Mapping[str, np.ndarray], factor: str, when: str, rows: int) -> np.ndarray:
    if factor not in readings:
        raise unknown(f"factor of the readings {when} the edit", factor, readings)
    return as_labels(f"{when}[{factor!r}]", readings[factor], rows)


def _index(factor: str, value: int | str) -> int:
    if not isinstance(value, str):
        return int(value)
    from kledit_lite.world import SceneSet

    names = SceneSet.names(factor)
    if value not in names:
        raise unknown(factor, value, names)
    return names.index(value)
