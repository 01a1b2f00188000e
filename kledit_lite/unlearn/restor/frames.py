"""Tables of RESTOR: what does the restoring, what became of each fact, and which relations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kledit_lite.unlearn.restor.evaluate import Evaluation, outcomes
from kledit_lite.unlearn.restor.recorded import Pair, Pooled, difference
from kledit_lite.unlearn.restor.retain_sweep import KINDS
from kledit_lite.unlearn.restor.workbench import ALONE, METHODS

CLEAN: Pair = ("clean", "")
CORRUPTED: Pair = ("corrupted", "")


def span(x: Sequence[float], scale: float = 100, sign: bool = True) -> str:
    """A value with its interval; a dash where there is none.

    Args:
        x: the value, and the ends of its interval.
        scale: what it is multiplied with.
        sign: put a plus before what is above zero.

    Example:
        >>> span((0.5, 0.25, 0.75)), span((0.5, 0.25, 0.75), sign=False)
        ('+50 (+25 to +75)', '50 (25 to 75)')
    """
    if not np.isfinite(x).all():
        return "–"
    a, b, c = (f"{scale * v:{'+' if sign else ''}.0f}" for v in x)
    return f"{a} ({b} to {c})"


def percent(value: float) -> str:
    """A share in words; a dash where there is none.

    Example:
        >>> percent(0.25), percent(float("nan"))
        ('25%', '–')
    """
    return f"{value:.0%}" if np.isfinite(value) else "–"


def restoring_frame(draws: Pooled) -> pd.DataFrame:
    """One row per retain set and method: percent of the loss that is back, and what it costs.

    Args:
        draws: what the models answered.
    """
    pairs = [CORRUPTED, *((name, kind) for kind in KINDS for name in (*METHODS, ALONE))]
    rows = [_restoring_row(draws, pair) for pair in pairs if pair in draws.denied]
    return pd.DataFrame(rows).set_index(["retain set", "method"])


def _restoring_row(draws: Pooled, pair: Pair) -> dict[str, str]:
    name, kind = pair
    own = kind in ("", "none") or name == ALONE
    change = difference(draws.untouched[pair], draws.untouched[CLEAN], draws.spared)
    return {
        "retain set": kind,
        "method": name,
        "back, %": span(draws.back(pair), sign=False) if kind else "",
        "more than alone, %": "" if own else span(draws.back(pair, (ALONE, kind))),
        "wrong said, %": f"{100 * draws.repeats[pair].mean():.0f}",
        "untouched, points": span(change),
    }


def outcome_frame(
    clean: Evaluation, corrupted: Evaluation, answers: Mapping[Pair, Evaluation]
) -> pd.DataFrame:
    """What became of the facts with each method, in percent; a dash where there are none.

    Args:
        clean: evaluation of the model before corruption.
        corrupted: evaluation of the corrupted model.
        answers: method and retain set -> evaluation of the unlearned model.
    """
    parts = ("recovered", "forgotten", "unchanged", "degraded", "unaffected")
    rows = {}
    for pair, said in answers.items():
        found = outcomes(clean, corrupted, said)
        shares = {p: getattr(found, p) for p in parts}
        rows[pair] = {p: f"{100 * v:.0f}" if np.isfinite(v) else "–" for p, v in shares.items()}
    return pd.DataFrame(rows).T.rename_axis(["method", "retain set"])


def relations_frame(draws: Pooled, names: Sequence[str]) -> pd.DataFrame:
    """By relation: how many facts, known, kept, lost, and recovered by methods; best known first.

    Args:
        draws: what the models answered.
        names: methods with a retain set of other people.
    """
    knew, broken = draws.denied[CLEAN], draws.denied[CORRUPTED]
    lost = knew & ~broken
    columns = {"facts": np.ones_like(knew), "clean": knew, "kept": knew & broken, "lost": lost}
    columns |= {name: lost & draws.denied[name, "other people"] for name in names}
    by = pd.DataFrame(columns).groupby(np.array(draws.relations), sort=False)
    frame = by.sum().assign(clean=by["clean"].mean()).rename_axis("relation")
    return frame.sort_values(["clean", "lost"], ascending=False)
