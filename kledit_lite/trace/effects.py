"""What a trace found: average indirect effects, their intervals, causal states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.identity import Keyed
from kledit_lite.metrics.clipscore import TextImageModel, clip_score
from kledit_lite.metrics.judges import shows_all
from kledit_lite.models.subjects import TracePrompt

if TYPE_CHECKING:
    import pandas as pd

    from kledit_lite.inside.sites import Site
    from kledit_lite.zoo.judge import Judge

Score = Callable[[np.ndarray, TracePrompt], np.ndarray]
"""From pictures (K, H, W, 3) of one prompt to K marks; higher is closer to the prompt."""

UNET = ("order", "site", "kind")
TEXT = ("encoder", "layer", "kind", "role")


@dataclass(frozen=True)
class Trace:
    """Marks of clean, corrupted and restored pictures.

    Attributes:
        pictures: A row for each prompt with its seed: ``prompt``, ``subject``, ``attribute``,
            ``seed`` and ``clean_NAME``, ``corrupted_NAME`` for every score NAME.
        restored: A row for each picture and site: ``picture`` (row of the above), what the site is
            (`UNET` or `TEXT` columns) and NAME for every score.
        scores: The names.
        rows: Rows that went through the UNet.
        naive_rows: Rows that clean, corrupted and restored runs for every site would have taken.
        images: The kept versions of the first pictures, (2 + S, H, W, 3) uint8 each, clean and
            corrupted before the restored ones.
    """

    pictures: pd.DataFrame
    restored: pd.DataFrame
    scores: tuple[str, ...]
    rows: int
    naive_rows: int
    images: tuple[np.ndarray, ...] = ()

    @property
    def by(self) -> tuple[str, ...]:
        """The columns that tell sites apart; `TEXT` where tokens have roles, else `UNET`."""
        return TEXT if "role" in self.restored else UNET

    def at(self, sites: Iterable[Site]) -> Trace:
        """The same trace with some of its sites, and without its images.

        Args:
            sites: sites of the UNet that were restored one by one.
        """
        names = [s.name for s in sites]
        return replace(self, restored=self.restored[self.restored["site"].isin(names)], images=())

    def of(self, pictures: Iterable[int]) -> Trace:
        """The same trace of some of its pictures, and without its images.

        Args:
            pictures: their rows in `pictures`, which are numbered anew.
        """
        rows = list(pictures)
        mine = self.restored[self.restored["picture"].isin(rows)]
        number = {row: i for i, row in enumerate(rows)}
        return replace(
            self,
            images=(),
            pictures=self.pictures.iloc[rows].reset_index(drop=True),
            restored=mine.assign(picture=mine["picture"].map(number)),
        )


def assembled(
    prompts: Sequence[TracePrompt],
    seeds: Sequence[int],
    marks: Mapping[str, Sequence[np.ndarray]],
    restored: pd.DataFrame,
    rows: float,
    naive_rows: float,
    images: tuple[np.ndarray, ...] = (),
) -> Trace:
    """A trace from the marks of each picture: clean, corrupted, then each restored version.

    Args:
        prompts: N prompts.
        seeds: N seeds.
        marks: Name of each score -> N rows of at least 2 + S marks.
        restored: ``picture``, ``order`` (0 to S - 1) and what the site is; scores are added.
        rows: As in `Trace`.
        naive_rows: As there.
        images: As there.
    """
    import pandas as pd

    names = ("prompt", "subject", "attribute")
    pictures = pd.DataFrame({n: [getattr(p, n) for p in prompts] for n in names} | {"seed": seeds})
    for j, version in enumerate(("clean", "corrupted")):
        for name, mine in marks.items():
            pictures[f"{version}_{name}"] = [float(m[j]) for m in mine]
    at = list(zip(restored["picture"], restored["order"] + 2, strict=True))
    scores = {name: np.array([mine[i][j] for i, j in at], float) for name, mine in marks.items()}
    restored = restored.assign(**scores)
    return Trace(pictures, restored, tuple(marks), round(rows), round(naive_rows), images)


def by_clip(clip: TextImageModel) -> Score:
    """CLIPScore of a picture with its clean prompt, 0 to 100."""
    return Keyed(lambda images, p: clip_score(clip, images, [p.prompt]), "CLIPScore", clip)


def by_judge(judge: Judge) -> Score:
    """1 where a judge sees what the prompt's subject says (``prompt.shows``), else 0."""

    def score(images: np.ndarray, p: TracePrompt) -> np.ndarray:
        if not p.shows:
            raise KleditError(
                f"The prompt {p.prompt!r} does not say what a judge should see; give shows=((factor"
                ", value),)."
            )
        return shows_all(judge, images, p.shows).astype(float)

    return Keyed(score, "judge", judge)


def bootstrap_means(
    x: np.ndarray, *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap intervals of the columns' means; rows are resampled together.

    Args:
        x: (N, S) values; NaN marks one that is missing.
        draws: Bootstrap resamples.
        level: Level of the intervals.
        seed: Seed of the resampling.

    Returns:
        Low and high ends, (S,) each; a column of NaN stays NaN.

    Cost O(draws N S).
    """
    if draws < 1 or not 0 < level < 1:
        raise KleditError(
            f"Expected at least one draw and a level between 0 and 1, got {draws} and {level:g}."
        )
    rng = np.random.default_rng(seed)
    n = len(x)
    index = rng.integers(n, size=(draws, n))
    counts = np.stack([np.bincount(row, minlength=n) for row in index]).astype(float)
    there = ~np.isnan(x)
    total = counts @ np.where(there, x, 0)  # (draws, S)
    weight = counts @ there
    with np.errstate(invalid="ignore", divide="ignore"):
        means = total / weight
    ends = np.full((2, x.shape[1]), np.nan)
    some = there.any(0)
    ends[:, some] = np.nanquantile(means[:, some], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends[0], ends[1]


def aie(
    trace: Trace,
    score: str | None = None,
    by: Sequence[str] | None = None,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Average indirect effect of every site.

    Equation: ``AIE(a) = mean(score(restored at a) - score(corrupted))``, the score being that with
    the clean prompt (Basu et al. 2024; thesis 5.2.5). Seeds of one prompt are averaged first; the
    bootstrap resamples prompts, which are what one generalises over.

    Args:
        trace: From `trace_unet` or `trace_text`.
        score: Name of a score; default the first.
        by: Columns of ``trace.restored`` that make a site; default ``trace.by``.
        draws: Bootstrap resamples.
        level: Level of the intervals.
        seed: Seed of the bootstrap.

    Returns:
        One row per site, in the sites' order, with the columns of `by`; ``restored``, the mean
        score; ``aie`` with ``low`` and ``high``; ``recovered``, the AIE as a share of the total
        effect ``mean(score(clean) - score(corrupted))`` (NaN where the corruption cost nothing);
        ``prompts``, how many have the site.

    Raises:
        UnknownNameError: not one of the trace's scores.
    """
    score, keys = _score(trace, score), list(by or trace.by)
    if trace.restored.empty:
        import pandas as pd

        columns = ["restored", "aie", "low", "high", "recovered", "prompts"]
        return pd.DataFrame(columns=[*keys, *columns])
    frame = trace.restored.join(trace.pictures[["prompt", f"corrupted_{score}"]], on="picture")
    frame["effect"] = frame[score] - frame[f"corrupted_{score}"]
    cells = frame.groupby(["prompt", *keys], sort=True, observed=True)[[score, "effect"]].mean()
    table = cells.groupby(keys, observed=True)[[score]].mean().rename(columns={score: "restored"})
    wide = cells["effect"].unstack("prompt")  # (sites, prompts), NaN where a prompt lacks the site
    wide = wide.reindex(table.index)
    values = wide.to_numpy(float).T
    table["aie"] = np.nanmean(values, axis=0)
    table["low"], table["high"] = bootstrap_means(values, draws=draws, level=level, seed=seed)
    total = total_effect(trace, score)
    table["recovered"] = table["aie"] / total if total > 0 else np.nan
    table["prompts"] = (~np.isnan(values)).sum(0)
    return table.reset_index()


def total_effect(trace: Trace, score: str | None = None) -> float:
    """Mean of score(clean) - score(corrupted): all that a restored site could win back."""
    return float(_effects(trace, score).mean())


def total_effect_interval(
    trace: Trace, score: str | None = None, *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of `total_effect`; prompts are resampled, their seeds averaged first.

    Args:
        trace: From `trace_unet` or `trace_text`.
        score: Name of a score; default the first.
        draws: Bootstrap resamples.
        level: Level of the interval.
        seed: Seed of the bootstrap.
    """
    effects = _effects(trace, score).to_numpy(float)[:, None]
    low, high = bootstrap_means(effects, draws=draws, level=level, seed=seed)
    return float(low[0]), float(high[0])


def _effects(trace: Trace, score: str | None) -> pd.Series:
    """The total effect of each prompt, over its seeds."""
    score = _score(trace, score)
    p = trace.pictures
    return (p[f"clean_{score}"] - p[f"corrupted_{score}"]).groupby(p["prompt"]).mean()


def causal_threshold(
    validation: Trace,
    score: str = "clipscore",
    faithful: str = "judge",
    share: float = 1.0,
    by: Sequence[str] | None = None,
) -> float:
    """The score above which a site counts as causal, chosen on validation prompts.

    As in thesis 5.2.5: the sites whose restored pictures are faithful for **all** validation
    prompts are causal states there, and the lowest of their mean scores is the threshold. A judge
    stands in for the people who rated the pictures.

    Args:
        validation: A trace of prompts that are not tested on.
        score: What the threshold is for.
        faithful: The score that says whether a picture is faithful, 0 or 1.
        share: Share of prompts that must be; the paper's is 1.
        by: As in `aie`.

    Returns:
        The threshold on the scale of the score; infinity where no site is causal. Subtract the
        mean corrupted score for a threshold on the AIE.
    """
    _score(validation, score)
    _score(validation, faithful)
    keys = list(by or validation.by)
    frame = validation.restored.join(validation.pictures[["prompt"]], on="picture")
    cells = frame.groupby(["prompt", *keys], observed=True)[[score, faithful]].mean()
    table = cells.groupby(keys, observed=True).mean()
    causal = table[table[faithful] >= share - 1e-12]
    return float(causal[score].min()) if len(causal) else float("inf")


def noise_sensitivity(
    run: Callable[[float], Trace],
    scales: Sequence[float],
    score: str | None = None,
    by: Sequence[str] | None = None,
) -> pd.DataFrame:
    """How a trace depends on the noise scale, which published work leaves open.

    Args:
        run: From a scale to a trace, e.g.
            ``lambda s: trace_unet(pipe, prompts, seeds, scores, Tracing(noise=s))``; without sites
            it costs two runs per prompt, and shows the drop alone.
        scales: Noise scales in units of the embeddings' standard deviation.
        score: Name of a score; default the first.
        by: As in `aie`.

    Returns:
        One row per scale, with ``noise``; mean ``clean`` and ``corrupted`` scores; their difference
        ``drop``; the ``best`` site with its ``aie``; ``agreement``, Spearman's rank correlation
        of all sites' AIE with those at the scale of the largest drop (NaN without spread).
    """
    import pandas as pd

    traces = [run(s) for s in scales]
    if not traces:
        raise KleditError("Expected at least one noise scale, got none.")
    score = _score(traces[0], score)
    tables = [aie(t, score, by, draws=1) for t in traces]
    drops = [total_effect(t, score) for t in traces]
    reference = tables[int(np.argmax(drops))]["aie"].rank()
    rows = []
    for scale, trace, table, drop in zip(scales, traces, tables, drops, strict=True):
        mean = {v: trace.pictures[f"{v}_{score}"].mean() for v in ("clean", "corrupted")}
        row = {"noise": float(scale), **mean, "drop": drop, "best": ""}
        row |= {"aie": float("nan"), "agreement": float("nan")}
        if len(table):
            best = table.loc[table["aie"].idxmax()]
            site = " ".join(str(best[k]) for k in (by or trace.by) if k != "order")
            row |= {"best": site, "aie": float(best["aie"])}
        ranks = table["aie"].rank()
        if len(table) > 1 and ranks.std() > 0 and reference.std() > 0:
            row["agreement"] = float(ranks.corr(reference))
        rows.append(row)
    return pd.DataFrame(rows)


def _score(trace: Trace, score: str | None) -> str:
    if score is not None and score not in trace.scores:
        raise unknown("score", score, trace.scores)
    return score or trace.scores[0]
