"""Two spaces and the map between them: the chapter's idea, and vectors among CLIP's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from kledit_lite.core.arrays import unit_rows
from kledit_lite.viz.card import Plate, describe, new_axes
from kledit_lite.viz.theme import CONTRAST, MUTED, encoder_look, themed
from kledit_lite.world.captions import article

OTHER = "anything else"
BOX = "round,pad=0.02,rounding_size=0.08"
COLOURS = ("#0072b2", "#d55e00", "#b8c2cc")


@themed
def two_spaces() -> Plate:
    """A picture through two encoders, and one affine map from the first space to the second.

    Example:
        >>> two_spaces().kl_alt[:23]
        'Diagram: a picture goes'
    """
    from matplotlib.patches import FancyBboxPatch

    from kledit_lite import world

    subtitle = "both encoders stay frozen; only the map h is learnt, from pictures without labels"
    figure, axes = new_axes(2.9, "One affine map between two spaces", subtitle)
    axes.set(xlim=(0, 10), ylim=(0, 3.9))
    axes.set_axis_off()
    scene = world.Scene("boat", "red", "beach", seed=5)
    axes.imshow(world.render(scene), extent=(0.0, 1.5, 1.55, 3.05), zorder=2)

    def box(y: float, words: str, model: str) -> None:
        look: dict[str, Any] = {"fc": encoder_look(model).colour, "ec": "none", "boxstyle": BOX}
        axes.add_patch(FancyBboxPatch((2.2, y), 2.0, 0.62, **look))
        axes.text(3.2, y + 0.31, words, color="white", ha="center", va="center", size=9)

    def strip(x: float, y: float, values: np.ndarray, words: str) -> None:
        axes.imshow(
            values[None], extent=(x, x + 1.5, y, y + 0.26), cmap="RdBu", aspect="auto", zorder=2
        )
        axes.text(x + 0.75, y - 0.12, words, ha="center", va="top", size=8.5)

    def arrow(start: tuple[float, float], stop: tuple[float, float], words: str = "") -> None:
        axes.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": MUTED})
        x, y = (start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2 + 0.14
        axes.text(x, y, words, ha="center", size=9, color=MUTED)

    rng = np.random.default_rng(1)
    near = rng.normal(size=24)
    box(2.95, "any encoder $f_s$", "resnet-tiny")
    box(1.25, "CLIP, image $f_t$", "clip-tiny")
    box(0.1, "CLIP, text", "clip-tiny")
    axes.text(0.75, 0.41, "“a red boat”", ha="center", va="center", size=9.5)
    strip(5.0, 3.13, rng.normal(size=32), "")
    strip(8.1, 3.13, near + 0.15 * rng.normal(size=24), "$h(f_s(x))$")
    strip(8.1, 1.43, near, "$f_t(x)$")
    strip(8.1, 0.28, near + 0.5 * rng.normal(size=24), "a text, same space")
    arrow((1.55, 2.6), (2.15, 3.2))
    arrow((1.55, 2.0), (2.15, 1.6))
    arrow((1.55, 0.41), (2.15, 0.41))
    arrow((4.25, 3.26), (4.95, 3.26))
    arrow((6.55, 3.26), (8.05, 3.26), "$h(z)=W^\\top z+b$")
    arrow((4.25, 1.56), (8.05, 1.56))
    arrow((4.25, 0.41), (8.05, 0.41))
    both = {"arrowstyle": "<|-|>", "color": CONTRAST}
    axes.annotate("", (8.85, 1.78), (8.85, 2.78), arrowprops=both)
    axes.text(9.0, 2.28, "as near as\npossible", size=8.5, color=CONTRAST, va="center")
    return describe(
        figure,
        "Diagram: a picture goes through any encoder and through CLIP's image encoder. An affine "
        "map h takes the first vector as near as possible to the second, in the space that CLIP's "
        "text encoder writes into as well.",
    )


@themed
def between_words(
    features: Float[np.ndarray, "N d"],
    text: Float[np.ndarray, "2 d"],
    pair: Sequence[str],
    kinds: Sequence[str],
    title: str,
) -> Plate:
    """Pictures by their cosines with two words, coloured by what they show.

    Args:
        features: (N, d) in CLIP's space.
        text: (2, d) unit rows of the two words.
        pair: the two classes.
        kinds: N classes; those that are not of the pair count as anything else.
        title: bold words above.

    Example:
        >>> between_words(np.eye(2), np.eye(2), ("cat", "boat"), ["cat", "boat"], "Two").kl_alt[:13]
        'Two: 100% of '
    """
    import seaborn as sns

    place = unit_rows(np.asarray(features)) @ np.asarray(text).T
    kind = np.array([k if k in pair else OTHER for k in kinds])
    said = [article(p) for p in pair]
    figure, axes = new_axes(3.2, title, f"{len(place)} test pictures, coloured by ground truth")
    look = dict(zip((*pair, OTHER), COLOURS, strict=True))
    line = {"ax": axes, "levels": [0.35], "linewidths": 1.4, "warn_singular": False}
    for name in (OTHER, *pair):
        mine = kind == name
        axes.scatter(*place[mine].T, s=9, lw=0, color=look[name], label=name, alpha=0.8)
        if name != OTHER and mine.sum() > 5:
            sns.kdeplot(x=place[mine, 0], y=place[mine, 1], color=look[name], **line)
    axes.set(xlim=(-0.55, 0.9), ylim=(-0.55, 0.9))
    axes.set(xlabel=f"cosine with “{said[0]}”", ylabel=f"cosine with “{said[1]}”")
    axes.set_aspect("equal")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=2)
    nearer = [place[kind == p].argmax(1) == k for k, p in enumerate(pair)]
    words = [
        f"{n.mean():.0%} of the {p} pictures are nearer to “{s}”"
        for n, p, s in zip(nearer, pair, said, strict=True)
        if len(n)
    ]
    return describe(figure, f"{title}: {', '.join(words) or 'no picture shows either'}.")
