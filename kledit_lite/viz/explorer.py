"""A heatmap of real text that reads its cells out: mouse, touch or keyboard, no kernel."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.matrices import table_of
from kledit_lite.viz.parts import STYLE, caption_of, script, style
from kledit_lite.viz.theme import SEQUENTIAL, readable_on


class Explorer:
    """A table as HTML; in a terminal, its values in columns."""

    def __init__(self, markup: str, plain: str) -> None:
        self.markup, self.plain = markup, plain

    def __repr__(self) -> str:
        return self.plain

    def _repr_html_(self) -> str:
        return self.markup


def explorer(
    values: Any,
    name: str,
    *,
    rows: Sequence[object] | None = None,
    columns: Sequence[object] | None = None,
    row_label: str = "row",
    column_label: str = "column",
    fmt: str = "{:.0%}",
    sentence: str = "{row}, {column}: {value}",
    caption: str = "",
) -> Explorer:
    """A coloured table of real text in which hovering, tapping or arrow keys read a cell out.

    Args:
        values: a DataFrame, or an array (R, C) with ``rows`` and ``columns``.
        name: lower-case words with hyphens, its own on the page.
        row_label: what a row is.
        column_label: what a column is.
        fmt: format of a value.
        sentence: what a cell says, with {row}, {column} and {value}.
        caption: words below.
        rows: R names; None for a DataFrame, which has its own.
        columns: C names; None for a DataFrame.

    Raises:
        KleditError: see `table_of`; or a name that is no name.

    Example:
        >>> explorer([[1.0, 0.5]], "retained", rows=["a"], columns=["b", "c"])
          b    c
        a 100% 50%
    """
    v, rows_, columns_ = table_of(values, rows, columns)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise KleditError(
            f"Expected a name of lower-case words with hyphens, such as 'retained', got {name!r}."
        )
    text = [["" if np.isnan(x) else fmt.format(x) for x in row] for row in v]
    say = html.escape
    low, high = (0.0, 1.0) if np.isnan(v).all() else (np.nanmin(v), np.nanmax(v))
    colours = SEQUENTIAL(np.nan_to_num((v - low) / ((high - low) or 1.0)))
    body, words = [], []
    for row, said, shades in zip(rows_, text, colours, strict=True):
        backs = [to_hex(c) for c in shades]
        looks = [f"--kl-b:{back};--kl-c:{readable_on(back)}" for back in backs]
        cells = [f'<td style="{k}">{say(t)}</td>' for k, t in zip(looks, said, strict=True)]
        body.append(f'<tr><th scope="row">{say(row)}</th>{"".join(cells)}</tr>')
        told = [(c, t or "no value") for c, t in zip(columns_, said, strict=True)]
        words.append([sentence.format(row=row, column=c, value=t) for c, t in told])
    markup = (
        f'{STYLE}{style("table")}<figure class="kl-viz" data-kl-table="{name}">'
        f'<div class="kl-scroll"><table class="kl-table"><thead><tr>'
        f"<th>{say(row_label)} \\ {say(column_label)}</th>"
        f'{"".join(f"""<th scope="col">{say(c)}</th>""" for c in columns_)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
        f'<p class="kl-read" aria-live="polite">Point at a cell, or use the arrow keys.</p>'
        f"{caption_of(caption)}</figure>{script('table', name, words)}"
    )
    first = max(map(len, rows_))
    widths = [max(len(c), *(len(t[j]) for t in text)) for j, c in enumerate(columns_)]
    lines = [("", columns_), *zip(rows_, text, strict=True)]
    plain = "\n".join(
        " ".join([r.ljust(first), *(x.ljust(w) for x, w in zip(t, widths, strict=True))]).rstrip()
        for r, t in lines
    )
    return Explorer(markup, plain)
