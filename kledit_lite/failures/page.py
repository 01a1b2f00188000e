"""One HTML file that shows what was found: panels with accuracies with and without each tag."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.failures.dilution import explain
from kledit_lite.failures.search import Modes
from kledit_lite.failures.table import TagTable


def thumbnail(picture: np.ndarray | str | Path, side: int = 96) -> str:
    """A picture (an array (H, W, 3) uint8, or a file) as a ``data:`` address of a small JPEG.

    Raises:
        KleditError: the file cannot be read as a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture)
        image = image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise KleditError(f"Cannot read {picture} as a picture; check the column of images.") from (
            error
        )
    image.thumbnail((2 * side, 2 * side))
    with io.BytesIO() as file:
        image.save(file, "JPEG", quality=80)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def write_report(
    path: Path,
    modes: Modes,
    table: TagTable,
    *,
    title: str = "Failure modes",
    pictures: np.ndarray | Sequence[str | Path] | None = None,
    unseen: pd.DataFrame | None = None,
    level: float = 0.95,
    most: int = 40,
    each: int = 8,
) -> Path:
    """Write the report: an overview, a panel for each mode, what was looked for, and the notes.

    Args:
        path: File to write; it needs no other file, script or network.
        modes: From `find_modes`.
        table: The data they were found in.
        title: Heading.
        pictures: N pictures or files, in the order of the table's rows; none are shown if None.
        unseen: From `generalisation` of the same modes, in the same order.
        level: Confidence; a mode is significant when its corrected chance is 1 - level or less.
        most: Panels; the overview lists every mode.
        each: pictures per panel, errors first.

    Returns:
        The path.

    Raises:
        KleditError: another number of pictures than rows, or a picture that cannot be read.
    """
    if pictures is not None and len(pictures) != len(table):
        raise KleditError(f"{len(pictures)} pictures for {len(table)} rows; give one per row.")
    if unseen is not None and len(unseen) != len(modes):
        raise KleditError(f"{len(unseen)} rows of unseen drops for {len(modes)} modes.")
    rows = explain(modes, table).assign(certain=modes.is_certain()).to_dict("records")
    drops = [None] * len(rows) if unseen is None else unseen["unseen_drop"].tolist()
    ranked = sorted(
        range(len(rows)),
        key=lambda i: (not rows[i]["certain"], rows[i]["p_corrected"], -rows[i]["drop"]),
    )
    significant = len(modes.significant(1 - level))
    c = modes.criteria
    worse, side, other = ("badly", "below", "a worse mode")
    if c.kind == "success":
        worse, side, other = "well", "above", "a better mode"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{_count(len(rows), c.kind)} in {len(table)} images of {_plural(len(table.classes))}, "
        f"with {len(table.tags)} tags. The model is right on {table.correct.mean():.1%} of them."
        "</p>",
        f'<p class="soft">Looked for: sets of up to {c.l} tags that at least {_support(c.s)} show, '
        f"with an accuracy {'at least' if c.a else ''} {c.a:.0%} "
        f"{'below' if c.kind == 'failure' else 'above'} that of the class, and in which every tag "
        f"counts. {modes.searched:,} sets were tested in {modes.seconds:.2g} seconds. Intervals "
        f"and chances account for {modes.tests:,} sets looked at.</p>",
        f"<p>{significant} of them are <em>significant</em>: a random handful of the class would "
        f"hardly do as {worse}. {sum(r['certain'] for r in rows)} are <em>certain</em>: the "
        f"accuracy lies ten points or more {side} the class's even at the near end of its "
        f"interval. {sum(bool(r['explained_by']) for r in rows)} are explained by {other}: without "
        "the pictures of that one, too little is left of them.</p>",
    ]
    if rows:
        body.append(_overview([(rows[i], drops[i]) for i in ranked]))
        body += [_panel(rows[i], drops[i], table, pictures, each) for i in ranked[:most]]
        if len(rows) > most:
            body.append(f"<p>Panels of the first {most} modes; the table above lists all.</p>")
    if modes.notes:
        items = "".join(f"<li>{html.escape(n)}</li>" for n in modes.notes)
        body.append(f"<section><h2>Notes</h2><ul>{items}</ul></section>")
    style = files("kledit_lite.failures").joinpath("page.css").read_text(encoding="utf-8")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>\n{style}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )
    return write_atomically(path, page)


def _count(n: int, kind: str) -> str:
    return f"{n or 'No'} {kind} mode{'' if n == 1 else 's'}"


def _plural(n: int) -> str:
    return f"{n} class" if n == 1 else f"{n} classes"


def _support(s: float) -> str:
    return f"{s:g} images" if s >= 1 else f"{s:.2%} of the class"


def _chance(p: float) -> str:
    return "&lt; 0.0001" if p < 1e-4 else f"{p:.4f}"


def _name(mode: dict) -> str:
    return html.escape(f"{mode['class']}: {' + '.join(mode['tags'])}")


def _overview(rows: list[tuple[dict, float | None]]) -> str:
    judged = any(d is not None for _, d in rows)
    head = "<th class=n>drop on unseen data</th>" if judged else ""
    lines = []
    for m, d in rows:
        said = (
            ""
            if not judged
            else f"<td class=n>{'too few' if d is None or d != d else f'{d:.0%}'}</td>"
        )
        lines.append(
            f"<tr><td>{_name(m)}</td><td class=n>{m['support']}</td><td class=n>{m['accuracy']:.1%}"
            f"</td><td class=n>{m['class_accuracy']:.1%}</td><td class=n>{m['drop']:+.1%}</td>"
            f"{said}<td class=n>{_chance(m['p_corrected'])}</td>"
            f"<td>{'yes' if m['certain'] else 'no'}</td>"
            f"<td class=soft>{html.escape(' + '.join(m['explained_by']))}</td></tr>"
        )
    return (
        '<div class="scroll"><table class="all"><thead><tr><th>mode</th><th class=n>images</th>'
        "<th class=n>accuracy</th><th class=n>of the class</th><th class=n>drop</th>"
        f"{head}<th class=n>chance, corrected</th><th>certain</th>"
        "<th>explained by</th></tr></thead><tbody>"
        f"{''.join(lines)}</tbody></table></div>"
    )


def _bar(words: str, value: float, bad: bool = False) -> str:
    return (
        f"<span>{words}</span><span class='bar{' bad' if bad else ''}'><i style='width:"
        f"{100 * value:.1f}%'></i></span><span>{value:.1%}</span>"
    )


def _panel(
    mode: dict,
    unseen: float | None,
    table: TagTable,
    pictures: np.ndarray | Sequence[str | Path] | None,
    each: int,
) -> str:
    bars = [_bar(f"all of {html.escape(mode['class'])}", mode["class_accuracy"])]
    if mode["size"] > 1:
        bars += [_bar(f"without <em>{html.escape(t)}</em>", v) for t, v in mode["without"].items()]
    bars.append(
        _bar(f"<strong>{html.escape(' + '.join(mode['tags']))}</strong>", mode["accuracy"], True)
    )
    words = (
        f"{mode['errors']} of {mode['support']} images wrong. Interval of the accuracy, corrected: "
        f"{mode['low']:.1%} to {mode['high']:.1%}."
    )
    if unseen is not None and unseen == unseen:
        words += f" On unseen data the drop is {unseen:.1%}."
    shown = ""
    if pictures is not None:
        rows = table.rows(mode["class"], mode["tags"])
        rows = rows[np.argsort(table.correct[rows], kind="stable")][:each]
        shown = "".join(_picture(pictures[int(r)], bool(table.correct[r]), mode) for r in rows)
        shown = f'<div class="pictures">{shown}</div>'
    return (
        f'<section><h2>{_name(mode)}</h2><div class="bars">{"".join(bars)}</div>'
        f'<p class="soft">{words}</p>{shown}</section>'
    )


def _picture(picture: np.ndarray | str | Path, right: bool, mode: dict) -> str:
    word = "right" if right else "wrong"
    alt = html.escape(f"{mode['class']} with {', '.join(mode['tags'])}; the model is {word}")
    kind = "" if right else ' class="wrong"'
    return f'<figure{kind}><img src="{thumbnail(picture)}" alt="{alt}">{word}</figure>'
