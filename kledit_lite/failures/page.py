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

Pictures = np.ndarray | Sequence[str | Path]
SIDES = {
    "failure": {"worse": "badly", "side": "below", "other": "a worse mode"},
    "success": {"worse": "well", "side": "above", "other": "a better mode"},
}
"""Kind of modes -> the words of `page.html` for it."""


def thumbnail(picture: np.ndarray | str | Path, side: int = 96) -> str:
    """A picture (an array (H, W, 3) uint8, or a file) as a ``data:`` address of a small JPEG.

    Raises:
        KleditError: the file cannot be read as a picture.
    """
    from PIL import Image

    try:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture)
        image = image.convert("RGB")
    except OSError as error:
        words = f"Cannot read {picture} as a picture; check the column of images."
        raise KleditError(words) from error
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
    pictures: Pictures | None = None,
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
    frame = explain(modes, table).assign(
        certain=modes.is_certain(),
        unseen=np.nan if unseen is None else unseen["unseen_drop"].to_numpy(),
    )
    order = ["certain", "p_corrected", "drop"]
    rows = frame.sort_values(order, ascending=[False, True, False]).to_dict("records")
    body = []
    if rows:
        body.append(_overview(rows, judged=unseen is not None))
        body += [_panel(mode, table, pictures, each) for mode in rows[:most]]
        if len(rows) > most:
            body.append(f"<p>Panels of the first {most} modes; the table above lists all.</p>")
    if modes.notes:
        items = "".join(f"<li>{html.escape(n)}</li>" for n in modes.notes)
        body.append(f"<section><h2>Notes</h2><ul>{items}</ul></section>")
    n, s, kind = len(rows), modes.criteria.s, modes.criteria.kind
    folder = files("kledit_lite.failures")
    lines = folder.joinpath("page.html").read_text(encoding="utf-8").splitlines()
    page = "".join(lines).format(
        title=html.escape(title),
        style="\n" + folder.joinpath("page.css").read_text(encoding="utf-8"),
        count=f"{n or 'No'} {kind} mode{'' if n == 1 else 's'}",
        images=len(table),
        classes=f"{len(table.classes)} class{'' if len(table.classes) == 1 else 'es'}",
        tags=len(table.tags),
        right=table.correct.mean(),
        support=f"{s:g} images" if s >= 1 else f"{s:.2%} of the class",
        least="at least" if modes.criteria.a else "",
        significant=len(modes.significant(1 - level)),
        certain=len(modes.certain()),
        explained=sum(map(bool, frame["explained_by"])),
        body="".join(body),
        modes=modes,
        **SIDES[kind],
    )
    return write_atomically(path, page + "\n")


def _chance(p: float) -> str:
    return "&lt; 0.0001" if p < 1e-4 else f"{p:.4f}"


def _name(mode: dict) -> str:
    return html.escape(f"{mode['class']}: {' + '.join(mode['tags'])}")


def _overview(modes: list[dict], judged: bool) -> str:
    head, lines = "<th class=n>drop on unseen data</th>" if judged else "", []
    for m in modes:
        unseen = "too few" if pd.isna(m["unseen"]) else f"{m['unseen']:.0%}"
        lines.append(
            f"<tr><td>{_name(m)}</td><td class=n>{m['support']}</td><td class=n>{m['accuracy']:.1%}"
            f"</td><td class=n>{m['class_accuracy']:.1%}</td><td class=n>{m['drop']:+.1%}</td>"
            f"{f'<td class=n>{unseen}</td>' if judged else ''}"
            f"<td class=n>{_chance(m['p_corrected'])}</td>"
            f"<td>{'yes' if m['certain'] else 'no'}</td>"
            f"<td class=soft>{html.escape(' + '.join(m['explained_by']))}</td></tr>"
        )
    return (
        '<div class="scroll"><table class="all"><thead><tr><th>mode</th><th class=n>images</th>'
        "<th class=n>accuracy</th><th class=n>of the class</th><th class=n>drop</th>"
        f"{head}<th class=n>chance, corrected</th><th>certain</th><th>explained by</th></tr>"
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _bar(words: str, value: float, bad: bool = False) -> str:
    return (
        f"<span>{words}</span><span class='bar{' bad' if bad else ''}'><i style='width:"
        f"{100 * value:.1f}%'></i></span><span>{value:.1%}</span>"
    )


def _panel(mode: dict, table: TagTable, pictures: Pictures | None, each: int) -> str:
    bars = _bar(f"all of {html.escape(mode['class'])}", mode["class_accuracy"])
    for tag, value in mode["without"].items() if mode["size"] > 1 else ():
        bars += _bar(f"without <em>{html.escape(tag)}</em>", value)
    tags = html.escape(" + ".join(mode["tags"]))
    bars += _bar(f"<strong>{tags}</strong>", mode["accuracy"], True)
    words = (
        f"{mode['errors']} of {mode['support']} images wrong. Interval of the accuracy, corrected: "
        f"{mode['low']:.1%} to {mode['high']:.1%}."
    )
    if not pd.isna(mode["unseen"]):
        words += f" On unseen data the drop is {mode['unseen']:.1%}."
    shown = ""
    if pictures is not None:
        rows = table.rows(mode["class"], mode["tags"])
        rows = rows[np.argsort(table.correct[rows], kind="stable")][:each]
        shown = "".join(_picture(pictures[int(r)], bool(table.correct[r]), mode) for r in rows)
        shown = f'<div class="pictures">{shown}</div>'
    return (
        f'<section><h2>{_name(mode)}</h2><div class="bars">{bars}</div>'
        f'<p class="soft">{words}</p>{shown}</section>'
    )


def _picture(picture: np.ndarray | str | Path, right: bool, mode: dict) -> str:
    word = "right" if right else "wrong"
    alt = html.escape(f"{mode['class']} with {', '.join(mode['tags'])}; the model is {word}")
    kind = "" if right else ' class="wrong"'
    return f'<figure{kind}><img src="{thumbnail(picture)}" alt="{alt}">{word}</figure>'
