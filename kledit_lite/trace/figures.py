"""Figures of causal tracing: effects of the UNet's modules, and of the text encoder's tokens."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import Plate, bands, describe, new_figure
from kledit_lite.viz.matrices import heatmap
from kledit_lite.viz.theme import INK, MUTED, OTHERS, join_words, minus, themed

KIND_COLOURS = {
    "self-attention": "#0072b2",
    "cross-attention": "#d55e00",
    "feed-forward": "#008463",
    "resnet": "#8b95a1",
    "block": "#22303c",
}
"""One colour for each kind of UNet module, the same in every chapter."""


@themed
def effect_bars(
    table: Any,
    title: str = "",
    *,
    subtitle: str = "",
    label: str = "average indirect effect",
    threshold: float | None = None,
) -> Plate:
    """The effect of restoring each module of a UNet, in execution order, with its interval.

    Args:
        table: a DataFrame of `kledit_lite.trace.aie` with ``site``, ``kind``, ``aie``, ``low``,
            ``high``, one row per site in execution order.
        title: bold words above.
        subtitle: muted words under it.
        label: label of the vertical axis.
        threshold: effect from which a site counts as causal, drawn as a dashed line, or None.

    Raises:
        KleditError: no rows, or a missing column.

    Example:
        >>> import pandas as pd
        >>> row = {"site": "mid_block.resnets.0", "kind": "resnet", "aie": 1.5, "low": 1, "high": 2}
        >>> effect_bars(pd.DataFrame([row])).kl_alt
        'Effects of 1 site. Largest: mid 0 (resnet) 1.50.'
    """
    missing = [c for c in ("site", "kind", "aie", "low", "high") if c not in table]
    if missing or not len(table):
        raise KleditError(
            f"Expected a table of effects with rows and the columns site, kind, aie, low, high; "
            f"got {len(table)} rows without {join_words(missing) or 'any fault in its columns'}."
        )
    sites, kinds = [str(s) for s in table["site"]], [str(k) for k in table["kind"]]
    v, low, high = (np.asarray(table[c], float) for c in ("aie", "low", "high"))
    order = list(dict.fromkeys(kinds))
    spare = iter(OTHERS * (1 + len(order)))
    colours = {k: KIND_COLOURS.get(k) or next(spare) for k in order}
    figure, _ = new_figure(3.2, title, subtitle)
    axes = figure.subplots()
    x = np.arange(len(v))
    axes.bar(x, v, width=0.8, color=[colours[k] for k in kinds])
    known = np.isfinite(low) & np.isfinite(high)
    axes.vlines(x[known], low[known], high[known], color=INK, lw=0.8)
    axes.axhline(0, color=INK, lw=0.9)
    if threshold is not None:
        axes.axhline(threshold, color=MUTED, lw=1, ls=(0, (4, 3)))
    bands(axes, [_part(s) for s in sites])
    axes.set(xlim=(-0.7, len(v) - 0.3), ylabel=label)
    axes.set_xlabel("module, in the order in which they run")
    axes.grid(axis="y")
    axes.legend(
        handles=[Patch(color=colours[k], label=k) for k in order],
        ncols=min(5, len(order)),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        handlelength=1,
    )
    top = np.argsort(-v, kind="stable")[:3]
    best = [f"{short_name(sites[i])} ({kinds[i]}) {minus(f'{v[i]:.2f}')}" for i in top]
    more = "" if threshold is None else f" {int((v >= threshold).sum())} reach {threshold:.2f}."
    return describe(
        figure,
        f"{title + ': e' if title else 'E'}ffects of {len(v)} site{'s' * (len(v) != 1)}. "
        f"Largest: {join_words(best)}.{more}",
    )


@themed
def loudness(frame: Any, at: float, title: str = "", *, subtitle: str = "") -> Plate:
    """What corrupted pictures still show, by the scale of the noise.

    Args:
        frame: a DataFrame with a row per picture: ``attribute``, ``noise`` (0 for clean pictures),
            ``judge`` (1 where the judge still sees the attribute) and ``clipscore``.
        at: the scale of which the alternative text speaks.
        title: bold words above.
        subtitle: muted words under it.

    Raises:
        KleditError: no picture at that scale.

    Example:
        >>> import pandas as pd
        >>> rows = [("style", n, float(n < 10), 30.0 - n) for n in (0, 10)]
        >>> columns = ["attribute", "noise", "judge", "clipscore"]
        >>> loudness(pd.DataFrame(rows, columns=columns), 10).kl_alt
        'What the judge still sees at a noise of 10 standard deviations: style 0%.'
    """
    import seaborn as sns

    last = frame[frame["noise"] == at].groupby("attribute", sort=False)["judge"].mean()
    if not len(last):
        raise KleditError(f"No picture has noise of {at:g} standard deviations.")
    figure, _ = new_figure(3.3, title, subtitle)
    axes = figure.subplots(1, 2)
    names = {
        "judge": "share that the judge still sees it in",
        "clipscore": "CLIPScore with the prompt",
    }
    for ax, (column, label) in zip(axes, names.items(), strict=True):
        sns.pointplot(
            frame,
            x="noise",
            y=column,
            hue="attribute",
            errorbar=None,
            dodge=0.4 if len(last) > 1 else False,
            markersize=4,
            linewidth=1.4,
            markers=list("osD^vX")[: len(last)],
            palette="colorblind",
            ax=ax,
            legend=ax is axes[1],
        )
        ax.set(xlabel="noise, in sd of the embeddings", ylabel=label)
        ax.grid(axis="y")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title=None)
    return describe(
        figure,
        f"What the judge still sees at a noise of {at:g} standard deviations: "
        f"{join_words([f'{name} {share:.0%}' for name, share in last.items()], 9)}.",
    )


def _part(site: str) -> str:
    first = site.split("_", 1)[0]
    return first if first in ("down", "mid", "up") else ""


def short_name(site: str) -> str:
    """A UNet module's part and numbers, to stand beside its kind.

    Example:
        >>> short_name("up_blocks.1.attentions.2.transformer_blocks.0.attn2")
        'up 1.2.0'
    """
    numbers = ".".join(re.findall(r"\.(\d+)", site))
    return f"{_part(site)} {numbers}".strip() or site


def token_effects(table: Any, title: str = "", *, subtitle: str = "", fmt: str = "{:.2f}") -> Plate:
    """The effect of restoring each layer of a text encoder at each role of token, as a heatmap.

    Args:
        table: a DataFrame of `kledit_lite.trace.aie` of a text trace: ``encoder``, ``layer``,
            ``kind``, ``role``, ``aie``.
        title: bold words above.
        subtitle: muted words under it.
        fmt: format of a value.

    Raises:
        KleditError: another table.
    """
    if not {"encoder", "layer", "kind", "role", "aie"} <= set(table) or not len(table):
        raise KleditError(
            "Expected a table of a text trace, with encoder, layer, kind, role and aie."
        )
    several = table["encoder"].nunique() > 1
    wide = table.pivot_table(
        index=["encoder", "layer", "kind"], columns="role", values="aie", observed=True
    )
    names = [f"{f'encoder {e + 1} ' if several else ''}{k}-{i}" for e, i, k in wide.index]
    labels: Any = {"rows": names, "columns": [str(c) for c in wide.columns]}
    labels["column_label"] = "token restored"
    return heatmap(wide.to_numpy(), title, **labels, fmt=fmt, subtitle=subtitle)
